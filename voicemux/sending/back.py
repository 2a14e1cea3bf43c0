"""How late the peer's voice reaches us, by its arrival times. Pure: no socket, clock or thread.

That tells two things that round trips do not: how late our acknowledgements come, which travel in the same stream and
are not delayed by what we send; and what to tell the peer of its own voice (ARRIVALS, protocol.md §5.14). All times
are in seconds.
"""

from collections import deque
from typing import NamedTuple

from voicemux.protocol.durations import duration
from voicemux.protocol.messages import OWN_SOURCE, Arrivals, Audio
from voicemux.protocol.wire import TICKS_PER_SECOND
from voicemux.sending.lateness import MOST_LATE, Lateness, Stamps

SPAN = 0.12  # seconds; the smallest lateness in it holds for all that arrives then: two of the longest packets
MOST_KEPT = 100  # arrivals: in SPAN there are 24 of the shortest packets
# Seconds without a packet after which nothing is known, from a peer that has not announced a pause.
MOST_SILENCE = 10.0
# Seconds without a packet after which none counts as coming: packets that wait for a retransmission are further apart
# than usual.
HEARD = 1.0
LONGEST = 0.060  # seconds: the length of a packet of a peer that has to save headers
NEAR = 0.005  # seconds above the shortest round trip within which there is no queue in either direction
# If the round trip has been near its shortest for PROVEN seconds, for most of at least FEW PONGs, no transfer's queue
# stood meanwhile. Then a shorter round trip means another route, and SETTLED seconds later all packets take that.
PROVEN, FEW, SETTLED = 10.0, 5, 1.0
LONGEST_ANCHOR = 600.0  # seconds that an anchor holds: by then, clocks that differ by 100 ppm have drifted by 60 ms


class Journey(NamedTuple):
    """How long the peer's voice takes to reach us now."""

    seconds: float
    more: float  # seconds more than at best


class Back:
    """How late the peer's voice is. Tell it each packet, and ask it."""

    def __init__(self) -> None:
        self.saves_headers = False  # the peer's packets have LONGEST now, and were shorter before
        self._lateness = Lateness()
        self._recent: deque[tuple[float, float]] = deque(maxlen=MOST_KEPT)  # when packets came, and their transit
        self._stamps = Stamps()
        self._sequence = 0
        self._untold: tuple[float, float] | None = None  # smallest and largest transit since `arrivals` was called
        self._length = 0.0  # seconds of sound in the newest packet; 0: it announced a pause
        self._usual_length = 0.0  # seconds of sound in the newest packet that had any
        self._is_paused = False  # the newest packet had no sound: it began a pause, or went on with it
        self._has_been_short = False
        self._shortest: float | None = None  # round trip
        self._shorter_at = 0.0  # when it became shorter by more than NEAR
        self._quick = self._pongs = 0  # PONGs since then: those NEAR the shortest, and all
        self._is_rerouted = False  # it became shorter by another route, which the anchor is not from
        self._uneven = 0.0  # seconds by which the peer's voice takes more than half of a round trip
        # At the last moment without a queue: the time, the seconds under way, the transit.
        self._anchor: tuple[float, float, float] | None = None

    def heard(self, audio: Audio, now: float) -> None:
        """A packet of the peer has arrived at `now`. Packets of other sources than its voice are ignored."""
        if audio.source != OWN_SOURCE:
            return
        length = duration(audio.codec, audio.data) / TICKS_PER_SECOND
        stamped = self._stamps.seconds(audio.timestamp)
        # In a pause, a packet without data is sent when one with sound would be (protocol.md §8).
        self._note(now - stamped - (self._usual_length if self._is_paused and not audio.data else length), now)
        self._learn_length(length)
        self._sequence, self._is_paused = audio.sequence, not audio.data
        least, most = self._untold or (now - stamped, now - stamped)
        self._untold = min(least, now - stamped), max(most, now - stamped)

    def _note(self, transit: float, now: float) -> None:
        """Add the transit of a packet's end: longer packets do not count as later."""
        if self._recent and abs(transit - self._recent[-1][1]) > MOST_LATE:
            self._recent.clear()
            self._anchor = None
        self._lateness.add(transit, now)
        self._recent.append((now, transit))

    @property
    def has_news(self) -> bool:
        """Whether `arrivals` has something new."""
        return self._untold is not None

    def arrivals(self) -> Arrivals | None:
        """Return ARRIVALS about the packets since the last call; None if none came."""
        untold, self._untold = self._untold, None
        if untold is None:
            return None
        least, most = (int(each * 1000) % 2**16 for each in untold)
        return Arrivals(OWN_SOURCE, self._sequence, least, most)

    def late(self, now: float) -> float | None:
        """Return how late the peer's voice is now, which holds for all that travels with it; None if that is not
        known.

        If the next packet is overdue, it will be later than the last by at least that much.
        """
        transit, base = self._transit(now), self._lateness.base
        if base is None or not self._length:
            return None
        if transit is None:
            came, transit = self._recent[-1]
            overdue = now - came - self._length
            return max(0.0, transit - base) + overdue if overdue < MOST_SILENCE else None
        return max(0.0, transit - base)

    @property
    def last_late(self) -> float:
        """Seconds by which the newest packet of the peer's voice was late. An overdue packet does not count: it
        says nothing of our own way."""
        base = self._lateness.base
        if base is None or not self._recent:
            return 0.0
        transit = self._transit(self._recent[-1][0])
        return 0.0 if transit is None else max(0.0, transit - base)

    def round_trip(self, seconds: float, now: float) -> None:
        """A PONG has come, `seconds` after its PING. If that was quick, there is no queue, and half of it is each
        way.

        If another route has made the round trip shorter, the transit tells by how much the peer's way is shorter.
        """
        if self._anchor and now - self._anchor[0] > LONGEST_ANCHOR:
            self._shortest, self._uneven = None, 0.0
        if self._shortest is None or seconds < self._shortest - NEAR:
            is_proven = now - self._shorter_at > PROVEN and self._pongs >= FEW and self._quick * 2 > self._pongs
            self._is_rerouted |= self._shortest is not None and is_proven
            self._uneven = self._uneven if self._is_rerouted else 0.0
            self._shorter_at, self._quick, self._pongs = now, 0, 0
        self._shortest = min(seconds, self._shortest or seconds)
        self._pongs += 1
        transit = self._transit(now)
        if seconds > self._shortest + NEAR:
            return
        self._quick += 1
        if transit is None or (self._is_rerouted and now - self._shorter_at < SETTLED):
            return
        if self._is_rerouted:
            self._uneven, self._is_rerouted = self._found_uneven(seconds, transit), False
        self._anchor = now, seconds / 2 + self._uneven, transit

    def _found_uneven(self, seconds: float, transit: float) -> float:
        """Return `_uneven` for a new route, by how the transit has changed since the anchor; 0 if that is not
        plausible."""
        if self._anchor is None:
            return 0.0
        _, before, least = self._anchor
        under_way = before + transit - least
        return under_way - seconds / 2 if 0.0 < under_way < seconds else 0.0

    def on_its_way(self, now: float) -> Journey | None:
        """Return how long the peer's voice is on its way now; None while none comes, or before the first PONG.

        Without a queue, that is half a round trip. From then on, the change of the transit tells how it changes.
        """
        if not self._recent or self._shortest is None or now - self._recent[-1][0] > HEARD:
            return None
        if self._anchor is None:
            return Journey(self._shortest / 2, 0.0)
        transit = self._transit(self._recent[-1][0])
        assert transit is not None
        _, under_way, least = self._anchor
        return Journey(max(0.0, under_way + transit - least), max(0.0, transit - least))

    def _transit(self, now: float) -> float | None:
        return min((transit for at, transit in self._recent if now - at <= SPAN), default=None)

    def _learn_length(self, length: float) -> None:
        self._length = length
        if length:
            self._usual_length = length
            self._has_been_short |= length < LONGEST
            self.saves_headers = length >= LONGEST and self._has_been_short
