"""Decides whether echo is to be cancelled at all, by the names of the devices and by the estimates. Pure."""

import re
from enum import StrEnum
from typing import NamedTuple

from voicemux.audio.echo.meter import EchoEstimate
from voicemux.audio.endpoints import RATE

HEADSET = re.compile(
    r"head-?(set|phone)|ear-?(phone|bud|pod|piece)|air-?pods|\bbuds|hands-?free|\bhfp\b|\bhandset\b", re.IGNORECASE
)
# The modules of PulseAudio and PipeWire, and EasyEffects' source, by the names that they give themselves.
CLEANED = re.compile(r"echo[-_ ]?cancel|\bec_|\baec\b|easyeffects[-_ ]?source", re.IGNORECASE)

AUDIBLE = -40.0  # dB relative to what was played, above which echo is cancelled
INAUDIBLE = -45.0  # dB, below which there is no echo: cancelling would cost the user's voice more than it gains
QUIET = 25.0  # dB by which the microphone must be softer than the loudspeaker for an echo to be found if there is one
LOST = 5  # estimates without a clear echo after which a late echo is looked for at the usual place again
ENOUGH = 10  # estimates, each with a second of the peer's speech, without echo, after which there is none

SOONEST = RATE // 100  # samples (10 ms) by which the echo must be behind the reference at least
LATEST = RATE * 2 // 5  # samples (0.4 s) by which it may be behind at most: the canceller finds it up to 0.45 s
USUAL = RATE * 3 // 50  # samples (60 ms) to which a later echo is brought
ALIKE = RATE // 200  # samples (5 ms) by which two estimates of a delay may differ and still agree


class EchoState(StrEnum):
    """The state of the echo cancellation."""

    ON = "on"
    OFF = "off"  # the user wants it so
    NOT_NEEDED = "not needed"  # no loudspeaker, a headset, a microphone that the server cleans, or no echo is heard
    NOT_INSTALLED = "not installed"


class Names(NamedTuple):
    """All names that the system has for the microphone and the loudspeaker."""

    source: tuple[str, ...]
    sink: tuple[str, ...]


def is_headset(names: Names) -> bool:
    """Whether, by the loudspeaker's names, nothing that is played can reach the microphone."""
    return any(HEADSET.search(name) for name in names.sink)


def is_cleaned(names: Names) -> bool:
    """Whether, by the microphone's names, the sound server cancels echo already."""
    return any(CLEANED.search(name) for name in names.source)


class EchoWatch:
    """Decides by estimates whether there is an echo. Until that is known, there is one."""

    def __init__(self) -> None:
        self.is_heard = True
        self.echo_db: float | None = None  # dB of the last echo that was found; None if there is none
        self._absent = 0  # estimates without an echo, since the last with one
        self._unseen = 0  # estimates without a clear peak, since the last with one
        self._lag: int | None = None  # delay in the last estimate, in samples

    @property
    def is_lost(self) -> bool:
        """Whether no clear echo was found for LOST estimates, perhaps because both sides spoke."""
        return self._unseen >= LOST

    def judge(self, estimate: EchoEstimate) -> None:
        """Take one more estimate into account."""
        found = estimate.echo_db
        self._unseen = 0 if estimate.lag is not None else self._unseen + 1
        if found is not None and found > INAUDIBLE:
            self.echo_db = found
            self.is_heard = self.is_heard or found > AUDIBLE
            self._absent = 0
        elif found is not None or estimate.near_db < estimate.far_db - QUIET:
            self._absent += 1
            if self._absent >= ENOUGH:
                self.is_heard, self.echo_db = False, None

    def misplaced(self, estimate: EchoEstimate) -> int:
        """Return by how many samples the echo must follow the reference sooner (negative: later); 0 if it is well
        placed."""
        lag, before = estimate.lag, self._lag
        self._lag = lag
        if lag is None or before is None or abs(lag - before) > ALIKE or SOONEST <= lag <= LATEST:
            return 0
        self._lag = None
        return lag - (USUAL if lag > LATEST else SOONEST + ALIKE)
