"""What the user is told of the own microphone, look by look."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from voicemux.calls.hints import AGAIN, CLIPS, ECHO_FOR, LOUD_ECHO, SENTENCES, SPAN, SPOKEN, Hints, OwnSound

LOOK = 0.1  # seconds
STILL = OwnSound(clips=0, muted=False, spoken=0.0, echo="on", echo_db=None)


class Clock:
    """Looks ten times a second, and keeps what was told, with its time."""

    def __init__(self) -> None:
        self.hints, self.sound, self.now = Hints(), STILL, 1000.0
        self.told: list[tuple[float, str]] = []

    def wait(self, seconds: float, *, clips: int = 0, speaks: bool = False, **sound: object) -> list[str]:
        """The kinds that are told meanwhile. `clips` come in each look."""
        told = []
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            self.sound = replace(self.sound, clips=self.sound.clips + clips, **sound)  # type: ignore[arg-type]
            if speaks and self.sound.spoken is not None:
                self.sound = replace(self.sound, spoken=self.sound.spoken + LOOK)
            for hint in self.hints.look(self.now, self.sound):
                assert hint.text == SENTENCES[hint.kind]
                told.append(hint.kind)
                self.told.append((self.now, hint.kind))
        return told


def test_a_microphone_that_clips_is_told_once_and_again_after_a_minute_if_it_was_over_meanwhile() -> None:
    clock = Clock()
    assert clock.wait(30, clips=1) == ["clipping"]
    assert clock.wait(AGAIN, clips=1) == []
    assert clock.wait(SPAN + 1) == []
    assert clock.wait(30, clips=1) == ["clipping"]
    assert clock.wait(SPAN + 1) == []
    assert clock.wait(20, clips=1) == []
    assert clock.wait(30, clips=1) == ["clipping"]


def test_a_few_clipped_pieces_in_a_long_time_are_nothing_to_tell() -> None:
    clock = Clock()
    for _ in range(20):
        assert clock.wait(LOOK, clips=CLIPS - 1) == []
        assert clock.wait(SPAN) == []


def test_who_speaks_while_muted_is_told_after_three_seconds_once_until_the_user_has_unmuted() -> None:
    clock = Clock()
    assert clock.wait(30, speaks=True) == []
    assert clock.wait(SPOKEN - 2 * LOOK, muted=True, speaks=True) == []
    assert clock.wait(1, muted=True, speaks=True) == ["muted"]
    for _ in range(20):
        assert clock.wait(10, muted=True) == clock.wait(10, muted=True, speaks=True) == []
    assert clock.wait(10, muted=False, speaks=True) == []
    assert clock.wait(10, muted=True, speaks=True) == ["muted"]


def test_a_word_to_another_person_in_the_room_is_nothing_to_tell() -> None:
    clock = Clock()
    for _ in range(20):
        assert clock.wait(SPOKEN - 2 * LOOK, muted=True, speaks=True) == clock.wait(SPAN, muted=True) == []


def test_without_a_detector_nothing_is_said_of_muted_speech() -> None:
    assert Clock().wait(60, muted=True, speaks=True, spoken=None) == []


def test_an_echo_that_is_not_cancelled_is_told_once_it_has_lasted() -> None:
    for echo in ("off", "not installed"):
        clock = Clock()
        assert clock.wait(ECHO_FOR - 2 * LOOK, echo=echo, echo_db=LOUD_ECHO + 1) == []
        assert clock.wait(1, echo=echo, echo_db=LOUD_ECHO - 1) == []
        assert clock.wait(600, echo=echo, echo_db=LOUD_ECHO + 1) == ["echo"]


def test_an_echo_that_is_cancelled_or_soft_disturbs_nobody() -> None:
    assert Clock().wait(60, echo="on", echo_db=-5.0) == []
    assert Clock().wait(60, echo="not needed", echo_db=None) == []
    assert Clock().wait(60, echo="off", echo_db=LOUD_ECHO - 1) == []


moments = st.fixed_dictionaries(
    {
        "clips": st.integers(0, 2),
        "speaks": st.booleans(),
        "muted": st.booleans(),
        "echo": st.sampled_from(["on", "off", "not needed", "not installed"]),
        "echo_db": st.none() | st.floats(-60, 0),
    }
)


@given(st.lists(st.tuples(st.sampled_from([0.1, 2.0, 30.0]), moments), max_size=30))
def test_whatever_happens_no_kind_is_told_twice_in_a_minute(moments: list[tuple[float, dict]]) -> None:
    clock = Clock()
    for seconds, moment in moments:
        clock.wait(seconds, **moment)
    for kind in SENTENCES:
        times = [at for at, told in clock.told if told == kind]
        assert all(later - sooner > AGAIN - LOOK for sooner, later in pairwise(times))
