"""What a queue does while less is sent: so it is found out whose it is. Pure: no socket, clock or thread.

A queue of ours drains by as much as we send less than the line takes. One of others does not. What stands still is a
route that has become longer. `Blame` begins a trial, and draws the consequences.

Times are in seconds, rates in bits a second.
"""

from enum import Enum
from typing import NamedTuple

from voicemux.sending.flow import BEHIND
from voicemux.sending.forth import Forth

SETTLING = 1.2  # seconds after a step of which packets are judged: a look, a packet of 60 ms, and a second of drain
# Bits a second. The peer's voice is acknowledged by us, on the same line: each second packet by one of 52 bytes (RFC
# 1122: delayed acknowledgements), with packets of 20 ms 25 a second.
ACKNOWLEDGEMENTS = 10_400
# Bytes that are on a slow line at any time: a packet of 60 ms with headers, an acknowledgement, and one of each that
# is being sent when they come. What they take does not count as a queue.
FLOOR = 550
CONCLUSIVE = 0.12  # seconds a second of drain that can be told from what reports wait for something to travel with
STALLED = 0.4  # of the drain that is due: with less, the queue does not fall because we send less
SURELY_NOT_OURS = 0.45  # seconds: of our own, voice is held back long before
# Seconds within which the queue of a whole second lies if it is none: a packet of 60 ms in front of ours takes more
# on any line that is too slow for it, and another's transfer moves its queue by as much with each packet that is
# lost.
STILL = 0.010
FEW = 4  # moments of a second that are enough for that
MOMENT = 0.6  # seconds over which it is seen whether a queue stands: five times what the peer says


class Finding(Enum):
    """What voice waits in."""

    OURS = "ours"
    THEIRS = "theirs"
    NO_QUEUE = "no queue"


class Found(NamedTuple):
    """The end of a trial."""

    what: Finding
    queue: float  # seconds that voice is late by then


class Trial:
    """`look()` ten times a second, until it finds something."""

    def __init__(self, forth: Forth, now: float, rate: float, delivered: float, *, was_whole: bool) -> None:
        """It begins now. `rate` is what is sent from here on, `delivered` what the line took before; `was_whole` says
        that this was all that it was given."""
        self._forth = forth
        self._began = now
        self._delivered = delivered
        # Seconds a second by which the queue falls if it is ours.
        self._drain = 1 - (rate + ACKNOWLEDGEMENTS) / delivered if delivered else 0.0
        self._was_whole = was_whole
        self._carried: float | None = None  # what the line has taken since

    @property
    def is_conclusive(self) -> bool:
        """Whether a queue of ours would surely drain now."""
        return self._drain >= CONCLUSIVE

    @property
    def line_rate(self) -> float:
        """What the line takes, as far as the trial has shown."""
        return self._carried or self._delivered

    def look(self, now: float, queue: float) -> Found | None:
        """What has been found; None as long as it is not known, or the queue still drains."""
        newest, moments = self._forth.moments.newest, self._forth.moments
        assert newest
        if queue >= BEHIND and (rate := self._forth.delivered_rate(now, MOMENT)):
            self._carried = max(self._carried or 0.0, min(self._delivered, rate) if self._delivered else rate)
        if newest.sent < self._began + SETTLING or now - newest.told > SETTLING / 2:
            return None
        lately = moments.sent_between(max(self._began, newest.sent - 1.0), newest.sent)
        return self._judge(lately, newest.sent) if lately else None

    def _judge(self, lately: list[float], newest_sent: float) -> Found | None:
        """`lately` is how late the packets of the last second were."""
        after, span = min(lately[-FEW:]), min(1.0, newest_sent - self._began)
        falls = lately[0] - after >= STALLED * max(self._drain, CONCLUSIVE) * span
        if after >= BEHIND and len(lately) >= FEW and max(lately) - min(lately) < STILL:
            return Found(Finding.NO_QUEUE, after)
        floor = max(BEHIND, FLOOR * 8 / max(self._delivered, 1.0))
        if after < floor and not self._was_whole:
            return Found(Finding.OURS, after)
        if falls:
            return None
        if after >= BEHIND and (self.is_conclusive or after > SURELY_NOT_OURS):
            return Found(Finding.THEIRS, after)
        return Found(Finding.OURS, after)
