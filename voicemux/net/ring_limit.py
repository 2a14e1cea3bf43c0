"""Limits how often callers that are not known may ring. Pure: no clock, socket or thread.

Contacts and callers with the code may ring at any time. `now` is in seconds, and never goes back.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable

from voicemux.security.networks import is_loopback, networks_of

MINUTE = 60.0  # seconds
MOST_RINGS = 6  # rings a minute of all strangers together: a user can bear, and decline, one every ten seconds
MOST_OF_ONE = 2  # rings a minute of one stranger, who may try again once after being cut off
# Seconds for which a stranger that was declined cannot ring; a friend can be told otherwise by another way.
DECLINED_FOR = 300.0
MOST_REMEMBERED = 1024  # declined callers that are remembered: about 200 kB


def marks_of(fingerprint: str, host: str, relay: str) -> tuple[Hashable, ...]:
    """Return the marks of an unknown caller: its key, "" if it has none, which costs nothing to change; and its
    network.

    A loopback address is not one of them: through a tunnel (ssh -L, Tor) or a Unix socket, every caller comes from
    it. The address of a relay is not one of them either: all its callers share it.
    """
    key = (fingerprint,) if fingerprint else ()
    return key if relay or is_loopback(host) else (*key, networks_of(host)[-1])


class RingLimit:
    """The limit of one listener. Call `take` before it rings for a stranger, and `declined` when the user declines.

    A stranger has several marks (a network, a key); a decision about one mark holds for every caller that has it.
    """

    def __init__(self) -> None:
        self._rings: deque[tuple[float, tuple[Hashable, ...]]] = deque(maxlen=MOST_RINGS)
        # Time until which each mark counts, the newest last.
        self._declined: OrderedDict[Hashable, float] = OrderedDict()

    def is_declined(self, marks: tuple[Hashable, ...], now: float) -> bool:
        """Whether the user has just declined a call of the same stranger."""
        return any(now < self._declined.get(mark, now) for mark in marks)

    def take(self, marks: tuple[Hashable, ...], now: float) -> bool:
        """Whether a caller with these marks may ring now; if so, this ring counts."""
        recent = [of for began, of in self._rings if now - began < MINUTE]
        of_one = max((sum(mark in of for of in recent) for mark in marks), default=0)
        if len(recent) >= MOST_RINGS or of_one >= MOST_OF_ONE:
            return False
        self._rings.append((now, marks))
        return True

    def declined(self, marks: tuple[Hashable, ...], now: float) -> None:
        """The user has declined a caller with these marks."""
        for mark in marks:
            self._declined[mark] = now + DECLINED_FOR
            self._declined.move_to_end(mark)
        while len(self._declined) > MOST_REMEMBERED:
            self._declined.popitem(last=False)
