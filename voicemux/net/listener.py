"""Listening sockets, by which addresses others reach them, and what wakes the thread that waits for them."""

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

BACKLOG = 128  # callers that the kernel may hold until the reception looks: what is more has to knock again
EVERYWHERE = "*"  # a host to listen on: every interface
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
WILDCARDS = ("0.0.0.0", "::")  # what sockets call it, of one family
LOCAL_HOST = "127.0.0.1"  # of callers who come from this machine without an address


class Doorway:
    """An entrance for callers who come another way, such as through a relay. It is waited for like a socket."""

    def __init__(self, on_close: Callable[[], None] = lambda: None) -> None:
        """`on_close` is called when the listener closes, before the doorway does."""
        self._wake = Wake()
        self._streams: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self._on_close = on_close
        self._closing = threading.Lock()
        self._is_closed = False

    def fileno(self) -> int:
        return self._wake.fileno()

    def put(self, stream: Stream) -> None:
        """Let a caller in; close its stream if the doorway is closed. Any thread."""
        with self._closing:
            if not self._is_closed:
                self._streams.put(stream)
                self._wake.set()
                return
        stream.close()

    def take(self) -> Stream | None:
        """The next caller's, None if there is none. To be called when it can be read."""
        self._wake.clear()  # before the look, so that nothing is missed
        stream = next(drain(self._streams), None)
        if not self._streams.empty():
            self._wake.set()
        return stream

    def close(self) -> None:
        """Close it, and the streams that were not taken."""
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

    @property
    def entrances(self) -> "list[socket.socket | Doorway]":
        """All that callers may come through."""
        return [*self.sockets, *self.doorways]

    def addresses(self) -> list[str]:
        """By which others can reach it: the host as it was chosen; of a wildcard, this machine's main addresses, as
        far as it accepts their families."""
        bound = self._bound()
        if self._host is not None and not any(place in WILDCARDS for _, place in bound):
            return [self._host]
        families = {family for family, place in bound if place in WILDCARDS}
        if self._host is None:
            families |= {socket.AF_INET}  # an IPv6 socket for every interface takes both
        fallback = "127.0.0.1" if families == {socket.AF_INET} else "::1" if self._host else "localhost"
        return local_addresses(families) or [fallback]

    def places(self) -> list[str]:
        """The same as diallers type it."""
        return [str(Address(each, self.port)) for each in self.addresses()]

    def numbers(self) -> list[str]:
        """The same as IP addresses; none of names, and none by which only this machine can reach it."""
        bound = {place for _, place in self._bound()}
        found = bound if self._host and bound.isdisjoint(WILDCARDS) else self.addresses()
        return [each for each in found if not is_loopback(each)]

    def _bound(self) -> list[tuple[int, str]]:
        return [(each.family, str(each.getsockname()[0])) for each in self.sockets]

    def close(self) -> None:
        for each in self.entrances:
            each.close()


def accept(listening: socket.socket) -> TcpStream | None:
    """The next caller's stream, None if there is none (any more). Raises Unreachable if no descriptor is left."""
    try:
        connection, place = listening.accept()
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise Unreachable(f"no connection can be taken: {reason(error)}") from error
        return None
    if not isinstance(place, tuple):  # of a Unix socket
        return TcpStream(connection, Address(LOCAL_HOST, 0))
    return TcpStream(connection, Address(place[0].removeprefix("::ffff:"), place[1]))


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


def addresses_towards(host: str) -> list[str]:
    """Which of this machine's addresses reaches `host` now, if any does. Sends nothing, and looks no name up: of one,
    these are `local_addresses`."""
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
