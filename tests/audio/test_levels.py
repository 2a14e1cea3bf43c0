import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.echo.room import RATE, noise, samples, voice
from tests.audio.speech import tone
from voicemux.audio.levels import CLIPPED_RUN, LOWEST, LevelMeter, SoundLevels

BATCH = 960  # samples


def heard(sound: np.ndarray, batch: int = BATCH) -> SoundLevels:
    meter = LevelMeter()
    for at in range(0, len(sound), batch):
        meter.hear(sound[at : at + batch])
    return meter.levels


def test_before_there_is_sound_nothing_is_known() -> None:
    assert heard(np.zeros(0, np.int16)) == SoundLevels(None, None, None, None, 0, 0)


def test_silence_is_as_soft_as_can_be_and_no_speech() -> None:
    assert heard(np.zeros(RATE, np.int16)) == SoundLevels(LOWEST, LOWEST, None, LOWEST, 0, 0)


@pytest.mark.parametrize("batch", [240, 960, 2880])
def test_a_tone_has_its_level_and_its_peak(batch: int) -> None:
    levels = heard(tone(1000, 2, peak=32768 / 10), batch)
    assert levels.level_db == pytest.approx(-23, abs=0.1)
    assert levels.peak_db == pytest.approx(-20, abs=0.1)


def test_the_level_is_that_of_the_last_second_and_the_peak_that_of_the_last_three() -> None:
    loud, soft = tone(1000, 3, peak=10_000), tone(1000, 1.5, peak=100)
    levels = heard(np.concatenate((loud, soft)))
    assert levels.level_db == pytest.approx(-53.3, abs=0.2)
    assert levels.peak_db == pytest.approx(-10.3, abs=0.1)
    assert heard(np.concatenate((loud, soft, soft, soft))).peak_db == pytest.approx(-50.3, abs=0.1)


def test_speech_and_noise_are_told_apart() -> None:
    levels = heard(samples(voice("near", 10) + noise(10, -62)))
    assert levels.speech_db == pytest.approx(-26, abs=2)  # of `voice`, by finer pieces
    assert levels.noise_db == pytest.approx(-60, abs=4)
    assert levels.clipped == 0


def test_silence_lasts_until_there_is_a_sound_and_what_is_faint_counts_only_after_one() -> None:
    meter, faint = LevelMeter(), np.full(RATE, 3, np.int16)
    assert meter.silent_for is None
    meter.hear(faint)
    assert meter.silent_for == 1.0
    meter.hear(tone(1000, 1))
    assert meter.silent_for == 0.0
    meter.hear(np.zeros(RATE, np.int16))
    assert meter.silent_for == 1.0
    meter.hear(faint)
    assert meter.silent_for == 0.0
    meter.begin()
    assert meter.silent_for is None
    meter.hear(faint)
    assert meter.silent_for == 1.0


def test_noise_alone_is_no_speech() -> None:
    assert heard(samples(noise(10, -45))).speech_db is None


def test_what_is_cut_off_on_either_side_is_clipped_and_a_true_peak_is_not() -> None:
    whole = (1.5 * 32768 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).clip(-32768, 32767).astype(np.int16)
    for sound in (whole, np.maximum(whole, -20_000), np.minimum(whole, 20_000)):
        levels = heard(sound)
        assert levels.clipped > RATE / 10
        assert levels.clips == 50
    assert heard(tone(1000, 1, peak=32_767)).clipped == 0
    assert heard(tone(1000, 1, peak=20_000)).clips == 0


@given(st.lists(st.sampled_from([0, 100, 32_760, 32_767, -32_760, -32_768]), max_size=60), st.integers(1, 20))
def test_clipped_samples_are_counted_alike_in_pieces_of_any_length(sound: list[int], batch: int) -> None:
    flags = [abs(each) >= 32_760 for each in sound]
    whole = heard(np.array(sound, np.int16), max(1, len(sound)))
    runs = "".join("x" if flag else " " for flag in flags).split()
    assert whole.clipped == sum(len(run) for run in runs if len(run) >= CLIPPED_RUN)
    pieces = heard(np.array(sound, np.int16), batch)
    most_lost = 2 * (len(sound) // batch)  # of a run that goes over a seam, up to two
    assert whole.clipped - most_lost <= pieces.clipped <= whole.clipped
    assert (pieces.clipped > 0) == (whole.clipped > 0)
