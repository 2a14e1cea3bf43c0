"""The reception: accepts callers, hears who they are, hands one at a time to the owner, tells the others "busy".

One thread waits for all of them at once, so that a caller who says nothing keeps nobody waiting.
What a stranger can cost is bounded: connections, bytes (a frame decoder holds one frame) and time.
"""

import queue
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.greeting import GOODBYE_TIMEOUT, PREFACE_TIMEOUT
from voicemux.net.line import SILENCE_TIMEOUT, Line, Listener, Wake, accept
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Bye, ByeCode, Hello, Preface
from voicemux.threads import Threads, take

HELLO_TIMEOUT = 10.0  # seconds
ACCEPT_PAUSE = 0.01  # seconds
MAX_VISITORS = 32  # connections that are being greeted, or sent away
VISITOR_PATIENCE = 0.5  # seconds that the few bytes to a visitor may take: they fit any empty buffer


@dataclass(frozen=True)
class Caller:
    """Somebody who has said HELLO and waits for ours."""

    line: Line
    sending: Sending
    receiving: Receiving
    hello: Hello


@dataclass(eq=False)
class _Visitor:
    line: Line
    deadline: float
    sending: Sending = field(default_factory=Sending)
    receiving: Receiving = field(default_factory=Receiving)
    leaving: bool = False


class Reception:
    """Owns the listening sockets and their thread, from `start()` to `close()`."""

    def __init__(self, listener: Listener, on_turned_away: Callable[[str, str], None]) -> None:
        """`on_turned_away(host, why)` is called in the reception's thread and must not wait."""
        self._listener = listener
        self._on_turned_away = on_turned_away
        self._callers: queue.SimpleQueue[Caller | BaseException] = queue.SimpleQueue()
        self._busy = False  # set by the reception's thread, cleared by the owner
        self._wake = Wake()
        self._selector = selectors.DefaultSelector()
        self._threads = Threads(self._callers.put)
        self._visitors: set[_Visitor] = set()

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
        deadlines = [visitor.deadline for visitor in self._visitors]
        wait = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        for key, _ in self._selector.select(wait):
            if key.fileobj is self._wake:
                return False
            if isinstance(key.data, _Visitor):
                self._hear(key.data)
            else:
                self._welcome(accept(key.data))
        for visitor in [each for each in self._visitors if each.deadline <= time.monotonic()]:
            if not visitor.leaving:
                self._on_turned_away(visitor.line.peer.host, "it said nothing that voicemux understands in time")
            self._dismiss(visitor)
        return True

    def _welcome(self, line: Line | None) -> None:
        if line is None:  # it has gone again; or we have no descriptor for it: then looking again at once is no use
            time.sleep(ACCEPT_PAUSE)
            return
        if len(self._visitors) >= MAX_VISITORS:
            line.close()
            return
        line.set_timeout(VISITOR_PATIENCE)
        visitor = _Visitor(line, time.monotonic() + PREFACE_TIMEOUT)
        self._visitors.add(visitor)
        self._selector.register(line, selectors.EVENT_READ, visitor)

    def _hear(self, visitor: _Visitor) -> None:
        try:
            data = visitor.line.read()
            if not data:
                self._dismiss(visitor)
            elif not visitor.leaving:
                self._judge(visitor, data)
        except ConnectionLost:
            self._dismiss(visitor)

    def _judge(self, visitor: _Visitor, data: bytes) -> None:
        try:
            self._greet(visitor, data)
        except RemoteProtocolError as error:
            self._on_turned_away(visitor.line.peer.host, str(error))
            self._refuse(visitor, error)

    def _greet(self, visitor: _Visitor, data: bytes) -> None:
        for message in visitor.receiving.receive(data):
            if isinstance(message, Preface):
                visitor.line.write(visitor.sending.preface())
                visitor.deadline = time.monotonic() + HELLO_TIMEOUT
            elif isinstance(message, Hello) and not self._busy:
                self._hand_over(visitor, message)
                return
            elif isinstance(message, Hello):
                self._on_turned_away(visitor.line.peer.host, "busy")
                self._send_away(visitor, Bye(ByeCode.BUSY, "in another call"))
                return
            elif isinstance(message, Bye):
                self._send_away(visitor, Bye())
                return

    def _hand_over(self, visitor: _Visitor, hello: Hello) -> None:
        self._busy = True
        self._forget(visitor)
        visitor.line.set_timeout(SILENCE_TIMEOUT)
        self._callers.put(Caller(visitor.line, visitor.sending, visitor.receiving, hello))

    def _refuse(self, visitor: _Visitor, error: RemoteProtocolError) -> None:
        if error.code == ByeCode.VERSION:
            visitor.line.write(visitor.sending.preface())
        elif not visitor.receiving.greeted:
            self._dismiss(visitor)  # whoever does not speak voicemux learns nothing
            return
        self._send_away(visitor, Bye(error.code, str(error)))

    def _send_away(self, visitor: _Visitor, bye: Bye) -> None:
        """Say BYE and wait for the visitor to have read it: closing at once could destroy it on its way."""
        visitor.line.write(visitor.sending.encode(bye))
        visitor.line.finish()
        visitor.leaving = True
        visitor.deadline = time.monotonic() + GOODBYE_TIMEOUT

    def _forget(self, visitor: _Visitor) -> None:
        self._visitors.discard(visitor)
        self._selector.unregister(visitor.line)

    def _dismiss(self, visitor: _Visitor) -> None:
        self._forget(visitor)
        visitor.line.close()
