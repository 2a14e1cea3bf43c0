"""Keeps what goes to a loudspeaker below full scale. What is below the ceiling anyway is not touched, bit for bit.

It adds no delay: the gain falls within the piece of sound in hand before its peak comes; only where a peak is at the
very beginning of a piece does it fall at once.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

CEILING = round(32768 * 10 ** (-1 / 20))  # -1 dBFS: what a converter makes between two samples may be higher
STEP = RATE // 1000  # samples (1 ms) between which the gain is a straight line
RECOVERY = math.exp(-1 / 80)  # of what is missing to a gain of 1, left after a millisecond: 80 ms to a third
UNITY = 0.999  # a gain from there on is 1


class Limiter:
    """One stream of samples; two channels have one gain."""

    def __init__(self) -> None:
        self._gain = 1.0  # at the end of what was given

    def limit(self, samples: NDArray[Any]) -> Samples:
        """`samples` of int16, or of sums that are larger, with no peak above `CEILING`; as many come back."""
        peak = float(np.max(np.abs(samples.astype(np.float64)), initial=0.0))
        if self._gain == 1.0 and peak <= CEILING:
            return samples.astype(np.int16, copy=False)
        floats = samples.astype(np.float64)
        gains = self._gains(floats)
        at = np.arange(len(floats)) / STEP
        limited = (floats.T * np.interp(at, np.arange(len(gains)), gains)).T
        # The last step may be a short one, and the gain at its end is in the middle of a line.
        end = float(np.interp(len(floats) / STEP, np.arange(len(gains)), gains)) if len(floats) else self._gain
        self._gain = 1.0 if end > UNITY else end
        return np.clip(np.rint(limited), -CEILING, CEILING).astype(np.int16)

    def _gains(self, floats: NDArray[np.float64]) -> list[float]:
        """At each step, the first and the last included: on neither side of it more than the peak there allows."""
        steps = -(-len(floats) // STEP)
        padded = np.zeros(steps * STEP)
        padded[: len(floats)] = np.abs(floats) if floats.ndim == 1 else np.abs(floats).max(axis=1)
        allowed = [1.0 if peak <= CEILING else CEILING / peak for peak in padded.reshape(-1, STEP).max(axis=1)]
        gains = [min([self._gain, *allowed[:1]])]
        for number, most in enumerate(allowed):
            recovered = 1 - (1 - gains[-1]) * RECOVERY
            gains.append(min([recovered, most, *allowed[number + 1 : number + 2]]))
        return gains
