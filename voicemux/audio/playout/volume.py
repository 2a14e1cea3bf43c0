"""Sets how loud the peer's voice is played: as the user chooses, or levelled automatically. Pure.

Levelling applies to what is heard here, never to what is sent: gain before the peer's echo canceller would make the
echo louder by as much (docs/hands-free.md). A limiter comes behind it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.levels import LevelMeter

LEAST_PERCENT, MOST_PERCENT = 0, 400  # percent of the amplitude: 400 is 12 dB more
LEVELLED = -23.0  # dB of full scale: the level to which the peer's speech is brought, as in broadcasting (EBU R 128)
MOST_GAIN = 12.0  # dB of levelling up or down: more would lift the noise of a quiet microphone to the level of speech
PACE = 3.0  # dB a second: slower than voices change, so that it is not heard
LOOK = RATE // 10  # samples (0.1 s) between two looks at the level of the peer's speech


class Volume:
    """The volume of one loudspeaker. The playing thread calls `apply`, any thread the rest."""

    def __init__(self, meter: LevelMeter) -> None:
        """`meter` measures the peer's voice as it comes."""
        self._meter = meter
        self._auto = False
        self._wanted = 1.0  # gain without levelling
        self._gain = 1.0  # gain of the last sample
        self._aim = 0.0  # dB of gain that levelling aims at
        self._until_look = 0  # samples until the level is looked at again

    @property
    def auto(self) -> bool:
        """Whether the voice is levelled automatically."""
        return self._auto

    @property
    def percent(self) -> int:
        """The volume in percent of the amplitude, as the user chose it, or as levelling has set it now."""
        return round(100 * (self._gain if self._auto else self._wanted))

    def choose(self, percent: int) -> None:
        """Choose a volume; it is kept within `LEAST_PERCENT` and `MOST_PERCENT`."""
        self._auto, self._wanted = False, min(MOST_PERCENT, max(LEAST_PERCENT, percent)) / 100

    def choose_auto(self) -> None:
        """Level automatically from now on, beginning with the present volume."""
        self._auto = True

    def apply(self, samples: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return the next samples at the volume; they may exceed full scale."""
        target = self._levelled(len(samples)) if self._auto else self._wanted
        if self._gain == target == 1.0:
            return samples
        gains = np.linspace(self._gain, target, len(samples) + 1)[1:]
        self._gain = target
        return np.rint((samples.T * gains).T).astype(np.int32)

    def _levelled(self, count: int) -> float:
        """Return the levelling gain after `count` more samples."""
        self._until_look -= count
        if self._until_look <= 0:
            self._until_look = LOOK
            spoken = self._meter.levels.speech_db
            if spoken is not None:  # without speech, the aim stays as it is
                self._aim = min(MOST_GAIN, max(-MOST_GAIN, LEVELLED - spoken))
        now, most = 20 * math.log10(max(self._gain, 0.01)), PACE * count / RATE
        return float(10 ** ((now + min(most, max(-most, self._aim - now))) / 20))
