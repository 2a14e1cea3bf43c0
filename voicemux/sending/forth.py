"""Our voice on its way to the peer, by what the peer says of its arrival. Pure: no socket, clock or thread.

A peer says it in ARRIVALS (protocol.md §5.14), exactly and for this way alone. One that says REPORT only tells no
times; but what passes between sending a packet and hearing of it is both ways, and how late the way back is we know
ourselves. All times are in seconds, all sizes in bytes.
"""

from collections import deque
from typing import NamedTuple

from voicemux.protocol.messages import Arrivals, Audio
from voicemux.sending.flow import SEGMENT_OVERHEAD
from voicemux.sending.lateness import STANDING, Lateness, Moment, Moments, Stamps

WRAP = 65_536  # of sequences, and of milliseconds of transit
MOST_SENT = 4096  # packets that are kept in mind of a peer that tells nothing: 80 s of usual ones
MOST_DELIVERED = 100  # moments: of the last 10 s
FRESH = 1.0  # seconds after which what the peer has said is old: those that say it once a second are not
LEAST_SPAN = 0.05  # seconds over which a rate is taken at least


class _Sent(NamedTuple):
    sequence: int
    total: int  # bytes up to and with it
    at: float
    age: float  # from its time stamp to when it was sent: its length, and what it had to wait for


class Forth:
    """Tell it what is written, and what the peer says; ask it about the queue, and what is delivered."""

    def __init__(self) -> None:
        self.tells_times = False  # the peer sends ARRIVALS
        self.moments = Moments()
        self.lateness = Lateness()
        self._sent: deque[_Sent] = deque(maxlen=MOST_SENT)
        self._stamps = Stamps()
        self._sent_bytes = 0
        self._newest = 0  # sequence that was sent
        self._delivered: deque[tuple[float, int]] = deque(maxlen=MOST_DELIVERED)  # when told, bytes up to then
        self._transit: int | None = None  # milliseconds, the last that were told, without their wrap-around

    def wrote(self, audio: Audio, size: int, now: float) -> None:
        """A packet of voice has been given to the line, with what travels with it."""
        self._sent_bytes += size + SEGMENT_OVERHEAD
        self._newest = audio.sequence
        age = now - self._stamps.seconds(audio.timestamp)
        self._sent.append(_Sent(audio.sequence, self._sent_bytes, now, age))

    def told(self, arrivals: Arrivals, now: float) -> bool:
        """The peer's ARRIVALS. What says nothing new, or of what was never sent, is ignored: whether it was not."""
        sent = self._deliver(arrivals.sequence, now)
        if sent is None:
            return False
        self.tells_times = True
        least, most = arrivals.least, arrivals.most
        known = least if self._transit is None else self._transit
        self._transit = known + (least - known + WRAP // 2) % WRAP - WRAP // 2
        late = self.lateness.add(self._transit / 1000 - sent.age, now)
        self.moments.add(Moment(now, late, late + (most - least) % WRAP / 1000, sent.at))
        return True

    def reported(self, sequence: int, back: float | None, now: float) -> None:
        """The peer's REPORT. It counts if the peer says nothing better; `back` is how late the way back is."""
        if self.tells_times or (sent := self._deliver(sequence, now)) is None or back is None:
            return
        late = self.lateness.add(now - sent.at - back, now)
        self.moments.add(Moment(now, late, late, sent.at))

    def queue(self, now: float, span: float = STANDING) -> float | None:
        """Seconds that all packets of the last `span` seconds were late; None if the peer says nothing (any more)."""
        known = self.moments.least(now, span)
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

    def arriving_rate(self, now: float, span: float) -> float:
        """As `delivered_rate`, but less the longer nothing has been told."""
        totals = [total for at, total in self._delivered if now - at <= span]
        return (totals[-1] - totals[0]) * 8 / span if totals else 0.0

    def _deliver(self, sequence: int, now: float) -> _Sent | None:
        """The packets up to that have arrived: the newest, as old as the youngest. None if nothing is new in that."""
        if (self._newest - sequence) % WRAP >= WRAP // 2:
            return None
        arrived = []
        while self._sent and (sequence - self._sent[0].sequence) % WRAP < WRAP // 2:
            arrived.append(self._sent.popleft())
        if not arrived:
            return None
        if self._delivered and self._delivered[-1][0] == now:
            self._delivered.pop()
        self._delivered.append((now, arrived[-1].total))
        return arrived[-1]._replace(age=min(each.age for each in arrived))
