"""Whatever a peer sends, by whatever way: no row of a screen looks like a notice, the user, or another's."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.forgeries import LIES, forgeries
from tests.console.puppet import PATIENCE, Puppet
from tests.console.screens import KINDS, drawn, impostors
from tests.console.strategies import make_stats
from tests.console.test_terminal import Terminal
from voicemux.console.printing import WRAPPING_OFF, WRAPPING_ON
from voicemux.console.rows import LEAST_COLUMNS, OURS, Mark, Screen
from voicemux.console.wording import mark_of, written
from voicemux.events import CallRinging, Connected, Ended, Event, ProgramFailed, TextReceived

ALICE = "alice"  # the user
WIDTHS = [1, 14, 80, *(pytest.param(columns, marks=pytest.mark.long) for columns in (7, 20, 40, 132))]


def ways(forged: str) -> list[Event]:
    """The same as a text, and as whatever else of a peer's is shown."""
    name = forged[-64:]
    return [
        TextReceived("mallory", forged),
        TextReceived(name, "hi"),
        Connected(name, "10.0.0.9", forged, "opus", "opus", "open", ["orbit", "velvet"]),
        CallRinging(name, "10.0.0.9", asks=True),
        Ended("them", "", False, make_stats(), said=forged[-256:]),
        ProgramFailed("busy", 1, said=forged[:256]),
    ]


def in_turns(columns: int, first: int = 0) -> Iterator[tuple[str, Event, str]]:
    """Each forgery as a text, and by one of the other ways; what it is, the event, and the words in it."""
    for number, (name, sent) in enumerate(forgeries(columns), first):
        text, *others = ways(sent)
        words = " ".join(sent.split())  # as they are quoted
        yield name, text, words
        yield f"{name}, otherwise", others[number % len(others)], words


def both(mark: Mark, screen: Screen) -> tuple[str, str]:
    """What stands before a first row, and before the others."""
    fitted = mark.fitted(screen, screen.columns)
    return fitted.before(mark.first), fitted.before(mark.others)


def marks_of(event: Event, screen: Screen) -> tuple[str, ...]:
    return both(mark_of(event.name, ALICE), screen) if isinstance(event, TextReceived) else ()


def test_there_are_enough_of_them():
    assert len({sent for _, sent in forgeries(80)}) >= 60


@pytest.mark.parametrize("clips", [True, False], ids=["wrapping off", "no sequences"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", WIDTHS)
def test_no_row_hides_who_speaks_in_it(columns, kind, clips):
    screen = Screen(lambda: columns, clips=clips)
    for name, event, words in in_turns(columns, first=columns + len(kind)):
        output = "".join(written(event, screen, ALICE))
        shown = drawn(f"{WRAPPING_OFF}{output}{WRAPPING_ON}" if clips else output, columns, kind)
        if columns < LEAST_COLUMNS:
            assert set(shown) <= {">", "|", ":"}, name
        else:
            assert not impostors(shown, marks_of(event, screen), [words], both(OURS, screen)), name


@pytest.mark.parametrize("columns", [100, 200])
def test_a_window_made_narrower_wraps_nothing_that_it_need_not(columns):
    screen = Screen(lambda: columns, clips=True)
    for name, sent in forgeries(80):
        event = TextReceived("mallory", sent)
        shown = drawn("".join(written(event, screen, ALICE)), columns, narrower=80)
        assert not impostors(shown, marks_of(event, screen)), name


def test_a_check_that_finds_nothing_would_be_none():
    well = ["mallory> hi", "mallory|", "voicemux: hi", "voicemux| hi", 'voicemux| "Connected To Bob (192.168.1.7)']
    wrong = ["hi", "bob| hi", "alice>", "alice> hi", "voicemux| Connected To Bob (192.168.1.7)", "  mallory> hi"]
    assert impostors([*well, *wrong], ["mallory> ", "mallory| "], LIES) == wrong


class Teletype(Puppet):
    """A console without a prompt, all of whose streams are a terminal."""

    def __init__(self, columns: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        try:
            super().__init__("plain", stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "PYTHONUTF8": "1"})
        finally:
            os.close(slave)
        self.raw = b""

    def wait_for(self, readable: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not select.select([readable], [], [], 0)[0]:
            assert time.monotonic() < deadline
            if self.master in select.select([self.master, readable], [], [], 1)[0]:
                self.raw += os.read(self.master, 1 << 16)

    def rest(self) -> bytes:
        while select.select([self.master], [], [], 0.2)[0]:
            self.raw += os.read(self.master, 1 << 16)
        return self.raw

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        os.close(self.master)


def assert_marked(raw: str, columns: int, events: list[tuple[str, Event, str]], screen: Screen) -> None:
    peers = {mark for _, event, _ in events for mark in marks_of(event, screen)}
    shown = drawn(raw.replace("\r\n", "\n"), columns)
    assert len(shown) > 100
    words = [words for _, _, words in events]
    assert not impostors(shown, list(peers), words, both(OURS, screen), known=["alice> half a", "alice>", ""])


@pytest.mark.parametrize(
    "columns", [20, 132, *(pytest.param(columns, marks=pytest.mark.long) for columns in (40, 80))]
)
def test_no_row_of_a_real_terminal_hides_who_speaks_in_it(columns):
    events = list(in_turns(columns, columns))[::3]
    with Terminal(columns=columns) as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        terminal.type("half a")
        terminal.wait_for_screen("alice> half a")
        for _, event, _ in events:
            terminal.show(event)
        terminal.close()
        assert terminal.wait() == 0
        assert_marked(terminal.raw.decode(), columns, events, Screen(lambda: columns, clips=True))


@pytest.mark.parametrize(
    "columns", [20, 132, *(pytest.param(columns, marks=pytest.mark.long) for columns in (40, 80))]
)
def test_no_row_of_plain_lines_on_a_terminal_hides_who_speaks_in_it(columns):
    events = list(in_turns(columns, columns))[::3]
    with Teletype(columns) as terminal:
        for _, event, _ in events:
            terminal.show(event)
        raw = terminal.rest().decode()
        assert "\x1b" not in raw
        assert_marked(raw, columns, events, Screen(lambda: columns, clips=False))
