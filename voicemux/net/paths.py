"""Where the other side of a relayed call may be reached without the relay: which of the addresses that it names are
tried, and when. Pure (protocol.md §17.8): `now` is an argument, in seconds; so is chance, from 0 to 1.

Everything here is a limit, too: a peer must not make us look for what listens at the addresses of others.
"""

import ipaddress
from collections import deque
from collections.abc import Callable, Iterable

from voicemux.net.address import Address
from voicemux.protocol.messages import NetworkPath, PathKind, Paths

ROUND = 3.0  # seconds: TCP tries again after 1 s, and 97 of 100 that succeed do so at once (arXiv 2510.27500)
LEAST_PAUSE, MOST_PAUSE = 0.010, 0.150  # seconds before the next try: with a fixed pause two sides may always miss
MOST_TRIES = 20  # for each address in a round
LEAST_PORT = 1024  # below are the services of machines
MOST_ADDRESSES = 8  # in a SPAN
MOST_ROUNDS = 8  # in a SPAN
SPAN = 600.0  # seconds
MOST_SAID = 8  # PATHS on a connection
PAUSES = (0.0, 5.0, 30.0)  # seconds before each round on a connection; then there are no more

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
NEVER = [
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
]
PRIVATE = [
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


def own_paths(own: Address, seen: Address, port: int = 0, mapped: Address | None = None) -> tuple[NetworkPath, ...]:
    """What to say of a connection to a relay, of which `own` is our end and `seen` that end as the relay sees it.

    `port` is the one at which we listen; 0 if we do not. `mapped` is where our router lets callers in.
    """
    found = [NetworkPath(PathKind.SEEN, seen.host, seen.port), NetworkPath(PathKind.OWN, own.host, own.port)]
    if port:
        found.append(NetworkPath(PathKind.OWN, own.host, port))
    if mapped:
        found.append(NetworkPath(PathKind.MAPPED, mapped.host, mapped.port))
    return tuple(each for each in found if not _is_in(ipaddress.ip_address(each.address), NEVER))


def usable(seen: Address, theirs: Iterable[NetworkPath]) -> list[Address]:
    """Which of the peer's addresses may be tried, by a side that the relay sees at `seen`."""
    own, named = ipaddress.ip_address(seen.host), [(each, ipaddress.ip_address(each.address)) for each in theirs]
    their_seen = [address for each, address in named if each.kind == PathKind.SEEN]
    is_near = own in their_seen or (
        _is_in(own, PRIVATE) and bool(their_seen) and all(_is_in(each, PRIVATE) for each in their_seen)
    )
    found = []
    for each, address in named:
        is_private = _is_in(address, PRIVATE)
        may_be = not is_private or (is_near and each.kind == PathKind.OWN)
        fits = address.version == own.version and each.port >= LEAST_PORT and not _is_in(address, NEVER)
        if may_be and fits and each.kind in (PathKind.OWN, PathKind.SEEN, PathKind.MAPPED):
            found.append(Address(str(address), each.port))
    return list(dict.fromkeys(found))


def _is_in(address: IpAddress, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in each for each in networks if each.version == address.version)


class Rounds:
    """When the rounds of a call begin, and what is tried in each. `begin` on each connection through a relay, `leave`
    when another kind carries the call."""

    def __init__(self, *, dials: bool) -> None:
        """`dials` is whether this side is the session's dialler, who says when."""
        self._dials = dials
        self._seen: Address | None = None  # by the relay, on the connection that carries the call
        self._theirs: Paths | None = None
        self._heard = 0  # PATHS on this connection
        self._here = 0  # rounds on this connection
        self._next = 0.0  # when the dialler may say NOW
        self._start: float | None = None  # when the next round begins
        self._is_busy = False  # a round is under way
        self._used: dict[Address, float] = {}  # and when last
        self._rounds: deque[float] = deque(maxlen=MOST_ROUNDS)

    def begin(self, seen: Address, now: float) -> None:
        """Another connection through a relay carries the call."""
        self.leave()
        self._seen, self._next = seen, now

    def leave(self) -> None:
        """No connection through a relay does."""
        self._seen = self._theirs = self._start = None
        self._heard = self._here = 0

    def hear(self, paths: Paths, now: float) -> None:
        """The peer has said that on this connection."""
        self._heard += 1
        if self._seen is None or self._heard > MOST_SAID:
            return
        self._theirs = paths
        if paths.now and not self._dials and not self._is_busy:
            self._start = now

    def says_now(self, now: float, round_trip: float | None) -> bool:
        """Whether the dialler is to say NOW. Then the round begins half a `round_trip` later."""
        if not self._dials or round_trip is None or self._is_busy or self._start is not None:
            return False
        if self._here >= len(PAUSES) or now < self._next or not self._has_any:
            return False
        self._here += 1
        self._start = now + round_trip / 2
        return True

    def wait(self, now: float) -> float | None:
        """Seconds until there is something to do; None as long as nothing happens."""
        if self._start is not None:
            return max(0.0, self._start - now)
        if self._dials and not self._is_busy and self._here < len(PAUSES) and self._has_any:
            return max(0.0, self._next - now)
        return None

    def start(self, now: float) -> tuple[Address, ...] | None:
        """What to try in the round that begins now; None if none does. `finish` it."""
        if self._start is None or now < self._start:
            return None
        self._start = None
        if self._seen is None or self._theirs is None or not self._may_begin(now):
            return None
        self._used = {each: at for each, at in self._used.items() if now - at < SPAN}
        found = []
        for each in usable(self._seen, self._theirs.paths):
            if each in self._used or len(self._used) < MOST_ADDRESSES:
                self._used[each] = now
                found.append(each)
        self._is_busy = True
        return tuple(found)

    def finish(self, now: float) -> None:
        """The round is over. Where it has brought a connection, `leave` follows."""
        self._is_busy = False
        if self._here < len(PAUSES):
            self._next = now + PAUSES[self._here]

    @property
    def _has_any(self) -> bool:
        return self._seen is not None and self._theirs is not None and bool(usable(self._seen, self._theirs.paths))

    def _may_begin(self, now: float) -> bool:
        if len(self._rounds) == MOST_ROUNDS and now - self._rounds[0] < SPAN:
            return False
        self._rounds.append(now)
        return True


class Tries:
    """The connections of one round: when each address is tried."""

    def __init__(self, addresses: Iterable[Address], now: float, chance: Callable[[], float]) -> None:
        self.until = now + ROUND
        self._chance = chance
        self._due = dict.fromkeys(addresses, now)
        self._left = dict.fromkeys(self._due, MOST_TRIES)

    def due(self, now: float) -> list[Address]:
        """Which to try now, and then to leave alone until it has `failed`."""
        if now >= self.until:
            return []
        found = [each for each, at in self._due.items() if at <= now]
        for each in found:
            del self._due[each]
            self._left[each] -= 1
        return found

    def failed(self, address: Address, now: float) -> None:
        """The try was refused."""
        if self._left[address]:
            self._due[address] = now + LEAST_PAUSE + self._chance() * (MOST_PAUSE - LEAST_PAUSE)

    def wait(self, now: float) -> float:
        """Seconds until the next try, or the end of the round."""
        return max(0.0, min(self._due.values(), default=self.until) - now)
