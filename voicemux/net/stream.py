"""The interface of a connected stream of bytes: all that the program knows of a connection. No socket here.

`TcpStream` is a stream; `TlsStream` is one around another. `cut()` and `close()` differ: `cut()` wakes every thread
that waits in the stream. `close()` does not; it gives the descriptors back, after the threads were joined.
"""

from typing import Protocol

from voicemux.errors import ConnectionLost
from voicemux.net.address import Address

SILENCE_TIMEOUT = 15.0  # seconds without a byte, or without room for one (protocol.md §9)


class Stream(Protocol):
    """A connection. One thread may read while another writes; any thread may call `cut` and read the facts."""

    @property
    def peer_address(self) -> Address:
        """The address of the other end."""

    @property
    def place(self) -> str:
        """Where the other end is, for users: the host of `peer_address`; unix:PATH for a Unix socket; "stdio" for
        standard input and output."""

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, as the network counts them: with TLS, those of TLS."""

    @property
    def bytes_written(self) -> int:
        """Bytes written so far, as the network counts them: with TLS, those of TLS."""

    @property
    def timeout(self) -> float:
        """Seconds that a read may wait for bytes, and a write for room."""

    def set_timeout(self, seconds: float) -> None:
        """Set `timeout`."""

    def read(self) -> bytes:
        """Wait for bytes, and return them; b"" at the end of the stream, or after `cut()`. Raises ConnectionLost."""

    def receive(self) -> bytes | None:
        """Wait once for the network. As `read`, but returns None if what came completes nothing yet. Raises
        ConnectionLost."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises ConnectionLost; then part of it may have been sent, and the stream is only good
        for `cut`."""

    def finish(self) -> None:
        """End our direction: no more is written, and the peer's bytes still come in. Raises nothing."""

    def cut(self) -> None:
        """End both directions at once, and wake the threads that wait in them. It may be called again."""

    def close(self) -> None:
        """Give back the descriptors of the stream."""

    # --- facts, which not every stream knows

    @property
    def relay(self) -> str:
        """The relay of the connection, as a user would type it; "" if it is direct. With a relay, `peer_address` is
        the relay's."""

    @property
    def seen(self) -> Address | None:
        """Our address as the relay sees it; None without a relay, or with a proxy between."""

    @property
    def is_secure(self) -> bool:
        """Whether the stream is encrypted, and the handshake is over."""

    @property
    def peer_certificate(self) -> bytes:
        """The certificate of the TLS server that was dialled, in DER; b"" if there is none."""

    @property
    def options(self) -> list[str]:
        """Socket options that the system has granted to this connection, in words for users."""

    @property
    def has_come(self) -> bool:
        """Whether bytes are ready to read that this side has already received, so that `fileno` does not announce
        them."""

    def bytes_in_flight(self) -> int | None:
        """Return how many bytes were written that the far end's kernel has not acknowledged; None if unknown."""

    def bytes_unsent(self) -> int:
        """Return how many of these bytes our kernel holds back until more may be in flight; 0 if unknown."""

    def min_round_trip(self) -> float | None:
        """Return the shortest round trip of the last minutes, in seconds, as the kernel measured it; None if
        unknown."""

    def fileno(self) -> int | None:
        """Return a descriptor that a selector can wait for; None if there is none."""

    def leave_bbr(self) -> None:
        """Use another congestion control if the system's choice is BBR. BBR's window fits only two of the *shortest*
        round trips, which is too little for voice where another program's queue makes them long."""


class LayeredStream:
    """The part of a `Stream` around another one that is passed on to the inner one. It owns the inner one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def peer_address(self) -> Address:
        """See `Stream`."""
        return self._stream.peer_address

    @property
    def place(self) -> str:
        """See `Stream`."""
        return self._stream.place

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
    """Receive as `stream.receive` does, but return None if nothing comes within `seconds`. Sets the stream's
    timeout."""
    stream.set_timeout(seconds)
    try:
        return stream.receive()
    except ConnectionLost as error:
        if isinstance(error.__cause__, TimeoutError) and error.__cause__.errno is None:  # ETIMEDOUT is a loss
            return None
        raise


def whole_place(stream: Stream) -> str:
    """Return where the other end is, for users: with its port, if it has one."""
    return str(stream.peer_address) if stream.peer_address.port else stream.place


def descriptor_of(stream: Stream) -> int:
    """Return the stream's descriptor, for code that waits for many streams at once; each of those has one."""
    descriptor = stream.fileno()
    assert descriptor is not None
    return descriptor
