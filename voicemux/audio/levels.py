"""Measures how loud sound is: for the meter, and for what the user is told of a microphone. Pure.

All levels are in dB of full scale, by the root mean square: the loudest sine wave that does not clip has -3 dB.
"""

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE

SLOT = RATE // 10  # samples (0.1 s) whose power is averaged
RECENT = 10  # slots (1 s) of the level that is shown
PEAK_HOLD = 30  # slots (3 s) of the peak that is shown
REMEMBERED = 100  # slots (10 s) from which speech and noise are estimated
LEAST_SPOKEN = 5  # slots (0.5 s) of speech: with less, nothing is known about how loud the user speaks
ABOVE_NOISE = 10.0  # dB above the noise from which on a slot is speech
AUDIBLE = -60.0  # dB below which sound is not speech, however quiet the room is
# Share of the slots that are softer than what counts as the noise: fluent speech has few pauses that long.
NOISE_SHARE = 0.02
CLIPPED = 32_760  # absolute sample value that counts as clipped: converters do not all reach 32,767
CLIPPED_RUN = 3  # samples in a row that count as clipping: a single one may be a true peak
FAINT = 3  # absolute sample value (-80 dB): a microphone that has never exceeded it is off, or may not be used
FULL_SCALE = 32_768.0
LOWEST = -100.0  # dB, instead of minus infinity


class SoundLevels(NamedTuple):
    """Levels of a sound. None means "not known": there was no sound yet, or no speech."""

    level_db: float | None  # level of the last second
    peak_db: float | None  # highest sample of the last 3 s
    speech_db: float | None  # level of the speech in the last 10 s
    noise_db: float | None  # level of the pauses in it
    clipped: int  # clipped samples so far
    clips: int  # blocks of sound, of 5 to 60 ms, with clipped samples so far


class LevelMeter:
    """The level meter of one sound. One thread calls `hear`, any thread reads `levels`."""

    def __init__(self) -> None:
        self._slots: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)  # mean square and peak of each slot
        self._energy = 0.0  # sum of squares since the last slot
        self._count = self._peak = 0  # samples, and peak, since the last slot
        self._clipped = self._clips = 0
        self.begin()
        self._end: NDArray[np.bool_] = np.zeros(0, bool)  # which of the last samples were clipped

    def begin(self) -> None:
        """Note that the source begins, or begins again."""
        self._heard, self._silent, self._has_sounded = False, 0, False

    def hear(self, samples: NDArray[np.integer]) -> None:
        """Hear the next samples, of any length."""
        if not len(samples):
            return
        floats = samples.astype(np.float32)
        self._energy += float(np.dot(floats, floats))
        self._count += len(samples)
        peak = max(int(samples.max()), -int(samples.min()))
        self._peak = max(self._peak, peak)
        self._heard = True
        self._silent = 0 if peak > (0 if self._has_sounded else FAINT) else self._silent + len(samples)
        self._has_sounded = self._has_sounded or peak > FAINT
        self._find_clipped(samples, peak)
        if self._count >= SLOT:
            self._slots.append((self._energy / self._count, self._peak))
            self._energy, self._count, self._peak = 0.0, 0, 0

    def _find_clipped(self, samples: NDArray[np.integer], peak: int) -> None:
        if peak < CLIPPED:
            self._end = self._end[:0]
            return
        known = len(self._end)
        limit = np.concatenate((self._end, (samples >= CLIPPED) | (samples <= -CLIPPED)))
        runs = np.convolve(limit, np.ones(CLIPPED_RUN, int), "valid") == CLIPPED_RUN
        in_run = np.convolve(runs, np.ones(CLIPPED_RUN, int)) > 0
        found = int(np.count_nonzero(in_run[known:]))
        self._clipped += found
        self._clips += found > 0
        self._end = limit[-(CLIPPED_RUN - 1) :]

    @property
    def silent_for(self) -> float | None:
        """Seconds of digital silence up to now; before any sound has come, also of near silence (FAINT). None if
        nothing has come since the source began."""
        return self._silent / RATE if self._heard else None

    @property
    def levels(self) -> SoundLevels:
        """The levels now. Any thread may read them."""
        slots = list(self._slots)
        if not slots:
            return SoundLevels(None, None, None, None, self._clipped, self._clips)
        powers = [power for power, _ in slots]
        noise = sorted(powers)[int(len(powers) * NOISE_SHARE)]
        least = max(noise * 10 ** (ABOVE_NOISE / 10), FULL_SCALE**2 * 10 ** (AUDIBLE / 10))
        spoken = [power for power in powers if power >= least]
        return SoundLevels(
            level_db=_db(_mean(powers[-RECENT:])),
            peak_db=_db(max(peak for _, peak in slots[-PEAK_HOLD:]) ** 2),
            speech_db=_db(_mean(spoken)) if len(spoken) >= LEAST_SPOKEN else None,
            noise_db=_db(noise),
            clipped=self._clipped,
            clips=self._clips,
        )


def _mean(powers: list[float]) -> float:
    return sum(powers) / len(powers)


def _db(power: float) -> float:
    """Return the level of a mean square, in dB of full scale."""
    return max(LOWEST, 10 * math.log10(power / FULL_SCALE**2)) if power > 0 else LOWEST
