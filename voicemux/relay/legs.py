"""All connections of a relay: passes bytes between the two of each pair, and closes connections without losing their
last bytes."""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable

from voicemux.errors import ConnectionLost
from voicemux.relay.desk import RelayCounts
from voicemux.relay.leg import Leg
from voicemux.relay.pace import Pace, Rate
from voicemux.relay.polling import READ, WRITE, Polling

IDLE_CHECK = 5.0  # seconds between two looks for idle pairs
# Connections that may still read their last bytes (REFUSED, MOVED, or the end of a pair): no limit of the desk counts
# them, and each has a descriptor. Of more, the oldest are closed at once.
MOST_LEAVING = 512
# Seconds for a client to read its last bytes: closing with bytes unread resets the connection, which destroys them.
LEAVE_PATIENCE = 2.0


class Legs:
    """The connections of one relay. Only the relay's thread uses it. `now` is in seconds, and never goes back."""

    def __init__(
        self, polling: Polling, rate: Rate, idle: float, counts: RelayCounts, on_gone: Callable[[Leg], None]
    ) -> None:
        """`idle` is after how many seconds without a byte a pair is ended. `on_gone` is called with each connection
        that is over."""
        self.by_descriptor: dict[int, Leg] = {}
        self._polling = polling
        self._rate = rate
        self._idle = idle
        self._counts = counts
        self._on_gone = on_gone
        # Connections that were sent their last bytes, each with the time at which it is closed.
        self._leaving: OrderedDict[Leg, float] = OrderedDict()
        # Heap of connections that have sent too fast: when each is read again, its order, the connection.
        self._paused: list[tuple[float, int, Leg]] = []
        self._order = itertools.count()
        self._next_idle_check = 0.0

    @property
    def are_timed(self) -> bool:
        """Whether `look_at_the_clock` will have something to do soon."""
        return bool(self._paused or self._leaving)

    def add(self, leg: Leg) -> None:
        """Add a connection, and wait for its bytes."""
        self.by_descriptor[leg.fileno()] = leg
        self.watch(leg)

    def watch(self, leg: Leg) -> None:
        """Let the polling wait for what the connection needs now: reading, writing or both."""
        events = (READ if leg.reads else 0) | (WRITE if leg.pending else 0)
        if leg.is_open and events != leg.events:
            self._polling.change(leg.fileno(), leg.events, events)
            leg.events = events

    def is_leaving(self, leg: Leg) -> bool:
        """Whether the connection was sent its last bytes: what it sends now is ignored."""
        return leg in self._leaving

    def join(self, caller: Leg, waiting: Leg, now: float) -> None:
        """Pass bytes between the two from now on, first what the caller has sent already."""
        for leg, other in ((caller, waiting), (waiting, caller)):
            leg.partner, leg.pace, leg.heard, leg.reads = other, Pace(self._rate, now), now, True
        ahead, caller.guest.ahead = caller.guest.ahead, b""
        if ahead:
            try:
                waiting.write(ahead)
            except ConnectionLost:
                self.lose(waiting, now)
                return
            caller.reads = not waiting.pending
        for leg in (caller, waiting):
            self.watch(leg)

    # --- bytes

    def pass_on(self, leg: Leg, now: float) -> bool:
        """Do what `pass_slowly` does, in the usual case. Returns whether it was that case."""
        try:
            size = leg.pass_on(now)
        except ConnectionLost:
            assert leg.partner
            self.lose(leg.partner, now)
            return True
        self._counts.bytes += size
        if size and not leg.reads:
            assert leg.partner
            self.watch(leg)
            self.watch(leg.partner)
        return size > 0

    def pass_slowly(self, leg: Leg, now: float) -> None:
        """Pass on what can be read, as far as the pace allows. Raises ConnectionLost if the connection is broken."""
        partner = leg.partner
        if not (leg.reads and leg.pace and partner):
            return
        if not (room := leg.pace.room(now)):
            leg.reads = False
            heapq.heappush(self._paused, (leg.pace.again(now), next(self._order), leg))
            return
        data = leg.read(room, None)
        if data is None:
            return
        leg.heard = now
        try:
            if data:
                leg.pace.left -= len(data)  # what TLS returned beyond `room` is paid back later
                self._counts.bytes += len(data)
                partner.write(data)
            else:
                leg.has_ended = True
                partner.finish()
        except ConnectionLost:
            self.lose(partner, now)
            return
        leg.reads = bool(data) and not partner.pending
        self.watch(partner)
        if leg.has_ended and partner.has_ended:
            for each in (leg, partner):
                self.leave(each, now)

    def flush(self, leg: Leg, now: float) -> bool:
        """The socket has room, or is broken: send what is held. Returns False if nothing was held. Raises
        ConnectionLost."""
        if not leg.pending:
            return False
        leg.flush()
        if not leg.pending and leg.partner and not leg.partner.has_ended:
            leg.partner.reads = True
            self.watch(leg.partner)
        return True

    # --- endings

    def lose(self, leg: Leg, now: float) -> None:
        """Close a connection that is broken or has ended. Its partner still gets what was sent to it."""
        partner = leg.partner
        self.close(leg)
        if partner:
            self.leave(partner, now)

    def leave(self, leg: Leg, now: float) -> None:
        """End the connection's stream behind what is held for it, and close it once the client has read that, or
        after LEAVE_PATIENCE seconds. If more than MOST_LEAVING are ending, the oldest are closed at once."""
        self._on_gone(leg)
        leg.partner = None
        self._leaving[leg] = now + LEAVE_PATIENCE
        try:
            leg.finish()
        except ConnectionLost:
            self.close(leg)
            return
        leg.reads = not leg.has_ended
        if leg.has_ended and not leg.pending:
            self.close(leg)
        else:
            self.watch(leg)
        while len(self._leaving) > MOST_LEAVING:
            self.close(next(iter(self._leaving)))

    def close(self, leg: Leg) -> None:
        """Close the connection at once. Calling it again does nothing."""
        if not leg.is_open:
            return
        self._on_gone(leg)
        del self.by_descriptor[leg.fileno()]
        self._leaving.pop(leg, None)
        if leg.partner:
            leg.partner.partner, leg.partner = None, None
        if leg.events:
            self._polling.change(leg.fileno(), leg.events, 0)
        leg.close()

    def close_all(self) -> None:
        """Close all connections at once."""
        for leg in list(self.by_descriptor.values()):
            self.close(leg)

    def look_at_the_clock(self, now: float) -> None:
        """Read connections again that were paused, close those whose time has come, and end idle pairs."""
        while self._paused and self._paused[0][0] <= now:
            leg = heapq.heappop(self._paused)[2]
            if leg.is_open and leg.partner and not leg.partner.pending:
                leg.reads = not leg.has_ended
                self.watch(leg)
        while self._leaving and next(iter(self._leaving.values())) <= now:
            self.close(next(iter(self._leaving)))
        if self._next_idle_check <= now:
            self._next_idle_check = now + min(IDLE_CHECK, self._idle)
            for leg in [each for each in self.by_descriptor.values() if each.partner]:
                if leg.partner and max(leg.heard, leg.partner.heard) + self._idle <= now:
                    self._counts.refused["idle"] += 1
                    self.lose(leg, now)
