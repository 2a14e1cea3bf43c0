"""A Python that has loaded the libraries of others, and becomes the program whenever it is asked to.

Half of what the suite computed was Python and libraries being loaded, by more than a thousand programs. Here they are
loaded once: a process forks for each program, which then loads and runs all that is ours, as `python -m voicemux`
does. What depends on how Python itself starts is started afresh (`Program(fresh=True)`, or by itself where the
environment says something to Python or to the loader of libraries).
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

FOREIGN = (  # what calls load sooner or later
    *("click", "construct", "cryptography.x509", "cryptography.hazmat.primitives.serialization", "filelock", "json"),
    *("numpy", "prompt_toolkit", "samplerate", "soundfile", "spake2", "ssl", "wcwidth"),
    *("cryptography.hazmat.backends.openssl", "encodings.idna", "importlib.resources", "statistics", "unicodedata"),
)
OF_PYTHON = ("PYTHON", "LD_", "LC_", "LANG")  # how variables begin that are read before a program begins
STATUS = struct.Struct("i")
LONGEST = 1 << 17  # bytes of a request


def _is_possible() -> bool:
    """Whether the end of a process can be waited for beside other things: on Linux, where nothing forbids it."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


IS_POSSIBLE = _is_possible()


class WarmProcess:
    """A program that was started so, with as much of `subprocess.Popen` as tests need."""

    def __init__(self, arguments: tuple[str, ...], env: Mapping[str, str], stdin: int) -> None:
        self.args = ["voicemux", *arguments]
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        theirs: list[int] = []
        try:
            if stdin == subprocess.PIPE:
                near_in, writer = os.pipe()
                theirs.append(near_in)
                self.stdin = os.fdopen(writer, "wb")
            elif stdin == subprocess.DEVNULL:
                theirs.append(os.open(os.devnull, os.O_RDWR))
            else:
                theirs.append(os.dup(stdin))
            self.stdout: IO[bytes] = self._pipe(theirs)
            self.stderr: IO[bytes] = self._pipe(theirs)
            self._status = self._pipe(theirs)
            request = {"arguments": arguments, "env": dict(env), "folder": os.getcwd()}
            self.pid = _starter().start(json.dumps(request).encode(), theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    @staticmethod
    def _pipe(theirs: list[int]) -> IO[bytes]:
        reader, writer = os.pipe()
        theirs.append(writer)
        return os.fdopen(reader, "rb")

    def poll(self) -> int | None:
        return self._ended_within(0.0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended_within(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _ended_within(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            (self.returncode,) = STATUS.unpack(self._status.read(STATUS.size))
            self._status.close()
        return self.returncode


class Starter:
    """The process that forks, from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            env = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONFAULTHANDLER": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def start(self, request: bytes, descriptors: list[int]) -> int:
        """The number of a process that runs the program."""
        with self._lock:
            socket.send_fds(self._socket, [request], descriptors)
            pid: int = STATUS.unpack(self._socket.recv(STATUS.size))[0]
        return pid

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


_started: list[Starter] = []
_starting = threading.Lock()


def _starter() -> Starter:
    with _starting:
        if not _started:
            _started.append(Starter())
        return _started[0]


def close() -> None:
    """End the process that forks, if there is one."""
    while _started:
        _started.pop().close()


def is_for(env: Mapping[str, str] | None, popen: Mapping[str, Any]) -> bool:
    """Whether a program with that environment and these further wishes can be started so."""
    return IS_POSSIBLE and set(popen) <= {"stdin"} and not any(name.startswith(OF_PYTHON) for name in env or {})


def _serve(control: socket.socket) -> list[str] | None:
    """Fork as often as it is asked for. In a child: the arguments of the program. None at the end."""
    waiting: dict[int, tuple[int, int]] = {}  # by the descriptor of a process: its number, and whom to tell
    while True:
        ready, _, _ = select.select([control.fileno(), *waiting], [], [])
        for descriptor in ready:
            if descriptor == control.fileno():
                continue
            pid, status = waiting.pop(descriptor)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.close(descriptor)
            with contextlib.suppress(BrokenPipeError):  # the test wants to know no more
                os.write(status, STATUS.pack(code))
            os.close(status)
        if control.fileno() in ready:
            data, descriptors, _, _ = socket.recv_fds(control, LONGEST, 4)
            if not data:
                return None
            pid = os.fork()
            if not pid:
                return _become(json.loads(data), descriptors)
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            waiting[os.pidfd_open(pid)] = pid, descriptors[3]
            control.send(STATUS.pack(pid))


def _become(request: dict[str, Any], descriptors: list[int]) -> list[str]:
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    os.closerange(3, 4096)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    arguments: list[str] = request["arguments"]
    return arguments


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in FOREIGN:
        __import__(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the tests does not mean this process
    arguments = _serve(control)
    if arguments is None:
        control.close()
        return
    control.detach()
    sys.argv[1:] = arguments
    runpy.run_module("voicemux", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
