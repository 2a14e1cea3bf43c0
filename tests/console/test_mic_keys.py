"""The space bar and Ctrl-T, key by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.strategies import make_stats
from voicemux.console.commands import Mute, PushToTalk
from voicemux.console.mic_keys import ARMING, MOST_HELD, MicKeys
from voicemux.events import Connected, Ended, Event, MicModeChosen, Switched

ENDED = Ended("us", "", 0, make_stats())
CONNECTED = Connected("bob", "192.168.1.5", "", "opus", "opus")


class Keyboard:
    """Tells the keys what their commands do, as the call does; `told` are the commands with their times."""

    def __init__(self, mode: str = "ptt") -> None:
        self.keys, self.now = MicKeys(), 100.0
        self.keys.note(CONNECTED)
        self.keys.note(MicModeChosen(mode))
        self.told: list[tuple[float, bool]] = []

    @property
    def talks(self) -> bool:
        return bool(self.told) and self.told[-1][1]

    def _do(self, command: PushToTalk | None) -> None:
        if command:
            assert command.on is not None
            self.told.append((self.now, command.on))
            self.keys.note(Switched("talking", command.on))

    def press(self) -> None:
        self._do(self.keys.press(self.now))

    def wait(self, seconds: float) -> None:
        """A program looks when it is due, and a little later."""
        ends = self.now + seconds
        while (due := self.keys.due) is not None and due <= ends:
            self.now = max(self.now, due)
            self._do(self.keys.look(self.now))
        self.now = ends

    def hold(self, seconds: float, delay: float = 0.5, interval: float = 0.033) -> None:
        """Press it, and let it go after so long."""
        began = self.now
        self.press()
        self.wait(min(seconds, delay))
        while self.now - began < seconds:
            self.press()
            self.wait(interval)


def test_space_opens_the_microphone_until_the_next_one() -> None:
    keyboard = Keyboard()
    keyboard.press()
    keyboard.wait(300)
    assert keyboard.talks
    keyboard.press()
    assert not keyboard.talks
    keyboard.wait(1)
    keyboard.press()
    assert keyboard.talks


@pytest.mark.parametrize(("delay", "interval"), [(0.25, 0.03), (0.5, 0.033), (0.66, 0.04), (0.5, 0.09), (0.4, 0.2)])
def test_space_that_is_held_opens_it_as_long_as_that(delay: float, interval: float) -> None:
    keyboard = Keyboard()
    for _ in range(3):
        keyboard.hold(5, delay, interval)
        assert keyboard.talks
        let_go = keyboard.now
        keyboard.wait(3)
        assert not keyboard.talks
        assert keyboard.told[-1][0] - let_go < max(0.25, 6 * interval)
    assert [on for _, on in keyboard.told] == [True, False] * 3


def test_a_key_that_is_stuck_keeps_it_open_for_a_minute_and_no_longer() -> None:
    keyboard = Keyboard()
    keyboard.hold(200)
    assert [(round(at - 100), on) for at, on in keyboard.told] == [(0, True), (MOST_HELD, False)]
    keyboard.wait(1)
    keyboard.press()
    assert keyboard.talks


def test_the_press_that_shuts_it_may_be_long() -> None:
    keyboard = Keyboard()
    keyboard.press()
    keyboard.wait(10)
    keyboard.hold(3)
    assert [on for _, on in keyboard.told] == [True, False]


def test_ctrl_t_mutes_and_with_push_to_talk_it_opens_and_shuts() -> None:
    keys = MicKeys()
    assert keys.toggle() is None
    keys.note(CONNECTED)
    assert (keys.toggle(), keys.takes_space) == (Mute(), False)
    keys.note(MicModeChosen("ptt"))
    assert (keys.toggle(), keys.takes_space) == (PushToTalk(), True)
    assert keys.toggle() == PushToTalk(), "the call knows what it was before, though no event has told of that yet"
    keys.note(ENDED)
    assert (keys.toggle(), keys.takes_space) == (None, False)


@pytest.mark.parametrize("event", [ENDED, MicModeChosen("open")])
def test_a_key_that_is_held_while_its_use_ends_shuts_nothing(event: Event) -> None:
    keyboard = Keyboard()
    keyboard.hold(2)
    assert keyboard.talks
    keyboard.keys.note(event)
    for _ in range(10):
        assert keyboard.keys.takes_space, "its repeats are no text"
        keyboard.press()
        keyboard.wait(0.033)
    keyboard.wait(1)
    assert [on for _, on in keyboard.told] == [True]
    assert (keyboard.keys.due, keyboard.keys.takes_space) == (None, False)


def test_a_key_that_is_held_counts_as_let_go_when_there_is_no_prompt_to_look() -> None:
    keyboard = Keyboard()
    assert keyboard.keys.let_go() is None
    keyboard.hold(2)
    assert keyboard.keys.let_go() == PushToTalk(False)
    assert (keyboard.keys.let_go(), keyboard.keys.due) == (None, None)


def test_a_microphone_that_was_opened_without_holding_stays_open_without_a_prompt() -> None:
    keyboard = Keyboard()
    keyboard.press()
    keyboard.wait(2)
    assert keyboard.keys.let_go() is None


@given(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 2.0)), max_size=200))
def test_whatever_is_pressed_it_is_opened_and_shut_in_turn_and_a_rest_ends_what_was_held(gaps: list[float]) -> None:
    keyboard = Keyboard()
    for gap in gaps:
        keyboard.press()
        keyboard.wait(gap)
    ons = [on for _, on in keyboard.told]
    assert ons == [number % 2 == 0 for number in range(len(ons))]
    keyboard.wait(20)
    assert keyboard.keys.due is None
    before = keyboard.talks
    keyboard.press()
    assert keyboard.talks != before, "after a rest, one press is enough"


@given(st.floats(0.1, ARMING - 0.05), st.floats(0.02, 0.2), st.floats(1.0, 90.0))
def test_who_holds_it_is_heard_from_the_press_on_and_not_for_ever(
    delay: float, interval: float, seconds: float
) -> None:
    keyboard = Keyboard()
    keyboard.hold(seconds, delay, interval)
    keyboard.wait(2)
    assert [on for _, on in keyboard.told] == [True, False]
    held = keyboard.told[1][0] - keyboard.told[0][0]
    assert min(seconds, MOST_HELD) - interval - 0.2 <= held <= min(seconds + 1.2, MOST_HELD + 0.01)
