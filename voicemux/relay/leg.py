"""One connection of a relay: a non-blocking socket, with TLS in it if the client begins that."""

import contextlib
import errno
import socket
import sys

from voicemux.errors import ConnectionLost, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.socket_errors import reason
from voicemux.net.tcp import KEEP_ALIVE
from voicemux.net.tls import HANDSHAKE, Channel, Context
from voicemux.relay.guest import Guest
from voicemux.relay.pace import Pace

KERNEL_BUFFER = 65_536  # bytes of each socket buffer: small, so that they cannot hold seconds of voice
MOST_UNSENT = 16_384  # bytes of the send buffer that TCP may not have sent yet
OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER),
    *KEEP_ALIVE,
]
if sys.platform == "linux":
    OPTIONS += [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT)]
NOTHING_NOW = (BlockingIOError, InterruptedError)


class Leg:
    """One connection. Only the relay's thread uses it. It keeps what the socket does not take: before writing, look
    at `pending`."""

    def __init__(self, connection: socket.socket, seen: Address, now: float) -> None:
        self.seen = seen
        self.guest = Guest()
        self.partner: Leg | None = None  # the other connection of the pair, which gets its bytes
        self.pace: Pace | None = None  # limits how fast they pass
        self.heard = now  # when its last bytes came
        self.reads = True  # whether to read it when bytes have come
        self.has_ended = False  # its client has ended the stream
        self.is_open = True
        self.pending = 0  # bytes that are held because the socket has not taken them
        self.events = 0  # events that the polling waits for now
        self._socket = connection
        self._receive, self._transmit = connection.recv, connection.send
        self._channel: Channel | None = None
        self._has_begun = False
        self._unsent = b""
        self._finishes = False
        connection.setblocking(False)
        for level, number, value in OPTIONS:
            with contextlib.suppress(OSError):
                connection.setsockopt(level, number, value)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def read(self, most: int, context: Context | None) -> bytes | None:
        """Read at most `most` bytes: returns None if none have come, b"" at the end of the stream. Raises
        ConnectionLost, or RemoteProtocolError if TLS is broken.

        `context` is for TLS; None: TLS is not offered. Inside TLS, up to one record more than `most` may be returned.
        """
        try:
            data = self._socket.recv(most)
        except NOTHING_NOW:
            return None
        except OSError as error:
            raise ConnectionLost(reason(error)) from error
        if data and not self._has_begun:
            self._has_begun = True
            if context and data[0] == HANDSHAKE:
                self._channel = Channel(context, is_server=True)
        if self._channel is None:
            return data
        try:
            return self._channel.receive(data)
        finally:
            self._send(self._channel.take_outgoing())

    def pass_on(self, now: float) -> int:
        """Read and pass on at once, in the usual case: both sides without TLS, and nothing held for the partner. That
        costs a third of the general way.

        Returns the number of bytes passed on; 0 if it is not that case, and nothing was read. Raises ConnectionLost
        if the partner has gone.
        """
        partner, pace = self.partner, self.pace
        if self._channel or not pace or not partner or partner._channel or partner._unsent or partner._finishes:
            return 0
        if not self.reads or not (room := pace.room(now)):
            return 0
        try:
            data = self._receive(room)
        except OSError:  # also if no byte has come; an error is found again by the general way
            return 0
        if not data:
            return 0
        self.heard = now
        size = len(data)
        pace.left -= size
        try:
            sent = partner._transmit(data)
        except NOTHING_NOW:
            sent = 0
        except OSError as error:
            raise ConnectionLost(reason(error)) from error
        if sent < size:
            partner._unsent, partner.pending, self.reads = data[sent:], size - sent, False
        return size

    def write(self, data: bytes) -> None:
        """Send `data`, or hold it until `flush`. Raises ConnectionLost."""
        self._send(self._channel.seal(data) if self._channel else data)

    def flush(self) -> None:
        """The socket has room: send what is held. Raises ConnectionLost."""
        data, self._unsent = self._unsent, b""
        self._send(data)

    def finish(self) -> None:
        """End the stream behind what is held. Raises ConnectionLost."""
        if not self._finishes:
            if self._channel:
                self._send(self._channel.finish())
            self._finishes = True
            self._send(b"")

    def close(self) -> None:
        """Close the socket."""
        self.is_open = False
        self._socket.close()

    def _send(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            self.pending = len(self._unsent)
            return
        if data:
            try:
                sent = self._socket.send(data)
            except NOTHING_NOW:
                sent = 0
            except OSError as error:
                raise ConnectionLost(reason(error)) from error
            if sent < len(data):
                self._unsent = data[sent:]
            self.pending = len(data) - sent
        if self._finishes and not self._unsent:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)


def next_leg(listening: socket.socket, now: float) -> Leg | None:
    """Accept and return the next connection; None if there is none. Raises VoicemuxError if the system has no
    descriptor left."""
    try:
        connection, place = listening.accept()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            raise VoicemuxError(reason(error)) from error
        return None
    return Leg(connection, Address(str(place[0]).removeprefix("::ffff:"), place[1]), now)
