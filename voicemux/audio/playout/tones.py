"""Short tones in the user's own loudspeaker: a falling one when the line is lost, a rising one when it is back.

They are for people who do not see the screen. The owner of the sink adds them to what it plays, so they are in no
recording and never go to the peer.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

LOW, HIGH = 440.0, 660.0  # Hz: a fifth, within what every loudspeaker and most ears have
STEADY = 0.09  # seconds on each of the two pitches
GLIDE = 0.06  # seconds from one to the other
FADE = 0.01  # seconds at the beginning and the end, so that nothing clicks
LEVEL = 0.1  # of full scale, 20 dB below it: as loud as quiet speech
MOST_WAITING = 2  # tones: a line that comes and goes is told by its last change


def tone(begin: float, end: float) -> Samples:
    """A tone that glides from one pitch to another, both in Hz."""
    steady, glide = round(STEADY * RATE), round(GLIDE * RATE)
    pitch = np.concatenate((np.full(steady, begin), np.linspace(begin, end, glide), np.full(steady, end)))
    fade = round(FADE * RATE)
    shape = np.ones(len(pitch))
    shape[:fade] = np.linspace(0, 1, fade)
    shape[-fade:] = np.linspace(1, 0, fade)
    return np.rint(32767 * LEVEL * shape * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)).astype(np.int16)


class Tones:
    """`fall` and `rise` are for any thread, `add` for the sink's owner."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque(maxlen=MOST_WAITING)
        self._left: Samples = np.zeros(0, np.int16)  # of the tone that is being played

    def fall(self) -> None:
        """The line is lost."""
        self._waiting.append(tone(HIGH, LOW))

    def rise(self) -> None:
        """The line is back."""
        self._waiting.append(tone(LOW, HIGH))

    def add(self, sound: NDArray[np.integer]) -> NDArray[np.integer]:
        """`sound`, with as much of a tone in it as is due; the sum may be beyond 16 bits."""
        if not len(self._left) and self._waiting:
            self._left = self._waiting.popleft()
        if not len(self._left):
            return sound
        total = sound.astype(np.int32)
        length = min(len(total), len(self._left))
        total[:length].T[...] += self._left[:length]
        self._left = self._left[length:]
        return total
