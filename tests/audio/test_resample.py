import numpy as np
import pytest

from tests.audio.speech import level, pitch, tone
from voicemux.audio.resample import Resampler, from_bytes, from_floats, to_channels

RATE = 48_000


@pytest.mark.parametrize("other", [8_000, 11_025, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("hertz", [300, 3_000])
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_tone_keeps_its_pitch_and_level_in_blocks_of_5_ms(other: int, hertz: int, way: str) -> None:
    source, target = (other, RATE) if way == "in" else (RATE, other)
    said = tone(hertz, 1.0, source)
    resampler = Resampler(source, target)
    size = source // 200
    blocks = [resampler.process(said[at : at + size]) for at in range(0, len(said), size)]
    heard = np.concatenate(blocks)
    assert len(heard) == pytest.approx(target, abs=target * 0.004)  # some stays inside
    middle = heard[target // 10 : -target // 10]
    assert pitch(middle, target) == pytest.approx(hertz, abs=2)
    assert level(middle) == pytest.approx(level(said), rel=0.08)  # 0.7 dB


@pytest.mark.parametrize("rate", [11_025, 44_100])
def test_in_the_long_run_no_sample_is_lost_or_made_up(rate: int) -> None:
    resampler = Resampler(rate, RATE)
    size = rate // 200
    made = sum(len(resampler.process(np.zeros(size, np.int16))) for _ in range(4000))
    assert made == pytest.approx(4000 * size * RATE / rate, abs=200)


def test_what_is_inside_comes_out_at_the_end() -> None:
    said = tone(440, 0.5, 16_000)
    assert len(Resampler(16_000, RATE).process(said, last=True)) == pytest.approx(3 * len(said), abs=2)


def test_the_same_rate_changes_nothing() -> None:
    said = tone(440, 0.1)
    assert Resampler(RATE, RATE).process(said) is said


def test_a_full_scale_tone_is_clipped_and_does_not_wrap() -> None:
    said = np.sign(tone(440, 0.2, 16_000)) * np.int16(32_767)  # a square wave: overshoots
    heard = Resampler(16_000, RATE).process(said, last=True)
    assert heard.max() == 32_767
    assert np.abs(np.diff(heard[500:-500].astype(int))).max() < 60_000


@pytest.mark.parametrize(
    ("value", "sample"), [(0.0, 0), (0.5, 16_384), (1.0, 32_767), (-1.0, -32_768), (7.0, 32_767), (-7.0, -32_768)]
)
def test_floats_become_samples(value: float, sample: int) -> None:
    assert from_floats(np.array([value], np.float32)).tolist() == [sample]


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_channel_has_the_same_sound(channels: int) -> None:
    mono = tone(440, 0.01)
    assert (mono == from_bytes(to_channels(mono, channels)).reshape(-1, channels).T).all()
