"""How late the packets of one direction are, and what that says about the line. Pure: no socket, clock or thread.

The clocks of the two ends are unrelated. So a packet's transit (arrival time by one clock, minus timestamp by the
other) means nothing by itself, only what it exceeds the smallest recent transit by: that packet found the line empty.
The excess that all packets of a moment share is a queue. An excess of only some is jitter, or a retransmission, and
sending less would not change it. All times are in seconds.
"""

from collections import deque
from typing import NamedTuple

from voicemux.protocol.wire import TICKS_PER_SECOND

SLOT = 1.0  # seconds for which one smallest transit is kept
# Slots that are looked back on: in 30 s, two sound cards whose clocks differ by 400 ppm (twice what protocol.md §8
# expects) drift by 12 ms.
BASE_SLOTS = 30
# Slots while another program's queue stands: with fewer, the queue would become the base and be forgotten.
LONGER_SLOTS = 90
# Seconds of lateness that are plausible: no line holds voice for longer (15 s end a call), so a clock was set.
MOST_LATE = 10.0
MOST_KEPT = 100  # moments that are kept: those of the last 10 s
# Seconds; the smallest lateness in them is the queue: three ARRIVALS, and longer than a burst after a stall.
STANDING = 0.35
SPREAD_SPAN = 3.0  # seconds over which jitter is measured


class Stamps:
    """Unwraps the timestamps of AUDIO."""

    def __init__(self) -> None:
        self._position: int | None = None

    def seconds(self, timestamp: int) -> float:
        """Return the timestamp in seconds, unwrapped; the zero is arbitrary."""
        before = timestamp if self._position is None else self._position
        self._position = before + (timestamp - before + 2**31) % 2**32 - 2**31
        return self._position / TICKS_PER_SECOND


class Lateness:
    """The lateness of packets above the smallest recent transit."""

    def __init__(self) -> None:
        self.base: float | None = None  # the smallest recent transit in seconds; None before the first
        self.risen = 0.0  # seconds by which `rise` has raised the base, less what it has sunk since
        self._count = BASE_SLOTS  # slots that are looked back on
        # When each began, and its smallest transit.
        self._slots: deque[tuple[float, float]] = deque(maxlen=LONGER_SLOTS)

    @property
    def keeps_longer(self) -> bool:
        """Whether LONGER_SLOTS are looked back on."""
        return self._count == LONGER_SLOTS

    @keeps_longer.setter
    def keeps_longer(self, keeps_longer: bool) -> None:
        if keeps_longer != self.keeps_longer:
            self._count = LONGER_SLOTS if keeps_longer else BASE_SLOTS
            self._look_back()

    def add(self, transit: float, now: float) -> float:
        """Add a transit, and return how much it exceeds the base."""
        base = self.base
        if base is not None and abs(transit - base) > MOST_LATE:
            self._slots.clear()
            self.risen = 0.0
        elif base is not None and transit < base:
            self.risen = max(0.0, self.risen - (base - transit))
        if not self._slots or now - self._slots[-1][0] >= SLOT:
            self._slots.append((now, transit))
            self._look_back()
        else:
            began, least = self._slots[-1]
            self._slots[-1] = began, min(least, transit)
            self.base = transit if self.base is None else min(self.base, transit)
        return 0.0 if self.base is None else transit - self.base

    def rise(self, by: float, now: float) -> None:
        """The route has become longer by `by` seconds: raise the base."""
        base = self.base
        if base is not None:
            self.risen += by
            self._slots.clear()
            self._slots.append((now, base + by))
            self._look_back()

    def _look_back(self) -> None:
        self.base = min((least for _, least in list(self._slots)[-self._count :]), default=None)


class Moment(NamedTuple):
    """One report on the packets since the report before."""

    told: float  # when the report came
    least: float  # lateness of the least late packet
    most: float  # lateness of the latest packet
    sent: float  # when the newest packet was sent
    is_alone: bool = False  # the first of these packets was sent when all before it had arrived


class Moments:
    """The recent reports, and what they show."""

    def __init__(self) -> None:
        self._kept: deque[Moment] = deque(maxlen=MOST_KEPT)

    def add(self, moment: Moment) -> None:
        """Keep a report."""
        self._kept.append(moment)

    @property
    def newest(self) -> Moment | None:
        """The newest report; None before the first."""
        return self._kept[-1] if self._kept else None

    def least(self, now: float, span: float = STANDING) -> float | None:
        """Return the lateness that all packets reported in the last `span` seconds share, which is a queue; None if
        none were."""
        return min((each.least for each in self._since(now - span)), default=None)

    def most_of_least(self, now: float, span: float) -> float | None:
        """Return the longest queue that was reported in the last `span` seconds; None if none was."""
        return max((each.least for each in self._since(now - span)), default=None)

    def sent_between(self, begin: float, end: float) -> list[float]:
        """Return the queue that each packet met which was sent in that time, however late it was reported."""
        return [each.least for each in self._kept if begin < each.sent <= end]

    def alone_since(self, begin: float) -> list[float]:
        """Return the queue that packets met which were sent since `begin`, with no other packet of ours under way."""
        return [each.least for each in self._kept if each.is_alone and each.sent > begin]

    def forget(self) -> None:
        """Forget all reports: what they called late is normal now."""
        self._kept.clear()

    def spread(self, now: float) -> float:
        """Return the jitter in seconds: what the lateness of packets differs by."""
        recent = self._since(now - SPREAD_SPAN)
        if not recent:
            return 0.0
        within = sorted(each.most - each.least for each in recent)
        least = sorted(each.least for each in recent)
        return max(within[len(within) // 2], least[len(least) * 3 // 4] - least[0])

    def latest(self, now: float, span: float) -> float:
        """Return the largest lateness that was reported in the `span` seconds before `now`."""
        return max((each.most for each in self._kept if now - span <= each.told <= now), default=0.0)

    def slope(self, now: float, span: float) -> float | None:
        """Return the growth of the queue in seconds a second, by least squares; None if too little is known."""
        points = [(each.told, each.least) for each in self._since(now - span)]
        if len(points) < 5 or points[-1][0] - points[0][0] < span / 2:
            return None
        mean_at = sum(at for at, _ in points) / len(points)
        mean = sum(least for _, least in points) / len(points)
        moment = sum((at - mean_at) ** 2 for at, _ in points)
        return sum((at - mean_at) * (least - mean) for at, least in points) / moment

    def _since(self, begin: float) -> list[Moment]:
        return [each for each in self._kept if each.told >= begin]
