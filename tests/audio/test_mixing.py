import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.speech import RATE, level, speech, tone
from voicemux.audio.mixing import FADE, Downmix, Loudest, weights

BLOCK = 240
MIDDLE, HALF = 2**0.5, 0.5**0.5


def spread(signal: np.ndarray, channel: int, channels: int) -> np.ndarray:
    """`signal` on one channel, silence on the others."""
    all_channels = np.zeros((len(signal), channels), signal.dtype)
    all_channels[:, channel] = signal
    return all_channels


def follow(signals: np.ndarray, block: int = BLOCK) -> np.ndarray:
    loudest = Loudest((1.0,) * signals.shape[1])
    return np.concatenate([loudest.follow(signals[at : at + block]) for at in range(0, len(signals), block)])


# --- files


@pytest.mark.parametrize(
    ("channels", "mask", "is_xiph", "parts"),
    [
        (1, 0, False, [1]),
        (2, 0, False, [1, 1]),
        (6, 0, False, [1, 1, MIDDLE, 0, HALF, HALF]),  # L R C LFE Ls Rs
        (6, 0x3F, False, [1, 1, MIDDLE, 0, HALF, HALF]),
        (6, 0x60F, False, [1, 1, MIDDLE, 0, HALF, HALF]),  # side surrounds
        (6, 0, True, [1, MIDDLE, 1, HALF, HALF, 0]),  # L C R Ls Rs LFE
        (3, 0, False, [1, 1, MIDDLE]),
        (3, 0, True, [1, MIDDLE, 1]),
        (4, 0, False, [1, 1, HALF, HALF]),
        (4, 0x107, False, [1, 1, MIDDLE, 1]),  # L R C and one in the back
        (5, 0, True, [1, MIDDLE, 1, HALF, HALF]),
        (7, 0, True, [1, MIDDLE, 1, HALF, HALF, 1, 0]),
        (8, 0, False, [1, 1, MIDDLE, 0, HALF, HALF, HALF, HALF]),
        (8, 0, True, [1, MIDDLE, 1, HALF, HALF, HALF, HALF, 0]),
        (1, 8, False, [1]),  # nothing but a subwoofer
        (20, 0, False, [1] * 20),
    ],
)
def test_each_channel_counts_as_much_as_its_place_does(
    channels: int, mask: int, is_xiph: bool, parts: list[float]
) -> None:
    assert weights(channels, mask, is_xiph=is_xiph) == pytest.approx(np.array(parts) / sum(parts))


@given(st.integers(1, 64), st.integers(0, 2**32 - 1), st.booleans())
def test_nothing_can_clip_whatever_the_channels_are(channels: int, mask: int, is_xiph: bool) -> None:
    parts = weights(channels, mask, is_xiph=is_xiph)
    assert parts.shape == (channels,)
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(1)


def test_stereo_is_its_mean() -> None:
    one, other = (speech(seconds=1) / 32_768).astype(np.float32), (tone(300, 1.0) / 32_768).astype(np.float32)
    mixed = Downmix(weights(2)).mix(np.stack((one, other), axis=1))
    assert mixed == pytest.approx((one + other) / 2)


def test_stereo_with_one_side_upside_down_does_not_vanish() -> None:
    one = (speech(seconds=2) / 32_768).astype(np.float32)
    mixer, both = Downmix(weights(2)), np.stack((one, -one), axis=1)
    mixed = np.concatenate([mixer.mix(both[at : at + BLOCK]) for at in range(0, len(both), BLOCK)])
    mixed_level, level_of_one = (level((each * 32_768).astype(np.int16)) for each in (mixed, one))
    assert mixed_level == pytest.approx(level_of_one, rel=0.02)


# --- microphones


@pytest.mark.parametrize("channels", [2, 4, 8])
@pytest.mark.parametrize("channel", [0, 1, -1])
def test_a_microphone_on_one_channel_of_several_is_heard_at_its_full_level(channels: int, channel: int) -> None:
    said = speech(seconds=2)
    heard = follow(spread(said, channel, channels))
    begin = int(np.flatnonzero(np.abs(said) > 0)[0]) // BLOCK * BLOCK + FADE
    assert heard[begin:].tobytes() == said[begin:].tobytes(), "bit for bit, once it is followed"


def test_stereo_of_a_microphone_in_opposed_phase_does_not_vanish() -> None:
    said = speech(seconds=2)
    assert follow(np.stack((said, -said), axis=1)).tobytes() == said.tobytes()


def test_two_who_speak_in_turns_are_both_heard() -> None:
    said = speech(seconds=1)
    signals = np.concatenate((spread(said, 0, 2), spread(said, 1, 2), spread(said, 0, 2)))
    heard = follow(signals)
    for start in (0, RATE, 2 * RATE):
        assert level(heard[start : start + RATE]) == pytest.approx(level(said), rel=0.1)


def test_a_change_is_no_click() -> None:
    """A tone that moves to the other channel is not much steeper anywhere than it is by itself."""
    signal = tone(200, 1.0)
    signals = np.concatenate((np.stack((signal, signal // 4), axis=1), np.stack((signal // 8, signal), axis=1)))
    steepest = np.max(np.abs(np.diff(signal.astype(int))))
    assert np.max(np.abs(np.diff(follow(signals).astype(int)))) < 1.5 * steepest


def test_channels_that_are_about_alike_are_not_changed_between() -> None:
    rng = np.random.default_rng(1)
    one = speech(seconds=2) + rng.normal(0, 20, 2 * RATE)
    other = np.clip(1.3 * one + rng.normal(0, 20, len(one)), -32_768, 32_767)
    signals = np.stack((one, other), axis=1).astype(np.int16)
    assert follow(signals).tobytes() == signals[:, 0].tobytes()


def test_a_signal_that_is_alone_is_the_loudest() -> None:
    said = speech(seconds=0.1)
    pairs = np.stack((said, -said), axis=1)
    loudest = Loudest((1.0,))
    assert loudest.follow(said[:, None]).tobytes() == said.tobytes()
    assert loudest.follow(pairs[:, None]).tobytes() == pairs.tobytes()


def test_nothing_is_nothing() -> None:
    assert len(Loudest((1.0, 1.0)).follow(np.zeros((0, 2), np.int16))) == 0
