"""The relay itself: one thread that waits for all connections, and does what other modules decide.

`desk` decides who is joined with whom; `guest`, what a client may say; `pace`, how fast bytes pass.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Collection, Sequence

from voicemux.errors import ConnectionLost, RemoteProtocolError, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets, Wake
from voicemux.net.tls import Context
from voicemux.relay.cluster import Cluster, TakenOver
from voicemux.relay.cluster_desk import ClusterDesk
from voicemux.relay.desk import Ask, Cut, Desk, Join, RelayCounts, Step, Tell
from voicemux.relay.leg import Leg, next_leg
from voicemux.relay.legs import Legs
from voicemux.relay.limits import Limits
from voicemux.relay.messages import Moved, Refused, Reply
from voicemux.relay.pace import CHUNK, Rate
from voicemux.relay.polling import READ, WRITE, make_polling
from voicemux.threads import Threads

IDLE = 60.0  # seconds without a byte in both directions after which a pair is ended; voicemux sends a PING every 2 s
# Seconds between two looks at the clock: while something has a deadline, and while nothing has.
TICK, SLOW_TICK = 0.02, 1.0
ACCEPTS = 64  # connections that are accepted in a row, before others are served
ACCEPT_PAUSE = 0.01  # seconds to wait if the system has no descriptor left
USUAL_RATE = Rate()


class RelayServer:
    """A relay. It owns its listening sockets and its thread, from `start()` to `close()`."""

    def __init__(
        self,
        listeners: Sequence[ListeningSockets],
        limits: Limits,
        rate: Rate = USUAL_RATE,
        tokens: Collection[str] = (),
        context: Callable[[], Context | None] = lambda: None,
        idle: float = IDLE,
        cluster: Cluster | None = None,
    ) -> None:
        """`context` returns the TLS context, for each connection; None: TLS is not offered. `idle` is as IDLE.
        `cluster` has the other relays, if any, and is closed with this one."""
        self._listeners = listeners
        self._context = context
        self._desk: Desk[Leg] = ClusterDesk(limits, tokens) if cluster else Desk(limits, tokens)
        self._cluster = cluster
        self._polling = make_polling()
        self._legs = Legs(self._polling, rate, idle, self._desk.counts, self._desk.leave)
        self._listening: dict[int, socket.socket] = {}
        self._wake = Wake()
        self._threads = Threads(self._failed)
        self._next_look = 0.0
        # What to tell clients that wait, once `drain` was called.
        self._closing: tuple[int, Address | None] | None = None
        self._is_draining = False
        self._ends = False
        self.failure: BaseException | None = None

    @property
    def counts(self) -> RelayCounts:
        """Figures of the relay. Any thread may read them; they may be of different moments."""
        return self._desk.counts

    @property
    def is_empty(self) -> bool:
        """Whether there is no connection."""
        return not self._legs.by_descriptor

    def start(self) -> None:
        """Begin to take connections. Raises OutOfResources."""
        self._threads.start("relay", self._run)
        if self._cluster:
            self._cluster.start(self._wake.set)

    def drain(self, seconds: int, elsewhere: Address | None = None) -> None:
        """Make no more pairs. Clients outside pairs, now and later, are sent to `elsewhere`. Without it, they are
        told to come again in `seconds`, and the ports are free at once for another relay."""
        self._closing = (seconds, elsewhere)
        self._wake.set()

    def close(self) -> None:
        """End the relay, its thread and its connections."""
        self._ends = True
        self._wake.set()
        self._threads.join()
        if self._cluster:
            self._cluster.close()
        for each in self._listeners:
            each.close()
        self._wake.close()

    def _failed(self, error: BaseException) -> None:
        self.failure = error

    def _run(self) -> None:
        self._polling.change(self._wake.fileno(), 0, READ)
        for each in [each for listener in self._listeners for each in listener.sockets]:
            self._listening[each.fileno()] = each
            self._polling.change(each.fileno(), 0, READ)
        try:
            while not self._ends:
                self._serve()
        finally:
            self._legs.close_all()
            self._polling.close()

    def _serve(self) -> None:
        is_timed = self._legs.are_timed or self._desk.next_time is not None
        ready = self._polling.wait(TICK if is_timed else SLOW_TICK)
        now = time.monotonic()
        legs = self._legs.by_descriptor
        for descriptor, events in ready:
            leg = legs.get(descriptor)
            if leg is None:
                self._answer(descriptor, now)
            elif not (events == READ and leg.partner and self._legs.pass_on(leg, now)):
                self._attend(leg, events, now)
        if now >= self._next_look:
            self._next_look = now + TICK
            self._legs.look_at_the_clock(now)
            self._do(self._desk.due(now), now)
        if self._cluster:
            self._hear_of_others(self._cluster, now)

    def _hear_of_others(self, cluster: Cluster, now: float) -> None:
        assert isinstance(self._desk, ClusterDesk)
        for told in cluster.take():
            if isinstance(told, TakenOver):
                self._do(self._desk.give_up(told.id, told.owner), now)
            else:
                assert isinstance(told.key, Leg)
                self._do(self._desk.answered(told.key, told.place, now), now)
        cluster.tell_others(self._desk.take_changes())

    def _answer(self, descriptor: int, now: float) -> None:
        """Accept connections, or act on `drain` and `close`. The descriptor may also be of a connection that was just
        closed."""
        if listening := self._listening.get(descriptor):
            self._accept(listening, now)
        elif descriptor == self._wake.fileno():
            self._wake.clear()
            self._begin_to_close(now)

    def _accept(self, listening: socket.socket, now: float) -> None:
        for _ in range(ACCEPTS):
            try:
                leg = next_leg(listening, now)
            except VoicemuxError:
                self.counts.refused["descriptors"] += 1
                time.sleep(ACCEPT_PAUSE)  # a second look at once would fail the same way
                return
            if leg is None:
                return
            self._legs.add(leg)
            self._do(self._desk.enter(leg, leg.seen, now), now)

    def _begin_to_close(self, now: float) -> None:
        if not self._closing or self._is_draining:
            return
        self._is_draining = True
        if self._closing[1] is None:
            for each in self._listening:
                self._polling.change(each, READ, 0)
            self._listening.clear()
            for listener in self._listeners:
                listener.close()
        self._do(self._desk.close(*self._closing), now)

    def _attend(self, leg: Leg, events: int, now: float) -> None:
        try:
            if events & WRITE and self._legs.flush(leg, now):
                pass  # if there is something to read, the polling tells it again
            elif leg.partner:
                self._legs.pass_slowly(leg, now)
            elif leg.reads:
                self._hear(leg, now)
            else:  # nothing is awaited of it, so it is broken
                self._legs.lose(leg, now)
        except RemoteProtocolError as error:
            blame = leg.guest.blame(error)
            if blame and not self._legs.is_leaving(leg):
                self._do(self._desk.refuse(leg, blame), now)
            else:
                self._legs.lose(leg, now)
        except VoicemuxError:
            self._legs.lose(leg, now)
        self._legs.watch(leg)

    def _hear(self, leg: Leg, now: float) -> None:
        data = leg.read(CHUNK, self._context())
        if data is None:
            return
        if self._legs.is_leaving(leg):
            if not data:
                self._legs.close(leg)
        elif not data:
            self._legs.lose(leg, now)
        else:
            for request in list(leg.guest.receive(data)):
                self._do(self._desk.hear(leg, request, now), now)

    def _do(self, steps: list[Step[Leg]], now: float) -> None:
        for step in steps:
            match step:
                case Tell(leg, reply):
                    self._tell(leg, reply, now)
                case Cut(leg):
                    self._legs.close(leg)
                case Join(caller, waiting):
                    self._legs.join(caller, waiting, now)
                case Ask(leg, request):
                    assert self._cluster
                    self._cluster.ask(leg, request)

    def _tell(self, leg: Leg, reply: Reply, now: float) -> None:
        if not leg.is_open:
            return
        with contextlib.suppress(ConnectionLost):  # the loss is found when the connection is read
            leg.write(leg.guest.reply(reply))
        if isinstance(reply, Refused | Moved):
            self._legs.leave(leg, now)
