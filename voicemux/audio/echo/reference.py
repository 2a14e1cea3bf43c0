"""The reference signal of an echo canceller: the samples that a sound card was given, beside those captured. Pure.

What makes or breaks the cancellation is which of the former lie beside which of the latter (measured with WebRTC's
canceller, echo at -10 dB, as returned echo):
- A hole in the reference is harmless (-37 dB, as without). A shift costs 4 to 8 dB for a second, up to 35 at once.
- A sample must come before its echo: 10 ms behind it costs 9 dB. Up to 450 ms before it costs nothing.
- Drift between the two sound cards costs nothing up to 200 ppm: the shifts against it come minutes apart.
So the two run in lockstep: as many samples out as the microphone captured. What waits goes up and down with the
blocks of the two cards. Only where it was at its least is looked at, once a second, and it is seldom corrected. Of
five ways that were tried in real calls on a loaded machine, this one returned the least echo: -37 to -46 dB, the
others -19 to -30.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Resampler, Samples, from_bytes

LEAST = RATE // 1000  # samples (1 ms) that wait at the least: with fewer, the next late block is a shift
AIM = RATE // 50  # samples (20 ms) to which what waits is corrected
MOST = RATE // 20  # samples (50 ms) that may wait at the least: more is not before all echoes of a fast card
BACKLOG = RATE // 2  # samples (0.5 s) beyond that which are corrected at once: the microphone stood still
LONGEST = 2 * RATE  # samples (2 s): the latest echo that is followed, of wireless loudspeakers that buffer
MOST_WAITING = LONGEST + MOST + BACKLOG  # samples
MOST_GIVEN = 500  # blocks between the two threads: 2.5 s of the shortest, while nothing is captured


class Given(NamedTuple):
    """What a sound card was given, in the form that it takes: 16 bits, interleaved, the same on each channel."""

    pcm: bytes
    rate: int
    channels: int


class Reference:
    """`played()` belongs to the thread that serves the loudspeaker, the rest to the one that captures."""

    def __init__(self) -> None:
        self.corrections = 0  # shifts of the reference against the microphone
        self._given: deque[Given] = deque(maxlen=MOST_GIVEN)
        self._form = (RATE, 1)
        self._resampler = Resampler(RATE, RATE)
        self._waiting: Samples
        self._aim, self._most = AIM, MOST
        self._stood = AIM  # samples that waited at the least in the second before the last look
        self._least = MOST_WAITING  # samples that waited at the least, since the last look
        self._looked = 0  # samples that were taken since
        self._is_playing = False  # something was given since
        self.restart()

    def restart(self) -> None:
        """The microphone begins, perhaps again: what was played before is of no use. Nor is any `shift`."""
        self._aim, self._most = AIM, MOST
        self._given.clear()
        self._waiting = np.zeros(self._aim, np.int16)
        self._begin_again()

    def played(self, pcm: bytes, rate: int, channels: int) -> None:
        """The sound card was given `pcm`: all of it, silence and what fills gaps, too. Does not wait."""
        self._given.append(Given(pcm, rate, channels))

    def take(self, count: int) -> Samples:
        """As many samples as were captured: zeros for those that are missing."""
        self._take_in()
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        if self._is_playing:
            self._least = min(self._least, len(self._waiting))
        self._looked += count
        if len(self._waiting) > self._most + BACKLOG:
            self._correct(len(self._waiting))
        elif self._looked >= RATE:
            self._look()
        return taken if len(taken) == count else np.concatenate((taken, np.zeros(count - len(taken), np.int16)))

    def lost(self, count: int) -> None:
        """As many samples were captured and are lost: what lay beside them is left out."""
        self._take_in()
        self._waiting = self._waiting[count:]

    def shift(self, count: int) -> None:
        """Have the echo come `count` samples sooner behind the reference; later, if that is negative.

        The reference waits no longer than `LONGEST`, and no sample is taken before it is there.
        """
        if count > 0:
            count = min(count, LONGEST - self._aim)
            self._aim += count
            self._most += count
            self._waiting = np.concatenate((np.zeros(count, np.int16), self._waiting))
        else:
            left = max(LEAST, self._stood + count)
            self._most = max(left, MOST // 10)
            self._aim = min(self._aim, (LEAST + self._most) // 2)
            self._waiting = self._waiting[max(0, self._stood - left) :]
        self._begin_again()

    @property
    def waiting(self) -> int:
        """Samples that were given and not taken yet: by that it is behind the loudspeaker."""
        return len(self._waiting)

    @property
    def is_held_back(self) -> bool:
        """Whether it waits for an echo that was late."""
        return self._aim > AIM

    def _take_in(self) -> None:
        while self._given:
            pcm, rate, channels = self._given.popleft()
            if (rate, channels) != self._form:  # another card, or the same in another form
                self._form, self._resampler = (rate, channels), Resampler(rate, RATE)
            sound = self._resampler.process(from_bytes(pcm)[::channels])
            self._waiting = np.concatenate((self._waiting, sound))
            self._is_playing = True

    def _look(self) -> None:
        if self._is_playing:
            self._stood = self._least
            if not LEAST <= self._least <= self._most:
                self._correct(self._least)
        self._begin_again()

    def _correct(self, least: int) -> None:
        """Have as much wait as is aimed at, where `least` waited."""
        if least > self._aim:
            self._waiting = self._waiting[least - self._aim :]
        else:
            self._waiting = np.concatenate((np.zeros(self._aim - least, np.int16), self._waiting))
        self._stood = self._aim
        self.corrections += 1
        self._begin_again()

    def _begin_again(self) -> None:
        self._least = MOST_WAITING
        self._looked = 0
        self._is_playing = False
