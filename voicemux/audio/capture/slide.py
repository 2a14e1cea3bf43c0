"""A delay that changes gradually: meanwhile, sound passes 1 % slower or faster. Pure.

1 % is a sixth of a semitone, for less than half a second, and not heard. All samples are 48 kHz mono.
"""

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.resample import Samples, from_bytes

SPEED = 0.01  # samples of delay that are added or removed for each sample that passes
BEYOND = 2  # samples on each side of a place that the interpolation between two samples uses


class Slide:
    """A delay line. `take()` returns as many samples as go in: those of `delay` samples ago."""

    def __init__(self, most: int) -> None:
        """`most` is the longest delay, in samples."""
        self._past: Samples = np.zeros(most + BEYOND, np.int16)
        self.delay = 0.0  # delay of the next sample that is taken, in samples
        self.target = 0.0

    @property
    def arrived(self) -> bool:
        """Whether the delay is the wanted one."""
        return self.delay == self.target

    def jump(self, delay: float) -> None:
        """Set this delay at once; sound is left out or doubled."""
        self.delay = self.target = delay

    def take(self, pcm: bytes) -> bytes:
        """Put in `pcm`, and return the same number of delayed samples."""
        if self.arrived and not self.delay:
            self._remember(from_bytes(pcm))
            return pcm
        sound = from_bytes(pcm)
        known: Samples = np.concatenate((self._past, sound))
        steps = np.arange(1, len(sound) + 1) * SPEED
        delays = self.delay + np.clip(self.target - self.delay, -steps, steps)
        places: NDArray[np.float64] = np.arange(float(len(self._past)), len(known)) - np.concatenate(
            ([self.delay], delays[:-1])
        )
        self.delay = float(delays[-1])
        self._remember(sound)
        return _between(known, places).tobytes()

    def _remember(self, sound: Samples) -> None:
        self._past = np.concatenate((self._past, sound))[-len(self._past) :]


def _between(known: Samples, places: NDArray[np.float64]) -> Samples:
    """Return the values at `places` between samples: the cubic through the four samples around each (Catmull and Rom
    1974)."""
    first = np.floor(places).astype(np.intp)
    part = places - first
    floats = known.astype(np.float64)
    before, left, right, after = (floats[np.minimum(first + i, len(known) - 1)] for i in (-1, 0, 1, 2))
    curve = left + 0.5 * part * (
        right
        - before
        + part * (2 * before - 5 * left + 4 * right - after + part * (3 * (left - right) + after - before))
    )
    return np.asarray(np.clip(np.rint(curve), -32768, 32767), np.int16)
