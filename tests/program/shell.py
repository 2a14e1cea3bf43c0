"""A shell with job control on a pseudo-terminal, and its screen: what a user has who types `voicemux`."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

import pyte

from tests.peers import wait_until
from tests.running import PATIENCE, environment

COLUMNS, ROWS = 100, 30


class Shell:
    """bash, and in it a command `voicemux`. Use it as a context manager: at its end nothing of it is left."""

    def __init__(self, home: str, **env: str) -> None:
        self._screen = pyte.HistoryScreen(COLUMNS, ROWS, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            more = {"PS1": "$ ", "TERM": "xterm-256color", "PYTHONUTF8": "1", "VOICEMUX_CODE": "", **env}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment(home, more))
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.wait_for("$ ")
        self.run(f'voicemux() {{ {sys.executable} -m voicemux "$@"; }}')

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        self.type(b"\x03\x03kill -9 $(jobs -p); exit\r")
        try:
            wait_until(lambda: os.waitpid(self.pid, os.WNOHANG)[0], 0.2)
        except AssertionError:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        finally:
            os.close(self.master)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def run(self, command: str) -> None:
        self.type(command.encode() + b"\r")

    @property
    def lines(self) -> list[str]:
        """All that the terminal has shown, what has scrolled away included."""
        gone = ["".join(row[column].data for column in range(COLUMNS)) for row in self._screen.history.top]
        lines = [line.rstrip() for line in [*gone, *self._screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def draw(self, seconds: float) -> None:
        """Show what comes for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            data = os.read(self.master, 1 << 16)
            self.raw += data
            self._stream.feed(data)

    def wait_for(self, part: str, *, times: int = 1) -> str:
        """The last line with that part, once there are so many of them."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [line for line in self.lines if part in f"{line} "]) < times:
            assert time.monotonic() < deadline, "\n".join(self.lines)
            self.draw(0.05)
        return found[-1]

    def wait_for_last(self, line: str) -> None:
        """Wait until that is the last line."""
        deadline = time.monotonic() + PATIENCE
        while self.lines[-1:] != [line]:
            assert time.monotonic() < deadline, "\n".join(self.lines)
            self.draw(0.05)
