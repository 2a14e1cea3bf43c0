"""Decides whether the user speaks, from the probabilities of a detector. Pure.

The thresholds and the hang time are Mumble's, and those of the measurements in docs/hands-free.md. To begin takes a
high probability, so that typing does not count. To go on takes a lower one, so that the end of a word counts.
"""

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


class VoiceActivity:
    """Whether the user speaks. The microphone's thread calls `hear`, any thread the rest."""

    def __init__(self, detect: Callable[[Samples], float]) -> None:
        """`detect` returns the probability of speech in the next 10 ms, 0 to 1."""
        self._detect = detect
        self._rest: Samples = np.zeros(0, np.int16)  # samples that are not 10 ms yet
        self._heard = 0  # samples
        self._until = 0  # position up to which speech goes on
        self._spoken = 0  # samples

    def hear(self, samples: Samples) -> None:
        """Hear the next samples, of any length."""
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
        """Whether the user speaks, as of the last whole 10 ms."""
        return self._heard < self._until

    @property
    def spoken(self) -> float:
        """Seconds of speech so far, without the pauses between words."""
        return self._spoken / RATE


def load_activity() -> VoiceActivity:
    """Make a VoiceActivity with WebRTC's detector. Raises LibraryMissing."""
    return VoiceActivity(SpeechDetector().probability)
