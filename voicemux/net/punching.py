"""Connects past two routers (TCP hole punching): both sides connect to each other at the same time, each from the
port that its router already keeps open for the relay (protocol.md §17.8)."""

import contextlib
import random
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from voicemux.net.address import Address
from voicemux.net.connecting import UNDER_WAY
from voicemux.net.paths import Tries
from voicemux.net.stream import Stream
from voicemux.net.tcp import TcpStream

# Socket options with which two sockets share a port, one of which is connected already.
SHARING = [socket.SO_REUSEADDR, *([] if sys.platform in ("linux", "win32") else [socket.SO_REUSEPORT])]
GLANCE = 0.05  # seconds between two looks at whether to go on


def own_end(stream: Stream) -> Address | None:
    """Return our address on a TCP connection, and let other sockets of ours use its port from now on; None if
    `stream` is not over TCP."""
    descriptor = stream.fileno()
    if descriptor is None or descriptor < 0:
        return None
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=descriptor) as connection:
        try:
            if connection.family not in (socket.AF_INET, socket.AF_INET6) or sys.platform == "win32":
                return None  # on Windows, two sockets of ours cannot safely share a port
            for option in SHARING:
                connection.setsockopt(socket.SOL_SOCKET, option, 1)
            place = connection.getsockname()
            return Address(place[0].removeprefix("::ffff:"), place[1])
        finally:
            connection.detach()
    return None


def elsewhere(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses that are not of this machine. A peer must not have us connect to programs here, which may
    trust local connections."""
    return [each for each in addresses if not _is_here(each.host)]


def _is_here(host: str) -> bool:
    """Return whether the address is of this machine: only such an address can be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def punch(
    own: Address,
    addresses: Sequence[Address],
    goes_on: Callable[[], bool],
    chance: Callable[[], float] = random.random,
) -> Iterator[TcpStream]:
    """Run one round from our address `own`, until its time is over or `goes_on` returns False. Yields each connection
    that succeeds; it belongs to the caller."""
    tries = Tries(addresses, time.monotonic(), chance)
    pending: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        try:
            while goes_on() and (now := time.monotonic()) < tries.until:
                for address in tries.due(now):
                    if connection := _begin(own, address):
                        pending.add(connection)
                        selector.register(connection, selectors.EVENT_WRITE, address)
                    else:
                        tries.failed(address, now)
                for key, _ in selector.select(min(tries.wait(time.monotonic()), GLANCE)):
                    ready, address = key.fileobj, key.data
                    assert isinstance(ready, socket.socket)
                    selector.unregister(ready)
                    pending.remove(ready)
                    if ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                        ready.close()
                        tries.failed(address, time.monotonic())
                    else:
                        yield TcpStream(ready, address)
        finally:
            for each in pending:
                each.close()


def _begin(own: Address, address: Address) -> socket.socket | None:
    """Begin to connect, and return the socket; None if that is not possible now."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        for option in SHARING:
            connection.setsockopt(socket.SOL_SOCKET, option, 1)
        connection.bind((own.host, own.port))
        connection.setblocking(False)
        if connection.connect_ex((address.host, address.port)) in UNDER_WAY:
            return connection
    except OSError:  # there is no route, or the last try still holds this pair of ports for a moment
        pass
    connection.close()
    return None
