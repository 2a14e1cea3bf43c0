"""Chooses which addresses of the peer of a relayed call are tried without the relay, and when. Pure (protocol.md
§17.8): `now` is an argument, in seconds; so is randomness, from 0 to 1.

Every number here is also a limit: a peer must not make us probe addresses of others.
"""

import ipaddress
from collections import deque
from collections.abc import Callable, Iterable

from voicemux.net.address import Address
from voicemux.protocol.messages import NetworkPath, PathKind, Paths

# Seconds of a round: TCP sends SYN again after 1 s; of 100 successes, 97 come at the first attempt (arXiv
# 2510.27500).
ROUND = 3.0
# Seconds before the next try, random: with a fixed pause, two sides might always miss each other.
LEAST_PAUSE, MOST_PAUSE = 0.010, 0.150
MOST_TRIES = 20  # tries of each address in a round
LEAST_PORT = 1024  # lowest port that is tried: those below belong to system services
MOST_ADDRESSES = 8  # addresses tried in a SPAN
MOST_ROUNDS = 8  # rounds in a SPAN
SPAN = 600.0  # seconds for which these limits count
MOST_SAID = 8  # PATHS messages that are read on a connection
PAUSES = (0.0, 5.0, 30.0)  # seconds before each round on a connection; there are no more rounds

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
    """Return the addresses of ours to name in PATHS. `own` is our end of the connection to the relay, `seen` the same
    end as the relay sees it, `port` the port on which we listen (0: none), `mapped` the address that our router
    forwards to it."""
    found = [NetworkPath(PathKind.SEEN, seen.host, seen.port), NetworkPath(PathKind.OWN, own.host, own.port)]
    if port:
        found.append(NetworkPath(PathKind.OWN, own.host, port))
    if mapped:
        found.append(NetworkPath(PathKind.MAPPED, mapped.host, mapped.port))
    return tuple(each for each in found if not _is_in(ipaddress.ip_address(each.address), NEVER))


def usable(seen: Address, theirs: Iterable[NetworkPath]) -> list[Address]:
    """Return the addresses of the peer that may be tried, if the relay sees us at `seen`."""
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
    """Decides when the rounds of a call begin, and what is tried in each. Call `begin` for each connection through a
    relay that carries the call, and `leave` when another kind does."""

    def __init__(self, *, dials: bool) -> None:
        """`dials` is whether this side is the session's dialler, which decides when rounds begin."""
        self._dials = dials
        self._seen: Address | None = None  # our address as the relay sees it, on the connection that carries the call
        self._theirs: Paths | None = None
        self._heard = 0  # PATHS that have come on this connection
        self._here = 0  # rounds that have begun on this connection
        self._next = 0.0  # earliest time for the dialler to send PATHS with NOW
        self._start: float | None = None  # time at which the next round begins
        self._is_busy = False  # a round is under way
        self._used: dict[Address, float] = {}  # addresses tried, each with the time of the last try
        self._rounds: deque[float] = deque(maxlen=MOST_ROUNDS)

    def begin(self, seen: Address, now: float) -> None:
        """Another connection through a relay carries the call."""
        self.leave()
        self._seen, self._next = seen, now

    def leave(self) -> None:
        """No connection through a relay carries the call any more."""
        self._seen = self._theirs = self._start = None
        self._heard = self._here = 0

    def hear(self, paths: Paths, now: float) -> None:
        """The peer has sent `paths` on this connection."""
        self._heard += 1
        if self._seen is None or self._heard > MOST_SAID:
            return
        self._theirs = paths
        if paths.now and not self._dials and not self._is_busy:
            self._start = now

    def says_now(self, now: float, round_trip: float | None) -> bool:
        """Whether the dialler is to send PATHS with NOW at this moment. If so, the round begins half a `round_trip`
        later."""
        if not self._dials or round_trip is None or self._is_busy or self._start is not None:
            return False
        if self._here >= len(PAUSES) or now < self._next or not self._has_any:
            return False
        self._here += 1
        self._start = now + round_trip / 2
        return True

    def wait(self, now: float) -> float | None:
        """Return the seconds until there is something to do; None if nothing will be without an event."""
        if self._start is not None:
            return max(0.0, self._start - now)
        if self._dials and not self._is_busy and self._here < len(PAUSES) and self._has_any:
            return max(0.0, self._next - now)
        return None

    def start(self, now: float) -> tuple[Address, ...] | None:
        """Return the addresses to try in the round that begins now; None if none begins. Call `finish` at its end."""
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
        """The round is over. If it has brought a connection, `leave` follows."""
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
    """Decides when each address is tried in one round."""

    def __init__(self, addresses: Iterable[Address], now: float, chance: Callable[[], float]) -> None:
        self.until = now + ROUND
        self._chance = chance
        self._due = dict.fromkeys(addresses, now)
        self._left = dict.fromkeys(self._due, MOST_TRIES)

    def due(self, now: float) -> list[Address]:
        """Return the addresses to try now. Each is not due again until it has `failed`."""
        if now >= self.until:
            return []
        found = [each for each, at in self._due.items() if at <= now]
        for each in found:
            del self._due[each]
            self._left[each] -= 1
        return found

    def failed(self, address: Address, now: float) -> None:
        """The try of `address` was refused."""
        if self._left[address]:
            self._due[address] = now + LEAST_PAUSE + self._chance() * (MOST_PAUSE - LEAST_PAUSE)

    def wait(self, now: float) -> float:
        """Return the seconds until the next try, or until the end of the round."""
        return max(0.0, min(self._due.values(), default=self.until) - now)
