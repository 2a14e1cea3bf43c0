"""Whose an id is, of listeners that wait at this relay or are about to, where other relays are asked. Pure.

A relay that is asked for an id answers for the listener that waits. While it asks itself, for a listener that is
about to wait, it may be asked by another relay that does the same: the listener with the lower owner gets the id.
Each relay can be asked before it asks, so at least one of the two hears of the other.
"""

from collections import defaultdict
from collections.abc import Iterable
from enum import Enum


class Standing(Enum):
    """What a question of another relay for an id comes to."""

    FREE = "free"  # no listener of this relay has the id
    OURS = "ours"  # one has
    MOVED = "moved"  # one had, and its program waits at the other relay now


class IdClaim:
    """A listener is about to wait for these ids."""

    def __init__(self, owner: bytes, ids: tuple[bytes, ...]) -> None:
        self.owner = owner
        self.ids = ids
        self.is_lost = False  # a listener at another relay gets one of the ids
        self.is_decided = False  # it is as if it waited

    def decide(self) -> bool:
        """All others have been asked, and have none of the ids: whether the listener may wait."""
        self.is_decided = not self.is_lost
        return self.is_decided


class Claims:
    """One thread."""

    def __init__(self) -> None:
        self._owners: dict[bytes, bytes] = {}  # of the ids for which listeners wait here
        self._claims: defaultdict[bytes, list[IdClaim]] = defaultdict(list)

    def owner(self, id_: bytes) -> bytes:
        """Of the listener that waits for it here; b"" if none does."""
        return self._owners.get(id_, b"")

    def is_wanted(self, id_: bytes) -> bool:
        """Whether others may ask for it."""
        return id_ in self._owners or id_ in self._claims

    def note(self, id_: bytes, owner: bytes) -> None:
        """A listener of that owner waits for it here now; b"": none does."""
        if owner:
            self._owners[id_] = owner
        else:
            self._owners.pop(id_, None)

    def begin(self, owner: bytes, ids: Iterable[bytes]) -> IdClaim:
        """`end` it."""
        claim = IdClaim(owner, tuple(dict.fromkeys(ids)))
        for each in claim.ids:
            self._claims[each].append(claim)
        return claim

    def end(self, claim: IdClaim) -> None:
        """The listener waits, or does not."""
        for each in claim.ids:
            self._claims[each].remove(claim)
            if not self._claims[each]:
                del self._claims[each]

    def hear(self, id_: bytes, owner: bytes) -> Standing:
        """Another relay asks for it: for a listener of that owner that is about to wait; b"": for a caller."""
        if ours := self._owners.get(id_):
            return Standing.MOVED if ours == owner else Standing.OURS
        heard = Standing.FREE
        for claim in self._claims.get(id_, ()) if owner else ():
            if claim.owner == owner:  # its program: the relay of the newer connection says so when it waits
                continue
            if claim.is_decided or claim.owner < owner:
                heard = Standing.OURS
            else:
                claim.is_lost = True
        return heard
