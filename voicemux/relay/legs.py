"""All connections of a relay: bytes pass between the two of a pair, and the last bytes of one that went arrive."""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable

from voicemux.errors import ConnectionLost
from voicemux.relay.desk import RelayCounts
from voicemux.relay.leg import Leg
from voicemux.relay.pace import Pace, Rate
from voicemux.relay.polling import READ, WRITE, Polling

IDLE_CHECK = 5.0  # seconds
LEAVE_PATIENCE = 2.0  # seconds for a client to read its last bytes: closing at once could destroy them on their way


class Legs:
    """Belongs to the relay's thread. `now` is in seconds, of a clock that only goes forward."""

    def __init__(
        self, polling: Polling, rate: Rate, idle: float, counts: RelayCounts, on_gone: Callable[[Leg], None]
    ) -> None:
        """`idle` is how many seconds without a byte end a pair. `on_gone` hears of each connection that is over."""
        self.by_descriptor: dict[int, Leg] = {}
        self._polling = polling
        self._rate = rate
        self._idle = idle
        self._counts = counts
        self._on_gone = on_gone
        self._leaving: OrderedDict[Leg, float] = OrderedDict()  # they have been told the last word; until when
        self._paused: list[tuple[float, int, Leg]] = []  # a heap of who has sent too fast, by when it is read again
        self._order = itertools.count()
        self._next_idle_check = 0.0

    @property
    def are_timed(self) -> bool:
        """Whether `look_at_the_clock` has something to do soon."""
        return bool(self._paused or self._leaving)

    def add(self, leg: Leg) -> None:
        """Wait for what it says."""
        self.by_descriptor[leg.fileno()] = leg
        self.watch(leg)

    def watch(self, leg: Leg) -> None:
        """Wait for what is to be waited for now."""
        events = (READ if leg.reads else 0) | (WRITE if leg.pending else 0)
        if leg.is_open and events != leg.events:
            self._polling.change(leg.fileno(), leg.events, events)
            leg.events = events

    def is_leaving(self, leg: Leg) -> bool:
        """Whether it has been told the last word: what it says now is not heard."""
        return leg in self._leaving

    def join(self, caller: Leg, waiting: Leg, now: float) -> None:
        """From now on, bytes pass between them; first what the caller has said already."""
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
        """The usual case of `pass_slowly`. Whether it was that, and all is done."""
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
        """Pass on what can be read, as far as it may be. Raises ConnectionLost if the leg is broken."""
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
                leg.pace.left -= len(data)  # more than there was room for, of TLS, is paid back later
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
        """It has room, or is broken. False if nothing was held for it. Raises ConnectionLost."""
        if not leg.pending:
            return False
        leg.flush()
        if not leg.pending and leg.partner and not leg.partner.has_ended:
            leg.partner.reads = True
            self.watch(leg.partner)
        return True

    # --- endings

    def lose(self, leg: Leg, now: float) -> None:
        """It has broken, or says nothing more. Its partner still gets what was said to it."""
        partner = leg.partner
        self.close(leg)
        if partner:
            self.leave(partner, now)

    def leave(self, leg: Leg, now: float) -> None:
        """End its stream behind what is held for it, and wait until it has read that."""
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

    def close(self, leg: Leg) -> None:
        """At once. Calling it again does nothing."""
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
        """The relay is at its end."""
        for leg in list(self.by_descriptor.values()):
            self.close(leg)

    def look_at_the_clock(self, now: float) -> None:
        """Read on where it was too fast, close what had its time, and end pairs that say nothing."""
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
