"""Whether echo is to be cancelled at all: by what the devices are called, and by what is measured. Pure."""

import re
from enum import StrEnum
from typing import NamedTuple

from voicemux.audio.echo.meter import EchoEstimate
from voicemux.audio.endpoints import RATE

HEADSET = re.compile(
    r"head-?(set|phone)|ear-?(phone|bud|pod|piece)|air-?pods|\bbuds|hands-?free|\bhfp\b|\bhandset\b", re.IGNORECASE
)
# PulseAudio's and PipeWire's modules and EasyEffects' source, by the names that they give themselves.
CLEANED = re.compile(r"echo[-_ ]?cancel|\bec_|\baec\b|easyeffects[-_ ]?source", re.IGNORECASE)

AUDIBLE = -40.0  # dB against what was played: a louder echo is cancelled
INAUDIBLE = -45.0  # dB: a softer one is not there, and to cancel it would cost the near voice more than it takes
QUIET = (
    25.0  # dB by which the microphone is softer than the loudspeaker, so that an echo would be found if it is heard
)
LOST = 5  # estimates without a clear echo, after which one that was late is looked for where echoes usually are
ENOUGH = 10  # estimates, so as many seconds of the peer's speech, until a headset is taken for one

SOONEST = RATE // 100  # samples (10 ms) by which the echo is to be behind the reference at the least
LATEST = RATE * 2 // 5  # samples (0.4 s): the canceller finds it up to 0.45 s
USUAL = RATE * 3 // 50  # samples (60 ms) to which one that is later is brought
ALIKE = RATE // 200  # samples (5 ms) by which two estimates of a lag may differ


class EchoState(StrEnum):
    """What becomes of echo now."""

    ON = "on"
    OFF = "off"  # the user wants it so
    NOT_NEEDED = "not needed"  # no loudspeaker, a headset, a cleaned microphone, or none is heard
    NOT_INSTALLED = "not installed"


class Names(NamedTuple):
    """All that the system calls the microphone and the loudspeaker."""

    source: tuple[str, ...]
    sink: tuple[str, ...]


def is_headset(names: Names) -> bool:
    """Whether nothing of what is played can reach the microphone, by the names of what plays."""
    return any(HEADSET.search(name) for name in names.sink)


def is_cleaned(names: Names) -> bool:
    """Whether the sound server cancels echo in what it gives us."""
    return any(CLEANED.search(name) for name in names.source)


class EchoWatch:
    """Says by each estimate whether there is an echo. Until it is known, there is one."""

    def __init__(self) -> None:
        self.is_heard = True
        self.echo_db: float | None = None  # of the last echo that was found; None if there is none
        self._absent = 0  # estimates without an echo, since the last with one
        self._unseen = 0  # estimates without a clear peak, since the last with one
        self._lag: int | None = None  # of the last estimate, samples

    @property
    def is_lost(self) -> bool:
        """Whether no clear echo was found for a while, also because both sides spoke."""
        return self._unseen >= LOST

    def judge(self, estimate: EchoEstimate) -> None:
        """Take note of one more second."""
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
        """Samples by which the echo is to come sooner behind the reference (later if negative); 0 if all is well."""
        lag, before = estimate.lag, self._lag
        self._lag = lag
        if lag is None or before is None or abs(lag - before) > ALIKE or SOONEST <= lag <= LATEST:
            return 0
        self._lag = None
        return lag - (USUAL if lag > LATEST else SOONEST + ALIKE)
