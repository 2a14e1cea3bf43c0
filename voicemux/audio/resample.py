"""Sound at other rates and channel counts, made 48 kHz and back. The only home of samplerate.

Samples of one channel have the shape (n,), those of two (n, 2), left and right.
"""

from typing import Any

import numpy as np
import samplerate
from numpy.typing import NDArray

CONVERTER = "sinc_fastest"  # 0.5 ms of latency, 105 dB; the better ones wait longer for nothing that speech has
FULL_SCALE = 32768.0
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000  # Hz of what is sound; libsamplerate takes any ratio up to 256

Samples = NDArray[np.int16]


class Resampler:
    """A stream of samples at one rate, made a stream at another."""

    def __init__(self, from_rate: int, to_rate: int, channels: int = 1) -> None:
        self._ratio = to_rate / from_rate
        self._resampler = samplerate.Resampler(CONVERTER, channels=channels)

    def process(self, samples: Samples, *, last: bool = False) -> Samples:
        """What has become of `samples` and those before; some stay inside until more come, or `last` is said."""
        if self._ratio == 1.0:
            return samples
        floats = samples.astype(np.float32) / FULL_SCALE
        return from_floats(self._resampler.process(floats, self._ratio, end_of_input=last))


def from_floats(floats: NDArray[np.float32]) -> Samples:
    """From -1 to 1, clipped."""
    scaled: Samples = np.clip(np.rint(floats * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return scaled


def from_bytes(pcm: bytes, channels: int = 1) -> Samples:
    samples: Samples = np.frombuffer(pcm, np.int16)
    return samples if channels == 1 else samples.reshape(-1, channels)


def no_sound(samples: int, channels: int = 1) -> Samples:
    """That number of samples of each channel."""
    return np.zeros(samples if channels == 1 else (samples, channels), np.int16)


def to_mono(samples: NDArray[Any]) -> NDArray[Any]:
    """The mean of two channels; one channel as it is."""
    if samples.ndim == 1:
        return samples
    mean: NDArray[Any] = np.rint(samples.sum(axis=1, dtype=np.int32) / samples.shape[1]).astype(samples.dtype)
    return mean


def to_pairs(mono: Samples) -> Samples:
    """The same on two channels."""
    return np.stack((mono, mono), axis=1)


def to_pcm(given: object) -> bytes:
    """The bytes of 16-bit samples of one channel, in whatever order those are. Raises TypeError for all else."""
    if not isinstance(given, np.ndarray):
        raise TypeError(f"expected int16 samples of shape (n,) as a numpy array, got {type(given).__name__}")
    if given.dtype.kind != "i" or given.dtype.itemsize != np.dtype(np.int16).itemsize or given.ndim != 1:
        raise TypeError(f"expected int16 samples of shape (n,), got {given.dtype} of shape {given.shape}")
    return given.astype(np.int16, copy=False).tobytes()


def to_channels(mono: Samples, channels: int) -> bytes:
    """The same sound on each channel, interleaved."""
    return np.repeat(mono, channels).tobytes()
