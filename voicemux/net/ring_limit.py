"""How often it may ring for callers who are not known. Pure: no clock, socket or thread.

Contacts and callers with the code may ring at any time. `now` is in seconds, of a clock that only goes forward.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable

MINUTE = 60.0  # seconds
MOST_RINGS = 6  # a minute, of all strangers together: one every ten seconds can be borne, and declined, by a human
MOST_OF_ONE = 2  # a minute: who was cut off tries again once
DECLINED_FOR = 300.0  # seconds that a no counts for: who misjudged a friend can say so by another way
MOST_REMEMBERED = 1024  # callers that were declined: about 200 kB


class RingLimit:
    """Ask it before it rings for a stranger; tell it who was declined.

    A stranger has several marks (a network, a key); a decision about one mark counts for every caller that has it.
    """

    def __init__(self) -> None:
        self._rings: deque[tuple[float, tuple[Hashable, ...]]] = deque(maxlen=MOST_RINGS)
        self._declined: OrderedDict[Hashable, float] = OrderedDict()  # until when; who was declined last comes last

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
