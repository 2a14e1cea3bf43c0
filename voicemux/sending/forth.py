"""How late our voice reaches the peer, by the peer's reports. Pure: no socket, clock or thread.

ARRIVALS (protocol.md §5.14) tell it exactly, and for this direction alone. A peer that sends only REPORT tells no
times. From such a peer, the time from sending a packet to its REPORT is both ways together, and `Back` tells how late
the way back is. All times are in seconds, all sizes in bytes.
"""

from collections import deque
from typing import NamedTuple

from voicemux.protocol.messages import Arrivals, Audio
from voicemux.sending.flow import SEGMENT_OVERHEAD
from voicemux.sending.lateness import STANDING, Lateness, Moment, Moments, Stamps

WRAP = 65_536  # modulus of sequence numbers, and of milliseconds of transit in ARRIVALS
MOST_SENT = 4096  # packets that are remembered while the peer reports nothing: 80 s of packets of 20 ms
MOST_DELIVERED = 100  # reports that are remembered: those of the last 10 s
FRESH = 1.0  # seconds for which the newest report counts as present: peers that report once a second reach that
LEAST_SPAN = 0.05  # seconds over which a rate is measured at least


class _Sent(NamedTuple):
    sequence: int
    total: int  # bytes of voice written up to the end of this packet
    at: float
    age: float  # seconds from its timestamp to when it was sent: its length, and its wait
    is_mark: bool  # the packet has no sound: it begins a pause, or goes on with it
    is_alone: bool  # all packets before it had arrived when it was sent


class _Delivered(NamedTuple):
    """One report."""

    told: float  # when it came
    arrived: float  # when the newest packet that it names arrived, by a clock that is off by an unknown time
    total: int  # bytes of voice delivered by then


class Forth:
    """How late our voice is. Tell it what is written and what the peer reports; ask it about the queue, and the
    delivered rate."""

    def __init__(self) -> None:
        self.tells_times = False  # the peer sends ARRIVALS
        self.paused_since: float | None = None  # when our pause began; None while we send sound
        self.moments = Moments()
        self.lateness = Lateness()
        self._sent: deque[_Sent] = deque(maxlen=MOST_SENT)
        self._stamps = Stamps()
        self._sent_bytes = 0
        self._newest = 0  # newest sequence number that was sent
        self.newest_at = float("-inf")  # when it was sent
        self._delivered: deque[_Delivered] = deque(maxlen=MOST_DELIVERED)
        self._transit: int | None = None  # transit in the newest ARRIVALS, in milliseconds, unwrapped

    def wrote(self, audio: Audio, size: int, now: float) -> None:
        """A packet of voice was written, with what travels with it: `size` bytes in all."""
        self._sent_bytes += size + SEGMENT_OVERHEAD
        self._newest = audio.sequence
        age = now - self._stamps.seconds(audio.timestamp)
        self.paused_since = None if audio.data else now if self.paused_since is None else self.paused_since
        self._sent.append(_Sent(audio.sequence, self._sent_bytes, now, age, not audio.data, not self._sent))
        self.newest_at = now

    @property
    def is_under_way(self) -> bool:
        """Whether packets were sent that the peer has not reported."""
        return bool(self._sent)

    def told(self, arrivals: Arrivals, now: float) -> bool:
        """The peer has sent ARRIVALS. Returns False if they are ignored: they tell nothing new, or are about packets
        that were never sent."""
        sent = self._take_delivered(arrivals.sequence)
        if sent is None:
            return False
        self.tells_times = True
        least, most = arrivals.least, arrivals.most
        known = least if self._transit is None else self._transit
        self._transit = known + (least - known + WRAP // 2) % WRAP - WRAP // 2
        transit = self._transit / 1000 - sent.age
        late = self.lateness.add(transit, now)
        self._note_delivered(sent, sent.at + transit, now)
        most_late = late + (most - least) % WRAP / 1000
        self.moments.add(Moment(now, late, most_late, sent.at, is_alone=sent.is_alone))
        return True

    def reported(self, sequence: int, back: float | None, now: float) -> None:
        """The peer has sent a REPORT, which counts only if it sends no ARRIVALS. `back` is how many seconds the way
        back is late; None: not known."""
        if self.tells_times or (sent := self._take_delivered(sequence)) is None:
            return
        self._note_delivered(sent, now, now)
        if back is None:
            return
        late = self.lateness.add(now - sent.at - back, now)
        self.moments.add(Moment(now, late, late, sent.at, is_alone=sent.is_alone))

    def queue(self, now: float, span: float = STANDING) -> float | None:
        """Return by how many seconds all packets of the last `span` seconds were late; None if the peer reports
        nothing (any more)."""
        known = self.moments.least(now, span)
        if known is None and (newest := self.moments.newest) and now - newest.told < FRESH:
            return newest.least
        return known

    def delivered_rate(self, now: float, span: float) -> float | None:
        """Return the bits a second that have arrived, by the reports of the last `span` seconds, headers of all
        layers included; None if too little is known.

        Reports that waited on the way back come in a bunch, so the time between the arrivals counts if it is longer.
        """
        points = [each for each in self._delivered if now - each.told <= span]
        if len(points) < 3:
            return None
        first, last = points[0], points[-1]
        return (last.total - first.total) * 8 / max(LEAST_SPAN, last.told - first.told, last.arrived - first.arrived)

    def arriving_rate(self, now: float, span: float) -> float:
        """Return the bits a second that have arrived in the last `span` seconds, headers included. The longer nothing
        is reported, the less it is."""
        totals = [each.total for each in self._delivered if now - each.told <= span]
        return (totals[-1] - totals[0]) * 8 / span if totals else 0.0

    def _take_delivered(self, sequence: int) -> _Sent | None:
        """All packets up to `sequence` have arrived. Returns the newest, with the smallest age of all, and with
        `is_alone` of the first; None if none is newly reported."""
        if (self._newest - sequence) % WRAP >= WRAP // 2:
            return None
        arrived = []
        while self._sent and (sequence - self._sent[0].sequence) % WRAP < WRAP // 2:
            arrived.append(self._sent.popleft())
        if not arrived:
            return None
        return arrived[-1]._replace(age=min(each.age for each in arrived), is_alone=arrived[0].is_alone)

    def _note_delivered(self, newest: _Sent, arrived: float, now: float) -> None:
        """All packets up to `newest` have arrived, this one at `arrived`."""
        if newest.is_mark:
            self._delivered.clear()  # in a pause, what arrives does not show what the line takes
        if self._delivered and self._delivered[-1].told == now:
            self._delivered.pop()
        self._delivered.append(_Delivered(now, arrived, newest.total))
