"""Finds out whose queue delays voice, by what the queue does while less is sent. Pure: no socket, clock or thread.

Our own queue drains by as much as we send less than the line takes. Another program's queue does not drain. If the
delay does not change at all, the route has become longer. `Blame` begins a trial, and acts on its result.

Times are in seconds, rates in bits a second.
"""

from collections import deque
from enum import Enum
from typing import NamedTuple

from voicemux.sending.flow import BEHIND
from voicemux.sending.forth import Forth

# Seconds after a step until its effect is judged: one look, a packet of 60 ms, and 1 s in which the queue drains.
SETTLING = 1.2
# Bits a second of TCP acknowledgements that we send on the same line for the peer's voice: one of 52 bytes for every
# second packet (RFC 1122: delayed acknowledgements), 25 a second with packets of 20 ms.
ACKNOWLEDGEMENTS = 10_400
# Bytes on a slow line at any time, whose transmission time does not count as a queue: a packet of 60 ms with headers,
# an acknowledgement, and one of each that is being sent when they come.
FLOOR = 550
# Seconds of queue a second that must drain: less could be an effect of reports that wait for voice to travel with.
CONCLUSIVE = 0.12
STALLED = 0.4  # share of the expected drain below which a queue does not fall because of us
# Seconds of queue that ours cannot reach if the way back excuses nothing: voice is held back long before.
SURELY_NOT_OURS = 0.45
# Slots of 1 s in which it is remembered what the way back excused: a queue of that time may be told as late as that.
EXCUSED_SLOTS = 10
LEAST_RATE = 17_000.0  # bits a second of the slowest line that carries voice
# Seconds within which a delay that is not a queue stays for a second. Our own queue moves by more: on any line that
# is too slow for it, a packet of 60 ms in front takes longer. Another program's queue moves by as much with each
# packet that its transfer loses.
STILL = 0.010
FEW = 4  # reports within a second that are enough to judge that
WAITS = 0.1  # seconds of queue from which on a test is worth its cost
FEW_MARKS = 2  # marks of a pause that tell whose queue it is: one alone may be late by a retransmission
MOMENT = 0.6  # seconds over which it is judged whether a queue stands: five reports of the peer


class Finding(Enum):
    """What delays voice."""

    OURS = "ours"
    THEIRS = "theirs"
    NO_QUEUE = "no queue"


class Found(NamedTuple):
    """The result of a trial, or of a pause."""

    what: Finding
    queue: float  # seconds by which voice is late at the end


class Reach:
    """How long a queue of our own can be. More voice may be in flight while the way back excuses that; if the line
    has become slow both ways, what was sent then became a queue of ours."""

    def __init__(self) -> None:
        # Of each second, when it began, and the most bits in flight that the way back excused.
        self._excused: deque[tuple[float, float]] = deque(maxlen=EXCUSED_SLOTS)

    def excuse(self, bits: float, now: float) -> None:
        """Because the way back is late, `bits` more of voice may be in flight. Call it ten times a second."""
        if not self._excused or now - self._excused[-1][0] >= 1.0:
            self._excused.append((now, bits))
        else:
            began, most = self._excused[-1]
            self._excused[-1] = began, max(most, bits)

    def seconds(self, rate: float) -> float:
        """Return how long a queue of ours can be on a line that takes `rate` bits a second."""
        return SURELY_NOT_OURS + max((bits for _, bits in self._excused), default=0.0) / max(rate, LEAST_RATE)


class Trial:
    """One trial. Call `look()` ten times a second, until it returns a result."""

    def __init__(
        self,
        forth: Forth,
        reach: Reach,
        now: float,
        rate: float,
        delivered: float,
        *,
        was_whole: bool,
        was_much: bool,
    ) -> None:
        """The trial begins at `now`. `rate` is what is sent from here on, in bits a second; `delivered` is what the
        line took before. `was_whole`: the line had taken all that was sent. `was_much`: more than MODEST was sent a
        moment ago."""
        self._forth, self._reach = forth, reach
        self._began, self._rate, self._delivered = now, rate, delivered
        self._was_whole, self._was_much = was_whole, was_much
        self._carried: float | None = None  # bits a second that the line has taken since the trial began

    @property
    def _drain(self) -> float:
        """Seconds of queue that drain in a second, if it is ours."""
        return 1 - (self._rate + ACKNOWLEDGEMENTS) / self._delivered if self._delivered else 0.0

    @property
    def is_conclusive(self) -> bool:
        """Whether a queue of our own would surely drain in this trial."""
        return self._drain >= CONCLUSIVE

    @property
    def is_harmless(self) -> bool:
        """Whether voice does not make the queue longer: one of our own would drain, or could not be this long."""
        newest = self._forth.moments.newest
        return self.is_conclusive or (newest is not None and newest.least > self._reach.seconds(self.line_rate))

    @property
    def line_rate(self) -> float:
        """Bits a second that the line takes, as far as the trial has shown."""
        return self._carried or self._delivered

    def look(self, now: float, queue: float) -> Found | None:
        """Return the result; None while it is not known, or while the queue still drains."""
        newest, moments = self._forth.moments.newest, self._forth.moments
        assert newest
        rate = self._forth.delivered_rate(now, MOMENT)
        # `_delivered` includes voice from before the line became slow. The trial's first reports include less of it.
        if rate and self._was_much and now - self._began <= MOMENT:
            self._delivered = min(self._delivered, rate)
        if rate and queue >= BEHIND:
            self._carried = max(self._carried or 0.0, min(self._delivered, rate) if self._delivered else rate)
        if newest.sent < self._began + SETTLING or now - newest.told > SETTLING / 2:
            return None
        lately = moments.sent_between(max(self._began, newest.sent - 1.0), newest.sent)
        return self._judge(lately, newest.sent) if lately else None

    def _judge(self, lately: list[float], newest_sent: float) -> Found | None:
        """Return the result, from `lately`, the delays of the packets of the last second."""
        after, span = min(lately[-FEW:]), min(1.0, newest_sent - self._began)
        falls = lately[0] - after >= STALLED * max(self._drain, CONCLUSIVE) * span
        if after >= BEHIND and len(lately) >= FEW and max(lately) - min(lately) < STILL:
            return Found(Finding.NO_QUEUE, after)
        floor = max(BEHIND, FLOOR * 8 / max(self._delivered, 1.0))
        if after < floor and not self._was_whole:
            return Found(Finding.OURS, after)
        if falls:
            return None
        if after >= BEHIND and (self.is_conclusive or after > self._reach.seconds(self.line_rate)):
            return Found(Finding.THEIRS, after)
        return Found(Finding.OURS, after)


def found_in_a_pause(forth: Forth) -> Found | None:
    """Return what our pause shows, by the marks that were sent SETTLING after its beginning or later: our own queue
    has drained by then. None without a pause, while too few marks have arrived, or if a mark was late by less than
    WAITS."""
    newest = forth.moments.newest
    if newest is None or forth.paused_since is None:
        return None
    begin = max(forth.paused_since + SETTLING, newest.sent - SETTLING)
    lately = forth.moments.sent_between(begin, newest.sent)
    if len(lately) < FEW_MARKS or min(lately) < WAITS:
        return None
    if max(lately) - min(lately) >= STILL:
        return Found(Finding.THEIRS, lately[-1])
    return Found(Finding.NO_QUEUE, min(lately)) if len(lately) > FEW_MARKS else None
