"""Keeps the sound for a loudspeaker below full scale. Sound below the ceiling passes unchanged, bit for bit.

It adds no delay: within each piece, the gain falls before the peak comes. Only if a peak is at the very beginning of
a piece does it fall at once.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

# Sample value of -1 dBFS: between two samples, a converter's output may be higher.
CEILING = round(32768 * 10 ** (-1 / 20))
STEP = RATE // 1000  # samples (1 ms) over which the gain changes linearly
RECOVERY = math.exp(-1 / 80)  # share of the missing gain that is left after a millisecond: 80 ms to a third
UNITY = 0.999  # gain from which on it counts as 1


class Limiter:
    """The limiter of one stream. Two channels share one gain."""

    def __init__(self) -> None:
        self._gain = 1.0  # gain at the end of the last piece

    def limit(self, samples: NDArray[Any]) -> Samples:
        """Return `samples`, of int16 or larger sums, as int16 with no peak above `CEILING`, in the same number."""
        if self._gain == 1.0 and samples.max(initial=0) <= CEILING and samples.min(initial=0) >= -CEILING:
            return samples.astype(np.int16, copy=False)
        floats = samples.astype(np.float64)
        gains = self._gains(floats)
        at = np.arange(len(floats)) / STEP
        limited = (floats.T * np.interp(at, np.arange(len(gains)), gains)).T
        # The last step may be short; then the gain at its end lies in the middle of a line.
        end = float(np.interp(len(floats) / STEP, np.arange(len(gains)), gains)) if len(floats) else self._gain
        self._gain = 1.0 if end > UNITY else end
        return np.clip(np.rint(limited), -CEILING, CEILING).astype(np.int16)

    def _gains(self, floats: NDArray[np.float64]) -> list[float]:
        """Return the gain at each step, first and last included: never more than the peaks on either side allow."""
        steps = -(-len(floats) // STEP)
        padded = np.zeros(steps * STEP)
        padded[: len(floats)] = np.abs(floats) if floats.ndim == 1 else np.abs(floats).max(axis=1)
        allowed = [1.0 if peak <= CEILING else CEILING / peak for peak in padded.reshape(-1, STEP).max(axis=1)]
        gains = [min([self._gain, *allowed[:1]])]
        for number, most in enumerate(allowed):
            recovered = 1 - (1 - gains[-1]) * RECOVERY
            gains.append(min([recovered, most, *allowed[number + 1 : number + 2]]))
        return gains
