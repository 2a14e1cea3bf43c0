import termios
import time

import pytest

from tests.console.test_terminal import CTRL_C, CTRL_D, ENTER, HI, UP, Terminal
from voicemux.console.commands import HangUp, Interrupt, Mute, PushToTalk, Say
from voicemux.console.lines import REST
from voicemux.events import Connected, MicModeChosen, Notice, Switched, TextReceived


@pytest.fixture
def terminal():
    with Terminal(kind="lines") as terminal:
        found = termios.tcgetattr(terminal.master)
        terminal.start()
        deadline = time.monotonic() + 20
        while termios.tcgetattr(terminal.master) == found:
            assert time.monotonic() < deadline
        yield terminal


def test_what_is_typed_is_shown_and_said(terminal):
    terminal.type(b"hi there" + ENTER)
    assert terminal.command() == Say("hi there")
    terminal.type("grüße, 漢字\r")
    assert terminal.command() == Say("grüße, 漢字")
    terminal.type(b"/mute" + ENTER)
    assert terminal.command() == Mute()
    terminal.wait_for_last("/mute")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (b"hello\x7f\x7fp", "help"),
        ("漢字\x7fx".encode(), "漢x"),
        (b"one two\x17three", "one three"),
        (b"wrong\x15right", "right"),
        (b"a\x1b[Ab\x1bOPc\x1bxd\x1b[1;5De", "abcde"),
        (b"a\x00\x01\x11\x16\tb", "ab"),
        (b"\x7f\x7fa", "a"),
    ],
)
def test_keys_edit_the_line(terminal, keys, line):
    terminal.type(keys + ENTER)
    assert terminal.command() == Say(line)


def test_what_comes_does_not_tear_the_line_that_is_being_typed(terminal):
    terminal.show(HI)
    terminal.type(b"half a li")
    terminal.wait_for_screen("bob> hi", "half a li")
    terminal.order(TextReceived("bob", "are you there?"))
    terminal.type(b"ne" + ENTER)
    answers = [terminal.answer(), terminal.answer()]
    assert repr(Say("half a line")) in answers
    terminal.wait_for_screen("bob> hi", "half a line", "bob> are you there?")


def test_what_comes_waits_no_longer_than_the_keyboard_rests(terminal):
    began = time.monotonic()
    terminal.type(b"half a li")
    terminal.wait_for_screen("half a li")
    terminal.show(HI)
    assert REST / 2 < time.monotonic() - began < REST + 10
    terminal.type(b"ne" + ENTER)
    assert terminal.command() == Say("half a line")
    terminal.wait_for_screen("half a li", "bob> hi", "half a line")


def test_nothing_is_ever_drawn_again(terminal):
    for number in range(5):
        terminal.show(Notice(f"notice {number}"))
        terminal.type(b"x" + UP + ENTER)
        assert terminal.command() == Say("x")
    terminal.close()
    assert terminal.wait() == 0
    assert b"\x1b" not in terminal.raw


def test_ctrl_c_takes_the_line_back_and_interrupts_in_an_empty_one(terminal):
    terminal.type(b"half a li" + CTRL_C + b"hi" + ENTER)
    assert terminal.command() == Say("hi")
    terminal.type(CTRL_C)
    assert terminal.command() == Interrupt()
    terminal.type(CTRL_D)
    assert terminal.command() == HangUp()


def test_the_terminal_is_left_as_it_was_found():
    with Terminal(kind="lines") as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.start()
        terminal.type(b"hi" + ENTER)
        assert terminal.command() == Say("hi")
        terminal.close()
        assert termios.tcgetattr(terminal.master) == before
        assert terminal.wait() == 0


def test_a_terminal_that_goes_hangs_up(terminal):
    terminal.hang_up()
    assert terminal.command() == HangUp()
    terminal.close()
    assert terminal.wait() == 0


def test_the_space_bar_and_ctrl_t_open_the_microphone(terminal):
    terminal.show(Connected("bob", "192.168.1.5", "", "opus", "opus"))
    terminal.type(b"\x14")
    assert terminal.command() == Mute()
    terminal.show(MicModeChosen("ptt"))
    terminal.type(b" ")
    assert terminal.command() == PushToTalk(True)
    terminal.show(Switched("talking", True))
    terminal.type(b"   ")
    assert terminal.command() == PushToTalk(False)
    terminal.type(b"a b" + ENTER)
    assert terminal.command() == Say("a b")
