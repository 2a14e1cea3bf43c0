"""Connects to an address, and returns a `Stream`."""

import contextlib
import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from voicemux.errors import Kind, Unreachable
from voicemux.net.address import Address
from voicemux.net.socket_errors import kind_of, reason
from voicemux.net.tcp import TcpStream

CONNECT_TIMEOUT = 10.0  # seconds for a host's last address
EARLY_CONNECT_TIMEOUT = 3.0  # seconds for each address before the last, so that a dead IPv6 route costs little

# If nothing answers, TCP sends SYN again after 1, 3 and 7 s: too rarely to notice soon that the line is back.
KNOCK_INTERVAL = 0.5  # seconds between two new connections to the same address while it does not answer
MOST_KNOCKS = 8  # connections pending to one address; the oldest is closed for a new one
REST = 2.0  # seconds for which an address is left alone after it has refused
UNDER_WAY = {0, errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", 0)}
GLANCE = 0.05  # seconds between two looks at whether to go on


def connect(address: Address, timeout: float = CONNECT_TIMEOUT) -> TcpStream:
    """Connect to the first address of the host that answers. Raises Unreachable, with the reason for each address."""
    candidates = look_up(address, passive=False)
    failures: dict[str, OSError] = {}  # by the address
    for family, place in candidates:
        patience = timeout if (family, place) == candidates[-1] else min(timeout, EARLY_CONNECT_TIMEOUT)
        try:
            return TcpStream(_connect(family, place, patience), Address(str(place[0]), address.port))
        except OSError as error:
            failures[str(place[0])] = error
    kinds = [kind_of(error, place) for place, error in failures.items()]
    raise Unreachable(
        f"cannot reach {address.host} port {address.port}: {_what_came_of(failures)}",
        kind=next(filter(None, kinds), None),
    ) from next(reversed(failures.values()), None)


def _what_came_of(failures: dict[str, OSError]) -> str:
    """Return the reasons in words, each with its address if they differ."""
    reasons = {place: reason(error) for place, error in failures.items()}
    if len(set(reasons.values())) > 1:
        return ", ".join(f"{place}: {why}" for place, why in reasons.items())
    places = f" (at {', '.join(reasons)})" if len(reasons) > 1 else ""
    return f"{next(iter(reasons.values()), reason(None))}{places}"


def _connect(family: socket.AddressFamily, place: Any, timeout: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


Place = tuple[socket.AddressFamily, Any]


def reach(places: Sequence[Place], goes_on: Callable[[], bool]) -> TcpStream | None:
    """Connect to several places at once, again and again while nothing answers, and return the first connection.

    Returns None once `goes_on` returns False. Raises Unreachable when all places have refused, or none has a route.
    """
    with contextlib.closing(_Knocking(places)) as knocking:
        while goes_on():
            if stream := knocking.knock():
                return stream
        return None


class _Knocking:
    """The pending connections to some places."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._selector = selectors.DefaultSelector()
        self._pending: dict[Place, deque[socket.socket]] = {place: deque() for place in places}
        # Places that have refused or have no route, each with the time until which it is left alone.
        self._rests: dict[Place, float] = {}
        self._next = float("-inf")
        self._error: OSError | None = None

    def close(self) -> None:
        """Close all pending connections."""
        for sockets in self._pending.values():
            while sockets:
                self._drop(sockets.popleft())
        self._selector.close()

    def knock(self) -> TcpStream | None:
        """Start connections that are due, and wait GLANCE for one to stand. Raises Unreachable if no place is
        left."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + KNOCK_INTERVAL
            for place in self._pending:
                if self._rests.get(place, now) <= now:
                    self._begin(place, now)
        if all(self._rests.get(place, now) > now for place in self._pending):
            error = self._error
            kind = kind_of(error) if error else None
            raise Unreachable(f"the other side cannot be reached: {reason(error)}", kind=kind) from error
        for key, _ in self._selector.select(GLANCE):
            connection, place = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            if connection not in self._pending[place]:  # dropped a moment ago
                continue
            if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._refused(place, number, now)
                continue
            self._pending[place].remove(connection)
            self._selector.unregister(connection)
            address = place[1]
            return TcpStream(connection, Address(str(address[0]), address[1]))
        return None

    def _begin(self, place: Place, now: float) -> None:
        family, address = place
        sockets = self._pending[place]
        if len(sockets) == MOST_KNOCKS:
            self._drop(sockets.popleft())
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self._refused(place, error.errno or 0, now)
            return
        sockets.append(connection)
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_WRITE, place)
        number = connection.connect_ex(address)
        if number not in UNDER_WAY:
            self._refused(place, number, now)

    def _refused(self, place: Place, number: int, now: float) -> None:
        """A place has refused, or has no route: drop all connections that are pending to it."""
        self._error = OSError(number, errno.errorcode.get(number, ""))
        self._rests[place] = now + REST
        while self._pending[place]:
            self._drop(self._pending[place].popleft())

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()


def look_up(address: Address, *, passive: bool) -> list[tuple[socket.AddressFamily, Any]]:
    """Return pairs of family and socket address, one for each address of the host. `passive`: to listen on. Raises
    Unreachable."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE if passive else 0
        )
    except (OSError, UnicodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "that is not a host name"
        raise Unreachable(f"cannot find the host {address.host}: {why}", kind=Kind.NO_SUCH_HOST) from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))
