"""Both ends of a connection on this machine, over TCP: a peer held by hand, and calls with somebody who owns them."""

import contextlib
import queue
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from voicemux.calls.call import RunningCall
from voicemux.events import Ended, Event, TextReceived
from voicemux.net.address import Address
from voicemux.net.stream import Stream
from voicemux.net.tcp import TcpStream
from voicemux.net.tls import Context, TlsStream, dialler_context
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import encode_frame
from voicemux.protocol.messages import Hello, Message, Preface
from voicemux.protocol.wire import PREFACE

PATIENCE = 10.0  # seconds that any single thing may take on a busy machine
PROMPTLY = 8.0  # seconds for what takes milliseconds, on a machine that stalls: what it is told from takes 10 or more
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends a reset instead of what is left


def sockets(buffers: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection. `buffers` bounds what the kernel holds between them, about."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.socket()
        if buffers:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        near.connect(server.getsockname())
        return near, server.accept()[0]


def stream_of(connection: socket.socket) -> TcpStream:
    return TcpStream(connection, Address(*connection.getpeername()))


def dialling_tls(stream: Stream) -> TlsStream:
    """The dialler's end of TLS on it, whose handshake has begun."""
    secured = TlsStream(stream, dialler_context(), is_server=False)
    secured.begin()
    return secured


def answering_tls(stream: Stream, context: Context) -> TlsStream:
    """The listener's end, which has heard the first word of the handshake."""
    secured = TlsStream(stream, context, is_server=True)
    secured.answer(stream.read())
    return secured


def encode(*what: bytes | Message) -> bytes:
    """Messages as bytes, whatever the order of them; bytes as they are."""
    return b"".join(each if isinstance(each, bytes) else encode_frame(to_frame(each)) for each in what)


def wait_until(condition: Callable[[], Any], timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def holds(condition: Callable[[], Any], seconds: float) -> bool:
    """Whether it is so for so long, looked at again and again: what happens meanwhile does not change it."""
    deadline = time.monotonic() + seconds
    while held := condition():
        if time.monotonic() >= deadline:
            break
        time.sleep(0.002)
    return bool(held)


class Peer:
    """The far end, held by hand: says exactly what it is told to, and holds us to the protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self._receiving = Receiving()
        self._heard: deque[Preface | Message] = deque()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *what: bytes | Message) -> None:
        self.socket.sendall(encode(*what))

    def hear(self, *wanted: type) -> Any:
        """The next message of these types, of any type if none is named; others are passed over."""
        while True:
            while self._heard:
                message = self._heard.popleft()
                if not wanted or isinstance(message, wanted):
                    return message
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._heard.extend(self._receiving.receive(data))

    def hear_to_the_end(self) -> list[Preface | Message]:
        heard = []
        with contextlib.suppress(EOFError):
            while True:
                heard.append(self.hear())
        return heard

    def finish(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


@contextlib.contextmanager
def connected(buffers: int = 0) -> Iterator[tuple[TcpStream, Peer]]:
    """A stream, and who is at its other end."""
    near, far = sockets(buffers)
    stream = stream_of(near)
    with Peer(far) as peer:
        try:
            yield stream, peer
        finally:
            stream.close()


@contextlib.contextmanager
def greeted(hello: Hello = Hello("peer"), buffers: int = 0) -> Iterator[tuple[TcpStream, Sending, Receiving, Peer]]:  # noqa: B008
    """A stream on which both sides have said preface and HELLO."""
    with connected(buffers) as (stream, peer):
        peer.send(PREFACE, hello)
        sending = say_hello(stream, Hello("we"))
        receiving, _ = hear_hello(stream)
        peer.hear(Hello)
        yield stream, sending, receiving, peer


def say_hello(stream: Stream, hello: Hello) -> Sending:
    sending = Sending()
    stream.write(sending.preface() + sending.encode(hello))
    return sending


def hear_hello(stream: Stream) -> tuple[Receiving, Hello]:
    receiving = Receiving()
    while True:
        for message in receiving.receive(stream.read()):
            if isinstance(message, Hello):
                return receiving, message


class Owner:
    """A call that has been started, and the thread that takes its events. As a context manager it hangs up."""

    def __init__(self, call: RunningCall) -> None:
        self.call = call
        self.events: list[Event] = []
        self.texts: list[str] = []
        self.ended: Ended | None = None
        self.failure: BaseException | None = None
        self._news: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._own)
        call.start()
        self._thread.start()

    def __enter__(self) -> "Owner":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.call.hang_up()
        self._thread.join()

    def wait_for(self, kind: type) -> Any:
        """The next event of that type; those before it are passed over."""
        while not isinstance(event := self._news.get(timeout=PATIENCE), kind):
            pass
        return event

    def hears_none(self, kind: type, seconds: float) -> bool:
        """Whether no event of that type comes for so long; others are passed over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                if isinstance(self._news.get(timeout=left), kind):
                    return False
        return True

    def ends_within(self, seconds: float) -> bool:
        """Whether the call is over, and everything closed, before so long has passed."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def wait_for_texts(self, count: int) -> list[str]:
        wait_until(lambda: len(self.texts) >= count)
        return self.texts

    def wait_for_end(self) -> Ended:
        """How it ended, once everything is closed. A bug in the call is raised here."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.failure:
            raise self.failure
        assert self.ended
        return self.ended

    def _own(self) -> None:
        try:
            while self.ended is None:
                event = self.call.next_event()
                self.events.append(event)
                if isinstance(event, TextReceived):
                    self.texts.append(event.text)
                if isinstance(event, Ended):
                    self.ended = event
                self._news.put(event)
        finally:
            try:
                self.call.close()
            except BaseException as error:
                self.failure = error


class Relay:
    """Somebody in the middle of a connection, who can break it: `near` and `far` are its two ends."""

    def __init__(self) -> None:
        self.near, self._left = sockets()
        self.far, self._right = sockets()
        self._resets = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._pass_on)
        self._thread.start()

    def reset(self) -> None:
        """Break the connection at both ends."""
        self._resets.set()
        self._waker.send(b"!")

    def close(self) -> None:
        self._waker.close()
        self._thread.join()

    def _pass_on(self) -> None:
        other = {self._left: self._right, self._right: self._left}
        with self._left, self._right, self._wake:
            open_ends = set(other)
            while self._wake not in (ready := select.select([*open_ends, self._wake], [], [])[0]):
                for end in ready:
                    data = b""
                    with contextlib.suppress(OSError):
                        if data := end.recv(65_536):
                            other[end].sendall(data)
                    if not data:
                        open_ends.discard(end)
                        with contextlib.suppress(OSError):
                            other[end].shutdown(socket.SHUT_WR)
            if self._resets.is_set():
                for end in other:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
