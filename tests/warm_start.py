"""A Python that has loaded our modules and the libraries, and becomes the program whenever it is asked to.

Most of what the suite computed was Python, libraries and our modules being loaded, by more than a thousand programs.
Here they are loaded once: a process forks for each program, which then runs `voicemux/__main__.py`, as
`python -m voicemux` does. What depends on how Python starts, or on what is loaded when, is started afresh
(`Program(fresh=True)`, or by itself where the environment says something to Python or to the loader of libraries).
"""

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import voicemux

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

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], stdin: int, terminal: int | None = None
    ) -> None:
        """`terminal` is all three standard streams, in a session of its own, in place of pipes."""
        self.args = ["voicemux", *arguments]
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        theirs: list[int] = []
        try:
            if terminal is not None:
                theirs.extend(os.dup(terminal) for _ in range(3))
            else:
                if stdin == subprocess.PIPE:
                    near_in, writer = os.pipe()
                    theirs.append(near_in)
                    self.stdin = os.fdopen(writer, "wb")
                elif stdin == subprocess.DEVNULL:
                    theirs.append(os.open(os.devnull, os.O_RDWR))
                else:
                    theirs.append(os.dup(stdin))
                self.stdout = self._pipe(theirs)
                self.stderr = self._pipe(theirs)
            self._status = self._pipe(theirs)
            request = {
                "arguments": arguments,
                "env": dict(env),
                "folder": os.getcwd(),
                "session": terminal is not None,
            }
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
        self._folder = tempfile.TemporaryDirectory(prefix="voicemux-warm-")
        self.path = f"{self._folder.name}/socket"
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as entrance:
            entrance.bind(self.path)
            entrance.listen()
            env = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONFAULTHANDLER": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), str(entrance.fileno())],
                pass_fds=[theirs.fileno(), entrance.fileno()],
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
        self._folder.cleanup()


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


def command() -> list[str]:
    """What a shell may run in place of `python -m voicemux`; killed, it takes the program along."""
    if not IS_POSSIBLE:
        return [sys.executable, "-m", "voicemux"]
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("warm_command.py")), _starter().path]


def is_for(env: Mapping[str, str] | None, popen: Mapping[str, Any]) -> bool:
    """Whether a program with that environment and these further wishes can be started so."""
    return IS_POSSIBLE and set(popen) <= {"stdin"} and not any(name.startswith(OF_PYTHON) for name in env or {})


def _serve(control: socket.socket, entrance: socket.socket) -> list[str] | None:
    """Fork as often as it is asked for. In a child: the arguments of the program. None at the end."""
    waiting: dict[int, tuple[int, int]] = {}  # by the descriptor of a process: its number, and whom to tell
    commands: dict[int, int] = {}  # the processes of commands, by their connections, which are told
    while True:
        ready, _, _ = select.select([control.fileno(), entrance.fileno(), *waiting, *commands], [], [])
        for descriptor in ready:
            if descriptor in waiting:
                pid, status = waiting.pop(descriptor)
                commands.pop(status, None)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.close(descriptor)
                with contextlib.suppress(BrokenPipeError):  # the test wants to know no more
                    os.write(status, STATUS.pack(code))
                os.close(status)
            elif descriptor in commands:  # the command was killed
                os.kill(commands.pop(descriptor), signal.SIGKILL)
        for descriptor in {control.fileno(), entrance.fileno()}.intersection(ready):
            is_command = descriptor == entrance.fileno()
            connection = entrance.accept()[0] if is_command else control
            data, streams, _, _ = socket.recv_fds(connection, LONGEST, 4)
            if not data:
                if not is_command:
                    return None
                connection.close()
                continue
            pid = os.fork()
            if not pid:
                connection.detach()
                return _become(json.loads(data), streams)
            for stream in streams[:3]:
                os.close(stream)
            connection.send(STATUS.pack(pid))
            status = connection.detach() if is_command else streams[3]
            waiting[os.pidfd_open(pid)] = pid, status
            if is_command:
                commands[status] = pid


def _become(request: dict[str, Any], descriptors: list[int]) -> list[str]:
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    os.closerange(3, 4096)
    if request["session"]:
        os.setsid()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.isatty():  # as where Python starts on a terminal
            stream.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    arguments: list[str] = request["arguments"]
    return arguments


def main() -> None:
    control, entrance = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    ours = [module.name for module in pkgutil.walk_packages(voicemux.__path__, "voicemux.")]
    for name in (*FOREIGN, *ours):
        if name != "voicemux.__main__":
            importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the tests does not mean this process
    arguments = _serve(control, entrance)
    if arguments is None:
        control.close()
        entrance.close()
        return
    control.detach()
    entrance.detach()
    sys.argv[1:] = arguments
    runpy.run_module("voicemux", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
