import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.echo.room import RATE, noise, samples, voice
from voicemux.audio.activity import (
    BEGINS,
    GOES_ON,
    HANG,
    LASTING,
    LIKELY,
    PIECE,
    REMEMBERED,
    VoiceActivity,
    load_activity,
)
from voicemux.errors import LibraryMissing

probabilities = st.lists(st.sampled_from([0.0, 0.3, GOES_ON, 0.6, BEGINS, 1.0]), max_size=200)


def activity(given: list[float]) -> VoiceActivity:
    """One whose detector says that, one after the other."""
    left = iter(given)
    return VoiceActivity(lambda piece: next(left))


def voiced(pieces: int) -> np.ndarray:
    """A tone that is much louder than a quiet room."""
    return np.rint(3000 * np.sin(np.arange(pieces * PIECE) * 0.03)).astype(np.int16)


def test_it_takes_a_sure_sign_to_begin_and_less_to_go_on() -> None:
    made = activity([0.6, 0.6, BEGINS, GOES_ON, 0.0])
    spoken = []
    for _ in range(5):
        made.hear(voiced(1))
        spoken.append((made.speaks, round(made.spoken, 2)))
    assert spoken == [(False, 0.0), (False, 0.0), (True, 0.01), (True, 0.02), (True, 0.02)]


def test_signs_that_last_are_taken_together_if_they_are_loud() -> None:
    doubts = [LIKELY + 0.05] * LASTING
    for sound, speaks in ((voiced(LASTING), True), (voiced(LASTING) // 30, False)):
        made = activity(doubts)
        made.hear(sound[:-PIECE])
        assert not made.speaks
        made.hear(sound[-PIECE:])
        assert made.speaks is speaks


def test_what_is_as_loud_as_the_room_is_no_beginning() -> None:
    made = activity([0.0] * REMEMBERED + [1.0] * 2)
    made.hear(np.concatenate((voiced(REMEMBERED), voiced(1))))
    assert not made.speaks
    made.hear(voiced(1) * 5)
    assert made.speaks


@given(probabilities, st.integers(1, 1000))
def test_speech_begins_with_a_sure_sign_and_ends_a_hang_behind_the_last_one(given: list[float], batch: int) -> None:
    made = activity(given)
    sound = voiced(len(given))
    for at in range(0, len(sound), batch):
        made.hear(sound[at : at + batch])
        since = (at + batch) // PIECE
        recent = given[max(0, min(since, len(given)) - HANG // PIECE) : since]
        if made.speaks:
            assert any(each >= GOES_ON for each in recent)
            assert any(each >= GOES_ON for each in given[:since])
        elif recent:
            assert not any(each >= BEGINS for each in recent)
    assert made.spoken <= sum(each >= GOES_ON for each in given) * PIECE / RATE + 1e-9
    assert made.spoken >= sum(each >= BEGINS for each in given) * PIECE / RATE - 1e-9


def typing(seconds: float, db: float = -22.0) -> np.ndarray:
    """Keys on a desk: a click of 3 ms, the thump behind it, and the key that comes up. Synthetic."""
    dice, sound = np.random.default_rng(7), np.zeros(int(seconds * RATE) + RATE)
    at = 0.0
    while at < seconds:
        at += dice.uniform(0.08, 0.35)
        for later, hertz, fade, loud in ((0.0, 3500, 0.003, 1.0), (0.004, 140, 0.03, 0.7), (0.09, 2500, 0.004, 0.4)):
            times = np.arange(RATE // 10) / RATE
            click = np.sin(2 * np.pi * hertz * times + dice.uniform(0, 6)) * np.exp(-times / fade) * loud
            click += dice.standard_normal(len(times)) * np.exp(-times / fade) * loud
            start = int((at + later) * RATE)
            sound[start : start + len(click)] += click
    sound = sound[: int(seconds * RATE)]
    return (
        sound
        * 10 ** (db / 20)
        / np.sqrt(np.sort((sound[: len(sound) // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1))[-50:].mean())
    )


def shares(sound: np.ndarray) -> float:
    """For how much of it somebody is taken to speak."""
    made = load_activity()
    speaks = []
    for at in range(0, len(sound) - PIECE + 1, PIECE):
        made.hear(sound[at : at + PIECE])
        speaks.append(made.speaks)
    return sum(speaks) / len(speaks)


def test_speech_is_found_and_neither_typing_nor_a_fan_is_taken_for_it() -> None:
    assert shares(samples(voice("near", 10) + noise(10))) > 0.6
    assert shares(samples(typing(30) + noise(30))) <= 0.05
    assert shares(samples(noise(10, -45))) <= 0.1


def test_without_the_library_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(LibraryMissing, match="no detection of speech"):
        load_activity()
