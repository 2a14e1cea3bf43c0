"""One connection of a relay: a socket that never waits, with TLS in it if the client begins that."""

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

KERNEL_BUFFER = 65_536  # bytes of the kernel in each direction: so little hides no seconds of voice
MOST_UNSENT = 16_384  # bytes of those that may wait for being sent the first time
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
    """Belongs to the relay's thread. It holds what the socket does not take; who writes looks at `pending` first."""

    def __init__(self, connection: socket.socket, seen: Address, now: float) -> None:
        self.seen = seen
        self.guest = Guest()
        self.partner: Leg | None = None  # where its bytes go
        self.pace: Pace | None = None  # of those bytes
        self.heard = now  # when the last bytes came
        self.reads = True  # whether it is to be read when there is something
        self.has_ended = False  # it sends no more
        self.is_open = True
        self.pending = 0  # bytes that the socket has not taken yet
        self.events = 0  # for which the selector waits now
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
        return self._socket.fileno()

    def read(self, most: int, context: Context | None) -> bytes | None:
        """What has come; None if nothing, b"" at the end. Raises ConnectionLost, or RemoteProtocolError of TLS.

        `context` is for TLS, None if there is none. Out of TLS may come more than `most` bytes, by one record.
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
        """The usual case, at a third of the cost: both sides without TLS, and nothing is held for the partner.

        Returns the bytes that were passed on; 0 if it is not that case, and nothing was read. Raises ConnectionLost
        if the partner has gone.
        """
        partner, pace = self.partner, self.pace
        if self._channel or not pace or not partner or partner._channel or partner._unsent or partner._finishes:
            return 0
        if not self.reads or not (room := pace.room(now)):
            return 0
        try:
            data = self._receive(room)
        except OSError:  # also that there is nothing: it is found again
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
        """Send, or hold until `flush`. Raises ConnectionLost."""
        self._send(self._channel.seal(data) if self._channel else data)

    def flush(self) -> None:
        """Send what is held; the socket has room. Raises ConnectionLost."""
        data, self._unsent = self._unsent, b""
        self._send(data)

    def finish(self) -> None:
        """Send no more behind what is held. Raises ConnectionLost."""
        if not self._finishes:
            if self._channel:
                self._send(self._channel.finish())
            self._finishes = True
            self._send(b"")

    def close(self) -> None:
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
    """The next connection, None if there is none. Raises VoicemuxError if the system gives no descriptor."""
    try:
        connection, place = listening.accept()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            raise VoicemuxError(reason(error)) from error
        return None
    return Leg(connection, Address(str(place[0]).removeprefix("::ffff:"), place[1]), now)
