"""A client's part of the exchange with a relay, for the listener that waits and the dialler that calls, up to the
first byte of the peer.

Bytes in, messages out (relay.md §6). No socket, clock or thread.
"""

from collections.abc import Iterator

from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.protocol.frames import FrameDecoder
from voicemux.relay import wire
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.messages import NAMES, CallFor, Moved, Paired, Parked, Refused, RelayMessage, Reply, Token, Wait


class RelayOpening:
    """Checks the preface of a relay or a client, and removes it from its bytes."""

    def __init__(self) -> None:
        self.is_over = False  # the whole preface has come
        self._got = bytearray()

    def take(self, data: bytes) -> bytes:
        """Return what follows the preface in `data`. Raises NotARelay if it is not a preface of a relay,
        OtherRelayVersion if it is that of another version."""
        if self.is_over:
            return data
        missing = len(wire.PREFACE) - len(self._got)
        self._got += data[:missing]
        if not wire.PREFACE.startswith(self._got):
            if not self._got.startswith(wire.PREFACE_STEM[: len(self._got)]):
                raise NotARelay("that is not a voicemux relay")
            if len(self._got) == len(wire.PREFACE):
                raise OtherRelayVersion(f"another version of the relay is spoken there, version {wire.VERSION} here")
        self.is_over = len(self._got) == len(wire.PREFACE) and self._got == wire.PREFACE
        return data[missing:]


class NotARelay(RemoteProtocolError):
    """The bytes do not begin with a relay's preface."""


class OtherRelayVersion(RemoteProtocolError):
    """The bytes begin with a relay's preface of another version."""


class Approach:
    """One request to a relay. Send `opening()`, then give what comes to `receive`, until it has yielded PAIRED,
    REFUSED or MOVED."""

    def __init__(self, request: Wait | CallFor, token: str = "") -> None:
        self._request = request
        self._token = token
        self._preface = RelayOpening()
        self._frames = FrameDecoder()
        self._is_parked = False
        self.last: Paired | Refused | Moved | None = None
        self.rest = b""  # bytes of the peer that came right behind PAIRED

    def opening(self) -> bytes:
        """Return all that this side sends to the relay: preface, token if any, and request."""
        token = encoded(Token(self._token)) if self._token else b""
        return wire.PREFACE + token + encoded(self._request)

    def receive(self, data: bytes) -> Iterator[Reply]:
        """Yield the messages that `data` completes; none after PAIRED, REFUSED or MOVED. Raises
        RemoteProtocolError."""
        if self.last:
            self.rest += data
            return
        for frame in self._frames.feed(self._preface.take(data)):
            message = decoded(frame)
            if message is None:
                continue
            self._judge(message)
            if isinstance(message, Parked):
                self._is_parked = True
                yield message
                continue
            assert isinstance(message, Paired | Refused | Moved)
            self.last = message
            self.rest = self._frames.take_rest()
            yield message
            return

    def receive_end(self) -> None:
        """The stream has ended. Raises ConnectionLost unless PAIRED, REFUSED or MOVED had come."""
        if not self.last:
            raise ConnectionLost("the relay closed the connection without a word")

    def _judge(self, message: RelayMessage) -> None:
        is_wait = isinstance(self._request, Wait)
        is_in_order = (
            is_wait and not self._is_parked
            if isinstance(message, Parked)
            else isinstance(message, Refused | Moved) or (isinstance(message, Paired) and self._is_parked is is_wait)
        )
        if not is_in_order:
            raise RemoteProtocolError(f"{NAMES[type(message)]} out of order")
        if isinstance(message, Paired) and message.id not in self._request.ids:
            raise RemoteProtocolError("PAIRED by an id that was not asked for")
