"""Decides whether the user speaks, from the probabilities of a detector. Pure.

The thresholds and the hang time are Mumble's, and those of the measurements in docs/hands-free.md. To begin takes a
high probability, so that typing does not count. To go on takes a lower one, so that the end of a word counts. The
detector is never sure of a vowel that is said alone: then lower probabilities count together, if the sound lasts and
is much louder than the room. The sound of a key is shorter.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from voicemux.audio.echo.canceller import SpeechDetector
from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples

PIECE = RATE // 100  # samples (10 ms) that the detector judges at a time
BEGINS = 0.7  # probability from which on speech begins
GOES_ON = 0.5  # probability from which on speech goes on
# Samples (0.3 s) for which speech goes on after the last piece with speech: the pauses between words.
HANG = RATE * 3 // 10
# Factor of the power of the room's noise (8 dB) that the beginning of speech has at least. Distant keys have less.
AUDIBLE = 10**0.8
LASTING = 8  # pieces (80 ms) whose probabilities count together
LIKELY = 0.4  # mean of their probabilities from which on speech begins
CLEAR = 10**1.2  # factor of the power of the room's noise (12 dB) that each of them has at least
STEADY = 5  # pieces (50 ms) whose mean power is the room's noise, if they are the softest
REMEMBERED = 300  # pieces (3 s) among which the softest are looked for: speech has a pause in that time
QUIET_ROOM = (32768 * 10 ** (-60 / 20)) ** 2  # mean square (-60 dB) of the room's noise before anything was heard


class VoiceActivity:
    """Whether the user speaks. The microphone's thread calls `hear`, any thread the rest."""

    def __init__(self, detect: Callable[[Samples], float]) -> None:
        """`detect` returns the probability of speech in the next 10 ms, 0 to 1."""
        self._detect = detect
        self._noise = RoomNoise()
        self._clear: deque[float] = deque([0.0] * LASTING, LASTING)  # probabilities of pieces; negative unless CLEAR
        self._rest: Samples = np.zeros(0, np.int16)  # samples that are not 10 ms yet
        self._heard = 0  # samples
        self._until = 0  # position up to which speech goes on
        self._spoken = 0  # samples

    def hear(self, samples: Samples) -> None:
        """Hear the next samples, of any length."""
        known: Samples = np.concatenate((self._rest, samples))
        for start in range(0, len(known) - PIECE + 1, PIECE):
            piece = known[start : start + PIECE]
            self._judge(self._detect(piece), self._noise.times(float(np.mean(piece.astype(np.float32) ** 2))))
        self._rest = known[len(known) // PIECE * PIECE :]

    def _judge(self, probability: float, loudness: float) -> None:
        """Judge the next piece. `loudness` is its power divided by that of the room's noise."""
        speaks = self.speaks
        self._heard += PIECE
        self._clear.append(probability if loudness >= CLEAR else -LASTING)
        is_sure = probability >= BEGINS and loudness >= AUDIBLE
        begins = is_sure or sum(self._clear) >= LIKELY * LASTING
        if probability >= GOES_ON if speaks else begins:
            self._until = self._heard + HANG
            self._spoken += PIECE

    @property
    def speaks(self) -> bool:
        """Whether the user speaks, as of the last whole 10 ms."""
        return self._heard < self._until

    @property
    def spoken(self) -> float:
        """Seconds of speech so far, without the pauses between words."""
        return self._spoken / RATE


class RoomNoise:
    """The power of the room's noise: that of the softest 50 ms within the last 3 s."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque([QUIET_ROOM] * STEADY, STEADY)
        self._means: deque[float] = deque([QUIET_ROOM], REMEMBERED)

    def times(self, power: float) -> float:
        """Return the power of the next piece, a mean square, divided by that of the noise."""
        self._newest.append(power)
        self._means.append(sum(self._newest) / STEADY)
        return power / max(1.0, min(self._means))


def load_activity() -> VoiceActivity:
    """Make a VoiceActivity with WebRTC's detector. Raises LibraryMissing."""
    return VoiceActivity(SpeechDetector().probability)
