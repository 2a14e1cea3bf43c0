"""A TCP connection, and how to get, configure and end one. The only home of sockets.

`cut()` and `close()` are different verbs: cutting wakes every thread that waits in the line, which
closing does not; closing gives the descriptor back and comes after the threads have been joined.
"""

import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from typing import Any

from voicemux.errors import ConnectionLost, Kind, Unreachable, VoicemuxError
from voicemux.net.address import Address, is_inside, lacks_zone
from voicemux.net.tls import Channel, Context

if sys.platform == "linux":
    import fcntl
    import termios

if sys.platform != "win32":
    import resource

READ_SIZE = 65_536  # bytes asked for at once: more than 60 ms of raw PCM in any case
CONNECT_TIMEOUT = 10.0  # seconds for the last of a host's addresses
EARLY_CONNECT_TIMEOUT = 3.0  # seconds for each address before it, so that a dead IPv6 route costs little
SILENCE_TIMEOUT = 15.0  # seconds without a byte, or without room for one (protocol.md §9)
BACKLOG = 128  # callers that the kernel may hold until the reception looks: what is more has to knock again
MIN_RTT = struct.Struct("=148xI")  # tcpi_min_rtt of Linux's struct tcp_info, in microseconds
NOT_MEASURED = 2**32 - 1
EVERYWHERE = "*"  # a host to listen on: every interface
WILDCARDS = ("0.0.0.0", "::")  # what sockets call it, of one family
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
CONGESTION_CONTROL_SIZE = 16  # bytes, of its name: TCP_CA_NAME_MAX of Linux
# Seconds: now and then bbr lets only four packets be under way for a while (PROBE_RTT), which are 80 ms of voice.
# On a line of 300 ms that makes 1 to 4 % of voice late; with cubic nothing is.
LONG_ROUND_TRIP = 0.080
SIOCOUTQNSD = 0x894B  # of Linux: bytes that were written and not sent yet
SO_NWRITE = 0x1024  # of macOS: bytes that were written and not acknowledged

# What is asked of every connection, as far as the platform has it: (name, level, number, value).
OPTIONS: list[tuple[str, int, int, int | bytes]] = [
    ("no-delay", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # Nagle's algorithm would add a round trip
    ("expedited", socket.IPPROTO_IP, socket.IP_TOS, 0xB8),  # RFC 3246: routers that care let voice go first
]
if sys.platform == "linux":
    # Congestion control is the system's choice, but for bbr on long lines (LONG_ROUND_TRIP). On short ones, the delay
    # is normal 1.0 s after a squeeze to 24 kbit/s with bbr as with cubic; where 5 % of packets are lost it is some
    # 165 ms with bbr and 195 ms with cubic, but many systems do not grant bbr.
    OPTIONS += [
        # After an outage TCP tries again ever more seldom. A second of it is followed by 0.2 s more silence instead
        # of 1 s if it does not, which is for streams of less than four packets under way; all try every second.
        ("thin-linear-timeouts", socket.IPPROTO_TCP, 16, 1),
        ("retries-every-second", socket.IPPROTO_TCP, 44, 1000),  # TCP_RTO_MAX_MS, Linux 6.15
    ]


class Line:
    """One connected stream, inside TLS after `start_tls`. One thread may read while another writes."""

    def __init__(self, connection: socket.socket, peer: Address) -> None:
        self.peer = peer
        self.bytes_read = 0
        self.bytes_written = 0
        self._socket = connection
        self._channel: Channel | None = None
        self.options = [name for name, level, number, value in OPTIONS if _set(connection, level, number, value)]
        if (self.round_trip() or 0.0) > LONG_ROUND_TRIP:
            self.options += _leave_bbr(connection)
        self.set_timeout(SILENCE_TIMEOUT)

    def set_timeout(self, seconds: float) -> None:
        """How long a read may wait for a byte, and a write for room."""
        self.timeout = seconds
        self._socket.settimeout(seconds)

    def unacknowledged(self) -> int | None:
        """Bytes that were written and that the far end's kernel has not acknowledged; None where nobody tells."""
        try:
            return _unacknowledged(self._socket)
        except (OSError, ValueError):  # no TCP socket, or closed
            return None

    def unsent(self) -> int:
        """Bytes of those that TCP's window holds back; 0 where nobody tells."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError):  # no TCP socket, or closed
                return int.from_bytes(fcntl.ioctl(self._socket, SIOCOUTQNSD, bytes(4)), sys.byteorder)
        return 0

    def leave_bbr(self) -> None:
        """Have another congestion control, if the system's choice is bbr: it lets no more be under way than fits two
        *shortest* round trips, which is too little for voice where somebody else's queue makes them long."""
        self.options += _leave_bbr(self._socket)

    def round_trip(self) -> float | None:
        """The shortest of the last minutes, in seconds, as the kernel saw it; None where it does not tell."""
        if sys.platform != "linux":
            return None
        try:
            facts = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MIN_RTT.size)
            microseconds: int = MIN_RTT.unpack(facts)[0]
        except (OSError, struct.error):  # no TCP socket, or closed, or an old kernel
            return None
        return None if microseconds == NOT_MEASURED else microseconds / 1e6

    def start_tls(self, context: Context, *, is_server: bool, first: bytes = b"") -> bytes | None:
        """From here on everything goes through TLS. `first` is what a server has read of it; returns as `receive`."""
        self._channel = Channel(context, is_server=is_server)
        if is_server:
            return self._open(self._channel, first)
        self._channel.begin()
        self._send(self._channel.take_outgoing())
        return None

    @property
    def is_secure(self) -> bool:
        """Whether TLS is up."""
        return self._channel is not None and self._channel.established

    @property
    def peer_certificate(self) -> bytes:
        """Of the server that was dialled, in DER."""
        return self._channel.peer_certificate if self._channel else b""

    def read(self) -> bytes:
        """The bytes that have come, b"" at the end of the stream or after `cut()`."""
        while (data := self.receive()) is None:
            pass
        return data

    def receive(self) -> bytes | None:
        """Wait once for the network: the bytes that have come, None if what came says nothing yet."""
        if self._channel and self._channel.ended:
            return b""
        with self._as_lost("nothing came from the other side"):
            data = self._socket.recv(READ_SIZE)
        self.bytes_read += len(data)
        return self._open(self._channel, data) if self._channel else data

    def receive_within(self, seconds: float) -> bytes | None:
        """As `receive`, but None if nothing comes in that time. It becomes the line's timeout."""
        self.set_timeout(seconds)
        try:
            return self.receive()
        except ConnectionLost as error:
            if isinstance(error.__cause__, TimeoutError) and error.__cause__.errno is None:  # ETIMEDOUT is a loss
                return None
            raise

    def write(self, data: bytes) -> None:
        """Send all of `data`. After a ConnectionLost the stream is torn and only good for cutting."""
        self._send(self._channel.seal(data) if self._channel else data)

    def finish(self) -> None:
        """Promise to write no more; the peer's bytes still come in."""
        with contextlib.suppress(OSError, ConnectionLost):
            if self._channel:
                self._send(self._channel.finish())
            self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End both directions at once, and wake whoever waits in them. Any thread, any number of times."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _open(self, channel: Channel, data: bytes) -> bytes | None:
        if channel.established:  # from then on only whoever writes sends
            return channel.receive(data)
        try:
            heard = channel.receive(data)
        except VoicemuxError:
            with contextlib.suppress(ConnectionLost):  # what is wrong counts, not that the peer could not be told
                self._send(channel.take_outgoing())
            raise
        if answer := channel.take_outgoing():  # else there is no need to notice yet that the peer has gone
            self._send(answer)
        return heard

    def _send(self, data: bytes) -> None:
        with self._as_lost("the other side takes nothing"):
            self._socket.sendall(data)
        self.bytes_written += len(data)

    @contextlib.contextmanager
    def _as_lost(self, silence: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise ConnectionLost(f"{silence} for {self.timeout:.3g} s", kind=Kind.SILENCE) from error
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {reason(error)}") from error


def dial(address: Address, timeout: float = CONNECT_TIMEOUT) -> Line:
    """Connect to the first address of the host that answers. Raises Unreachable, with what came of each."""
    candidates = _resolve(address, passive=False)
    failures: dict[str, OSError] = {}  # by the address
    for family, place in candidates:
        patience = timeout if (family, place) == candidates[-1] else min(timeout, EARLY_CONNECT_TIMEOUT)
        try:
            return Line(_connect(family, place, patience), Address(str(place[0]), address.port))
        except OSError as error:
            failures[str(place[0])] = error
    kinds = [_kind(error, place) for place, error in failures.items()]
    raise Unreachable(
        f"cannot reach {address.host} port {address.port}: {_what_came_of(failures)}",
        kind=next(filter(None, kinds), None),
    ) from next(reversed(failures.values()), None)


def _what_came_of(failures: dict[str, OSError]) -> str:
    """The reasons, and of which address each is where they differ."""
    reasons = {place: reason(error) for place, error in failures.items()}
    if len(set(reasons.values())) > 1:
        return ", ".join(f"{place}: {why}" for place, why in reasons.items())
    places = f" (at {', '.join(reasons)})" if len(reasons) > 1 else ""
    return f"{next(iter(reasons.values()), reason(None))}{places}"


class Listener:
    """Listening sockets: of every address of a host, or of every interface, IPv6 and IPv4."""

    def __init__(self, host: str | None, port: int) -> None:
        """`host` None or "*" is every interface; with port 0 the system chooses one. Raises Unreachable."""
        self._host = host = None if host == EVERYWHERE else host
        self.sockets: list[socket.socket] = []
        try:
            self._bind(host, port)
        except OSError as error:
            self.close()
            where = f"port {port}" if host is None else f"{host} port {port}"
            raise Unreachable(f"cannot listen on {where}: {reason(error)}", kind=_kind(error, host or "")) from error
        for each in self.sockets:
            each.setblocking(False)
        self.port: int = self.sockets[0].getsockname()[1]

    def _bind(self, host: str | None, port: int) -> None:
        if host is not None:
            self._bind_each(_resolve(Address(host, port), passive=True), port)
        elif _has_ipv6():
            everywhere = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
            self.sockets.append(everywhere)
        else:
            self.sockets.append(socket.create_server(("", port), backlog=BACKLOG))

    def _bind_each(self, places: list[tuple[socket.AddressFamily, Any]], port: int) -> None:
        """All on one port, also if the system chose it. An address that is not here counts only if none is."""
        failure: OSError | None = None
        for family, place in places:
            try:
                listening = socket.create_server((place[0], port, *place[2:]), family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                failure = error  # hosts files have IPv6 for localhost, also where there is no IPv6
            else:
                self.sockets.append(listening)
                port = listening.getsockname()[1]
        if failure and not self.sockets:
            raise failure

    def addresses(self) -> list[str]:
        """By which others can reach it: the host as it was chosen; of a wildcard, this machine's main addresses, as
        far as it accepts their families."""
        bound = [(each.family, str(each.getsockname()[0])) for each in self.sockets]
        if self._host is not None and not any(place in WILDCARDS for _, place in bound):
            return [self._host]
        families = {family for family, place in bound if place in WILDCARDS}
        if self._host is None:
            families |= {socket.AF_INET}  # an IPv6 socket for every interface takes both
        fallback = "127.0.0.1" if families == {socket.AF_INET} else "::1" if self._host else "localhost"
        return local_addresses(families) or [fallback]

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def accept(listening: socket.socket) -> Line | None:
    """The next caller's line, None if there is none (any more). Raises Unreachable if no descriptor is left."""
    try:
        connection, place = listening.accept()
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise Unreachable(f"no connection can be taken: {reason(error)}") from error
        return None
    return Line(connection, Address(place[0].removeprefix("::ffff:"), place[1]))


def most_connections() -> int:
    """How many this process may have open at once, other files included: the limit that `ulimit -n` shows."""
    if sys.platform == "win32":
        return 512  # what Windows takes in one select(), as Python is built
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_000_000 if limit == resource.RLIM_INFINITY else limit


class Wake:
    """Something to wait for beside sockets: `set()` makes it readable, until `clear()`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        return self._reader.fileno()

    def set(self) -> None:
        self._writer.send(b"!")

    def clear(self) -> None:
        """The thread that waits for it only."""
        self._reader.recv(READ_SIZE)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


def local_addresses(families: Collection[int] = (socket.AF_INET, socket.AF_INET6)) -> list[str]:
    """This machine's main addresses, as others would reach it. Sends nothing: it asks for the route only."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # RFC 5737, 3849
        if family not in families:
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def reason(error: OSError | None) -> str:
    """What went wrong, in lower case and without numbers."""
    if error is None:
        return "it has no address"
    if isinstance(error, TimeoutError) or error.errno in (errno.ETIMEDOUT, None):
        return "no answer in time" if isinstance(error, TimeoutError) else str(error).lower()
    return os.strerror(error.errno).lower()


def _kind(error: OSError, place: str = "") -> Kind | None:
    """What can be said about it by its number, which is the same in every language, and the address."""
    if error.errno in (errno.EINVAL, errno.EHOSTUNREACH, errno.ENETUNREACH) and lacks_zone(place):
        return Kind.NO_ZONE
    no_way = isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
    if no_way and is_inside(place):
        return Kind.OTHER_NETWORK
    kinds = {
        errno.ECONNREFUSED: Kind.NOBODY_LISTENS,
        errno.EADDRINUSE: Kind.PORT_TAKEN,
        errno.EACCES: Kind.PORT_FORBIDDEN,
        errno.EADDRNOTAVAIL: Kind.NOT_OUR_ADDRESS,
    }
    return kinds.get(error.errno or 0)


def _leave_bbr(connection: socket.socket) -> list[str]:
    """The congestion control that is used from now on, if the system's choice is bbr and it grants another."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a kernel that only looks like Linux
            chosen = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL_SIZE)
            for name in ("cubic", "reno") if chosen.startswith(b"bbr") else ():
                if _set(connection, socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode()):
                    return [name]
    return []


def _set(connection: socket.socket, level: int, number: int, value: int | bytes) -> bool:
    """Ask for a socket option. Whether it was granted: a Unix socket has none of them, and needs none."""
    try:
        connection.setsockopt(level, number, value)
    except OSError:
        return False
    return True


if sys.platform == "linux":

    def _unacknowledged(connection: socket.socket) -> int | None:
        return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

elif sys.platform == "darwin":

    def _unacknowledged(connection: socket.socket) -> int | None:
        return connection.getsockopt(socket.SOL_SOCKET, SO_NWRITE)

else:

    def _unacknowledged(connection: socket.socket) -> int | None:
        return None


def _connect(family: socket.AddressFamily, place: Any, timeout: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_ipv6() -> bool:
    if not socket.has_dualstack_ipv6():
        return False
    try:  # a kernel may know IPv6 and have it switched off
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def _resolve(address: Address, *, passive: bool) -> list[tuple[socket.AddressFamily, Any]]:
    """(family, socket address) of each address that the host has, each once. Raises Unreachable."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE if passive else 0
        )
    except (OSError, UnicodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "that is no host name"
        raise Unreachable(f"cannot find the host {address.host}: {why}", kind=Kind.NO_SUCH_HOST) from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))
