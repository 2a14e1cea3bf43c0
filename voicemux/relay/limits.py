"""How much one address may have at a relay, and all together. Pure: `now` is in seconds, of a clock that only goes
forward."""

from collections import OrderedDict
from dataclasses import dataclass

from voicemux.security.networks import Network, networks_of

MINUTE = 60.0  # seconds
MOST_REMEMBERED = 16_384  # addresses of which calls are counted: about 4 MB


@dataclass(frozen=True)
class Limits:
    """An address is one of IPv4, or a /64 of IPv6, which one household has."""

    connections: int = 4096  # of all
    unasked: int = 16  # connections of an address that have not said yet what they want
    waits: int = 16  # connections of an address that wait: a listener has two
    calls: int = 30  # of an address, in a minute; also how many at once after a minute without one
    pairs: int = 60  # of an address


def place_of(host: str) -> Network:
    """The address that is counted for a host."""
    return networks_of(host)[-1]


class CallRate:
    """A token bucket for each address."""

    def __init__(self, calls: int) -> None:
        """`calls` is how many an address may make in a minute."""
        self._calls = calls
        self._spent: OrderedDict[Network, tuple[float, float]] = OrderedDict()  # calls, and as of when

    def __len__(self) -> int:
        return len(self._spent)

    def wait(self, place: Network, now: float) -> float:
        """Count a call. 0 if it may be made, else the seconds until the next one may."""
        spent, since = self._spent.get(place, (0.0, now))
        spent = max(0.0, spent - (now - since) * self._calls / MINUTE)
        if spent + 1 > self._calls:
            return (spent + 1 - self._calls) * MINUTE / self._calls
        self._spent[place] = (spent + 1, now)
        self._spent.move_to_end(place)
        if len(self._spent) > MOST_REMEMBERED:
            self._spent.popitem(last=False)
        return 0.0
