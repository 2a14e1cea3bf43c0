"""Whether the user speaks, by the probabilities that a detector gives. Pure.

Thresholds and hang are those of Mumble and of the measurements in docs/hands-free.md: to begin takes a sure sign, so
that typing does not count, and to go on takes less, so that the end of a word does.
"""

from collections.abc import Callable

import numpy as np

from voicemux.audio.echo.canceller import SpeechDetector
from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

PIECE = RATE // 100  # samples (10 ms) of which the detector is asked
BEGINS = 0.7  # probability from which the user begins to speak
GOES_ON = 0.5  # probability from which a user who speaks goes on
HANG = RATE * 3 // 10  # samples (0.3 s) for which speech goes on behind its last sign: the pauses between words


class VoiceActivity:
    """`hear` belongs to the microphone's thread, the rest to any."""

    def __init__(self, detect: Callable[[Samples], float]) -> None:
        """`detect` tells how probable speech is in the next 10 ms."""
        self._detect = detect
        self._rest: Samples = np.zeros(0, np.int16)  # not yet 10 ms
        self._heard = 0  # samples
        self._until = 0  # position up to which speech goes on
        self._spoken = 0  # samples

    def hear(self, samples: Samples) -> None:
        """The next samples, of any length."""
        known: Samples = np.concatenate((self._rest, samples))
        for start in range(0, len(known) - PIECE + 1, PIECE):
            self._judge(self._detect(known[start : start + PIECE]))
        self._rest = known[len(known) // PIECE * PIECE :]

    def _judge(self, probability: float) -> None:
        speaks = self.speaks
        self._heard += PIECE
        if probability >= (GOES_ON if speaks else BEGINS):
            self._until = self._heard + HANG
            self._spoken += PIECE

    @property
    def speaks(self) -> bool:
        """Whether speech goes on where the last whole 10 ms end."""
        return self._heard < self._until

    @property
    def spoken(self) -> float:
        """Seconds of speech so far, without the pauses between words."""
        return self._spoken / RATE


def load_activity() -> VoiceActivity:
    """With WebRTC's detector. Raises LibraryMissing."""
    return VoiceActivity(SpeechDetector().probability)
