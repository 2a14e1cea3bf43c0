"""A `Stream` over TCP: which options the kernel is asked for, and what it tells."""

import contextlib
import socket
import struct
import sys

from voicemux.errors import ConnectionLost, Kind
from voicemux.net.address import Address
from voicemux.net.socket_errors import reason
from voicemux.net.stream import SILENCE_TIMEOUT, Stream, descriptor_of

if sys.platform == "linux":
    import fcntl
    import termios

READ_SIZE = 65_536  # bytes asked for at once: always more than 60 ms of PCM
MIN_RTT = struct.Struct("=148xI")  # tcpi_min_rtt of Linux's struct tcp_info, in microseconds
NOT_MEASURED = 2**32 - 1
CONGESTION_CONTROL_SIZE = 16  # bytes of the name of a congestion control: TCP_CA_NAME_MAX of Linux
# Seconds of round trip above which BBR is not used. Now and then it lets only four packets be in flight for a while
# (PROBE_RTT), which are 80 ms of voice. On a path of 300 ms, that makes 1 to 4 % of voice late; with CUBIC, none.
LONG_ROUND_TRIP = 0.080
RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # SO_LINGER: closing sends a reset
SIOCOUTQNSD = 0x894B  # of Linux: bytes that were written and not sent yet
SO_NWRITE = 0x1024  # of macOS: bytes that were written and not acknowledged

# Options of every connection, if the platform has them: (name, level, number, value).
OPTIONS: list[tuple[str, int, int, int | bytes]] = [
    ("no-delay", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # Nagle's algorithm would add a round trip
    ("expedited", socket.IPPROTO_IP, socket.IP_TOS, 0xB8),  # RFC 3246: routers that care let voice go first
]
KEEP_ALIVE: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if sys.platform == "linux":
    KEEP_ALIVE += [
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),  # seconds of silence
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),  # seconds
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ]
if sys.platform == "linux":
    # The congestion control is the system's choice, except BBR on long paths (LONG_ROUND_TRIP). On short ones, the
    # delay is back to normal 1.0 s after a squeeze to 24 kbit/s with BBR as with CUBIC. With 5 % of packets lost, the
    # delay is about 165 ms with BBR and 195 ms with CUBIC, but many systems do not grant BBR.
    OPTIONS += [
        # During an outage, TCP retransmits ever more rarely. With this option, which is for streams of less than four
        # packets in flight, an outage of 1 s is followed by 0.2 s more silence instead of 1 s.
        ("thin-linear-timeouts", socket.IPPROTO_TCP, 16, 1),
        ("retries-every-second", socket.IPPROTO_TCP, 44, 1000),  # TCP_RTO_MAX_MS, Linux 6.15
    ]


class TcpStream:
    """A `Stream` over TCP, or over any other stream socket."""

    def __init__(self, connection: socket.socket, peer_address: Address, place: str = "") -> None:
        """`place` is as of `Stream`; "": the host of `peer_address`."""
        self.peer_address = peer_address
        self.place = place or peer_address.host
        self.relay = ""
        self.seen: Address | None = None
        self.has_come = False
        self.bytes_read = 0
        self.bytes_written = 0
        self._socket = connection
        self.options = [name for name, level, number, value in OPTIONS if _set(connection, level, number, value)]
        if (self.min_round_trip() or 0.0) > LONG_ROUND_TRIP:
            self.options += _leave_bbr(connection)
        self.set_timeout(SILENCE_TIMEOUT)

    def set_timeout(self, seconds: float) -> None:
        """See `Stream`."""
        self.timeout = seconds
        self._socket.settimeout(seconds)

    def bytes_in_flight(self) -> int | None:
        """See `Stream`: as Linux and macOS tell."""
        try:
            return _bytes_in_flight(self._socket)
        except (OSError, ValueError):  # no TCP socket, or closed
            return None

    def bytes_unsent(self) -> int:
        """See `Stream`: as Linux tells."""
        if sys.platform != "linux":
            return 0
        try:
            return int.from_bytes(fcntl.ioctl(self._socket, SIOCOUTQNSD, bytes(4)), sys.byteorder)
        except (OSError, ValueError):  # no TCP socket, or closed
            return 0

    def keep_alive(self) -> None:
        """Have the kernel send keep-alives on a silent connection: routers forget one after minutes."""
        for level, number, value in KEEP_ALIVE:
            _set(self._socket, level, number, value)

    def leave_bbr(self) -> None:
        """See `Stream`."""
        self.options += _leave_bbr(self._socket)

    def min_round_trip(self) -> float | None:
        """See `Stream`: as Linux tells."""
        if sys.platform != "linux":
            return None
        try:
            facts = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MIN_RTT.size)
            microseconds: int = MIN_RTT.unpack(facts)[0]
        except (OSError, struct.error):  # no TCP socket, or closed, or an old kernel
            return None
        return None if microseconds == NOT_MEASURED else microseconds / 1e6

    @property
    def is_secure(self) -> bool:
        """See `Stream`: TCP is not, and has no certificate."""
        return False

    @property
    def peer_certificate(self) -> bytes:
        """See `Stream`."""
        return b""

    def read(self) -> bytes:
        """See `Stream`."""
        return self.receive()

    def receive(self) -> bytes:
        """See `Stream`."""
        try:
            data = self._socket.recv(READ_SIZE)
        except OSError as error:
            raise self._lost(error, "nothing came from the other side") from error
        self.bytes_read += len(data)
        return data

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(error, "the other side takes nothing") from error
        self.bytes_written += len(data)

    def finish(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Stream`."""
        self._socket.close()

    def fileno(self) -> int:
        """See `Stream`; -1 once it is closed."""
        return self._socket.fileno()

    def _lost(self, error: OSError, silence: str) -> ConnectionLost:
        if isinstance(error, TimeoutError):
            return ConnectionLost(f"{silence} for {self.timeout:.3g} s", kind=Kind.SILENCE)
        return ConnectionLost(f"the connection broke: {reason(error)}")


def break_off(stream: Stream) -> None:
    """Close a stream over TCP as if its path had broken: with a reset, so that bytes on their way are lost."""
    with socket.fromfd(descriptor_of(stream), socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    stream.close()


def _leave_bbr(connection: socket.socket) -> list[str]:
    """Leave BBR if it is the system's choice, and another is granted. Returns a list of the new name; empty if
    nothing changed."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not every kernel that says it is Linux has this option
            chosen = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL_SIZE)
            for name in ("cubic", "reno") if chosen.startswith(b"bbr") else ():
                if _set(connection, socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode()):
                    return [name]
    return []


def _set(connection: socket.socket, level: int, number: int, value: int | bytes) -> bool:
    """Ask for a socket option. Returns whether it was granted: a Unix socket grants none, and needs none."""
    try:
        connection.setsockopt(level, number, value)
    except OSError:
        return False
    return True


if sys.platform == "linux":

    def _bytes_in_flight(connection: socket.socket) -> int | None:
        return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

elif sys.platform == "darwin":

    def _bytes_in_flight(connection: socket.socket) -> int | None:
        return connection.getsockopt(socket.SOL_SOCKET, SO_NWRITE)

else:

    def _bytes_in_flight(connection: socket.socket) -> int | None:
        return None
