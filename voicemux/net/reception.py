"""Accepts callers, finds out who they are, and hands them to the owner of the listener; with too many, it answers
BUSY.

One thread waits for all of them, so that a caller who sends nothing delays no other.

The number of connections limits what strangers cost together; `visitor` limits what one of them costs.
"""

import contextlib
import itertools
import queue
import selectors
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError, SecurityError, Unreachable
from voicemux.net.caller import Caller
from voicemux.net.listener import Doorway, ListeningSockets, Wake, accept, most_connections
from voicemux.net.lobby import Lobby
from voicemux.net.refusals import Refusal, RefusalBook
from voicemux.net.sessions import Sessions
from voicemux.net.stream import SILENCE_TIMEOUT, descriptor_of
from voicemux.net.switchboard import Switchboard
from voicemux.net.tls import listener_context
from voicemux.net.visitor import VISITOR_PATIENCE, Visitor
from voicemux.protocol.messages import Bye, ByeCode, Hello, Method
from voicemux.security.admission import Admission
from voicemux.threads import Threads

ACCEPT_PAUSE = 0.01  # seconds to wait if no descriptor is left
# Connections that are being greeted or sent away. With so much room, a friend with a round trip of 200 ms is not
# pushed out by 1000 silent connections a second, nor by 500 that send a ClientHello. Each costs up to 100 kB during
# the TLS handshake.
MAX_VISITORS = 256
VISITORS_SHARE = 4  # visitors get at most a quarter of the process's descriptors: calls and sound need the others
LEAST_VISITORS = 4
REPLACED = "the same key has called again"


class Reception:
    """Owns the listener and its thread, from `start()` to `close()`. `calls` has the callers that wait for the
    owner."""

    def __init__(
        self,
        listener: ListeningSockets,
        on_turned_away: Callable[[Refusal], None],
        admission: Admission | None = None,
        identity: Path | None = None,
        *,
        on_missed: Callable[[Caller], str] = lambda caller: "",
        on_replaced: Callable[[Caller], None] = lambda caller: None,
        capacity: int = 1,
        hides: bool = False,
    ) -> None:
        """All callbacks are called in the reception's thread and must not wait. `on_turned_away` gets each refusal.
        `on_missed` gets a caller that may call but was told BUSY, and returns its name, or "". `on_replaced` gets a
        caller that has called again, or makes room for another: its call is to end.

        Without an `admission` calls are plain, and anybody may call; with one, `identity` is the file of our key.
        `capacity` is how many calls the owner can hold at once. `hides`: peers are not told our addresses.
        """
        doorway = None if hides else next(iter(listener.doorways), None)
        self.sessions = Sessions(let_in=doorway.put if doorway else None, port=listener.port)
        self.calls = Switchboard(capacity, self.sessions.gives_way)
        self._listener = listener
        self._on_missed = on_missed
        self._on_replaced = on_replaced
        self._admission = admission
        self._tls = listener_context(identity) if identity else None
        self._ids = itertools.count(1)
        self._returned: queue.SimpleQueue[tuple[Caller, Bye, str]] = queue.SimpleQueue()  # sent away by the owner
        self._closing = False
        self._wake = Wake()
        self._selector = selectors.DefaultSelector()
        self._threads = Threads(self.calls.interrupt)
        self._lobby: Lobby[Visitor] = Lobby(
            min(MAX_VISITORS, max(LEAST_VISITORS, most_connections() // VISITORS_SHARE))
        )
        self._refusals = RefusalBook(on_turned_away)

    def start(self) -> None:
        """Begin to accept callers. Raises OutOfResources."""
        self._threads.start("reception", self._run)

    def send_away(self, caller: Caller, bye: Bye, why: str = "") -> None:
        """Send BYE to a caller that was handed out and is not answered. Any thread may call it; it does not wait.

        `why` is told to the user as for other refusals; "": it is not. The caller's place is not freed.
        """
        self._returned.put((caller, bye, why))
        self._wake.set()

    def close(self) -> None:
        """Close the listening sockets, and the connections of all callers that the owner has not taken."""
        self.sessions.close()
        self._closing = True
        self._wake.set()
        self._threads.join()
        self._listener.close()
        self._wake.close()
        self.calls.close()

    def _run(self) -> None:
        with self._selector:
            self._selector.register(self._wake, selectors.EVENT_READ)
            for each in self._listener.entrances:
                self._selector.register(each, selectors.EVENT_READ, each)
            try:
                while self._serve():
                    pass
            finally:
                for visitor in list(self._lobby):
                    self._dismiss(visitor)

    def _serve(self) -> bool:
        """Wait until there is something to do, and do it. Returns False when the reception closes."""
        now = time.monotonic()
        times = [*(visitor.deadline for visitor in self._lobby), *self._refusals.next_times]
        ready = [key for key, _ in self._selector.select(max(0.0, min(times) - now) if times else None)]
        if any(key.fileobj is self._wake for key in ready):
            self._wake.clear()
            self._take_back()
            if self._closing:
                return False
        # Visitors that have sent something come first: newcomers may take the places of silent ones.
        for key in ready:
            if isinstance(key.data, Visitor):
                self._hear(key.data)
        for key in ready:
            if key.data is not None and not isinstance(key.data, Visitor):
                self._welcome(key.data)
        now = time.monotonic()
        for visitor in [each for each in self._lobby if each.deadline <= now]:
            if not visitor.leaving:
                self._turn_away(visitor, "it said nothing that voicemux understands in time")
            self._dismiss(visitor)
        self._refusals.tell_due(now)
        return True

    def _take_back(self) -> None:
        """Make visitors again of the callers that the owner does not answer, and send them away."""
        while not self._returned.empty():
            caller, bye, why = self._returned.get()
            visitor = Visitor(
                caller.stream, caller.id, 0.0, caller.sending, caller.receiving, opened=True, peer=caller.peer
            )
            if loser := self._lobby.enter(visitor, visitor.host, time.monotonic()):
                self._close(loser)
            self._selector.register(descriptor_of(caller.stream), selectors.EVENT_READ, visitor)
            if why:
                self._turn_away(visitor, why)
            try:
                visitor.send_away(bye)
            except ConnectionLost:
                self._dismiss(visitor)
            else:
                self._lobby.reached(visitor, visitor.stage)

    def _welcome(self, listening: Any) -> None:
        now = time.monotonic()
        try:
            stream = listening.take() if isinstance(listening, Doorway) else accept(listening)
        except Unreachable:  # no descriptor is left: closing one visitor frees one for the newcomer
            if loser := self._lobby.evict(now):
                self._make_room(loser)
            else:
                time.sleep(ACCEPT_PAUSE)  # a second look at once would fail the same way
            return
        if stream is None:  # the caller has gone again
            return
        visitor = Visitor(stream, next(self._ids))
        if loser := self._lobby.enter(visitor, visitor.host, now):
            self._make_room(loser)
        self._selector.register(descriptor_of(stream), selectors.EVENT_READ, visitor)
        if stream.has_come:
            self._hear(visitor)

    def _make_room(self, loser: Visitor) -> None:
        if not loser.leaving:
            self._turn_away(loser, "too many callers at once, and it had said less than others")
        self._close(loser)

    def _hear(self, visitor: Visitor) -> None:
        try:
            self._judge(visitor)
        except ConnectionLost:
            self._dismiss(visitor)
        if visitor in self._lobby:
            self._lobby.reached(visitor, visitor.stage)

    def _judge(self, visitor: Visitor) -> None:
        try:
            if hello := visitor.hear(self._tls, self._admission):
                self._hand_out(visitor, hello)
        except SecurityError as error:  # if it is not a NotAdmitted, the contacts cannot be read
            self._turn_away(visitor, str(error))
            visitor.send_away(Bye(error.code if isinstance(error, NotAdmitted) else ByeCode.INTERNAL))
        except RemoteProtocolError as error:
            self._turn_away(visitor, str(error))
            if not visitor.refuse(error):
                self._dismiss(visitor)

    def _hand_out(self, visitor: Visitor, hello: Hello) -> None:
        """Hand the visitor, which may call, to the owner, or tell it that all places are taken."""

        def detach() -> None:
            self._lobby.leave(visitor)
            self._selector.unregister(descriptor_of(visitor.stream))
            visitor.stream.set_timeout(SILENCE_TIMEOUT)

        caller = visitor.caller(hello)
        if hello.last_text is not None:
            detach()
            if refused := self.sessions.resume(caller):
                self.send_away(caller, *refused)
            return
        offered = self.calls.offer(caller, detach)
        if offered.drops:  # the same caller had called before, and was not answered yet
            _end(offered.drops)
        if offered.displaces:
            self._on_replaced(offered.displaces)
        if offered.is_busy:
            self._turn_away(visitor, "busy", self._on_missed(caller))
            visitor.send_away(Bye(ByeCode.BUSY, "in another call"))

    def _turn_away(self, visitor: Visitor, why: str, name: str = "") -> None:
        refusal = Refusal(visitor.stream.place, why, name=name, relay=visitor.stream.relay)
        known = visitor.peer is not None and visitor.peer.method is not Method.OPEN
        self._refusals.add(refusal, time.monotonic(), is_known=known)

    def _dismiss(self, visitor: Visitor) -> None:
        self._lobby.leave(visitor)
        self._close(visitor)

    def _close(self, visitor: Visitor) -> None:
        """Close the connection of a visitor that has lost its place."""
        self._selector.unregister(descriptor_of(visitor.stream))
        visitor.stream.close()


def _end(caller: Caller) -> None:
    """Send BYE to a caller that was not handed out yet, and close its stream."""
    caller.stream.set_timeout(VISITOR_PATIENCE)
    with contextlib.suppress(ConnectionLost):
        caller.stream.write(caller.sending.encode(Bye(ByeCode.REPLACED, REPLACED)))
    caller.stream.finish()
    caller.stream.close()
