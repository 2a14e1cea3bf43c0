"""Judges how much of an estimated echo may be subtracted. Pure.

The near voice makes what is left louder, but not alike the estimate. So a wrong estimate is told by the likeness of
the two, and a right one by those moments at which little is left.
"""

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import FULL_SCALE

LEAST_LEFT = 0.2  # of the echo's amplitude. With 0.1 there was 2 dB more echo where what was played had holes
BEST = 0.003  # share of the echo's power (-25 dB) that the filter cannot estimate, at least
RISES = 1.001  # of that share, with each block: 0.4 dB a second, so that it lasts through words of the near voice
NOISE_RISES = 1.002  # of the power of the room's noise, with each block: 0.9 dB a second
SHARE_RISES = 0.02  # of the estimate that is subtracted, with each block: WebRTC's canceller must follow
SHARE_FALLS = 0.1
SMOOTHED = 0.9  # of a measure that is left after a block or a step
HARMFUL = -0.2  # likeness of what is left: it is -1 if the estimated echo is not there, and 0 if it is right
DOUBT = 3.0  # bands' worth of that which may be chance: a soft echo beside a loud near voice
# Steps (0.1 s) in which the estimate does harm. Then `FilterTrust` forgets how right the estimate was before.
WRONG = 5
LOST = 15  # steps (0.3 s) with harm, after which the filter must learn from the beginning
LOUD = RATE // 100 * 2e-6 * FULL_SCALE**2  # energy of a block (-57 dB), from which on the noise is looked for


class FilterTrust:
    """The judge of one filter. `share` is the part of the estimate that may be subtracted, 0 to 1 - LEAST_LEFT."""

    def __init__(self) -> None:
        self.share = 0.0
        self._harm = 0  # steps at which the estimate did harm, less those at which it did not
        self._missing = 1.0  # power of the echo that is left if all of the estimate is subtracted, of the estimate's
        self._estimated = self._left = 0.0  # energy of a block
        self._noise = LOUD  # energy of a block in which only the room is heard
        self._alike = self._compared = 0.0
        self._harms = False

    @property
    def is_lost(self) -> bool:
        """Whether the estimate is wrong, and does not become right."""
        return self._harm >= LOST

    def compare(self, alike: float, estimated: float) -> None:
        """Take in the product of the estimate and what is left, and the power of the estimate. In each band, both are
        divided by the power of all that is heard, so a band counts for 0.5 at most."""
        self._alike = SMOOTHED * self._alike + (1 - SMOOTHED) * alike
        self._compared = SMOOTHED * self._compared + (1 - SMOOTHED) * estimated
        self._harms = self._alike < HARMFUL * self._compared - DOUBT
        self._harm = max(0, self._harm + (1 if self._harms else -1))

    def judge(self, estimated: float, left: float) -> None:
        """Take in the energies of a block of the estimate, and of what is left if all of it is subtracted."""
        self._estimated = SMOOTHED * self._estimated + (1 - SMOOTHED) * estimated
        self._left = SMOOTHED * self._left + (1 - SMOOTHED) * left
        self._noise = min(self._noise * NOISE_RISES, self._left)
        if self._harm >= WRONG:
            self._missing = 1.0
        elif self._estimated > 4 * self._noise:
            found = max(BEST, (self._left - 1.5 * self._noise) / self._estimated)
            self._missing = min(1.0, self._missing * RISES, found)
        if self._harms:
            self.share = 0.0
            return
        wanted = 1 - max(LEAST_LEFT, self._missing**0.5)  # as much is left of what can be estimated as of what cannot
        self.share = max(min(wanted, self.share + SHARE_RISES), self.share - SHARE_FALLS)
