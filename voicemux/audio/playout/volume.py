"""How loud the peer's voice is played: as the user wants it, or levelled. Pure.

What is levelled is what is heard here, never what is sent: gain before the peer's echo canceller would make the echo
louder by as much (docs/hands-free.md). A limiter comes behind it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.levels import LevelMeter

LEAST_PERCENT, MOST_PERCENT = 0, 400  # of the amplitude: 400 is 12 dB more
LEVELLED = -23.0  # dB of full scale: the speech of the peer, as broadcasters level theirs (EBU R 128)
MOST_GAIN = 12.0  # dB up or down, when levelled: more would lift the noise of a quiet microphone to speech
PACE = 3.0  # dB a second: a slower change than that of voices, so that it is not heard
LOOK = RATE // 10  # samples (0.1 s) between two looks at how loud the peer speaks


class Volume:
    """`apply` belongs to the thread that plays, the rest to any."""

    def __init__(self, meter: LevelMeter) -> None:
        """`meter` hears the peer's voice as it comes."""
        self._meter = meter
        self._auto = False
        self._wanted = 1.0  # gain, where it is not levelled
        self._gain = 1.0  # of the last sample
        self._aim = 0.0  # dB, where it is levelled
        self._until_look = 0  # samples

    @property
    def auto(self) -> bool:
        """Whether it is levelled."""
        return self._auto

    @property
    def percent(self) -> int:
        """Of the amplitude: what the user wants, or, where it is levelled, what it is now."""
        return round(100 * (self._gain if self._auto else self._wanted))

    def choose(self, percent: int) -> None:
        """Within `LEAST_PERCENT` and `MOST_PERCENT`."""
        self._auto, self._wanted = False, min(MOST_PERCENT, max(LEAST_PERCENT, percent)) / 100

    def choose_auto(self) -> None:
        """Level it, from where it is."""
        self._auto = True

    def apply(self, samples: NDArray[np.integer]) -> NDArray[np.integer]:
        """The next samples as they are to be heard; they may be above full scale."""
        target = self._levelled(len(samples)) if self._auto else self._wanted
        if self._gain == target == 1.0:
            return samples
        gains = np.linspace(self._gain, target, len(samples) + 1)[1:]
        self._gain = target
        return np.rint((samples.T * gains).T).astype(np.int32)

    def _levelled(self, count: int) -> float:
        """The gain after `count` more samples."""
        self._until_look -= count
        if self._until_look <= 0:
            self._until_look = LOOK
            spoken = self._meter.levels.speech_db
            if spoken is not None:  # while nothing is said, it stays as it is
                self._aim = min(MOST_GAIN, max(-MOST_GAIN, LEVELLED - spoken))
        now, most = 20 * math.log10(max(self._gain, 0.01)), PACE * count / RATE
        return float(10 ** ((now + min(most, max(-most, self._aim - now))) / 20))
