"""The reference signal of an echo canceller: the samples that a sound card was given, aligned with the captured ones.
Pure.

The cancellation depends on this alignment (returned echo, measured with WebRTC's canceller, echo at -10 dB):
- A hole in the reference is harmless (-37 dB, as without). A shift costs 4 to 8 dB for a second, up to 35 at once.
- A sample must come before its echo: 10 ms behind it costs 9 dB. Up to 450 ms before it costs nothing.
- Drift between the two sound cards costs nothing up to 200 ppm: the shifts against it come minutes apart.

So the two run in lockstep: as many samples leave as the microphone captured. The number of samples that wait goes up
and down with the blocks of the two cards. Only its least value is looked at, once a second, and it is seldom
corrected. Of five ways that were tried in real calls on a loaded machine, this one returned the least echo: -37 to
-46 dB, the others -19 to -30.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Resampler, Samples, from_bytes

LEAST = RATE // 1000  # samples (1 ms) that wait at least: with fewer, the next late block is a shift
AIM = RATE // 50  # samples (20 ms) to which the waiting part is corrected
# Samples (50 ms) that the least wait may have: with more, the reference would come behind the echo of a fast card.
MOST = RATE // 20
BACKLOG = RATE // 2  # samples (0.5 s) beyond that at which a correction is made at once: the microphone had stopped
LONGEST = 2 * RATE  # samples (2 s) of the latest echo that is followed: wireless loudspeakers buffer that much
MOST_WAITING = LONGEST + MOST + BACKLOG  # samples, which is more than can wait
MOST_GIVEN = 500  # blocks in the queue between the two threads: 2.5 s of the shortest, while nothing is captured


class Given(NamedTuple):
    """Sound that a sound card was given, in its own form: 16 bits, interleaved, the same on each channel."""

    pcm: bytes
    rate: int
    channels: int


class Reference:
    """The reference of one microphone. The loudspeaker's thread calls `played()`, the capturing thread the rest."""

    def __init__(self) -> None:
        self.corrections = 0  # shifts of the reference against the microphone
        self.moved = 0  # samples by which the shifts made it later; negative: sooner
        self._given: deque[Given] = deque(maxlen=MOST_GIVEN)
        self._form = (RATE, 1)
        self._resampler = Resampler(RATE, RATE)
        self._waiting: Samples
        self._aim, self._most = AIM, MOST
        self._stood = AIM  # least number of waiting samples in the second before the last look
        self._least = MOST_WAITING  # least number of waiting samples since the last look
        self._looked = 0  # samples taken since the last look
        self._is_playing = False  # something was played since the last look
        self.restart()

    def restart(self) -> None:
        """Begin, perhaps again, with the microphone: drop what was played before, and every `shift`."""
        self._aim, self._most = AIM, MOST
        self._given.clear()
        self._waiting = np.zeros(self._aim, np.int16)
        self._begin_again()

    def played(self, pcm: bytes, rate: int, channels: int) -> None:
        """The sound card was given `pcm`: pass everything, also silence and what fills gaps. Does not wait."""
        self._given.append(Given(pcm, rate, channels))

    def take(self, count: int) -> Samples:
        """Return the reference for `count` captured samples, with zeros for missing ones."""
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
        """`count` captured samples were lost: skip the reference beside them."""
        self._take_in()
        self._waiting = self._waiting[count:]

    def shift(self, count: int) -> None:
        """Shift the reference so that the echo follows it `count` samples sooner; later, if that is negative.

        The reference waits no longer than `LONGEST`, and no sample is taken before it was played.
        """
        if count > 0:
            count = min(count, LONGEST - self._aim)
            self._aim += count
            self._most += count
            self._delay(count)
        else:
            left = max(LEAST, self._stood + count)
            self._most = max(left, MOST // 10)
            self._aim = min(self._aim, (LEAST + self._most) // 2)
            self._delay(min(0, left - self._stood))
        self._begin_again()

    @property
    def waiting(self) -> int:
        """Samples that were given and not taken yet, by which the reference is behind the loudspeaker."""
        return len(self._waiting)

    @property
    def is_held_back(self) -> bool:
        """Whether the reference was delayed for a late echo."""
        return self._aim > AIM

    def _take_in(self) -> None:
        while self._given:
            pcm, rate, channels = self._given.popleft()
            # Another card, or the same card with another rate or number of channels.
            if (rate, channels) != self._form:
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
        """Correct the waiting part to the aim, given that `least` samples waited."""
        self._delay(self._aim - least)
        self._stood = self._aim
        self.corrections += 1
        self._begin_again()

    def _delay(self, count: int) -> None:
        """Make the reference later by `count` samples; sooner, if that is negative."""
        if count < 0:
            self._waiting = self._waiting[-count:]
        else:
            self._waiting = np.concatenate((np.zeros(count, np.int16), self._waiting))
        self.moved += count

    def _begin_again(self) -> None:
        self._least = MOST_WAITING
        self._looked = 0
        self._is_playing = False
