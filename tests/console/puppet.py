"""A console in a process of its own, on pipes or on a terminal: shows what it is told to, and tells what was typed.

Orders and answers are lines of Python on a socket of their own, so that the three standard streams are the console's.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, Self

from voicemux import events
from voicemux.console import commands
from voicemux.console.commands import Command
from voicemux.console.plain import Console, JsonConsole, PlainConsole
from voicemux.errors import VoicemuxError
from voicemux.events import Event

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds that any single thing may take on a busy machine
START, CLOSE, SHOWN, CLOSED = "start", "close", "shown", "closed"


class Puppet:
    """The console's process, from outside. As a context manager it leaves nothing behind."""

    def __init__(self, kind: str, *, prefix: tuple[str, ...] = (), **popen: Any) -> None:
        """`prefix` is a command that runs Python with the rest as its arguments."""
        near, far = socket.socketpair()
        self.socket = near
        with far:
            self.process = subprocess.Popen(
                [
                    *prefix,
                    sys.executable,
                    "-X",
                    "faulthandler",
                    "-W",
                    "error",
                    "-m",
                    __name__,
                    kind,
                    str(far.fileno()),
                ],
                pass_fds=[far.fileno()],
                cwd=ROOT,
                **popen,
            )
        self._unread = b""
        self._typed: deque[str] = deque()  # which answers told meanwhile

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def order(self, *orders: str | Event) -> None:
        """Tell it to START, to CLOSE, or to show an event."""
        self.socket.sendall("".join(f"{each!r}\n" for each in orders).encode())

    def start(self) -> None:
        """Let it read. What was typed is the next answer."""
        self.order(START)

    def show(self, *shown: Event) -> None:
        """Show, and wait until that has been done."""
        for event in shown:
            self.order(event)
            while (line := self.answer()) != SHOWN:
                self._typed.append(line)

    def close(self) -> None:
        self.order(CLOSE)
        assert self.answer() == CLOSED

    def command(self) -> Command:
        """The next thing that the user wanted."""
        line = self._typed.popleft() if self._typed else self.answer()
        return eval(line, vars(commands))

    def answer(self) -> str:
        while b"\n" not in self._unread:
            self.wait_for(self.socket)
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the console's process has ended")
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()

    def wait_for(self, readable: Any) -> None:
        """Wait until there is something to read."""
        if not select.select([readable], [], [], PATIENCE)[0]:
            raise TimeoutError

    def wait(self) -> int:
        """Its exit code, once its orders have ended."""
        self.socket.shutdown(socket.SHUT_WR)
        return self.process.wait(PATIENCE)


def make(kind: str) -> Console:
    if kind.startswith("terminal"):
        from voicemux.console.terminal import TerminalConsole

        return TerminalConsole(kind.removeprefix("terminal "))
    if kind == "lines":
        from voicemux.console.lines import LineConsole

        return LineConsole()
    if kind == "one":
        return PlainConsole(texts=sys.stderr)
    return JsonConsole() if kind == "json" else PlainConsole()


def main(kind: str, number: str) -> None:
    """The process itself."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    if os.environ.get("ALARMS"):
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    console = make(kind)
    sys.setswitchinterval(0.0005)  # as the program does
    with socket.socket(fileno=int(number)) as connection, connection.makefile() as orders:
        lock = threading.Lock()

        def answer(line: str) -> None:
            with lock:
                connection.sendall(f"{line}\n".encode())

        def handle(command: Command) -> None:
            answer(repr(command))

        for line in orders:
            order = eval(line, vars(events))
            if order == START:
                console.start(handle)
            elif order == CLOSE:
                console.close()
                answer(CLOSED)
            else:
                try:
                    console.show(order)
                except VoicemuxError as error:
                    answer(str(error))
                else:
                    answer(SHOWN)


if __name__ == "__main__":
    main(*sys.argv[1:])
