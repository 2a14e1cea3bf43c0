"""How much one address may use of a relay, and all addresses together. Pure: `now` is in seconds, and never goes
back."""

from collections import OrderedDict
from dataclasses import dataclass

from voicemux.security.networks import Network, networks_of

MINUTE = 60.0  # seconds
MOST_REMEMBERED = 16_384  # addresses whose calls are counted; the oldest are forgotten. They take about 4 MB


@dataclass(frozen=True)
class Limits:
    """The limits of a relay. An address here is an IPv4 address, or an IPv6 network of /64, as a household has."""

    connections: int = 4096  # connections in all
    unasked: int = 16  # connections of an address that have not sent WAIT or CALL yet
    waits: int = 16  # connections of an address that wait; a listener uses two
    waits_anew: int = 4  # WAITs in a minute for each of those, without the WAITs that end in a call
    calls: int = 30  # CALLs of an address in a minute; as many at once after a minute without any
    pairs: int = 60  # connections of an address in pairs


def place_of(host: str) -> Network:
    """Return the address, in the sense of `Limits`, that a host counts for."""
    return networks_of(host)[-1]


class CallRate:
    """Limits the calls, or the WAITs, of each address, by a token bucket."""

    def __init__(self, calls: int) -> None:
        """`calls` is how many an address may make in a minute."""
        self._calls = calls
        # Of each address: calls not yet paid back, and the time of that figure.
        self._spent: OrderedDict[Network, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spent)

    def wait(self, place: Network, now: float) -> float:
        """Count a call. Returns 0 if it may be made, otherwise the seconds until the next one may."""
        spent, since = self._spent.get(place, (0.0, now))
        spent = max(0.0, spent - (now - since) * self._calls / MINUTE)
        if spent + 1 > self._calls:
            return (spent + 1 - self._calls) * MINUTE / self._calls
        self._spent[place] = (spent + 1, now)
        self._spent.move_to_end(place)
        if len(self._spent) > MOST_REMEMBERED:
            self._spent.popitem(last=False)
        return 0.0

    def give_back(self, place: Network) -> None:
        """Take back one call, or WAIT, of the address that `wait` has counted."""
        if found := self._spent.get(place):
            self._spent[place] = (max(0.0, found[0] - 1), found[1])
