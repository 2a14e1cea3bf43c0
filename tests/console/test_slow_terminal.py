"""A terminal that takes little, and a peer that sends much."""

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.puppet import PATIENCE, SHOWN
from tests.console.test_terminal import CTRL_C, Terminal
from tests.peers import wait_until
from voicemux.console.commands import Interrupt
from voicemux.events import TextReceived

RATE = 1_000_000  # bytes a second, as over ssh
AT_ONCE = 0.3  # seconds, as users have it
LONG_NAME = "\U0001f3b7" * 16
ZALGO = "z" + "\u0336" * 8
MUCH = {
    "line ends": TextReceived(LONG_NAME, "x" + "\n" * 1_048_575),
    "marks": TextReceived(LONG_NAME, ZALGO * 61_000),
    "one line": TextReceived("mallory", "x" * 1_048_576),
}


class SlowReader:
    """Takes what is written to a terminal, at a rate."""

    def __init__(self, terminal: Terminal, rate: int = RATE) -> None:
        self._thread = threading.Thread(target=self._read, args=(terminal, rate))
        self._ends = threading.Event()
        self.taken = 0

    def __enter__(self) -> "SlowReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _read(self, terminal: Terminal, rate: int) -> None:
        while not self._ends.is_set():
            if select.select([terminal.master], [], [], 0.05)[0]:
                self.taken += len(os.read(terminal.master, rate // 100))
                time.sleep(0.01)


@contextlib.contextmanager
def started_terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        yield terminal


@pytest.fixture
def terminal():
    with started_terminal() as terminal:
        yield terminal


def memory_of(pid: int) -> int:
    """Bytes that are resident, at their most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def answer_of(terminal: Terminal) -> str:
    """The next answer, while somebody else reads the terminal."""
    line = b""
    while not line.endswith(b"\n"):
        line += terminal.socket.recv(1)
    return line.decode().rstrip()


@pytest.mark.timed
@pytest.mark.parametrize("much", MUCH)
def test_ctrl_c_is_seen_at_once_while_much_is_printed(much):
    # One that is seen late is so every time; a stall of the machine makes it late now and then.
    assert any(seconds_until_ctrl_c_is_seen(MUCH[much]) < AT_ONCE for _ in range(10))


def seconds_until_ctrl_c_is_seen(event: TextReceived) -> float:
    """From the key to the interruption, while that is printed five times."""
    with started_terminal() as terminal:
        terminal.show(TextReceived("mallory", "hi"))
        with SlowReader(terminal) as reader:
            terminal.order(*[event] * 5)
            wait_until(lambda: reader.taken >= 10_000)
            pressed = time.monotonic()
            terminal.type(CTRL_C)
            while (answer := answer_of(terminal)) == SHOWN:
                pass
            assert answer == repr(Interrupt())
            return time.monotonic() - pressed


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.parametrize("much", MUCH)
def test_much_takes_little_memory_and_few_rows(terminal, much):
    terminal.show(TextReceived("mallory", "hi"))
    before = memory_of(terminal.process.pid)
    terminal.order(MUCH[much])
    assert terminal.answer() == SHOWN
    received = sys.getsizeof(MUCH[much].text)  # the text itself, and the order that has it
    assert memory_of(terminal.process.pid) - before < 20_000_000 + 8 * received
    assert len(terminal.raw) < 400_000


def test_a_text_counts_as_shown_only_when_the_terminal_has_taken_it(terminal):
    full = [TextReceived("mallory", "x" * 7000)] * 30
    terminal.order(*full)
    time.sleep(3)  # more than a notice waits
    terminal.socket.setblocking(False)
    answers = terminal.socket.recv(1 << 16).decode().count(SHOWN)
    terminal.socket.setblocking(True)
    assert answers < len(full)
    ends = time.monotonic() + PATIENCE
    while answers < len(full) and time.monotonic() < ends:
        assert terminal.answer() == SHOWN
        answers += 1
    assert answers == len(full)
