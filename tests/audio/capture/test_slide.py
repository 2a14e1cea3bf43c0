import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.speech import RATE, pitch, samples_of, speech, tone
from voicemux.audio.capture.slide import SPEED, Slide

MOST = 192  # samples


def through(slide: Slide, samples: np.ndarray, length: int = 480) -> np.ndarray:
    pcm = samples.tobytes()
    return samples_of(b"".join(slide.take(pcm[at : at + 2 * length]) for at in range(0, len(pcm), 2 * length)))


def test_where_nothing_is_to_be_delayed_everything_passes_as_it_is() -> None:
    said = speech(seconds=1)
    assert np.array_equal(through(Slide(MOST), said), said)


@pytest.mark.parametrize("length", [240, 480, 960, 2880])
def test_a_delay_comes_by_and_by_and_goes_again(length: int) -> None:
    said = speech(seconds=2.4)
    slide = Slide(MOST)
    slide.target = MOST
    heard = through(slide, said, length)
    assert slide.arrived
    settled = round(MOST / SPEED) + length
    assert np.array_equal(heard[settled:], said[settled - MOST : -MOST])
    slide.target = 0
    again = through(slide, said, length)
    assert np.array_equal(again[settled:], said[settled:])


def test_a_jump_is_had_at_once() -> None:
    said = speech(seconds=1)
    slide = Slide(MOST)
    through(slide, said[:4800])
    slide.jump(MOST)
    assert np.array_equal(through(slide, said[4800:]), said[4800 - MOST : -MOST])


def test_meanwhile_a_tone_is_a_hundredth_lower_and_as_loud_and_clean_as_before() -> None:
    said = tone(1000, 0.5)
    slide = Slide(MOST)
    slide.target = MOST
    heard = through(slide, said)[480 : RATE * 3 // 8]
    assert pitch(heard) == pytest.approx(1000 * (1 - SPEED), abs=3)
    assert np.abs(heard).max() == pytest.approx(10_000, rel=0.01)
    assert np.abs(np.diff(heard.astype(int), 3)).max() < 1.2 * np.abs(np.diff(said.astype(int), 3)).max() + 4


@given(st.lists(st.tuples(st.integers(0, MOST), st.sampled_from([240, 480, 960]), st.booleans()), max_size=20))
def test_as_many_samples_come_out_as_go_in_and_the_delay_stays_within_bounds(
    steps: list[tuple[int, int, bool]],
) -> None:
    slide = Slide(MOST)
    loud = np.random.default_rng(1).integers(-32768, 32767, 960).astype(np.int16)
    for target, length, jumps in steps:
        if jumps:
            slide.jump(target)
        slide.target = target
        before = slide.delay
        assert len(slide.take(loud[:length].tobytes())) == 2 * length
        assert 0 <= slide.delay <= MOST
        assert abs(slide.delay - before) <= length * SPEED + 1e-9
