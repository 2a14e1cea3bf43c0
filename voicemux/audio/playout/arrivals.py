"""Estimates how late packets come, and which playout delay hides it (NetEQ's packet arrival history and delay
manager). No sound, clock or thread.

The clocks of the two ends are unrelated, so lateness is relative: a packet's transit (arrival minus timestamp) minus
the smallest transit of the last seconds. Positions are unwrapped timestamps, in ticks of 1/48000 s; times are in
seconds.
"""

from collections import deque
from dataclasses import dataclass

from voicemux.protocol.wire import TICKS_PER_SECOND

SLOT = 0.5  # seconds for which one smallest and one largest transit are kept
# Slots (10 s) for the base: longer than any burst of losses, and so short that 300 ppm of drift moves it by only 3
# ms.
BASE_SLOTS = 20
PEAK_SLOTS = 60  # slots (30 s) whose peaks decide about the target
DRIFT_SLOTS = 240  # slots (2 min) for the drift: 1 ms of jitter is then an error of about 10 ppm
DRIFT_SLOTS_LEAST = 60  # slots (30 s) before the drift is known
MOST_DRIFT = 1000  # ppm: no sound card is so far off, so a clock has jumped
FIRST_TARGET = 0.020  # seconds of target before anything is known: a usual packet
MARGIN = 0.002  # seconds above the peaks: the next half minute may be a little worse
# The target is the mean of the peaks between the 88th and the 92nd percentile. It hides a stall that comes every five
# seconds; hiding rarer ones is not worth the delay. It is a mean because a single peak would jump between nothing and
# everything if stalls are about that frequent.
TOO_RARE = 0.08  # share of the peaks, the largest, that are ignored
COUNTED = 0.04  # share of the peaks, the largest of the others, whose mean is the target
# Peaks with which none is ignored: two stalls within ten seconds would cost more than waiting for the second.
FEW = 20
HOPELESS = 2.5  # factor of the ceiling: packets so late come after an outage, and no target hides that
SPELL = 0.1  # seconds of nothing but late packets that mean a slower line: a burst after a stall is over sooner
SPELL_MARGIN = 0.010  # seconds above the least late packet of a spell: the line may be getting slower still
# Seconds by which even the earliest packets must come earlier than before: a queue on the line has drained.
RELIEF = 0.05
SLOWNESS = 0.5  # seconds of nothing but packets that are later by RELIEF: longer than a stall, or two in a row


@dataclass
class _Slot:
    began: float
    smallest: float  # transit
    largest: float  # transit


@dataclass
class _Slow:
    """A time in which a queue stands on the line."""

    limit: float  # transit that all of its packets exceed
    began: float
    last: float


class ArrivalTimes:
    """The arrival times of one source. Call `add()` for each packet, which returns its lateness; read `target`."""

    def __init__(self, ceiling: float) -> None:
        """`ceiling` is the largest target, in seconds."""
        self._usual = min(FIRST_TARGET, ceiling)  # target without a spell
        self.ceiling = ceiling
        self._spell: deque[tuple[float, float]] = deque()  # arrival and lateness of the packets of the last SPELL
        self._slots: deque[_Slot] = deque(maxlen=DRIFT_SLOTS)
        self._peaks: deque[float] = deque(maxlen=PEAK_SLOTS)
        self._base: float | None = None
        self._settled = [self._usual, self._usual]  # targets at the last two ends of a slot, the older first
        self._least: float | None = None  # least lateness of the spell, once it is long enough
        self._slow: _Slow | None = None
        self._known_drift: float | None = None  # drift that was measured on an earlier line
        self._is_on_another_line = False  # another line is used, by which nothing has come yet
        self._goes_on = False  # the next packet is the first of the other line
        self._outage = float("-inf")  # when a packet later than HOPELESS last came

    def add(self, position: int, arrival: float) -> float:
        """Add a packet, and return its lateness in seconds, 0 for the earliest."""
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
        """A packet was missing when it was wanted, and is played with this `delay` in seconds. That counts as its
        lateness: the sound card takes sound in blocks, so the user could not have heard it earlier."""
        assert self._base is not None  # a packet has been played, so one has come
        slot = self._slots[-1]
        slot.largest = max(slot.largest, self._base + delay)
        self._look_for_more(delay)

    @property
    def target(self) -> float:
        """The target playout delay in seconds. It hides most of the lateness of the last half minute, and all of the
        present lateness.

        Any thread may ask.
        """
        least = self._least
        return self._usual if least is None or least < self._usual else min(self.ceiling, least + SPELL_MARGIN)

    @property
    def latest(self) -> float:
        """The least lateness of the last SPELL, in seconds: how late the line itself is."""
        return min((lateness for _, lateness in self._spell), default=0.0)

    def delay(self, position: int, now: float) -> float:
        """Return the playout delay in seconds of the sample at `position` if it is played `now`: the time since its
        earliest possible arrival."""
        return 0.0 if self._base is None else now - position / TICKS_PER_SECOND - self._base

    def forget_peaks(self) -> None:
        """Forget how late packets were: the line has recovered."""
        self._peaks.clear()
        self._usual = min(FIRST_TARGET, self.ceiling)
        self._settled = [self._usual, self._usual]
        if self._slots:
            self._slots[-1].largest = float("-inf")  # only later packets of the slot count

    def restart(self) -> None:
        """Forget the transit of the line: the line or the peer's clock has changed."""
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
        """Packets after the next `restart` come by another line, from the same clock. `goes_on`: the next packet is
        the first of them."""
        self._is_on_another_line, self._goes_on = True, goes_on

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the peer's clock runs than ours, in parts per million; None until it is known.

        It is the slope of the smallest transits, by least squares.
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
        """Begin a new slot, and update base and target by the last one."""
        if self._slots:
            smallest = [slot.smallest for slot in self._slots]
            self._base = min(smallest[-BASE_SLOTS:])
            before = min(smallest[-BASE_SLOTS - 1 : -1], default=self._base)  # the base at the end of the slot before
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
        """Return the target, from the peaks so far and those of an unfinished slot."""
        peaks = sorted((*self._peaks, *unfinished))
        too_rare = 0 if len(peaks) < FEW else int(TOO_RARE * len(peaks))
        counted = peaks[: len(peaks) - too_rare][-max(1, int(COUNTED * len(peaks))) :]
        return min(self.ceiling, MARGIN + sum(counted) / len(counted))
