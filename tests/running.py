"""The shipped program as a process: started, talked to, and its output read line by line with a limit."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tests import warm_start

Environment = Mapping[str, str] | None

CODE = "7-quiet-test"
PATIENCE = 20.0  # seconds that any single thing may take on a busy machine
CLOSED_OR_MORE = re.compile(r"[<>]&-|[3-9][<>]")  # in what a shell has behind a command


def environment(home: str | Path, env: Environment = None) -> dict[str, str]:
    """What a program runs in, `env` on top: its key and its contacts are in `home`, and never the user's own."""
    return {
        **os.environ,
        "PYTHONWARNINGS": "error",
        "PYTHONFAULTHANDLER": "1",
        "VOICEMUX_HOME": str(home),
        "VOICEMUX_CODE": CODE,  # of listeners and diallers alike
        **(env or {}),
    }


def on_terminal(
    *arguments: str, home: str | Path, terminal: int, env: Environment = None
) -> "subprocess.Popen[bytes] | warm_start.WarmProcess":
    """`voicemux` with arguments on a terminal, in a session of its own."""
    whole = environment(home, env)
    if warm_start.is_for(env, {}):
        return warm_start.WarmProcess(arguments, whole, terminal, terminal)
    return subprocess.Popen(
        [sys.executable, "-m", "voicemux", *arguments],
        stdin=terminal, stdout=terminal, stderr=terminal, env=whole, start_new_session=True,
    )  # fmt: skip


class Program:
    """`voicemux` with arguments. Use it as a context manager: at its end nothing of it is left."""

    python: tuple[str, ...] = ("-m", "voicemux")  # what Python runs

    def __init__(
        self, *arguments: str, env: Environment = None, redirect: str = "", fresh: bool = False, **popen: Any
    ) -> None:
        """`redirect` is what a shell would have behind the command: "<&-" for a closed input, "> file".

        `fresh` starts Python itself, too; else libraries may have been loaded already (tests/warm_start.py).
        """
        popen.setdefault("stdin", subprocess.PIPE)
        self._home = tempfile.TemporaryDirectory(prefix="voicemux-home-")  # nobody's key and contacts
        shell = ["bash", "-c", f'exec "$@" {redirect}', "bash"] if redirect else []
        whole = environment(self._home.name, env)
        self.process: subprocess.Popen[bytes] | warm_start.WarmProcess
        is_warm = self.python == Program.python and not fresh and warm_start.is_for(env, popen)
        if is_warm and not redirect:
            self.process = warm_start.WarmProcess(arguments, whole, popen["stdin"])
        else:
            # A stream that is closed, or one more than three, cannot be handed over.
            is_handed_over = is_warm and not CLOSED_OR_MORE.search(redirect)
            start = warm_start.command() if is_handed_over else [sys.executable, *self.python]
            command = [*shell, *start, *arguments]
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=whole, **popen
            )
        self.out: list[str] = []  # lines of standard output that `read` has given
        self.err: list[str] = []  # lines of standard error so far
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._notices: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._pump, args=(self.process.stdout, self._lines)),
            threading.Thread(target=self._pump, args=(self.process.stderr, self._notices)),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._home.cleanup()

    def write(self, text: str | bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode() if isinstance(text, str) else text)
        self.process.stdin.flush()

    def command(self, **command: Any) -> None:
        """One JSON command, for a program with --json."""
        self.write(json.dumps(command) + "\n")

    def close_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def read(self, timeout: float = PATIENCE) -> str:
        """The next line of standard output."""
        return self._next(self._lines, self.out, timeout)

    def notice(self, timeout: float = PATIENCE) -> str:
        """The next line of standard error."""
        return self._next(self._notices, self.err, timeout)

    def notice_with(self, part: str, timeout: float = PATIENCE) -> str:
        """The next line of standard error that has `part` in it."""
        while part not in (line := self.notice(timeout)):
            pass
        return line

    def event(self, name: str, timeout: float = PATIENCE, **facts: Any) -> dict[str, Any]:
        """The next JSON event of that name with these facts; those before it are passed over (and kept in `out`)."""
        while True:
            event: dict[str, Any] = json.loads(self.read(timeout))
            if event["event"] == name and event.items() >= facts.items():
                return event

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code; afterwards `out` and `err` hold all that it wrote."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        for lines, seen in ((self._lines, self.out), (self._notices, self.err)):
            while not lines.empty():
                if (line := lines.get()) is not None:
                    seen.append(line)
        return code

    @staticmethod
    def _next(lines: "queue.SimpleQueue[str | None]", seen: list[str], timeout: float) -> str:
        line = lines.get(timeout=timeout)
        if line is None:
            raise EOFError(f"the program ended; so far: {seen}")
        seen.append(line)
        return line

    @staticmethod
    def _pump(stream: Any, lines: "queue.SimpleQueue[str | None]") -> None:
        for line in stream:
            lines.put(line.decode(errors="replace").rstrip("\n"))
        lines.put(None)


def run(
    *arguments: str, stdin: str = "", env: Environment = None, patience: float = PATIENCE
) -> tuple[int, list[str], list[str]]:
    """Exit code, standard output and standard error of the program, run to its end."""
    with Program(*arguments, env=env) as program:
        if stdin:
            program.write(stdin)
        program.close_input()
        code = program.wait(patience)
        return code, program.out, program.err


@contextlib.contextmanager
def listening(
    *options: str, host: str = "127.0.0.1", env: Environment = None, redirect: str = ""
) -> Iterator[tuple[Program, str]]:
    """A listener, and what it says that its callers should dial."""
    with Program("listen", "--host", host, "--port", "0", *options, env=env, redirect=redirect) as listener:
        if "--json" in options:
            command = listener.event("listening")["dial"][0]
        else:
            command = listener.notice_with("tell the other side to type")
        yield (
            listener,
            command.split("voicemux dial ")[1].removeprefix("--unencrypted ").removeprefix("--open ").split()[0],
        )


@contextlib.contextmanager
def calling(
    *options: str,
    alice: tuple[str, ...] = (),
    bob: tuple[str, ...] = (),
    alice_env: Environment = None,
    bob_env: Environment = None,
) -> Iterator[tuple[Program, Program]]:
    """Alice has dialled bob, who listens, and both know it. `options` are those of both."""
    bob = ("--name", "bob", *options, *bob)
    alice = ("--name", "alice", *options, *alice)
    with (
        listening(*bob, env=bob_env) as (listener, address),
        Program("dial", address, *alice, env=alice_env) as dialler,
    ):
        for options, side in ((alice, dialler), (bob, listener)):
            await_connection(side, *options)
        yield dialler, listener


def await_connection(program: Program, *options: str) -> None:
    if "--json" in options:
        program.event("connected")
    else:
        program.notice_with("connected to")
