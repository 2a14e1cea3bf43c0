"""Listening sockets, the addresses under which others reach them, and what wakes the thread that waits for them."""

import contextlib
import errno
import queue
import socket
import sys
import threading
from collections.abc import Callable, Collection
from typing import Any

from voicemux.errors import Unreachable
from voicemux.net.address import Address, is_number
from voicemux.net.connecting import look_up
from voicemux.net.socket_errors import kind_of, reason
from voicemux.net.stream import Stream
from voicemux.net.tcp import READ_SIZE, TcpStream
from voicemux.security.networks import is_loopback
from voicemux.threads import drain

if sys.platform != "win32":
    import resource

BACKLOG = 128  # connections that the kernel holds until the reception accepts them; others must try again
EVERYWHERE = "*"  # a host to listen on: every interface
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
WILDCARDS = ("0.0.0.0", "::")  # the addresses of a socket that listens on every interface of one family
LOCAL_HOST = "127.0.0.1"  # the address given to callers from this machine that have none


class Doorway:
    """An entrance for callers that come another way, such as through a relay. Code waits for it as for a socket."""

    def __init__(self, on_close: Callable[[], None] = lambda: None) -> None:
        """`on_close` is called when the listener closes, before the doorway does."""
        self._wake = Wake()
        self._streams: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self._on_close = on_close
        self._closing = threading.Lock()
        self._is_closed = False

    def fileno(self) -> int:
        """Return a descriptor that is readable while a caller waits."""
        return self._wake.fileno()

    def put(self, stream: Stream) -> None:
        """Let a caller in, or close its stream if the doorway is closed. Any thread may call it."""
        with self._closing:
            if not self._is_closed:
                self._streams.put(stream)
                self._wake.set()
                return
        stream.close()

    def take(self) -> Stream | None:
        """Return the stream of the next caller; None if there is none. Call it when the descriptor is readable."""
        self._wake.clear()  # before the queue is read, so that nothing is missed
        stream = next(drain(self._streams), None)
        if not self._streams.empty():
            self._wake.set()
        return stream

    def close(self) -> None:
        """Close the doorway, and the streams that were not taken."""
        self._on_close()
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        for stream in drain(self._streams):
            stream.close()
        self._wake.close()


class ListeningSockets:
    """Listening sockets: of every address of a host, or of every interface, IPv6 and IPv4."""

    def __init__(self, host: str | None, port: int) -> None:
        """`host` None or "*" is every interface; with port 0 the system chooses one. Raises Unreachable."""
        self._host = host = None if host == EVERYWHERE else host
        self.sockets: list[socket.socket] = []
        self.doorways: list[Doorway] = []
        try:
            self._bind(host, port)
        except OSError as error:
            self.close()
            where = f"port {port}" if host is None else f"{host} port {port}"
            raise Unreachable(
                f"cannot listen on {where}: {reason(error)}", kind=kind_of(error, host or "")
            ) from error
        for each in self.sockets:
            each.setblocking(False)
        self.port: int = self.sockets[0].getsockname()[1]

    def _bind(self, host: str | None, port: int) -> None:
        if host is not None:
            self._bind_each(look_up(Address(host, port), passive=True), port)
        elif _has_ipv6():
            everywhere = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
            self.sockets.append(everywhere)
        else:
            self.sockets.append(socket.create_server(("", port), backlog=BACKLOG))

    def _bind_each(self, places: list[tuple[socket.AddressFamily, Any]], port: int) -> None:
        """Listen on all addresses, on one port, even if the system chose it. An address that this machine does not
        have is an error only if it has none of them."""
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

    @property
    def entrances(self) -> "list[socket.socket | Doorway]":
        """All sockets and doorways through which callers come."""
        return [*self.sockets, *self.doorways]

    def addresses(self) -> list[str]:
        """Return the hosts under which others reach the listener: the chosen host, or, for a wildcard, this machine's
        main addresses of the families that are accepted."""
        bound = self._bound()
        if self._host is not None and not any(place in WILDCARDS for _, place in bound):
            return [self._host]
        families = {family for family, place in bound if place in WILDCARDS}
        if self._host is None:
            families |= {socket.AF_INET}  # an IPv6 socket for every interface takes both
        fallback = "127.0.0.1" if families == {socket.AF_INET} else "::1" if self._host else "localhost"
        return local_addresses(families) or [fallback]

    def places(self) -> list[str]:
        """Return the same addresses with the port, as diallers type them."""
        return [str(Address(each, self.port)) for each in self.addresses()]

    def numbers(self) -> list[str]:
        """Return the same addresses as IP addresses, without names and without loopback addresses."""
        bound = {place for _, place in self._bound()}
        found = bound if self._host and bound.isdisjoint(WILDCARDS) else self.addresses()
        return [each for each in found if not is_loopback(each)]

    def _bound(self) -> list[tuple[int, str]]:
        return [(each.family, str(each.getsockname()[0])) for each in self.sockets]

    def close(self) -> None:
        """Close all sockets and doorways."""
        for each in self.entrances:
            each.close()


def accept(listening: socket.socket) -> TcpStream | None:
    """Accept a caller, and return its stream; None if there is none (any more). Raises Unreachable if no descriptor
    is left."""
    try:
        connection, place = listening.accept()
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise Unreachable(f"no connection can be taken: {reason(error)}") from error
        return None
    if not isinstance(place, tuple):  # it came by a Unix socket
        return TcpStream(connection, Address(LOCAL_HOST, 0), f"unix:{listening.getsockname()}")
    return TcpStream(connection, Address(place[0].removeprefix("::ffff:"), place[1]))


def most_connections() -> int:
    """Return how many connections and files this process may have open at once: the limit that `ulimit -n` shows."""
    if sys.platform == "win32":
        return 512  # what Windows takes in one select(), as Python is built
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_000_000 if limit == resource.RLIM_INFINITY else limit


class Wake:
    """Wakes a thread that waits for sockets: `set()` makes it readable, until `clear()` (a self-pipe)."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader.fileno()

    def set(self) -> None:
        """Make it readable. Any thread may call it."""
        self._writer.send(b"!")

    def clear(self) -> None:
        """Make it unreadable. Only the thread that waits for it may call it."""
        self._reader.recv(READ_SIZE)

    def close(self) -> None:
        """Close both sockets."""
        self._reader.close()
        self._writer.close()


def local_addresses(families: Collection[int] = (socket.AF_INET, socket.AF_INET6)) -> list[str]:
    """Return this machine's main addresses, as others would reach it. Nothing is sent: the kernel is asked for a
    route."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # RFC 5737, 3849
        if family not in families:
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def addresses_towards(host: str) -> list[str]:
    """Return this machine's addresses from which `host` is reached now. Nothing is sent, and no name is looked up:
    for a name, these are `local_addresses`."""
    if not is_number(host):
        return local_addresses()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return [str(probe.getsockname()[0])]
    return []


def _has_ipv6() -> bool:
    if not socket.has_dualstack_ipv6():
        return False
    try:  # a kernel may know IPv6 and have it switched off
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
