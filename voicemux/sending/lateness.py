"""How late packets of one direction are, and what that says of the line. Pure: no socket, clock or thread.

The clocks of the two ends agree on nothing. So a packet's transit (its arrival by one clock, less its time stamp by
the other) means nothing, and only what it is above the smallest recent transit does: that one found the line empty.
What all packets of a moment have above it is a queue. What only some have is jitter, or a lost packet that was
repeated, and less voice would change nothing about it. All times are in seconds.
"""

from collections import deque
from typing import NamedTuple

from voicemux.protocol.wire import TICKS_PER_SECOND

SLOT = 1.0  # seconds that are summed up as one smallest transit
# 30 s: in that, two sound cards whose clocks are 400 ppm apart (twice what protocol.md §8 expects) drift by 12 ms.
BASE_SLOTS = 30
LONGER_SLOTS = 90  # while a queue stands that is not ours: that would become the base, and then be forgotten
MOST_LATE = 10.0  # seconds: no line holds voice for so long (15 s end a call); it is a clock that was set
MOST_KEPT = 100  # what was told in the last 10 s
STANDING = 0.35  # seconds whose smallest lateness is a queue: three looks, and longer than a burst behind a stall
SPREAD_SPAN = 3.0  # seconds over which jitter is taken


class Stamps:
    """Time stamps of AUDIO, without their wrap-around."""

    def __init__(self) -> None:
        self._position: int | None = None

    def seconds(self, timestamp: int) -> float:
        """When it was, from any zero on."""
        before = timestamp if self._position is None else self._position
        self._position = before + (timestamp - before + 2**31) % 2**32 - 2**31
        return self._position / TICKS_PER_SECOND


class Lateness:
    """Tell it transits; it knows the smallest recent one."""

    def __init__(self) -> None:
        self.keeps_longer = False
        self.risen = 0.0  # seconds by which `rise` has lifted the base, and that it has not sunk since
        self._slots: deque[tuple[float, float]] = deque(maxlen=LONGER_SLOTS)  # when it began, its smallest

    @property
    def base(self) -> float | None:
        """The smallest recent transit; None before the first."""
        count = LONGER_SLOTS if self.keeps_longer else BASE_SLOTS
        return min((least for _, least in list(self._slots)[-count:]), default=None)

    def add(self, transit: float, now: float) -> float:
        """How much later than the earliest this is."""
        base = self.base
        if base is not None and abs(transit - base) > MOST_LATE:
            self._slots.clear()
            self.risen = 0.0
        elif base is not None and transit < base:
            self.risen = max(0.0, self.risen - (base - transit))
        if not self._slots or now - self._slots[-1][0] >= SLOT:
            self._slots.append((now, transit))
        else:
            began, least = self._slots[-1]
            self._slots[-1] = began, min(least, transit)
        base = self.base
        return 0.0 if base is None else transit - base

    def rise(self, by: float, now: float) -> None:
        """The line itself has become later by that: it is the new base."""
        base = self.base
        if base is not None:
            self.risen += by
            self._slots.clear()
            self._slots.append((now, base + by))


class Moment(NamedTuple):
    """What was told at a time of packets that came since it was told the last time."""

    told: float  # when
    least: float  # lateness of the earliest
    most: float  # and of the latest
    sent: float  # when the newest of them was


class Moments:
    """The recent lateness, and what can be read from it."""

    def __init__(self) -> None:
        self._kept: deque[Moment] = deque(maxlen=MOST_KEPT)

    def add(self, moment: Moment) -> None:
        self._kept.append(moment)

    @property
    def newest(self) -> Moment | None:
        return self._kept[-1] if self._kept else None

    def least(self, now: float, span: float = STANDING) -> float | None:
        """What all packets that were told of in the last `span` seconds had: a queue. None if none were."""
        return min((each.least for each in self._since(now - span)), default=None)

    def most_of_least(self, now: float, span: float) -> float | None:
        """The longest queue of the last `span` seconds."""
        return max((each.least for each in self._since(now - span)), default=None)

    def sent_between(self, begin: float, end: float) -> list[float]:
        """The queues that packets had which were sent then: they are those of a time, however late one hears of
        it."""
        return [each.least for each in self._kept if begin < each.sent <= end]

    def forget(self) -> None:
        """What was lateness is none any more."""
        self._kept.clear()

    def spread(self, now: float) -> float:
        """What packets differ by: jitter."""
        recent = self._since(now - SPREAD_SPAN)
        if not recent:
            return 0.0
        within = sorted(each.most - each.least for each in recent)
        least = sorted(each.least for each in recent)
        return max(within[len(within) // 2], least[len(least) * 3 // 4] - least[0])

    def latest(self, now: float, span: float) -> float:
        """The most that any packet was late which was told of in the `span` seconds before `now`."""
        return max((each.most for each in self._kept if now - span <= each.told <= now), default=0.0)

    def slope(self, now: float, span: float) -> float | None:
        """Seconds a second by which the queue has grown, by least squares; None if too little is known."""
        points = [(each.told, each.least) for each in self._since(now - span)]
        if len(points) < 5 or points[-1][0] - points[0][0] < span / 2:
            return None
        mean_at = sum(at for at, _ in points) / len(points)
        mean = sum(least for _, least in points) / len(points)
        moment = sum((at - mean_at) ** 2 for at, _ in points)
        return sum((at - mean_at) * (least - mean) for at, least in points) / moment

    def _since(self, begin: float) -> list[Moment]:
        return [each for each in self._kept if each.told >= begin]
