"""How late packets come, and what delay of playing hides it. It knows numbers only: no sound, clock or thread.

The clocks of the two ends agree on nothing, so lateness is relative: a packet's transit (arrival less
time stamp) less the smallest transit of the last seconds. Positions are time stamps without their
wrap-around, in ticks of 1/48000 s; times are in seconds.
"""

from collections import deque
from dataclasses import dataclass

from voicemux.protocol.wire import TICKS_PER_SECOND

SLOT = 0.5  # seconds that are summed up as one smallest and one largest transit
BASE_SLOTS = 20  # 10 s: longer than any burst of losses, so short that 300 ppm of drift moves it by 3 ms only
PEAK_SLOTS = 60  # 30 s of peaks decide about the target
DRIFT_SLOTS = 240  # 2 min of smallest transits make 1 ms of jitter an error of about 10 ppm
DRIFT_SLOTS_LEAST = 60  # half a minute
MOST_DRIFT = 1000  # ppm: no sound card is so far off; it is a jump of one of the clocks
FIRST_TARGET = 0.020  # seconds, until there is something to go by: a usual packet
MARGIN = 0.002  # seconds above the peaks: what the next half minute is likely to be worse
# A stall in every five seconds is worth the delay that hides it, a rarer one is not: a tenth of the peaks are larger
# than the target. It is a mean of some, because a single one would jump between nothing and everything when stalls
# are about that frequent.
TOO_RARE = 0.08  # of the peaks are left out, the largest
COUNTED = 0.04  # of the peaks are counted, the largest of the others
FEW = 20  # peaks of which none is left out: two stalls within ten seconds would cost more than waiting for the second
HOPELESS = 2.5  # times the ceiling: so late is what comes behind an outage, and no target hides that
SPELL = 0.1  # seconds of nothing but late packets: a burst behind a stall is over sooner, so the line has slowed down
SPELL_MARGIN = 0.010  # seconds above the least late of them: it may be getting slower still
RELIEF = 0.05  # seconds by which even the earliest come earlier than before: what waited on the line has drained
SLOWNESS = 0.5  # seconds of nothing but packets that are so much later than usual: no stall, nor two in a row


@dataclass
class _Slot:
    began: float
    smallest: float  # transit
    largest: float  # transit


@dataclass
class _Slow:
    """A while in which something waits on the line."""

    limit: float  # transit: all of its packets have more
    began: float
    last: float


class ArrivalTimes:
    """`add()` each packet, which returns its lateness; read `target`."""

    def __init__(self, ceiling: float) -> None:
        """`ceiling` is the largest target, in seconds."""
        self._usual = min(FIRST_TARGET, ceiling)  # target, but for a spell
        self.ceiling = ceiling
        self._spell: deque[tuple[float, float]] = deque()  # arrival and lateness of what came in the last SPELL
        self._slots: deque[_Slot] = deque(maxlen=DRIFT_SLOTS)
        self._peaks: deque[float] = deque(maxlen=PEAK_SLOTS)
        self._base: float | None = None
        self._settled = [self._usual, self._usual]  # targets at the last two turns, the older first
        self._least: float | None = None  # lateness of the spell, once it is long enough to tell
        self._slow: _Slow | None = None
        self._known_drift: float | None = None  # as it was found on an earlier line
        self._is_on_another_line = False  # and nothing has come by it yet
        self._goes_on = False  # what will come by it is what comes next
        self._outage = float("-inf")  # when something hopelessly late came last

    def add(self, position: int, arrival: float) -> float:
        """Take note of a packet. Its lateness in seconds, 0 for the earliest."""
        if self._goes_on:
            self._goes_on = False
            self.restart()
        transit = arrival - position / TICKS_PER_SECOND
        if not self._slots or arrival - self._slots[-1].began >= SLOT:
            self._turn(arrival, transit)
        slot = self._slots[-1]
        slot.smallest = min(slot.smallest, transit)
        slot.largest = max(slot.largest, transit)
        self._base = transit if self._base is None else min(self._base, transit)
        lateness = transit - self._base
        self._look_for_relief(arrival, transit)
        if lateness > self.ceiling * HOPELESS:
            self._outage = arrival
        else:
            self._look_for_more(lateness)
        self._spell.append((arrival, lateness))
        while arrival - self._spell[0][0] > SPELL:
            self._spell.popleft()
        is_whole = arrival - self._spell[0][0] >= SPELL / 2
        self._least = min(each for _, each in self._spell) if is_whole else None
        return lateness

    def waited(self, delay: float) -> None:
        """A packet was not here when it was wanted, and is played with this `delay`. That counts as its lateness: the
        sound card takes sound in blocks, so the user could not hear it earlier."""
        assert self._base is not None  # a packet is played, so it has come
        slot = self._slots[-1]
        slot.largest = max(slot.largest, self._base + delay)
        self._look_for_more(delay)

    @property
    def target(self) -> float:
        """The target playout delay in seconds. It hides most of the lateness of the last half minute, and that of
        right now.

        Any thread may ask.
        """
        least = self._least
        return self._usual if least is None or least < self._usual else min(self.ceiling, least + SPELL_MARGIN)

    @property
    def latest(self) -> float:
        """The least lateness of right now, in seconds: how late the line itself is."""
        return min((lateness for _, lateness in self._spell), default=0.0)

    def delay(self, position: int, now: float) -> float:
        """The playout delay in seconds of the sample at `position` if it is played `now`: the time since its earliest
        possible arrival."""
        return 0.0 if self._base is None else now - position / TICKS_PER_SECOND - self._base

    def forget_peaks(self) -> None:
        """The line has recovered: how late packets were before says nothing any more."""
        self._peaks.clear()
        self._usual = min(FIRST_TARGET, self.ceiling)
        self._settled = [self._usual, self._usual]
        if self._slots:
            self._slots[-1].largest = float("-inf")  # of what is still to come

    def restart(self) -> None:
        """What was learnt of the line's transit no longer holds: it has changed, or the peer's clock has."""
        if self._is_on_another_line:
            self._is_on_another_line = False
            self._known_drift = self.drift_ppm
            self._outage = float("-inf")
            self.forget_peaks()
        self._slots.clear()
        self._spell.clear()
        self._least = None
        self._base = None
        self._slow = None

    def begin_again(self, *, goes_on: bool = False) -> None:
        """What comes after the next `restart` comes by another line, from the same clock; `goes_on`: it is the next
        packet that comes by it."""
        self._is_on_another_line, self._goes_on = True, goes_on

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the peer's clock runs than ours, in parts per million; None until it can be told.

        The slope of the smallest transits, by least squares.
        """
        slots = list(self._slots)[:-1]
        if len(slots) < DRIFT_SLOTS_LEAST:
            return self._known_drift
        mean_time = sum(slot.began for slot in slots) / len(slots)
        mean = sum(slot.smallest for slot in slots) / len(slots)
        covariance = sum((slot.began - mean_time) * (slot.smallest - mean) for slot in slots)
        drift = -1e6 * covariance / sum((slot.began - mean_time) ** 2 for slot in slots)
        return drift if abs(drift) < MOST_DRIFT else None

    def _look_for_more(self, lateness: float) -> None:
        slot = self._slots[-1]
        if lateness > self._usual and not self._is_of_an_outage(slot):
            assert self._base is not None
            self._usual = max(self._usual, self._worth_it(slot.largest - self._base))

    def _look_for_relief(self, arrival: float, transit: float) -> None:
        assert self._base is not None
        if self._slow is None:
            limit = self._base + self._settled[0] + RELIEF
            self._slow = _Slow(limit, arrival, arrival) if transit > limit else None
        elif transit > self._slow.limit:
            self._slow.last = arrival
        else:
            if self._slow.last - self._slow.began > SLOWNESS:
                self.forget_peaks()
            self._slow = None

    def _turn(self, now: float, transit: float) -> None:
        """Begin a new slot, and draw conclusions from the last."""
        if self._slots:
            smallest = [slot.smallest for slot in self._slots]
            self._base = min(smallest[-BASE_SLOTS:])
            before = min(smallest[-BASE_SLOTS - 1 : -1], default=self._base)  # what it was at the last turn
            if self._base < before - RELIEF:
                self.forget_peaks()
            elif not self._is_of_an_outage(self._slots[-1]):
                self._peaks.append(max(0.0, self._slots[-1].largest - self._base))
                self._usual = self._worth_it()
            self._settled = [self._settled[1], self._usual]
        self._slots.append(_Slot(now, transit, transit))

    def _is_of_an_outage(self, slot: _Slot) -> bool:
        return slot.began - self._outage < SLOT

    def _worth_it(self, *unfinished: float) -> float:
        """The target by the peaks up to now, and that of an unfinished slot."""
        peaks = sorted((*self._peaks, *unfinished))
        too_rare = 0 if len(peaks) < FEW else int(TOO_RARE * len(peaks))
        counted = peaks[: len(peaks) - too_rare][-max(1, int(COUNTED * len(peaks))) :]
        return min(self.ceiling, MARGIN + sum(counted) / len(counted))
