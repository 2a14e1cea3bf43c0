"""A stream through a relay, and how a dialler and a listener get one.

A relayed connection is a `Stream` like any other. The call in it is encrypted end to end (relay.md §1).
"""

import time
from collections.abc import Iterator
from dataclasses import replace

from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError, SecurityError, Unreachable, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.proxies import connect_by
from voicemux.net.stream import LayeredStream, Stream
from voicemux.net.tls import TlsStream, verified_context
from voicemux.relay.approach import Approach
from voicemux.relay.messages import CallFor, Moved, Paired, Refused, RefusedCode, Reply
from voicemux.relay.places import AnyWay, RelayedWay, RelayPlace

PATIENCE = 10.0  # seconds for the relay's answer, once the connection is up
MOST_MOVES = 3  # relays that one try may be sent to by MOVED


class RelayedStream(LayeredStream):
    """The stream of a pair: after PAIRED, the bytes of the stream to the relay are the peer's. What it tells of the
    path is true as far as the relay."""

    def __init__(self, stream: Stream, relay: str, first: bytes, seen: Address | None = None) -> None:
        """`first` are bytes of the peer that came right behind PAIRED; `seen` is our address as PAIRED tells it."""
        super().__init__(stream)
        self._first = first
        self._relay = relay
        self._seen = seen

    @property
    def relay(self) -> str:
        """See `Stream`."""
        return self._relay

    @property
    def seen(self) -> Address | None:
        """See `Stream`."""
        return self._seen

    @property
    def has_come(self) -> bool:
        """See `Stream`."""
        return bool(self._first)

    def read(self) -> bytes:
        """See `Stream`."""
        first, self._first = self._first, b""
        return first or self._stream.read()

    def receive(self) -> bytes | None:
        """See `Stream`."""
        first, self._first = self._first, b""
        return first or self._stream.receive()

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        self._stream.write(data)

    def finish(self) -> None:
        """See `Stream`."""
        self._stream.finish()

    @property
    def is_secure(self) -> bool:
        """False: TLS to the relay does not authenticate the peer."""
        return False

    @property
    def peer_certificate(self) -> bytes:
        """b"": the relay's certificate is not the peer's."""
        return b""

    def min_round_trip(self) -> float | None:
        """None: the kernel knows the round trip to the relay only."""
        return None


def reach_relayed(way: RelayedWay, timeout: float = PATIENCE) -> RelayedStream:
    """Connect to the listener that waits at the relay. Raises Unreachable, SecurityError, RemoteProtocolError."""
    place = way.relay
    for _ in range(MOST_MOVES):
        approach = Approach(CallFor(way.ids), place.token)
        stream = knock(place, approach, timeout)
        try:
            reply = next(replies(stream, approach, time.monotonic() + timeout))
        except BaseException:
            stream.close()
            raise
        if isinstance(reply, Paired):
            return RelayedStream(stream, str(way.relay), approach.rest, seen_at(place, reply))
        stream.close()
        if isinstance(reply, Refused):
            raise refused_by(place, reply, way)
        place = moved_to(place, reply)
    raise Unreachable(f"the relay {way.relay} sends us from one relay to the next")


def seen_at(place: RelayPlace, paired: Paired) -> Address | None:
    """Return our address as the relay sees it; None through a proxy: that is the proxy's address, which no router of
    ours leads to."""
    return None if place.proxy else paired.seen


def knock(place: RelayPlace, approach: Approach, timeout: float = PATIENCE) -> Stream:
    """Connect to the relay, and send it all that this side sends. Raises as `reach_relayed`."""
    stream = connect_to_relay(place, timeout)
    try:
        stream.write(approach.opening())
    except BaseException:
        stream.close()
        raise
    return stream


def connect_to_relay(place: RelayPlace, timeout: float = PATIENCE) -> Stream:
    """Connect to the relay, inside TLS if the place says so, and send nothing. Raises Unreachable, SecurityError."""
    try:
        stream: Stream = _connected(place, timeout)
    except Unreachable as error:
        raise Unreachable(f"the relay cannot be reached: {error}", kind=_of_the_relay(error.kind)) from error
    try:
        return _secured(stream, place, time.monotonic() + timeout) if place.is_tls else stream
    except BaseException:
        stream.close()
        raise


def replies(stream: Stream, approach: Approach, deadline: float) -> Iterator[Reply]:
    """Yield the relay's messages, up to PAIRED, REFUSED or MOVED. Raises ConnectionLost, RemoteProtocolError;
    Unreachable if none comes before `deadline`, in seconds of `time.monotonic`."""
    while approach.last is None:
        if (left := deadline - time.monotonic()) <= 0:
            raise Unreachable("the relay does not answer", kind=Kind.NO_RELAY)
        stream.set_timeout(left)
        try:
            data = stream.receive()
        except ConnectionLost as error:
            if error.kind is not Kind.SILENCE:
                raise
            continue
        if data is None:
            continue
        if not data:
            approach.receive_end()
        yield from approach.receive(data)


def moved_to(place: RelayPlace, moved: Reply) -> RelayPlace:
    """Return the relay to which MOVED sends us."""
    assert isinstance(moved, Moved)
    return replace(place, address=moved.place)


def refused_by(place: RelayPlace, refused: Refused, way: RelayedWay | None = None) -> VoicemuxError:
    """Return the error that says why the relay has refused."""
    later = f": try again in {refused.seconds} s" if refused.seconds else ""
    match refused.code:
        case RefusedCode.ABSENT if way and way.number:
            return Unreachable(f"no one waits under number {way.number} at {place}", kind=Kind.NOT_WAITING)
        case RefusedCode.ABSENT:
            return Unreachable(f"the contact does not wait at {place} now", kind=Kind.NOT_WAITING)
        case RefusedCode.TAKEN:
            return Unreachable(f"another program waits under this number at {place}", kind=Kind.NUMBER_TAKEN)
        case RefusedCode.LIMIT:
            return Unreachable(f"the relay {place} takes no more from here now{later}")
        case RefusedCode.TOKEN:
            return SecurityError(f"the relay {place} is private", kind=Kind.WANTS_TOKEN)
        case RefusedCode.CLOSING:
            return Unreachable(f"the relay {place} is closing{later}")
        case RefusedCode.VERSION:
            return RemoteProtocolError(f"the relay {place} speaks another version")
        case _:
            return Unreachable(f"the relay {place} refuses{later}", said=refused.reason)


def stream_to(way: AnyWay) -> Stream:
    """Connect to a listener, directly or through a relay. Raises as `connect_by` and `reach_relayed`."""
    return reach_relayed(way) if isinstance(way, RelayedWay) else connect_by(way)


def _connected(place: RelayPlace, timeout: float) -> Stream:
    stream = connect_by(place.way) if place.proxy else connect(place.address, timeout)
    stream.keep_alive()
    stream.set_timeout(timeout)
    return stream


def _secured(stream: Stream, place: RelayPlace, deadline: float) -> Stream:
    """Begin TLS with the relay, whose certificate must be valid for its name."""
    secured = TlsStream(stream, verified_context(), is_server=False, name=place.address.host)
    try:
        secured.begin()
        while not secured.is_secure:
            stream.set_timeout(max(0.01, deadline - time.monotonic()))
            secured.receive()
    except SecurityError as error:
        raise SecurityError(f"the relay {place} is not who it should be: {error}") from error
    except ConnectionLost as error:
        raise Unreachable(f"the relay {place} does not answer to TLS: {error}") from error
    return secured


def _of_the_relay(kind: Kind | None) -> Kind | None:
    """Return the kind of error for a relay: advice about a listener would not fit."""
    return Kind.NO_RELAY if kind in (None, Kind.NOBODY_LISTENS, Kind.SAYS_NOTHING) else kind
