import contextlib
import fcntl
import os
import pty
import re
import select
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from typing import Any

import pyte
import pytest

from tests.console.puppet import PATIENCE, SHOWN, Puppet
from tests.peers import wait_until
from voicemux.console.commands import HangUp, Help, Interrupt, Mute, PushToTalk, Say
from voicemux.console.figures import status_line
from voicemux.console.parsing import typed_help
from voicemux.console.wording import notice_lines
from voicemux.events import (
    Calling,
    Connected,
    Interrupted,
    MicModeChosen,
    Notice,
    Resumed,
    Status,
    Switched,
    TextReceived,
)

HI = TextReceived("bob", "hi")
STATUS = Status(
    seconds=3725.4, round_trip_ms=20.4, mouth_to_ear_ms=163.2, capture_ms=5, packet_ms=22.5, network_ms=10,
    buffer_ms=100, playout_ms=25, drift_ppm=-12, kbit_sent=69, kbit_received=69, audio_sent=186_250, audio_dropped=12,
    audio_received=186_240, audio_late=13, audio_concealed=44, shortened_ms=120, lengthened_ms=240, xruns=2,
    echo="on", echo_db=-14.5,
    texts_sent=17, texts_received=21, bytes_sent=10_000_000, bytes_received=10_000_000,
)  # fmt: skip
CTRL_C, CTRL_D, UP, ENTER = b"\x03", b"\x04", b"\x1b[A", b"\r"
PASTE = b"\x1b[200~%b\x1b[201~"


class Emulator(pyte.Screen):
    """A screen that answers when it is asked where its cursor is, as terminals do."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        super().__init__(columns, rows)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class Terminal(Puppet):
    """A console on a pseudo-terminal, and its screen."""

    def __init__(
        self, columns: int = 80, rows: int = 24, name: str = "alice", kind: str = "terminal", **env: str
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        try:
            super().__init__(
                f"{kind} {name}" if kind == "terminal" else kind,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **env},
            )
        finally:
            os.close(slave)
        self.raw = b""  # all that was written to the terminal
        self.screen = Emulator(columns, rows, self.type)
        self._stream = pyte.ByteStream(self.screen)

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        if self.master >= 0:
            self.hang_up()

    def type(self, keys: bytes | str) -> None:
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def hang_up(self) -> None:
        """The terminal's window is closed."""
        os.close(self.master)
        self.master = -1

    def wait_for(self, readable: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not select.select([readable], [], [], 0)[0]:
            self.draw(deadline, readable)

    def wait_for_screen(self, *lines: str) -> None:
        """Wait until exactly this is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while self.lines != [*lines]:
            assert time.monotonic() < deadline, f"on the screen: {self.lines}"
            self.draw(deadline)

    def wait_for_prompt(self) -> None:
        """Wait until there is an empty one behind all lines."""
        self.wait_for_last("alice>")

    def wait_for_last(self, line: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.lines[-1:] != [line]:
            assert time.monotonic() < deadline, f"on the screen: {self.lines}"
            self.draw(deadline)

    def wait(self) -> int:
        """Its exit code, once its orders have ended; everything that it wrote is on the screen then."""
        self.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # how a pseudo-terminal says that nobody holds its other end any more
            while self.master >= 0:
                self.draw(time.monotonic() + PATIENCE)
        return self.process.wait(PATIENCE)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without what is empty below and to the right."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor(self) -> tuple[int, int]:
        return self.screen.cursor.y, self.screen.cursor.x

    def draw(self, deadline: float, *others: Any) -> None:
        """Wait for what comes next, and draw it; one of `others` that can be read ends the waiting, too."""
        watched = [*others, *([self.master] if self.master >= 0 else [])]
        ready, _, _ = select.select(watched, [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"on the screen: {self.lines}")
        if self.master in ready:
            data = os.read(self.master, 1 << 16)
            self.raw += data
            self._stream.feed(data)


@pytest.fixture
def terminal():
    with Terminal() as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        yield terminal


# --- what is typed


def test_a_typed_line_is_said_and_stays_on_the_screen(terminal):
    terminal.type(b"hi there" + ENTER)
    assert terminal.command() == Say("hi there")
    terminal.wait_for_screen("alice> hi there", "alice>")


def test_a_command_is_no_text(terminal):
    terminal.type(b"/mute" + ENTER)
    assert terminal.command() == Mute()


def test_letters_of_all_scripts_can_be_typed(terminal):
    terminal.type("grüße, 漢字" + "\r")
    assert terminal.command() == Say("grüße, 漢字")


def test_bytes_that_are_not_utf_8_do_no_harm(terminal):
    terminal.type(b"caf\xe9 au lait" + ENTER)
    command = terminal.command()
    assert isinstance(command, Say)
    assert command.text.startswith("caf")
    assert command.text.encode()


def test_what_is_pasted_in_several_lines_is_one_text(terminal):
    terminal.type(PASTE % b"one\ntwo" + ENTER)
    assert terminal.command() == Say("one\ntwo")


def test_what_is_typed_ahead_is_not_shown_twice_and_not_lost(terminal):
    for number in range(20):
        terminal.type(f"{number}\r")
    assert [terminal.command() for _ in range(20)] == [Say(str(number)) for number in range(20)]
    terminal.wait_for_screen(*(f"alice> {number}" for number in range(20)), "alice>")


def test_the_arrow_brings_the_last_line_back(terminal):
    terminal.type(b"again" + ENTER)
    assert terminal.command() == Say("again")
    terminal.wait_for_screen("alice> again", "alice>")
    terminal.type(UP)
    terminal.wait_for_screen("alice> again", "alice> again")
    terminal.type(ENTER)
    assert terminal.command() == Say("again")


def test_ctrl_c_takes_back_what_was_typed_and_in_an_empty_line_it_interrupts(terminal):
    terminal.type(b"half a li")
    terminal.wait_for_screen("alice> half a li")
    terminal.type(CTRL_C)
    terminal.wait_for_screen("alice>")
    terminal.type(b"another" + ENTER)
    assert terminal.command() == Say("another")
    terminal.wait_for_screen("alice> another", "alice>")
    terminal.type(CTRL_C)
    assert terminal.command() == Interrupt()
    terminal.wait_for_screen("alice> another", "alice>", "alice>")
    terminal.type(CTRL_C)
    assert terminal.command() == Interrupt()


def test_ctrl_c_takes_back_a_paste_of_many_lines(terminal):
    terminal.type(PASTE % b"\n".join(b"%d" % number for number in range(100)))
    terminal.wait_for_screen("95", "96", "97", "98", "99")
    terminal.type(CTRL_C)
    terminal.wait_for_screen("alice>")
    terminal.type(b"hi" + ENTER)
    assert terminal.command() == Say("hi")


def test_ctrl_c_does_not_wait_behind_what_is_to_be_shown(terminal):
    texts = [TextReceived("bob", "\n".join(f"line {number}" for number in range(90)))] * 100
    terminal.order(*texts)
    terminal.type(CTRL_C)
    while (answer := terminal.answer()) == SHOWN:
        texts.pop()
    assert answer == repr(Interrupt())
    assert len(texts) > 50
    for _ in texts:
        assert terminal.answer() == SHOWN


@pytest.mark.parametrize("keys", [b"\x1a", b"\x11\x1a", b"\x16\x02", b"\x1b[31m", PASTE % b"\x03\x1a\x1b\x00\x7f"])
def test_no_control_character_enters_a_line(terminal, keys):
    terminal.type(b"a")
    terminal.wait_for_screen("alice> a")
    terminal.type(keys)
    terminal.wait_for_screen("alice> a")
    terminal.type(b"b" + ENTER)
    command = terminal.command()
    assert isinstance(command, Say)
    assert sorted(command.text) == ["a", "b"]


def test_blanks_take_the_place_of_tabs(terminal):
    terminal.type(PASTE % b"if x:\r\n\treturn" + ENTER)
    assert terminal.command() == Say("if x:\n    return")


def test_ctrl_d_hangs_up(terminal):
    terminal.type(CTRL_D)
    assert terminal.command() == HangUp()


def test_ctrl_d_in_a_line_does_not_hang_up(terminal):
    terminal.type(b"half a li")
    terminal.wait_for_screen("alice> half a li")
    terminal.type(CTRL_D + b"ne" + ENTER)
    assert terminal.command() == Say("half a line")


def test_help_can_be_read(terminal):
    terminal.type(b"/help" + ENTER)
    assert terminal.command() == Help()
    terminal.show(Notice(typed_help()))
    terminal.wait_for_screen("alice> /help", *notice_lines(Notice(typed_help())), "alice>")


def test_a_terminal_that_goes_hangs_up_and_what_comes_then_counts_as_not_shown(terminal):
    terminal.hang_up()
    assert terminal.command() == HangUp()
    terminal.order(HI)
    assert terminal.answer() == "cannot write what they say: input/output error"
    terminal.close()
    assert terminal.wait() == 0


def test_nothing_counts_as_shown_while_a_terminal_goes(terminal):
    terminal.hang_up()
    terminal.order(HI)
    answers = {terminal.answer(), terminal.answer()}
    assert answers == {repr(HangUp()), "cannot write what they say: input/output error"}
    terminal.close()
    assert terminal.wait() == 0


# --- what is shown


def test_what_comes_before_the_first_prompt_and_after_the_last_is_shown():
    with Terminal() as terminal:
        terminal.show(Calling("kitchen"))
        terminal.wait_for_screen("voicemux: calling kitchen ...")
        terminal.start()
        terminal.wait_for_screen("voicemux: calling kitchen ...", "alice>")
        terminal.close()
        terminal.show(Notice("bye"))
        terminal.wait_for_screen("voicemux: calling kitchen ...", "voicemux: bye")
        assert terminal.wait() == 0


def test_the_prompt_shows_that_text_waits_while_there_is_no_line(terminal):
    terminal.type(b"half")
    terminal.wait_for_screen("alice> half")
    terminal.show(Interrupted("bob", 4.0))
    lost = "voicemux: the line is silent; trying to reach bob again"
    terminal.wait_for_screen(lost, "alice (text waits)> half")
    terminal.show(Resumed("bob", 7.0, "192.168.1.5"))
    terminal.wait_for_screen(lost, "voicemux: bob is back after 7 s; nothing is lost", "alice> half")


def test_a_half_typed_line_stays_whole(terminal):
    terminal.type(b"half a li")
    terminal.wait_for_screen("alice> half a li")
    terminal.show(HI, Switched("muted", True))
    terminal.wait_for_screen("bob> hi", "voicemux: muted: they do not hear you", "alice (muted)> half a li")
    assert terminal.cursor == (2, len("alice (muted)> half a li"))
    terminal.type(b"ne" + ENTER)
    assert terminal.command() == Say("half a line")
    terminal.wait_for_screen(
        "bob> hi", "voicemux: muted: they do not hear you", "alice (muted)> half a line", "alice (muted)>"
    )


def test_a_half_typed_line_stays_whole_on_a_terminal_of_20_columns():
    def rows(line: str) -> list[str]:
        return [line[start : start + 20].rstrip() for start in range(0, len(line), 20)]

    typed, heard = "this is half a line of mine", "and this is a line that goes on, too, and on"
    with Terminal(columns=20, rows=12) as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        terminal.type(typed)
        terminal.wait_for_screen(*rows(f"alice> {typed}"))
        terminal.show(TextReceived("bob", heard))
        above = ["bob> and this is a", "bob| line that goes", "bob| on, too, and", "bob| on"]
        terminal.wait_for_screen(*above, *rows(f"alice> {typed}"))
        terminal.type(b"!" + ENTER)
        assert terminal.command() == Say(f"{typed}!")
        terminal.wait_for_screen(*above, *rows(f"alice> {typed}!"), "alice>")
        terminal.close()
        terminal.wait_for_screen(*above, *rows(f"alice> {typed}!"))


def test_nothing_is_lost_while_somebody_types_line_after_line(terminal):
    for number in range(40):
        terminal.type(f"typed {number}" + "\r")
        terminal.show(TextReceived("bob", f"heard {number}"))
        assert terminal.command() == Say(f"typed {number}")
    terminal.close()
    assert terminal.wait() == 0
    positions = [terminal.raw.find(f"bob> heard {number}\r\n".encode()) for number in range(40)]
    assert -1 not in positions
    assert positions == sorted(positions)


def test_escape_sequences_of_a_peer_never_reach_the_terminal(terminal):
    name, text = "b\x1b[35mob", "\x1b]0;pwned\x07\x1b[2J\x1b[31mred\x9b32m\x08\x7f\u202eback\rvoicemux: bye"
    terminal.show(TextReceived(name, text), Connected(name, "kitchen", text, "", ""), Notice(text))
    terminal.type(b"still here")
    terminal.wait_for_screen(
        r"b\x1b[35mob> \x1b]0;pwned\x07\x1b[2J\x1b[31mred\x9b32m\x08\x7f\u202eback",
        r"b\x1b[35mob| voicemux: bye",
        r'voicemux: connected to "b\x1b[35mob" (kitchen), not encrypted; text only',
        r"voicemux: \x1b]0;pwned\x07\x1b[2J\x1b[31mred\x9b32m\x08\x7f\u202eback",
        r"voicemux: voicemux: bye",
        "alice> still here",
    )
    assert terminal.screen.title == ""
    for sequence in ("\x1b]", "\x07", "\x1b[31m", "\x1b[35m", "\x1b[2J", "\x9b", "\x7f", "\u202e"):
        assert sequence.encode() not in terminal.raw


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_a_peer_of_our_own_name_is_told_apart(terminal, name):
    terminal.show(TextReceived(name, "it is me"))
    terminal.wait_for_screen(f"{name} (them)> it is me", "alice>")


def test_a_terminal_that_cannot_show_a_character_shows_a_question_mark():
    with Terminal(PYTHONUTF8="0", PYTHONIOENCODING="ascii") as terminal:
        terminal.show(Notice("grüße"))
        terminal.wait_for_screen("voicemux: gr??e")
        terminal.start()
        terminal.show(TextReceived("bob", "grüße"))
        terminal.wait_for_screen("voicemux: gr??e", "bob> gr??e", "alice>")


# --- the end


@pytest.mark.parametrize("typed", ["", "half a li"], ids=["empty", "half typed"])
def test_closing_takes_the_prompt_line_away(terminal, typed):
    terminal.show(HI)
    terminal.type(typed)
    terminal.wait_for_screen("bob> hi", f"alice> {typed}".rstrip())
    terminal.show(Notice("it is over"))
    terminal.close()
    terminal.wait_for_screen("bob> hi", "voicemux: it is over")
    assert terminal.cursor == (2, 0)
    assert terminal.wait() == 0


def test_the_terminal_is_left_as_it_was_found():
    with Terminal() as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.start()
        terminal.wait_for_screen("alice>")
        assert termios.tcgetattr(terminal.master) != before
        terminal.close()
        assert termios.tcgetattr(terminal.master) == before
        assert terminal.wait() == 0


def test_closing_at_once_ends_the_prompt_too():
    with Terminal() as terminal:
        terminal.start()
        terminal.close()
        assert terminal.wait() == 0
        assert terminal.lines == []


def test_a_console_can_be_closed_that_was_never_started():
    with Terminal() as terminal:
        terminal.close()
        terminal.show(Notice("nobody answers"))
        terminal.wait_for_screen("voicemux: nobody answers")
        assert terminal.wait() == 0


def test_the_terminal_is_asked_for_nothing_and_the_cursor_never_rises_above_the_typed_line():
    with Terminal(columns=40, rows=10) as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        terminal.type(b"x" * 70)
        terminal.wait_for_screen("alice> " + "x" * 33, "x" * 37)
        for number in range(40):
            terminal.show(TextReceived("bob", f"line {number}"), Switched("muted", number % 2 == 0))
        terminal.type(CTRL_C)
        terminal.wait_for_prompt()
        terminal.close()
        assert terminal.wait() == 0
        assert b"\x1b[6n" not in terminal.raw
        ups = [int(count or 1) for count in re.findall(rb"\x1b\[(\d*)A", terminal.raw)]
        assert max(ups) <= 2  # so high is the typed line with its prompt
        assert b"\x1bM" not in terminal.raw
        assert not re.findall(rb"\x1b\[\d*;?\d*[Hfd]", terminal.raw)


def test_a_terminal_150_ms_away_shows_40_lines_at_once(terminal):
    """What comes is read 150 ms late, and what it would answer arrives 150 ms late, too."""
    terminal.show(HI)  # tables are read at the first text
    arrived: list[tuple[float, bytes]] = []
    wait = threading.Event()

    def carry() -> None:
        while not wait.wait(0.005):
            if select.select([terminal.master], [], [], 0)[0]:
                arrived.append((time.monotonic() + 0.15, os.read(terminal.master, 1 << 16)))

    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        began = time.monotonic()
        terminal.order(*(TextReceived("bob", f"line {number}") for number in range(40)))
        wait_until(lambda: any(b"line 39" in data for _, data in arrived), PATIENCE)
        assert max(moment for moment, _ in arrived) - began < 0.15 + 8.0  # asked for each line it would be 12
    finally:
        wait.set()
        carrier.join()


@pytest.mark.parametrize("rows", [3, 10])
def test_a_paste_that_is_higher_than_the_screen_leaves_room_for_what_comes_and_no_copies(rows):
    with Terminal(columns=40, rows=rows) as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        terminal.type(PASTE % b"\n".join(b"paste %d" % number for number in range(50)))
        for number in range(10):
            terminal.show(TextReceived("bob", f"line {number}"))
        while not any("bob> line 9" in line for line in terminal.lines):
            terminal.draw(time.monotonic() + PATIENCE)
        for number in range(10):
            assert terminal.raw.count(b"bob> line %d\r\n" % number) == 1
        assert b"paste 3\r" not in terminal.raw
        terminal.type(ENTER)
        assert terminal.command() == Say("\n".join(f"paste {number}" for number in range(50)))
        terminal.wait_for_prompt()
        assert terminal.raw.count(b"alice> paste 0\r\nalice| paste 1\r\n") == 1
        assert terminal.raw.count(b"alice| ...\r\n") == 1


def test_the_prompt_says_who_is_muted(terminal):
    terminal.show(Switched("muted", True))
    terminal.wait_for_screen("voicemux: muted: they do not hear you", "alice (muted)>")
    terminal.show(Switched("deafened", True))
    terminal.wait_for_last("alice (muted, deafened)>")
    terminal.show(Switched("muted", False))
    terminal.wait_for_last("alice (deafened)>")


def test_with_push_to_talk_the_space_bar_opens_the_microphone_and_shuts_it_and_the_prompt_shows_that(terminal):
    terminal.show(Connected("bob", "192.168.1.5", "", "opus", "opus"), MicModeChosen("ptt"))
    terminal.wait_for_last("alice (push to talk)>")
    terminal.type(b" ")
    assert terminal.command() == PushToTalk(True)
    terminal.show(Switched("talking", True))
    terminal.wait_for_last("alice (talking, push to talk)>")
    terminal.type(b"\x14")
    assert terminal.command() == PushToTalk()
    terminal.show(Switched("talking", False))
    terminal.wait_for_last("alice (push to talk)>")
    terminal.type(b"hi there" + ENTER)
    assert terminal.command() == Say("hi there")
    terminal.show(MicModeChosen("open"))
    terminal.type(b"\x14 hi" + ENTER)
    assert [terminal.command(), terminal.command()] == [Mute(), Say(" hi")]


def test_a_space_bar_that_is_held_and_let_go_shuts_the_microphone(terminal):
    terminal.show(Connected("bob", "192.168.1.5", "", "opus", "opus"), MicModeChosen("ptt"))
    terminal.type(b" ")
    assert terminal.command() == PushToTalk(True)
    terminal.show(Switched("talking", True))
    terminal.type(b"   ")
    assert terminal.command() == PushToTalk(False)


def test_the_figures_stand_right_below_the_prompt_and_are_whole():
    with Terminal(columns=90) as terminal:
        terminal.start()
        terminal.wait_for_screen("alice>")
        terminal.show(STATUS)
        terminal.wait_for_last(status_line(STATUS, 89))
        assert terminal.lines[0] == "alice>"
        assert len(terminal.lines) == 2
        terminal.show(HI)
        terminal.wait_for_screen("bob> hi", "alice>", status_line(STATUS, 89))


def test_the_screen_is_never_cleared_nor_exchanged_for_another(terminal):
    terminal.show(HI)
    terminal.type(b"hi" + ENTER)
    assert terminal.command() == Say("hi")
    terminal.close()
    assert terminal.wait() == 0
    for sequence in (b"\x1b[?1049h", b"\x1b[?47h", b"\x1b[2J", b"\x1b[3J"):
        assert sequence not in terminal.raw
