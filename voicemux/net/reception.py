"""The reception: accepts callers, finds out who they are, hands one at a time to the owner, tells the others "busy".

One thread waits for all of them at once, so that a caller who says nothing keeps nobody waiting.
What a stranger can cost is bounded: connections, bytes (a frame decoder holds one frame), time, and tries at a code.
"""

import contextlib
import queue
import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError, SecurityError, Unreachable
from voicemux.net.greeting import GOODBYE_TIMEOUT, PREFACE_TIMEOUT
from voicemux.net.listener import Listener, Wake, accept, most_connections
from voicemux.net.lobby import Lobby, Stage
from voicemux.net.refusals import Refusal, Refusals
from voicemux.net.stream import SILENCE_TIMEOUT, Stream, descriptor_of
from voicemux.net.tls import HANDSHAKE, TlsStream, listener_context
from voicemux.protocol.connection import NOT_A_DIALLERS, Receiving, Sending, State
from voicemux.protocol.messages import Bye, ByeCode, Claim, Hello, Message, Method, Preface, Proof
from voicemux.security import handshake
from voicemux.security.admission import Admission
from voicemux.security.handshake import Peer
from voicemux.threads import Threads, take

HELLO_TIMEOUT = 10.0  # seconds
ACCEPT_PAUSE = 0.01  # seconds
# Connections that are being greeted, or sent away: a friend whose round trip is 200 ms is not pushed out by 1000 a
# second that are silent, nor by 500 that say a ClientHello. Each costs up to 100 kB while TLS is being set up.
MAX_VISITORS = 256
VISITORS_SHARE = 4  # at most one in so many of the descriptors that the process may have: calls and sound need some
LEAST_VISITORS = 4
REPLACED = "the same key has called again"
MOST_BYTES = 65_536  # of a visitor: all that there is to say has some 2000
VISITOR_PATIENCE = 0.5  # seconds that the few bytes to a visitor may take: they fit any empty buffer


@dataclass(frozen=True)
class Caller:
    """Somebody who has said HELLO and waits for ours. `peer` is None in a plain call."""

    stream: Stream
    sending: Sending
    receiving: Receiving
    hello: Hello
    peer: Peer | None = None


@dataclass(eq=False)
class _Visitor:
    stream: Stream
    deadline: float
    sending: Sending = field(default_factory=Sending)
    receiving: Receiving = field(default_factory=lambda: Receiving(unfit=NOT_A_DIALLERS))
    opened: bool = False  # whether anything has come
    proving: handshake.Listener | None = None
    peer: Peer | None = None
    leaving: bool = False

    @property
    def host(self) -> str:
        return self.stream.peer_address.host

    @property
    def stage(self) -> Stage:
        if self.leaving:
            return Stage.LEAVING
        if self.peer:
            return Stage.PROVED
        if self.proving:
            return Stage.CLAIMED
        if self.stream.is_secure:
            return Stage.SECURE
        return Stage.ANSWERED if self.stream.bytes_written else Stage.SILENT


class Reception:
    """Owns the listening sockets and their thread, from `start()` to `close()`."""

    def __init__(
        self,
        listener: Listener,
        on_turned_away: Callable[[Refusal], None],
        admission: Admission | None = None,
        identity: Path | None = None,
        *,
        on_missed: Callable[[Caller], str] = lambda caller: "",
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        """All callbacks are called in the reception's thread and must not wait. `on_turned_away` hears who was not
        answered. `on_missed` hears of a caller who may call, and is told "busy"; it returns who that is, if known.
        `on_replaced` hears that the caller who was handed out has called again: the call that is up is to end.

        Without an `admission` calls are plain, and anybody may call; with one, `identity` is the file of our key.
        """
        self._listener = listener
        self._on_turned_away = on_turned_away
        self._on_missed = on_missed
        self._on_replaced = on_replaced
        self._admission = admission
        self._tls = listener_context(identity) if identity else None
        self._callers: queue.SimpleQueue[Caller | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards who has been handed out, and who takes its place
        self._current: Caller | None = None
        self._next: Caller | None = None
        self._yields_to: Callable[[Caller], bool] | None = None  # who takes the place of the one handed out
        self._returned: queue.SimpleQueue[tuple[Caller, Bye, str]] = queue.SimpleQueue()  # not answered by the owner
        self._closing = False
        self._wake = Wake()
        self._selector = selectors.DefaultSelector()
        self._threads = Threads(self._callers.put)
        self._lobby: Lobby[_Visitor] = Lobby(
            min(MAX_VISITORS, max(LEAST_VISITORS, most_connections() // VISITORS_SHARE))
        )
        # What strangers do, and what people whom we know do: those must not go under in the other.
        self._refusals = {False: Refusals(), True: Refusals()}

    def start(self) -> None:
        self._threads.start("reception", self._run)

    def next_caller(self) -> Caller:
        """Wait for a caller who may be answered. Only one is handed out until `free()`."""
        caller = take(self._callers)
        if isinstance(caller, BaseException):
            raise caller
        return caller

    def interrupt(self, error: BaseException) -> None:
        """Make `next_caller` raise `error`. May be called in a signal handler."""
        self._callers.put(error)

    def free(self) -> None:
        """The owner can take another caller."""
        with self._lock:
            self._current, self._next = self._next, None
            if self._current:
                self._callers.put(self._current)

    def check(self) -> None:
        """Raise what `interrupt` was given, if it was and nobody has heard of it."""
        with contextlib.suppress(queue.Empty):
            waiting = self._callers.get_nowait()
            if isinstance(waiting, BaseException):
                raise waiting
            self._callers.put(waiting)

    def yield_to(self, whom: Callable[[Caller], bool] | None) -> None:
        """As long as the one who was handed out is not answered, let these take its place as if it called again."""
        with self._lock:
            self._yields_to = whom

    def send_away(self, caller: Caller, bye: Bye, why: str = "") -> None:
        """Say goodbye to one who was handed out and is not answered, and close its stream. Any thread; returns at
        once.

        `why` counts as for others who are turned away; empty: it is not told.
        """
        self._returned.put((caller, bye, why))
        self._wake.set()

    @property
    def replacement(self) -> Caller | None:
        """Who takes the place of the one who was handed out last, and waits for `free()`."""
        with self._lock:
            return self._next

    @property
    def is_replaced(self) -> bool:
        """Whether the caller who was handed out last has called again, and waits."""
        with self._lock:
            return self._next is not None

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        self._threads.join()
        self._listener.close()
        self._wake.close()
        if self._next:
            self._next.stream.close()
        while not self._callers.empty():
            if isinstance(caller := self._callers.get(), Caller):
                caller.stream.close()

    def _run(self) -> None:
        with self._selector:
            self._selector.register(self._wake, selectors.EVENT_READ)
            for each in self._listener.sockets:
                self._selector.register(each, selectors.EVENT_READ, each)
            try:
                while self._serve():
                    pass
            finally:
                for visitor in list(self._lobby):
                    self._dismiss(visitor)

    def _serve(self) -> bool:
        """Whatever is to be done now, after waiting for it. False when the reception closes."""
        now = time.monotonic()
        times = [visitor.deadline for visitor in self._lobby]
        times += [each.next_time for each in self._refusals.values() if each.next_time is not None]
        ready = [key for key, _ in self._selector.select(max(0.0, min(times) - now) if times else None)]
        if any(key.fileobj is self._wake for key in ready):
            self._wake.clear()
            self._take_back()
            if self._closing:
                return False
        for key in ready:  # who has said something, before newcomers take the places of those who have not
            if isinstance(key.data, _Visitor):
                self._hear(key.data)
        for key in ready:
            if key.data is not None and not isinstance(key.data, _Visitor):
                self._welcome(key.data)
        now = time.monotonic()
        for visitor in [each for each in self._lobby if each.deadline <= now]:
            if not visitor.leaving:
                self._turn_away(visitor, "it said nothing that voicemux understands in time")
            self._dismiss(visitor)
        for refusals in self._refusals.values():
            for refusal in refusals.due(now):
                self._on_turned_away(refusal)
        return True

    def _take_back(self) -> None:
        """Those whom the owner does not answer are visitors again, on their way out."""
        while not self._returned.empty():
            caller, bye, why = self._returned.get()
            caller.stream.set_timeout(VISITOR_PATIENCE)
            visitor = _Visitor(caller.stream, 0.0, caller.sending, caller.receiving, opened=True, peer=caller.peer)
            if loser := self._lobby.enter(visitor, visitor.host, time.monotonic()):
                self._close(loser)
            self._selector.register(descriptor_of(caller.stream), selectors.EVENT_READ, visitor)
            if why:
                self._turn_away(visitor, why)
            try:
                self._send_away(visitor, bye)
            except ConnectionLost:
                self._dismiss(visitor)
            else:
                self._lobby.reached(visitor, visitor.stage)

    def _welcome(self, listening: Any) -> None:
        now = time.monotonic()
        try:
            stream = accept(listening)
        except Unreachable:  # no descriptor is left: one visitor less is the one that the newcomer needs
            if loser := self._lobby.evict(now):
                self._make_room(loser)
            else:
                time.sleep(ACCEPT_PAUSE)  # looking again at once finds the same
            return
        if stream is None:  # it has gone again
            return
        stream.set_timeout(VISITOR_PATIENCE)
        visitor = _Visitor(stream, now + PREFACE_TIMEOUT)
        if loser := self._lobby.enter(visitor, stream.peer_address.host, now):
            self._make_room(loser)
        self._selector.register(descriptor_of(stream), selectors.EVENT_READ, visitor)

    def _make_room(self, loser: _Visitor) -> None:
        if not loser.leaving:
            self._turn_away(loser, "too many callers at once, and it had said less than others")
        self._close(loser)

    def _hear(self, visitor: _Visitor) -> None:
        try:
            self._judge(visitor)
        except ConnectionLost:
            self._dismiss(visitor)
        if visitor in self._lobby:
            self._lobby.reached(visitor, visitor.stage)

    def _judge(self, visitor: _Visitor) -> None:
        try:
            data = self._receive(visitor)
            if visitor.stream.bytes_read > MOST_BYTES and not visitor.leaving:
                raise NotAdmitted("it said too much before it said who it is", ByeCode.FLOOD)
            if data == b"":
                self._dismiss(visitor)
            elif data and not visitor.leaving:
                self._greet(visitor, data)
        except NotAdmitted as error:
            self._turn_away(visitor, str(error))
            self._send_away(visitor, Bye(error.code))
        except SecurityError as error:  # ours: the contacts cannot be read
            self._turn_away(visitor, str(error))
            self._send_away(visitor, Bye(ByeCode.INTERNAL))
        except RemoteProtocolError as error:
            self._turn_away(visitor, str(error))
            self._refuse(visitor, error)

    def _receive(self, visitor: _Visitor) -> bytes | None:
        data = visitor.stream.receive()
        if visitor.opened or not data:
            return data
        visitor.opened = True
        if data[0] != HANDSHAKE:
            return data
        if self._tls is None:
            visitor.stream.write(visitor.sending.preface())  # plain: the caller sees what is spoken here
            raise NotAdmitted("an encrypted call, and only plain ones are taken", ByeCode.SECURITY)
        visitor.sending, visitor.receiving = Sending(State.STRANGER), Receiving(State.STRANGER, NOT_A_DIALLERS)
        visitor.stream = secured = TlsStream(visitor.stream, self._tls, is_server=True)
        return secured.answer(data)

    def _greet(self, visitor: _Visitor, data: bytes) -> None:
        for message in visitor.receiving.receive(data):
            if isinstance(message, Preface):
                visitor.stream.write(visitor.sending.preface())
                visitor.deadline = time.monotonic() + HELLO_TIMEOUT
                if self._admission and not visitor.stream.is_secure:
                    raise NotAdmitted("a plain call, and only encrypted ones are taken", ByeCode.SECURITY)
            elif isinstance(message, Hello):
                self._answer(visitor, message)
                return
            elif isinstance(message, Bye):
                self._send_away(visitor, Bye())
                return
            else:
                self._authenticate(visitor, message)

    def _authenticate(self, visitor: _Visitor, message: Message) -> None:
        assert self._admission
        now = time.monotonic()
        if isinstance(message, Claim):
            visitor.proving = self._admission.begin(message, visitor.host, now)
            visitor.stream.write(visitor.sending.encode(visitor.proving.challenge))
        else:
            assert isinstance(message, Proof)
            assert visitor.proving
            welcome, visitor.peer = self._admission.finish(visitor.proving, message, visitor.host, now)
            visitor.stream.write(visitor.sending.encode(welcome))

    def _answer(self, visitor: _Visitor, hello: Hello) -> None:
        """The visitor may call: hand it out, or tell it that somebody else has the call."""
        if self._admission:
            assert visitor.proving
            assert visitor.peer
            self._admission.use(visitor.proving, visitor.peer, time.monotonic())
        caller = Caller(visitor.stream, visitor.sending, visitor.receiving, hello, visitor.peer)
        replaced, yields_to = None, self._yields_to
        is_preferred = yields_to is not None and yields_to(caller)
        with self._lock:
            replaces = self._current is not None and (
                is_same(caller, self._current) or (is_preferred and bool(self._yields_to) and self._next is None)
            )
            if replaces:
                replaced, self._next = self._next, caller
            elif is_free := self._current is None:
                self._current = caller
        if replaces or is_free:
            self._forget(visitor)
            visitor.stream.set_timeout(SILENCE_TIMEOUT)
        if replaced:  # it has called once more, before it could be answered
            _end(replaced)
        if replaces:
            self._on_replaced()
        elif is_free:
            self._callers.put(caller)
        else:
            self._turn_away(visitor, "busy", self._on_missed(caller))
            self._send_away(visitor, Bye(ByeCode.BUSY, "in another call"))

    def _turn_away(self, visitor: _Visitor, why: str, name: str = "") -> None:
        refusal = Refusal(visitor.host, why, name=name)
        known = visitor.peer is not None and visitor.peer.method is not Method.OPEN
        for each in self._refusals[known].add(refusal, time.monotonic()):
            self._on_turned_away(each)

    def _refuse(self, visitor: _Visitor, error: RemoteProtocolError) -> None:
        if error.code == ByeCode.VERSION:
            visitor.stream.write(visitor.sending.preface())
        elif not visitor.receiving.greeted:
            self._dismiss(visitor)  # whoever does not speak voicemux learns nothing
            return
        self._send_away(visitor, Bye(error.code, str(error)))

    def _send_away(self, visitor: _Visitor, bye: Bye) -> None:
        """Say BYE and wait for the visitor to have read it: closing at once could destroy it on its way."""
        visitor.leaving = True
        visitor.stream.write(visitor.sending.encode(bye))
        visitor.stream.finish()
        visitor.deadline = time.monotonic() + GOODBYE_TIMEOUT

    def _forget(self, visitor: _Visitor) -> None:
        self._lobby.leave(visitor)
        self._selector.unregister(descriptor_of(visitor.stream))

    def _dismiss(self, visitor: _Visitor) -> None:
        self._lobby.leave(visitor)
        self._close(visitor)

    def _close(self, visitor: _Visitor) -> None:
        """Of one who has no place any more."""
        self._selector.unregister(descriptor_of(visitor.stream))
        visitor.stream.close()


def _end(caller: Caller) -> None:
    """One who was not handed out yet."""
    caller.stream.set_timeout(VISITOR_PATIENCE)
    with contextlib.suppress(ConnectionLost):
        caller.stream.write(caller.sending.encode(Bye(ByeCode.REPLACED, REPLACED)))
    caller.stream.finish()
    caller.stream.close()


def is_same(caller: Caller, other: Caller) -> bool:
    """Whether one key has made both calls: each has proved that it has it."""
    return caller.peer is not None and other.peer is not None and caller.peer.fingerprint == other.peer.fingerprint
