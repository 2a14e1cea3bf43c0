import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.speech import RATE, level, quality, speech, tone
from voicemux.audio.playout.limiter import CEILING, Limiter


def limit(samples: np.ndarray, piece: int = 960) -> np.ndarray:
    limiter = Limiter()
    return np.concatenate([limiter.limit(samples[at : at + piece]) for at in range(0, len(samples), piece)])


def test_the_ceiling_is_1_db_below_full_scale() -> None:
    assert pytest.approx(-1.0, abs=0.001) == 20 * np.log10(CEILING / 32_768)


@pytest.mark.parametrize("piece", [1, 240, 961, 48_000])
def test_what_is_below_the_ceiling_is_not_touched(piece: int) -> None:
    said = speech()
    loudest = (said * (CEILING / np.max(np.abs(said.astype(int))))).astype(np.int16)
    for samples in (said, loudest, tone(440, 0.1, peak=CEILING)):
        assert limit(samples, piece).tobytes() == samples.tobytes()


SQUARE = np.where(np.arange(RATE) // 50 % 2, 32_767, -32_768).astype(np.int16)


@pytest.mark.parametrize("piece", [48, 240, 960, 1234])
@pytest.mark.parametrize(
    "samples",
    [
        np.concatenate((np.zeros(RATE // 2, np.int16), SQUARE)),
        np.concatenate((np.zeros(RATE // 2, np.int16), tone(1000, 0.5, peak=32_767))),
        np.full(RATE, -32_768, np.int16),
        speech(seconds=2).astype(np.int32) * 8,
        tone(300, 1.0).astype(np.int32) + 3 * tone(331, 1.0).astype(np.int32),
        np.random.default_rng(1).normal(0, 20_000, RATE).astype(np.int32),
    ],
    ids=["a square wave after silence", "a tone after silence", "a constant", "an over", "a sum", "noise"],
)
def test_no_peak_is_above_the_ceiling(samples: np.ndarray, piece: int) -> None:
    limited = limit(samples, piece)
    assert len(limited) == len(samples)
    assert np.max(np.abs(limited.astype(int))) <= CEILING
    assert level(limited) > 0.3 * min(level(samples), CEILING)


def test_what_comes_after_a_peak_is_soon_as_it_was() -> None:
    said = speech(seconds=2)
    limited = limit(np.concatenate((SQUARE[: RATE // 10], said)))[RATE // 10 :]
    assert limited[RATE:].tobytes() == said[RATE:].tobytes()


def test_speech_that_is_four_times_too_loud_is_still_good() -> None:
    """Its peaks are 12 dB over; cut off at full scale it would have less."""
    said = speech(seconds=4)
    loud = said.astype(np.int32) * 4 * 10_000 // int(np.max(np.abs(said.astype(int))))
    assert quality(said, limit(loud)) > 3.5


def test_the_gain_makes_no_steps() -> None:
    """But for the first millisecond of a piece, in which a peak may come unforeseen."""
    samples = np.concatenate((np.full(960, 20_000), np.full(480, 20_000), np.full(480, 60_000), np.full(960, 20_000)))
    steps = np.abs(np.diff(limit(samples.astype(np.int32)).astype(int) / samples))
    assert np.max(steps) < 0.02


@given(st.lists(st.lists(st.integers(-200_000, 200_000), max_size=200), max_size=20))
def test_whatever_comes_stays_below(pieces: list[list[int]]) -> None:
    limiter = Limiter()
    for piece in pieces:
        limited = limiter.limit(np.array(piece, np.int32))
        assert len(limited) == len(piece)
        assert not len(piece) or np.max(np.abs(limited.astype(int))) <= CEILING
