"""Our voice on its way to the peer, by what the peer says of its arrival. Pure: no socket, clock or thread.

A peer says it in ARRIVALS (protocol.md §5.14), exactly and for this way alone. One that says REPORT only tells no
times; but what passes between sending a packet and hearing of it is both ways, and how late the way back is we know
ourselves. All times are in seconds, all sizes in bytes.
"""

from collections import deque

from voicemux.net.flow import SEGMENT_OVERHEAD
from voicemux.net.lateness import Lateness, Moment, Moments

WRAP = 65_536  # of sequences, and of milliseconds of transit
MOST_SENT = 4096  # packets that are kept in mind of a peer that tells nothing: 80 s of usual ones
MOST_DELIVERED = 100  # moments: of the last 10 s
FRESH = 1.0  # seconds after which what the peer has said is old: those that say it once a second are not
LEAST_SPAN = 0.05  # seconds over which a rate is taken at least


class Forth:
    """Tell it what is written, and what the peer says; ask it about the queue, and what is delivered."""

    def __init__(self) -> None:
        self.tells_times = False  # the peer sends ARRIVALS
        self.moments = Moments()
        self.lateness = Lateness()
        self._sent: deque[tuple[int, int, float]] = deque(maxlen=MOST_SENT)  # sequence, bytes up to it, when
        self._sent_bytes = 0
        self._newest = 0  # sequence that was sent
        self._delivered: deque[tuple[float, int]] = deque(maxlen=MOST_DELIVERED)  # when told, bytes up to then
        self._transit: int | None = None  # milliseconds, the last that were told, without their wrap-around

    def wrote(self, sequence: int, size: int, now: float) -> None:
        """A packet of voice has been given to the line, with what travels with it."""
        self._sent_bytes += size + SEGMENT_OVERHEAD
        self._newest = sequence
        self._sent.append((sequence, self._sent_bytes, now))

    def told(self, sequence: int, least: int, most: int, now: float) -> None:
        """The peer's ARRIVALS. What says nothing new, or of what was never sent, is ignored."""
        sent = self._deliver(sequence, now)
        if sent is None:
            return
        self.tells_times = True
        known = least if self._transit is None else self._transit
        self._transit = known + (least - known + WRAP // 2) % WRAP - WRAP // 2
        late = self.lateness.add(self._transit / 1000, now)
        self.moments.add(Moment(now, late, late + (most - least) % WRAP / 1000, sent))

    def reported(self, sequence: int, back: float | None, now: float) -> None:
        """The peer's REPORT. It counts if the peer says nothing better; `back` is how late the way back is."""
        if self.tells_times or (sent := self._deliver(sequence, now)) is None or back is None:
            return
        late = self.lateness.add(now - sent - back, now)
        self.moments.add(Moment(now, late, late, sent))

    def queue(self, now: float) -> float | None:
        """Seconds that all packets of the last moment were late; None if the peer says nothing (any more)."""
        known = self.moments.least(now)
        if known is None and (newest := self.moments.newest) and now - newest.told < FRESH:
            return newest.least
        return known

    def delivered_rate(self, now: float, span: float) -> float | None:
        """Bits a second that have arrived in the last `span` seconds, headers of all layers included."""
        points = [(at, total) for at, total in self._delivered if now - at <= span]
        if len(points) < 3:
            return None
        (began, before), (ended, total) = points[0], points[-1]
        return (total - before) * 8 / max(LEAST_SPAN, ended - began)

    def _deliver(self, sequence: int, now: float) -> float | None:
        """The packets up to that have arrived: when the newest of them was sent. None if nothing is new in that."""
        if (self._newest - sequence) % WRAP >= WRAP // 2:
            return None
        known: tuple[int, int, float] | None = None
        while self._sent and (sequence - self._sent[0][0]) % WRAP < WRAP // 2:
            known = self._sent.popleft()
        if known is None:
            return None
        _, total, sent = known
        if self._delivered and self._delivered[-1][0] == now:
            self._delivered.pop()
        self._delivered.append((now, total))
        return sent
