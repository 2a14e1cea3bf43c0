"""Short tones in the user's own loudspeaker: a falling one when the connection is lost, a rising one when it is back.

They are for users who do not see the screen. The owner of the sink adds them to what it plays, so they are in no
recording, and the peer never hears them.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

LOW, HIGH = 440.0, 660.0  # Hz: a fifth, in the range of every loudspeaker and most ears
STEADY = 0.09  # seconds on each of the two pitches
GLIDE = 0.06  # seconds of glide from one pitch to the other
FADE = 0.01  # seconds of fade at the beginning and the end, so that nothing clicks
LEVEL = 0.1  # share of full scale (-20 dB): as loud as quiet speech
MOST_WAITING = 2  # tones that may wait: of a connection that comes and goes, only the last change counts


def tone(begin: float, end: float) -> Samples:
    """Make a tone that glides from one pitch to another, both in Hz; int16 samples of shape (n,)."""
    steady, glide = round(STEADY * RATE), round(GLIDE * RATE)
    pitch = np.concatenate((np.full(steady, begin), np.linspace(begin, end, glide), np.full(steady, end)))
    fade = round(FADE * RATE)
    shape = np.ones(len(pitch))
    shape[:fade] = np.linspace(0, 1, fade)
    shape[-fade:] = np.linspace(1, 0, fade)
    return np.rint(32767 * LEVEL * shape * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)).astype(np.int16)


class Tones:
    """The tones of one call. Any thread may call `fall` and `rise`; the sink's owner calls `add`."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque(maxlen=MOST_WAITING)
        self._left: Samples = np.zeros(0, np.int16)  # rest of the tone that is being played

    def fall(self) -> None:
        """Play the falling tone: the connection is lost."""
        self._waiting.append(tone(HIGH, LOW))

    def rise(self) -> None:
        """Play the rising tone: the connection is back."""
        self._waiting.append(tone(LOW, HIGH))

    def add(self, sound: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return `sound` with the part of a tone that is due added; the sum may exceed 16 bits."""
        if not len(self._left) and self._waiting:
            self._left = self._waiting.popleft()
        if not len(self._left):
            return sound
        total = sound.astype(np.int32)
        length = min(len(total), len(self._left))
        total[:length].T[...] += self._left[:length]
        self._left = self._left[length:]
        return total
