"""A connected stream of bytes: all that the program knows of a connection. No socket here.

`TcpStream` is one, `TlsStream` is one around another. `cut()` and `close()` are different verbs: cutting wakes every
thread that waits in the stream, which closing does not; closing gives back what the stream holds, and comes after the
threads have been joined.
"""

from typing import Protocol

from voicemux.errors import ConnectionLost
from voicemux.net.address import Address

SILENCE_TIMEOUT = 15.0  # seconds without a byte, or without room for one (protocol.md §9)


class Stream(Protocol):
    """One thread may read while another writes; `cut` and the facts are for any thread."""

    @property
    def peer_address(self) -> Address:
        """Where the other end is."""

    @property
    def bytes_read(self) -> int:
        """As the network has counted them: of an encrypted stream, those of TLS."""

    @property
    def bytes_written(self) -> int:
        """Likewise."""

    @property
    def timeout(self) -> float:
        """Seconds that a read may wait for a byte, and a write for room."""

    def set_timeout(self, seconds: float) -> None:
        """Set `timeout`."""

    def read(self) -> bytes:
        """Wait for bytes; b"" at the end of the stream, or after `cut()`. Raises ConnectionLost."""

    def receive(self) -> bytes | None:
        """Wait once for the network: as `read`, but None if what came says nothing yet. Raises ConnectionLost."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. After a ConnectionLost the stream is torn, and only good for cutting."""

    def finish(self) -> None:
        """Promise to write no more; the peer's bytes still come in. Raises nothing."""

    def cut(self) -> None:
        """End both directions at once, and wake the threads that wait in them. Any number of times."""

    def close(self) -> None:
        """Give back what the stream holds."""

    # --- facts, which not every stream knows

    @property
    def relay(self) -> str:
        """The relay through which it goes, as one would type it; "" if it is direct. Then `peer_address` is the
        relay's."""

    @property
    def seen(self) -> Address | None:
        """Our own address as the relay sees it; None without a relay, and where a proxy is between."""

    @property
    def is_secure(self) -> bool:
        """Whether it is encrypted, and the handshake is over."""

    @property
    def peer_certificate(self) -> bytes:
        """Of the TLS server that was dialled, in DER; b"" if there is none."""

    @property
    def options(self) -> list[str]:
        """What the system grants to this connection, in words for people."""

    @property
    def has_come(self) -> bool:
        """Whether there are bytes to read that `fileno` does not announce, because this side has them already."""

    def bytes_in_flight(self) -> int | None:
        """Bytes that were written and that the far end's kernel has not acknowledged; None if that is unknown."""

    def bytes_unsent(self) -> int:
        """Bytes of those that our kernel holds back until more may be in flight; 0 if that is unknown."""

    def min_round_trip(self) -> float | None:
        """The shortest of the last minutes in seconds, as the kernel measured it; None if that is unknown."""

    def fileno(self) -> int | None:
        """A descriptor to wait for with others; None if there is none."""

    def leave_bbr(self) -> None:
        """Have another congestion control if the system's choice is bbr: it lets no more be in flight than fits two
        *shortest* round trips, too little for voice where a queue of other senders makes them long."""


class LayeredStream:
    """What a `Stream` around another takes from the one inside, which belongs to it from now on."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def peer_address(self) -> Address:
        """See `Stream`."""
        return self._stream.peer_address

    @property
    def bytes_read(self) -> int:
        """See `Stream`."""
        return self._stream.bytes_read

    @property
    def bytes_written(self) -> int:
        """See `Stream`."""
        return self._stream.bytes_written

    @property
    def timeout(self) -> float:
        """See `Stream`."""
        return self._stream.timeout

    def set_timeout(self, seconds: float) -> None:
        """See `Stream`."""
        self._stream.set_timeout(seconds)

    def cut(self) -> None:
        """See `Stream`."""
        self._stream.cut()

    def close(self) -> None:
        """See `Stream`."""
        self._stream.close()

    @property
    def relay(self) -> str:
        """See `Stream`."""
        return self._stream.relay

    @property
    def seen(self) -> Address | None:
        """See `Stream`."""
        return self._stream.seen

    @property
    def options(self) -> list[str]:
        """See `Stream`."""
        return self._stream.options

    @property
    def has_come(self) -> bool:
        """See `Stream`."""
        return self._stream.has_come

    def bytes_in_flight(self) -> int | None:
        """See `Stream`."""
        return self._stream.bytes_in_flight()

    def bytes_unsent(self) -> int:
        """See `Stream`."""
        return self._stream.bytes_unsent()

    def min_round_trip(self) -> float | None:
        """See `Stream`."""
        return self._stream.min_round_trip()

    def fileno(self) -> int | None:
        """See `Stream`."""
        return self._stream.fileno()

    def leave_bbr(self) -> None:
        """See `Stream`."""
        self._stream.leave_bbr()


def receive_within(stream: Stream, seconds: float) -> bytes | None:
    """As `stream.receive`, but None if nothing comes in that time. It becomes the stream's timeout."""
    stream.set_timeout(seconds)
    try:
        return stream.receive()
    except ConnectionLost as error:
        if isinstance(error.__cause__, TimeoutError) and error.__cause__.errno is None:  # ETIMEDOUT is a loss
            return None
        raise


def descriptor_of(stream: Stream) -> int:
    """The stream's descriptor, for code that waits for many streams at once; each of these has one."""
    descriptor = stream.fileno()
    assert descriptor is not None
    return descriptor
