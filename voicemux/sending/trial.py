"""Finds out whose queue voice waits in, by what the queue does while less is sent. Pure: no socket, clock or thread.

Our own queue drains by as much as we send less than the line takes. Another program's queue does not drain. If the
lateness stands still, the route has become longer. `Blame` begins a trial, and draws the consequences.

Times are in seconds, rates in bits a second.
"""

from enum import Enum
from typing import NamedTuple

from voicemux.sending.flow import BEHIND
from voicemux.sending.forth import Forth

SETTLING = 1.2  # seconds after a step until packets count: one look, a packet of 60 ms, a second of drain
# Bits a second. We acknowledge the peer's voice on the same line: every second packet by one of 52 bytes (RFC 1122:
# delayed acknowledgements). With packets of 20 ms, that is 25 a second.
ACKNOWLEDGEMENTS = 10_400
# Bytes that are on a slow line at any time: a packet of 60 ms with headers, an acknowledgement, and one of each that
# is being sent when they come. The time that they take does not count as a queue.
FLOOR = 550
CONCLUSIVE = 0.12  # seconds of drain a second: less could be the wait of reports for something to travel with
STALLED = 0.4  # of the expected drain: a queue that falls by less does not fall because we send less
SURELY_NOT_OURS = 0.45  # seconds of queue: long before our own is as long, voice is held back
# Seconds. A lateness that stays within this for a second is not a queue. Our own queue moves by more: a packet of
# 60 ms in front takes longer on any line that is too slow for it. Another program's transfer moves its queue by as
# much with each packet that it loses.
STILL = 0.010
FEW = 4  # reports within a second that are enough to tell that
MOMENT = 0.6  # seconds over which it is judged whether a queue stands: five reports of the peer


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
        """The trial begins at `now`. `rate` is what is sent from here on, `delivered` what the line took before.
        `was_whole`: that was all that was sent."""
        self._forth = forth
        self._began = now
        self._delivered = delivered
        # Seconds of queue a second by which it falls if it is ours.
        self._drain = 1 - (rate + ACKNOWLEDGEMENTS) / delivered if delivered else 0.0
        self._was_whole = was_whole
        self._carried: float | None = None  # what the line has taken since the trial began

    @property
    def is_conclusive(self) -> bool:
        """Whether our own queue would surely drain in this test."""
        return self._drain >= CONCLUSIVE

    @property
    def line_rate(self) -> float:
        """What the line takes, as far as the trial has shown."""
        return self._carried or self._delivered

    def look(self, now: float, queue: float) -> Found | None:
        """Return what was found; None while that is not known, or while the queue still drains."""
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
