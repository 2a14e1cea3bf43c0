"""Who has failed to get in of late, and so has to wait, or is not listened to. Pure: no clock, socket or thread.

A code of three words is guessed one try at a time, so what counts is how many tries there are a minute. `now` is
in seconds, of a clock that only goes forward.
"""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Hashable

MEMORY = 600.0  # seconds that a failure counts, and that who is ignored stays so: whoever mistypes forgets as soon
DELAYED_FROM = 3  # failures: everybody mistypes once or twice
FIRST_DELAY = 1.0  # seconds, doubled with each failure more
MOST_DELAY = 3.0  # seconds: less than the 5 that a dialler waits for an answer (protocol.md §11)
IGNORED_FROM = 8  # failures: no human goes on so long, and each of them costs us a handshake
MOST_PLACES = 1024  # that are kept in mind: 200 kB or so; more are needed only by who can afford any number of them
NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all that begin with these (RFC 6177)


class _Place:
    """What came from there."""

    def __init__(self) -> None:
        self.failures: deque[float] = deque(maxlen=IGNORED_FROM)
        self.ignored_until = float("-inf")


class Guard:
    """Tell it who failed and succeeded; ask it what to do with the next from there."""

    def __init__(self) -> None:
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()  # whoever failed last comes last

    def failed(self, host: str, now: float) -> None:
        """Somebody from there was not let in."""
        key = place_of(host)
        place = self._places.setdefault(key, _Place())
        self._places.move_to_end(key)
        place.failures.append(now)
        if now < place.ignored_until or _of_late(place, now) >= IGNORED_FROM:
            place.ignored_until = now + MEMORY
        if len(self._places) > MOST_PLACES:
            self._places.popitem(last=False)

    def succeeded(self, host: str) -> None:
        """Somebody from there was let in: all is forgiven."""
        self._places.pop(place_of(host), None)

    def delay(self, host: str, now: float) -> float | None:
        """Seconds for which a new connection from there is to wait before it is looked at; None: ignore it.

        From this machine itself nobody is ignored: tunnels (ssh -L, Tor) make everybody come from here.
        """
        place = self._places.get(place_of(host))
        if place is None:
            return 0.0
        if now < place.ignored_until:
            return MOST_DELAY if _is_loopback(host) else None
        beyond = _of_late(place, now) - DELAYED_FROM
        return min(MOST_DELAY, FIRST_DELAY * 2.0**beyond) if beyond >= 0 else 0.0


def _of_late(place: _Place, now: float) -> int:
    return sum(now - failure < MEMORY for failure in place.failures)


def place_of(host: str) -> Hashable:
    """What all addresses of one owner have in common."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return ipaddress.IPv6Network((int(address), NETWORK_BITS), strict=False)
    return address or host


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    # A socket that takes both families has IPv4 as ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
