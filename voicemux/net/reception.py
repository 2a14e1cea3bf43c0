"""The reception: accepts callers, finds out who they are, hands one at a time to the owner, tells the others "busy".

One thread waits for all of them at once, so that a caller who says nothing keeps nobody waiting.
What a stranger can cost is bounded: connections, bytes (a frame decoder holds one frame), time, and tries.
"""

import queue
import selectors
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.net.greeting import GOODBYE_TIMEOUT, PREFACE_TIMEOUT
from voicemux.net.guard import Guard, place_of
from voicemux.net.line import SILENCE_TIMEOUT, Line, Listener, Wake, accept
from voicemux.net.tls import HANDSHAKE, listener_context
from voicemux.protocol.connection import NOT_A_DIALLERS, Receiving, Sending, State
from voicemux.protocol.messages import Bye, ByeCode, Claim, Hello, Message, Preface, Proof
from voicemux.security import handshake
from voicemux.security.admission import Admission
from voicemux.security.handshake import Peer
from voicemux.threads import Threads, take

HELLO_TIMEOUT = 10.0  # seconds
ACCEPT_PAUSE = 0.01  # seconds
MAX_VISITORS = 32  # connections that are being greeted, or sent away
MAX_VISITORS_OF_A_HOST = 8  # of them: one machine cannot have them all, however many IPv6 addresses it has
MOST_BYTES = 65_536  # of a visitor: all that there is to say has some 2000
VISITOR_PATIENCE = 0.5  # seconds that the few bytes to a visitor may take: they fit any empty buffer


@dataclass(frozen=True)
class Caller:
    """Somebody who has said HELLO and waits for ours. `peer` is None in a plain call."""

    line: Line
    sending: Sending
    receiving: Receiving
    hello: Hello
    peer: Peer | None = None


@dataclass(eq=False)
class _Visitor:
    line: Line
    place: Hashable
    deadline: float
    sending: Sending = field(default_factory=Sending)
    receiving: Receiving = field(default_factory=lambda: Receiving(unfit=NOT_A_DIALLERS))
    opened: bool = False  # whether anything has come
    proving: handshake.Listener | None = None
    peer: Peer | None = None
    waits_until: float = 0.0  # before it is looked at
    leaving: bool = False

    @property
    def host(self) -> str:
        return self.line.peer.host


class Reception:
    """Owns the listening sockets and their thread, from `start()` to `close()`."""

    def __init__(
        self,
        listener: Listener,
        on_turned_away: Callable[[str, str], None],
        admission: Admission | None = None,
        identity: Path | None = None,
    ) -> None:
        """`on_turned_away(host, why)` is called in the reception's thread and must not wait.

        Without an `admission` calls are plain, and anybody may call; with one, `identity` is the file of our key.
        """
        self._listener = listener
        self._on_turned_away = on_turned_away
        self._admission = admission
        self._tls = listener_context(identity) if identity else None
        self._guard = Guard()
        self._callers: queue.SimpleQueue[Caller | BaseException] = queue.SimpleQueue()
        self._busy = False  # set by the reception's thread, cleared by the owner
        self._wake = Wake()
        self._selector = selectors.DefaultSelector()
        self._threads = Threads(self._callers.put)
        self._visitors: dict[_Visitor, None] = {}  # in the order of their coming

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
        self._busy = False

    def close(self) -> None:
        self._wake.set()
        self._threads.join()
        self._listener.close()
        self._wake.close()
        while not self._callers.empty():
            if isinstance(caller := self._callers.get(), Caller):
                caller.line.close()

    def _run(self) -> None:
        with self._selector:
            self._selector.register(self._wake, selectors.EVENT_READ)
            for each in self._listener.sockets:
                self._selector.register(each, selectors.EVENT_READ, each)
            try:
                while self._serve():
                    pass
            finally:
                for visitor in list(self._visitors):
                    self._dismiss(visitor)

    def _serve(self) -> bool:
        """Whatever is to be done now, after waiting for it. False when the reception closes."""
        now = time.monotonic()
        times = [visitor.waits_until if visitor.waits_until > now else visitor.deadline for visitor in self._visitors]
        for key, _ in self._selector.select(max(0.0, min(times) - now) if times else None):
            if key.fileobj is self._wake:
                return False
            if not isinstance(key.data, _Visitor):
                self._welcome(accept(key.data))
            elif key.data in self._visitors:  # it may have made room for another just now
                self._hear(key.data)
        now = time.monotonic()
        for visitor in list(self._visitors):
            if 0 < visitor.waits_until <= now:
                visitor.waits_until = 0.0
                self._selector.register(visitor.line, selectors.EVENT_READ, visitor)
            if visitor.deadline <= now:
                if not visitor.leaving:
                    self._turn_away(visitor, "it said nothing that voicemux understands in time")
                self._dismiss(visitor)
        return True

    def _welcome(self, line: Line | None) -> None:
        if line is None:  # it has gone again; or we have no descriptor for it: then looking again at once is no use
            time.sleep(ACCEPT_PAUSE)
            return
        now = time.monotonic()
        delay = self._guard.delay(line.peer.host, now)
        place = place_of(line.peer.host)
        crowds = Counter(visitor.place for visitor in self._visitors)
        if delay is None or crowds[place] >= MAX_VISITORS_OF_A_HOST:
            line.close()
            return
        if len(self._visitors) >= MAX_VISITORS:  # room is made by the first of a crowd, not by who has come alone
            self._dismiss(max(self._visitors, key=lambda visitor: crowds[visitor.place]))
        line.set_timeout(VISITOR_PATIENCE)
        visitor = _Visitor(line, place, now + delay + PREFACE_TIMEOUT)
        self._visitors[visitor] = None
        if delay:
            visitor.waits_until = now + delay
        else:
            self._selector.register(line, selectors.EVENT_READ, visitor)

    def _hear(self, visitor: _Visitor) -> None:
        try:
            self._judge(visitor)
        except ConnectionLost:
            self._leaves(visitor)
            self._dismiss(visitor)

    def _judge(self, visitor: _Visitor) -> None:
        try:
            data = self._receive(visitor)
            if visitor.line.bytes_read > MOST_BYTES and not visitor.leaving:
                raise NotAdmitted("it said too much before it said who it is", ByeCode.FLOOD)
            if data == b"":
                self._leaves(visitor)
                self._dismiss(visitor)
            elif data and not visitor.leaving:
                self._greet(visitor, data)
        except NotAdmitted as error:
            self._turn_away(visitor, str(error))
            self._send_away(visitor, Bye(error.code))
        except SecurityError as error:  # ours: the contacts cannot be read
            self._on_turned_away(visitor.host, str(error))
            self._send_away(visitor, Bye(ByeCode.INTERNAL))
        except RemoteProtocolError as error:
            self._turn_away(visitor, str(error))
            self._refuse(visitor, error)

    def _receive(self, visitor: _Visitor) -> bytes | None:
        data = visitor.line.receive()
        if visitor.opened or not data:
            return data
        visitor.opened = True
        if data[0] != HANDSHAKE:
            return data
        if self._tls is None:
            visitor.line.write(visitor.sending.preface())  # plain: the caller sees what is spoken here
            raise NotAdmitted("an encrypted call, and only plain ones are taken", ByeCode.SECURITY)
        visitor.sending, visitor.receiving = Sending(State.STRANGER), Receiving(State.STRANGER, NOT_A_DIALLERS)
        return visitor.line.start_tls(self._tls, is_server=True, first=data)

    def _greet(self, visitor: _Visitor, data: bytes) -> None:
        for message in visitor.receiving.receive(data):
            if isinstance(message, Preface):
                visitor.line.write(visitor.sending.preface())
                visitor.deadline = time.monotonic() + HELLO_TIMEOUT
                if self._admission and not visitor.line.is_secure:
                    raise NotAdmitted("a plain call, and only encrypted ones are taken", ByeCode.SECURITY)
            elif isinstance(message, Hello) and not self._busy:
                self._hand_over(visitor, message)
                return
            elif isinstance(message, Hello):
                self._on_turned_away(visitor.host, "busy")
                self._send_away(visitor, Bye(ByeCode.BUSY, "in another call"))
                return
            elif isinstance(message, Bye):
                self._leaves(visitor)
                self._send_away(visitor, Bye())
                return
            else:
                self._authenticate(visitor, message)

    def _authenticate(self, visitor: _Visitor, message: Message) -> None:
        assert self._admission
        if isinstance(message, Claim):
            visitor.proving = self._admission.begin(message)
            visitor.line.write(visitor.sending.encode(visitor.proving.challenge))
        else:
            assert isinstance(message, Proof)
            assert visitor.proving
            welcome, visitor.peer = self._admission.finish(visitor.proving, message)
            visitor.line.write(visitor.sending.encode(welcome))
            self._guard.succeeded(visitor.host)

    def _hand_over(self, visitor: _Visitor, hello: Hello) -> None:
        self._busy = True
        self._guard.succeeded(visitor.host)
        self._forget(visitor)
        visitor.line.set_timeout(SILENCE_TIMEOUT)
        self._callers.put(Caller(visitor.line, visitor.sending, visitor.receiving, hello, visitor.peer))

    def _turn_away(self, visitor: _Visitor, why: str) -> None:
        self._guard.failed(visitor.host, time.monotonic())
        self._on_turned_away(visitor.host, why)

    def _leaves(self, visitor: _Visitor) -> None:
        """Of its own accord: nobody is told, but halfway through TLS or a code it has cost as much as a failure."""
        if self._tls and visitor.opened and not visitor.peer and not visitor.leaving:
            self._guard.failed(visitor.host, time.monotonic())

    def _refuse(self, visitor: _Visitor, error: RemoteProtocolError) -> None:
        if error.code == ByeCode.VERSION:
            visitor.line.write(visitor.sending.preface())
        elif not visitor.receiving.greeted:
            self._dismiss(visitor)  # whoever does not speak voicemux learns nothing
            return
        self._send_away(visitor, Bye(error.code, str(error)))

    def _send_away(self, visitor: _Visitor, bye: Bye) -> None:
        """Say BYE and wait for the visitor to have read it: closing at once could destroy it on its way."""
        visitor.leaving = True
        visitor.line.write(visitor.sending.encode(bye))
        visitor.line.finish()
        visitor.deadline = time.monotonic() + GOODBYE_TIMEOUT

    def _forget(self, visitor: _Visitor) -> None:
        del self._visitors[visitor]
        if not visitor.waits_until:
            self._selector.unregister(visitor.line)

    def _dismiss(self, visitor: _Visitor) -> None:
        self._forget(visitor)
        visitor.line.close()
