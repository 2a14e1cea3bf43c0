"""Converts other rates and channel counts to 48 kHz and back. The only home of samplerate.

Samples of one channel have the shape (n,), those of two (n, 2), left and right.
"""

from typing import Any

import numpy as np
import samplerate
from numpy.typing import NDArray

# 0.5 ms of latency, 105 dB; the better ones wait longer for frequencies that speech does not have.
CONVERTER = "sinc_fastest"
FULL_SCALE = 32768.0
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000  # Hz that are accepted as sound; libsamplerate takes any ratio up to 256

Samples = NDArray[np.int16]


class Resampler:
    """Converts a stream of samples from one rate to another."""

    def __init__(self, from_rate: int, to_rate: int, channels: int = 1) -> None:
        self._ratio = to_rate / from_rate
        self._resampler = samplerate.Resampler(CONVERTER, channels=channels)

    def process(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return the converted samples; some are kept back until more come, or `last` is True."""
        if self._ratio == 1.0:
            return samples
        floats = samples.astype(np.float32) / FULL_SCALE
        return from_floats(self._resampler.process(floats, self._ratio, end_of_input=last))


def from_floats(floats: NDArray[np.float32]) -> Samples:
    """Convert samples from -1 to 1 to int16, clipped."""
    scaled: Samples = np.clip(np.rint(floats * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return scaled


def from_bytes(pcm: bytes, channels: int = 1) -> Samples:
    """Return the samples of `pcm` (int16), shape (n,), or (n, channels) if there are several."""
    samples: Samples = np.frombuffer(pcm, np.int16)
    return samples if channels == 1 else samples.reshape(-1, channels)


def no_sound(samples: int, channels: int = 1) -> Samples:
    """Return silence of that number of samples for each channel."""
    return np.zeros(samples if channels == 1 else (samples, channels), np.int16)


def to_mono(samples: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of two channels; one channel is unchanged."""
    if samples.ndim == 1:
        return samples
    mean: NDArray[Any] = np.rint(samples.sum(axis=1, dtype=np.int32) / samples.shape[1]).astype(samples.dtype)
    return mean


def to_pairs(mono: Samples) -> Samples:
    """Return the sound on two channels, shape (n, 2)."""
    return np.stack((mono, mono), axis=1)


def to_pcm(given: object) -> bytes:
    """Return the bytes of int16 samples of shape (n,), whatever their byte order. Raises TypeError for anything
    else."""
    if not isinstance(given, np.ndarray):
        raise TypeError(f"expected int16 samples of shape (n,) as a numpy array, got {type(given).__name__}")
    if given.dtype.kind != "i" or given.dtype.itemsize != np.dtype(np.int16).itemsize or given.ndim != 1:
        raise TypeError(f"expected int16 samples of shape (n,), got {given.dtype} of shape {given.shape}")
    return given.astype(np.int16, copy=False).tobytes()


def to_channels(mono: Samples, channels: int) -> bytes:
    """Return the bytes of the sound on each of `channels` channels, interleaved."""
    return np.repeat(mono, channels).tobytes()
