import contextlib
import fcntl
import os
import pty
import select
import socket
import struct
import termios
import time
from collections.abc import Callable

import pyte
import pytest

from tests.console.puppet import PATIENCE, Puppet
from voicemux.console.commands import HELP, HangUp, Help, Interrupted, Mute, Say
from voicemux.console.wording import notice_lines
from voicemux.events import Calling, Connected, Notice, Switched, TextReceived

HI = TextReceived("bob", "hi")
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

    def __init__(self, columns: int = 80, rows: int = 24, name: str = "alice", **env: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        try:
            super().__init__(
                f"terminal {name}",
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

    def wait_for(self, readable: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while not select.select([readable], [], [], 0)[0]:
            self._draw(deadline, readable)

    def wait_for_screen(self, *lines: str) -> None:
        """Wait until exactly this is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while self.lines != [*lines]:
            assert time.monotonic() < deadline, f"on the screen: {self.lines}"
            self._draw(deadline)

    def wait(self) -> int:
        """Its exit code, once its orders have ended; everything that it wrote is on the screen then."""
        self.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # how a pseudo-terminal says that nobody holds its other end any more
            while self.master >= 0:
                self._draw(time.monotonic() + PATIENCE)
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

    def _draw(self, deadline: float, *others: object) -> None:
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


def test_the_arrow_brings_the_last_line_back(terminal):
    terminal.type(b"again" + ENTER)
    assert terminal.command() == Say("again")
    terminal.wait_for_screen("alice> again", "alice>")
    terminal.type(UP)
    terminal.wait_for_screen("alice> again", "alice> again")
    terminal.type(ENTER)
    assert terminal.command() == Say("again")


def test_ctrl_c_interrupts_also_in_the_middle_of_a_line_and_the_prompt_comes_back(terminal):
    terminal.type(b"half a li" + CTRL_C)
    assert terminal.command() == Interrupted()
    terminal.wait_for_screen("alice> half a li", "alice>")
    terminal.type(CTRL_C)
    assert terminal.command() == Interrupted()


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
    terminal.show(Notice(HELP))
    terminal.wait_for_screen("alice> /help", *notice_lines(Notice(HELP)), "alice>")


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


def test_a_half_typed_line_stays_whole(terminal):
    terminal.type(b"half a li")
    terminal.wait_for_screen("alice> half a li")
    terminal.show(HI, Switched("muted", True))
    terminal.wait_for_screen("bob> hi", "voicemux: muted: they do not hear you", "alice> half a li")
    assert terminal.cursor == (2, len("alice> half a li"))
    terminal.type(b"ne" + ENTER)
    assert terminal.command() == Say("half a line")
    terminal.wait_for_screen("bob> hi", "voicemux: muted: they do not hear you", "alice> half a line", "alice>")


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


def test_the_screen_is_never_cleared_nor_exchanged_for_another(terminal):
    terminal.show(HI)
    terminal.type(b"hi" + ENTER)
    assert terminal.command() == Say("hi")
    terminal.close()
    assert terminal.wait() == 0
    for sequence in (b"\x1b[?1049h", b"\x1b[?47h", b"\x1b[2J", b"\x1b[3J"):
        assert sequence not in terminal.raw
