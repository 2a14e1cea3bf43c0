"""TCP as far as voice notices it: one direction of a connection, sender and receiver."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.sending.simulator.timeline import Timeline
from tests.sending.simulator.way import Way

SEGMENT = 1448  # bytes
HEADERS = 52
DELAYED_ACKNOWLEDGEMENT = 0.04
LEAST_TIMEOUT = 0.2
FIRST_WINDOW = 10.0  # segments
CUBIC, CUBIC_CUT = 0.4, 0.7  # RFC 9438
BBR_WINDOW = 8.0  # segments, beside a queue: twice what fits the shortest round trip, of voice

Sink = Callable[[bytes], None]


@dataclass(eq=False, slots=True)
class Segment:
    number: int
    start: int
    end: int
    data: bytes
    sent: float = 0.0  # the last time
    stamp: float = 0.0  # when the copy was sent that arrived first: timestamps of TCP tell (RFC 7323)
    is_repeated: bool = False
    has_arrived: bool = False
    is_lost: bool = False


class Sender:
    """`write()` bytes; `receiver` hands them over at the far end."""

    def __init__(self, timeline: Timeline, there: Way, back: Way, control: str = "cubic") -> None:
        self.control = control
        self.receiver = Receiver(timeline, back, self)
        self.piggyback: Receiver | None = None  # of the other direction: what we send acknowledges what it has
        self.pending = 0  # bytes that the window holds back
        self.written = self.acknowledged = 0
        self.shortest: float | None = None  # round trip
        self.is_endless = False  # a bulk transfer
        self._timeline, self._there = timeline, there
        self._queue = bytearray()
        self._segments: deque[Segment] = deque()
        self._number = self._tail = 0
        self._flight = 0
        self._lost: deque[Segment] = deque()
        self._window, self._threshold, self._recovery = FIRST_WINDOW, 1e9, -1
        self._smoothed: float | None = None
        self._deviation = 0.0
        self._newest_sent = 0.0  # of what has arrived, by RACK
        self._most, self._epoch = 0.0, 0.0  # of cubic
        self._timer: float | None = None
        self._timer_at: float | None = None
        self._may_probe = True
        self._timeouts = 0
        self._before: tuple[float, float, float] | None = None  # window and threshold before a timeout, and when

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.pending += len(data)
        self._queue += data
        self.push()

    @property
    def window(self) -> float:
        smoothed, shortest = self._smoothed, self.shortest
        if self.control != "bbr" or smoothed is None or shortest is None:
            return self._window
        if smoothed > 4 * shortest + 0.05:
            return max(4.0, min(self._window, BBR_WINDOW))
        return self._window

    def push(self) -> None:
        while self._lost and self._flight < self.window:
            self._repeat(self._lost.popleft())
        while (self.pending or self.is_endless) and self._flight < self.window:
            size = SEGMENT if self.is_endless else min(SEGMENT, self.pending)
            data = bytes(self._queue[:size])
            del self._queue[:size]
            self.pending -= 0 if self.is_endless else size
            segment = Segment(self._number, self._tail, self._tail + size, data)
            self._number, self._tail = self._number + 1, self._tail + size
            self._segments.append(segment)
            self._send(segment)

    def _repeat(self, segment: Segment) -> None:
        if segment.is_lost and not segment.has_arrived:
            segment.is_lost, segment.is_repeated = False, True
            self._send(segment)

    def _send(self, segment: Segment) -> None:
        segment.sent = self._timeline.now
        self._flight += 1
        self._transmit(segment)
        if self._timer is None:
            self._arm()

    def _transmit(self, segment: Segment) -> None:
        stamp = self._timeline.now
        self._there.send(segment.end - segment.start + HEADERS, lambda: self.receiver.take(segment, stamp))
        if self.piggyback:
            self.piggyback.acknowledge_with_data()

    def _arm(self) -> None:
        """A tail loss probe first (RFC 8985), then timeouts; they stay as they are (thin streams)."""
        self._may_probe = True
        wait = 2 * (self._smoothed or 0.2) + (LEAST_TIMEOUT if self._flight <= 1 else 0.002)
        self._start_timer(min(wait, self._timeout))

    @property
    def _timeout(self) -> float:
        return (self._smoothed or 0.2) + max(LEAST_TIMEOUT, 4 * self._deviation)

    def _start_timer(self, wait: float) -> None:
        self._timer = self._timeline.now + wait
        if self._timer_at is None or self._timer_at > self._timer:
            self._timer_at = self._timer
            self._timeline.at(self._timer, self._look_at_timer)

    def _look_at_timer(self) -> None:
        self._timer_at = None
        if self._timer is None or not self._segments:
            self._timer = None
        elif self._timeline.now < self._timer - 1e-9:
            self._timer_at = self._timer
            self._timeline.at(self._timer, self._look_at_timer)
        else:
            self._on_timeout()

    def _on_timeout(self) -> None:
        if self._may_probe:
            self._may_probe = False
            segment = next((each for each in reversed(self._segments) if not each.has_arrived), None)
            if segment:
                segment.is_repeated, segment.sent = True, self._timeline.now
                self._transmit(segment)
        else:
            for segment in self._segments:
                if not segment.has_arrived and not segment.is_lost:
                    segment.is_lost = True
                    self._flight -= 1
                    self._lost.append(segment)
            if not self._timeouts:
                self._before = self._window, self._threshold, self._timeline.now
                self._lose()
            self._timeouts += 1
            if self.is_endless:
                self._window = 1.0
            self.push()
        self._start_timer(self._timeout)

    def on_acknowledgement(self, upto: int, selected: frozenset[int]) -> None:
        now, newly, round_trip = self._timeline.now, 0, None
        for segment in self._segments:
            if not segment.has_arrived and (segment.end <= upto or segment.number in selected):
                segment.has_arrived = True
                self._flight -= not segment.is_lost
                newly += 1
                self._newest_sent = max(self._newest_sent, segment.stamp)
                round_trip = now - segment.stamp
                if self._before and segment.stamp < self._before[2]:
                    self._undo()
        advanced = upto > self.acknowledged
        self.acknowledged = max(upto, self.acknowledged)
        while self._segments and self._segments[0].end <= upto:
            self._segments.popleft()
        if round_trip is not None:
            self._measure(round_trip)
        if self._find_lost():
            if self._segments[0].number > self._recovery:
                self._lose()
                self._repeat(self._lost.popleft())  # at once, whatever the window (RFC 6937)
        elif newly and (self.is_endless or self._flight + newly >= self._window - 1):
            recovers = bool(self._segments) and self._segments[0].number <= self._recovery
            self._grow(0 if recovers else newly)
        if advanced:
            self._timeouts, self._timer, self._before = 0, None, None
            if self._segments:
                self._arm()
        self.push()

    def _measure(self, round_trip: float) -> None:
        self.shortest = round_trip if self.shortest is None else min(self.shortest, round_trip)
        if self._smoothed is None:
            self._smoothed, self._deviation = round_trip, round_trip / 2
        else:
            self._deviation += 0.25 * (abs(self._smoothed - round_trip) - self._deviation)
            self._smoothed += 0.125 * (round_trip - self._smoothed)

    def _find_lost(self) -> bool:
        limit, found = self._newest_sent - (self.shortest or 0.0) / 4 - 1e-9, False
        for segment in self._segments:
            if segment.sent > limit and not segment.is_repeated:
                break
            if not segment.has_arrived and not segment.is_lost and segment.sent < limit:
                segment.is_lost = found = True
                self._flight -= 1
                self._lost.append(segment)
        return found

    def _lose(self) -> None:
        self._recovery = self._number - 1
        self._most, self._epoch = self._window, self._timeline.now
        self._window = self._threshold = max(2.0, self._window * CUBIC_CUT)

    def _undo(self) -> None:
        """What was thought lost was only late: nothing is to be repeated, and the window is as before (RFC 4015)."""
        assert self._before
        self._window, self._threshold, _ = self._before
        self._recovery, self._before = -1, None
        self._lost.clear()
        for segment in self._segments:
            if segment.is_lost:
                segment.is_lost = False
                self._flight += not segment.has_arrived

    def _grow(self, count: int) -> None:
        if self._window < self._threshold:
            self._window += count
            return
        elapsed = self._timeline.now - self._epoch + (self._smoothed or 0.1)
        target = CUBIC * (elapsed - (self._most * (1 - CUBIC_CUT) / CUBIC) ** (1 / 3)) ** 3 + self._most
        friendly = self._window + 0.53 * count / self._window
        more = max(0.01, min(0.5 * self._window, target - self._window)) * count / self._window
        self._window = max(friendly, self._window + more)


class Receiver:
    def __init__(self, timeline: Timeline, back: Way, sender: Sender) -> None:
        self.sink: Sink = lambda _: None
        self.taken = 0  # bytes in order
        self._timeline, self._back, self._sender = timeline, back, sender
        self._early: dict[int, Segment] = {}
        self._unacknowledged = 0
        self._due: float | None = None

    def take(self, segment: Segment, stamp: float) -> None:
        segment.stamp = segment.stamp or stamp
        is_early = segment.start > self.taken
        if segment.start >= self.taken:
            self._early[segment.start] = segment
        data = bytearray()
        while (following := self._early.pop(self.taken, None)) is not None:
            data += following.data
            self.taken = following.end
        self._unacknowledged += 1
        if is_early or self._early or self._unacknowledged >= 2:
            self._acknowledge(HEADERS)
        elif self._due is None:
            self._due = self._timeline.now + DELAYED_ACKNOWLEDGEMENT
            self._timeline.at(self._due, self._acknowledge_late)
        if data:
            self.sink(bytes(data))

    def acknowledge_with_data(self) -> None:
        if self._unacknowledged:
            self._acknowledge(0)

    def _acknowledge_late(self) -> None:
        if self._due is not None and self._timeline.now >= self._due - 1e-9:
            self._acknowledge(HEADERS)

    def _acknowledge(self, size: int) -> None:
        self._unacknowledged, self._due = 0, None
        upto, selected = self.taken, frozenset(each.number for each in self._early.values())
        self._back.send(size, lambda: self._sender.on_acknowledgement(upto, selected))


def bulk(timeline: Timeline, there: Way, back: Way, begin: float, end: float) -> Sender:
    """Somebody else's transfer, by cubic, from `begin` to `end`."""
    sender = Sender(timeline, there, back)

    def start() -> None:
        sender.is_endless = True
        sender.push()

    def stop() -> None:
        sender.is_endless = False

    timeline.at(begin, start)
    timeline.at(end, stop)
    return sender
