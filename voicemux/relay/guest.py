"""The relay's part of the exchange with one client, up to PAIRED: bytes in, requests out, replies as bytes. Pure
(relay.md §6)."""

from collections.abc import Iterator

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.frames import FrameDecoder
from voicemux.relay import wire
from voicemux.relay.approach import NotARelay, OtherRelayVersion, RelayOpening
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.messages import NAMES, CallFor, Paired, Parked, Refused, RefusedCode, Reply, Request, Token, Wait

MOST_AHEAD = 16_384  # bytes that a caller may send to its peer before PAIRED: a ClientHello has at most 2000
MOST_SKIPPED = 16  # frames of unknown tags: 16 KB can hold 4096, and while these are read, all calls wait


class Guest:
    """One client of a relay. Pass its bytes to `receive`, and replies through `reply`. After PAIRED, `ahead` has what
    it has already sent to its peer."""

    def __init__(self) -> None:
        self._preface = RelayOpening()
        self._frames = FrameDecoder()
        self._request: Wait | CallFor | None = None
        self._has_token = False
        self._skipped = 0  # frames of unknown tags
        self._has_greeted = False
        self._is_parked = False
        self.is_paired = self.is_over = False
        self.ahead = b""

    @property
    def has_asked(self) -> bool:
        """Whether WAIT or CALL has come."""
        return self._request is not None

    def receive(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that `data` completes. Raises RemoteProtocolError if the client breaks relay.md."""
        if not self._request:
            for frame in self._frames.feed(self._preface.take(data)):
                message = decoded(frame)
                if message is None:
                    self._skip()
                    continue
                if not isinstance(message, Wait | CallFor | Token) or (
                    isinstance(message, Token) and self._has_token
                ):
                    raise RemoteProtocolError(f"{NAMES[type(message)]} out of order")
                self._has_token = self._has_token or isinstance(message, Token)
                if not isinstance(message, Token):
                    self._request, data = message, self._frames.take_rest()
                    yield message
                    break
                yield message
            else:
                return
        if isinstance(self._request, Wait) and not self.is_paired and data:
            raise RemoteProtocolError("bytes for a peer before there is one")
        self.ahead += data
        if len(self.ahead) > MOST_AHEAD:
            raise RemoteProtocolError(f"more than {MOST_AHEAD} bytes for a peer before there is one")

    def _skip(self) -> None:
        """Count a frame of an unknown tag. Raises RemoteProtocolError for the one after MOST_SKIPPED."""
        self._skipped += 1
        if self._skipped > MOST_SKIPPED:
            raise RemoteProtocolError(f"more than {MOST_SKIPPED} frames of unknown tags")

    def reply(self, message: Reply) -> bytes:
        """Return the bytes of a reply. Raises LocalProtocolError if it is out of order."""
        is_wait = isinstance(self._request, Wait)
        is_in_order = {Parked: is_wait and not self._is_parked, Paired: self._request and self._is_parked is is_wait}
        if self.is_paired or self.is_over or not is_in_order.get(type(message), True):
            raise LocalProtocolError(f"{NAMES[type(message)]} cannot be said now")
        preface = b"" if self._has_greeted else wire.PREFACE
        data = preface + encoded(message)
        self._has_greeted = True
        self._is_parked = self._is_parked or isinstance(message, Parked)
        self.is_paired = isinstance(message, Paired)
        self.is_over = not isinstance(message, Parked | Paired)
        return data

    def blame(self, error: RemoteProtocolError) -> Refused | None:
        """Return the REFUSED for a client that has broken the protocol; None if it does not speak this protocol at
        all, and is sent nothing."""
        if isinstance(error, NotARelay) or self.is_paired or self.is_over:
            return None
        code = RefusedCode.VERSION if isinstance(error, OtherRelayVersion) else RefusedCode.PROTOCOL
        return Refused(code, 0, str(error)) if code is RefusedCode.VERSION or self._preface.is_over else None
