"""From an address to a connected `Stream`."""

import socket
from typing import Any

from voicemux.errors import Kind, Unreachable
from voicemux.net.address import Address
from voicemux.net.socket_errors import kind_of, reason
from voicemux.net.tcp import TcpStream

CONNECT_TIMEOUT = 10.0  # seconds for the last of a host's addresses
EARLY_CONNECT_TIMEOUT = 3.0  # seconds for each address before it, so that a dead IPv6 route costs little


def connect(address: Address, timeout: float = CONNECT_TIMEOUT) -> TcpStream:
    """Connect to the first address of the host that answers. Raises Unreachable, with what came of each."""
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
    """The reasons, and of which address each is where they differ."""
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


def look_up(address: Address, *, passive: bool) -> list[tuple[socket.AddressFamily, Any]]:
    """(family, socket address) of each address that the host has, each once. Raises Unreachable."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE if passive else 0
        )
    except (OSError, UnicodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "that is not a host name"
        raise Unreachable(f"cannot find the host {address.host}: {why}", kind=Kind.NO_SUCH_HOST) from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))
