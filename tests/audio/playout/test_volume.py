import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.echo.room import RATE, noise, samples, voice
from tests.audio.speech import level, tone
from voicemux.audio.levels import LevelMeter
from voicemux.audio.playout.volume import LEVELLED, MOST_GAIN, PACE, Volume

BLOCK = 480  # samples


class Ear:
    """What is heard of what comes."""

    def __init__(self) -> None:
        self.meter = LevelMeter()
        self.volume = Volume(self.meter)

    def hear(self, sound: np.ndarray) -> np.ndarray:
        heard = []
        for at in range(0, len(sound) - BLOCK + 1, BLOCK):
            self.meter.hear(sound[at : at + BLOCK])
            heard.append(self.volume.apply(sound[at : at + BLOCK]))
        return np.concatenate(heard)


def decibels(sound: np.ndarray) -> float:
    return float(20 * np.log10(level(sound) / 32768))


def spoken(seconds: float, db: float) -> np.ndarray:
    """Speech of that level, of -26 dB by itself."""
    return samples(voice("near", seconds) * 10 ** ((db + 26) / 20) + noise(seconds, -75))


def test_at_first_it_is_as_it_came_bit_for_bit() -> None:
    sound = spoken(1, -26)
    ear = Ear()
    assert np.array_equal(ear.hear(sound), sound)
    assert (ear.volume.percent, ear.volume.auto) == (100, False)


@pytest.mark.parametrize(("percent", "db"), [(200, 6.0), (50, -6.0), (400, 12.0)])
def test_it_is_as_loud_as_the_user_wants(percent: int, db: float) -> None:
    ear, sound = Ear(), tone(1000, 1)
    ear.volume.choose(percent)
    heard = ear.hear(sound)
    assert decibels(heard[BLOCK:]) - decibels(sound) == pytest.approx(db, abs=0.1)
    assert ear.volume.percent == percent
    steepest = max(percent / 100, 1) * np.abs(np.diff(sound.astype(int))).max()
    assert np.abs(np.diff(heard)).max() < 1.2 * steepest, "there is a click"


def test_two_channels_have_one_volume() -> None:
    volume, mono = Volume(LevelMeter()), tone(1000, 0.1)
    volume.choose(50)
    heard = volume.apply(np.column_stack((mono, -mono)))
    assert heard.shape == (len(mono), 2)
    assert np.array_equal(heard[:, 0], -heard[:, 1])
    assert abs(int(heard[-1, 0]) - mono[-1] / 2) <= 1


def test_nothing_is_heard_at_0_and_the_bounds_are_kept() -> None:
    ear = Ear()
    ear.volume.choose(-10)
    assert not ear.hear(tone(1000, 1))[BLOCK:].any()
    ear.volume.choose(10_000)
    assert ear.volume.percent == 400


@pytest.mark.parametrize("db", [-33.0, -26.0, -15.0])
def test_levelled_all_speech_comes_to_be_as_loud(db: float) -> None:
    ear, sound = Ear(), spoken(20, db)
    ear.volume.choose_auto()
    ear.hear(sound)
    known = ear.meter.levels.speech_db
    assert known is not None
    gain = 20 * np.log10(ear.volume.percent / 100)
    assert known + gain == pytest.approx(LEVELLED, abs=1.0)
    assert ear.volume.auto


def test_a_voice_that_is_far_too_soft_is_lifted_no_further_than_that_and_noise_is_not_lifted() -> None:
    ear = Ear()
    ear.volume.choose_auto()
    ear.hear(spoken(10, -48))
    assert 20 * np.log10(ear.volume.percent / 100) == pytest.approx(MOST_GAIN, abs=0.2)
    ear = Ear()
    ear.volume.choose_auto()
    ear.hear(samples(noise(10, -50)))
    assert ear.volume.percent == 100


@given(st.lists(st.one_of(st.just("auto"), st.integers(0, 400), st.floats(-60, -5)), max_size=12))
def test_levelling_never_goes_faster_than_its_pace_nor_beyond_its_bounds(acts: list) -> None:
    ear = Ear()
    rng = np.random.default_rng(1)
    for act in acts:
        if act == "auto":
            ear.volume.choose_auto()
        elif isinstance(act, int):
            ear.volume.choose(act)
            ear.hear(np.zeros(BLOCK, np.int16))
        else:
            sound = np.clip(rng.standard_normal(RATE // 4) * 32768 * 10 ** (act / 20), -32768, 32767).astype(np.int16)
            before = max(1, ear.volume.percent)
            ear.hear(sound)
            if ear.volume.auto and before > 1:
                change = abs(20 * np.log10(max(1, ear.volume.percent) / before))
                assert change <= PACE / 4 + 20 * np.log10((before + 1) / before) * 2
        assert 0 <= ear.volume.percent <= 400


def test_both_channels_get_the_same_gain() -> None:
    volume = Volume(LevelMeter())
    volume.choose(50)
    volume.apply(np.zeros((480, 2), np.int16))
    assert volume.apply(np.array([[100, -200], [300, 400]], np.int16)).tolist() == [[50, -100], [150, 200]]
