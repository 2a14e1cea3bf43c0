"""WebRTC's canceller behind an adaptive filter, for the sake of the near voice while both sides speak.

WebRTC's canceller assumes that its own filter leaves much of the echo, and suppresses all that may be this rest.
While both sides speak, this takes much out of the near voice, the more so the louder the echo. Two things are done:

- Another filter subtracts most of the echo before. A softer echo harms less. Some of the echo always stays: by it,
  WebRTC's canceller knows what else to suppress. Without it, 2 to 5 dB more echo came back.
- What WebRTC's canceller lets pass tells whether the near side speaks. If so, what the filter alone has left is mixed
  in, with all of the near voice and a rest of the echo. While only the far side speaks, next to nothing passes, and
  nothing is mixed in.
"""

import numpy as np

from voicemux.audio.echo.canceller import BEHIND, WHOLE, Canceller
from voicemux.audio.echo.linear import RAMP, Floats, LinearFilter
from voicemux.audio.resample import FULL_SCALE, Samples

# Share of the power that WebRTC's canceller lets pass, below which only the far side speaks; from the second on, all
# is mixed in that may be.
ONLY_FAR, BOTH = 0.1, 0.4
MOST = 0.7  # of what the filter has left, in what is sent
SMOOTHED = 0.9  # of the powers that is left after 10 ms. With 0.8, STOI while both spoke was lower by 0.05
RISES, FALLS = 0.1, 0.3  # of the share that is mixed in, in 10 ms
QUIET = 1.0  # energy of 10 ms that is added to that before the canceller: nothing divided by nothing


class TwoStages:
    """Both cancellers of one microphone. Only one thread at a time may use them."""

    def __init__(self) -> None:
        """Load the library. Raises LibraryMissing."""
        self._canceller = Canceller()
        self._linear = LinearFilter()
        self._forget()

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the captured sound `near` without the echo of `far`, the reference beside it. Both have whole 10
        ms. What is returned is later by BEHIND samples."""
        assert len(near) == len(far)
        assert len(near) % WHOLE == 0
        if len(near) == WHOLE:
            return self._block(near, far)
        starts = range(0, len(near), WHOLE)
        return np.concatenate([self._block(near[at : at + WHOLE], far[at : at + WHOLE]) for at in starts])

    def place(self, lag: int, echo_db: float) -> None:
        """Note that the echo is `lag` samples behind the reference, and how loud it is, in dB of what was played."""
        self._linear.place(lag, echo_db)

    def shift(self, count: int) -> None:
        """Note that the reference will be later by `count` samples from now on; sooner, if that is negative."""
        self._linear.shift(count)

    def misplace(self) -> None:
        """Note that where the echo is is not known any more."""
        self._linear.reset()

    def reset(self) -> None:
        """Forget what was learned."""
        self._canceller.reset()
        self._linear.reset()
        self._forget()

    def _forget(self) -> None:
        self._waiting: Floats = np.zeros(BEHIND, np.float32)  # left by the filter, not yet by the canceller
        self._mixed = 0.0  # share of what the filter left in the last sample
        self._before = self._passed = 0.0  # energies of 10 ms before and behind the canceller

    def _block(self, near: Samples, far: Samples) -> Samples:
        softer, left = self._linear.process(near, far)
        clean = self._canceller.process(softer, far)
        both = np.concatenate((self._waiting, left))
        left, self._waiting = both[:WHOLE], both[WHOLE:]
        passed = clean.astype(np.float32)
        self._before = SMOOTHED * self._before + (1 - SMOOTHED) * float(np.dot(left, left))
        self._passed = SMOOTHED * self._passed + (1 - SMOOTHED) * float(np.dot(passed, passed))
        before, self._mixed = self._mixed, self._wanted()
        if before == self._mixed == 0:
            return clean
        shares = before + (self._mixed - before) * RAMP if self._mixed != before else before
        mixed = np.rint(passed + shares * (left - passed)).clip(-FULL_SCALE, FULL_SCALE - 1)
        return mixed.astype(np.int16)

    def _wanted(self) -> float:
        """Return the share that is mixed in next. As far as the filter is not trusted, nothing is."""
        share = (self._passed / (self._before + QUIET) - ONLY_FAR) / (BOTH - ONLY_FAR)
        wanted = MOST * min(1.0, max(0.0, share))
        return min(MOST * self._linear.share, max(min(wanted, self._mixed + RISES), self._mixed - FALLS))
