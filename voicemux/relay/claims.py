"""Decides which listener gets an id that listeners at two relays of a cluster want. Pure.

An id belongs to the listener that waits for it. Before a relay lets a listener wait, it claims the listener's ids and
asks the other relays for them. If two relays claim an id at the same time, the listener with the lower owner gets it.
Each relay subscribes before it asks, so at least one of the two hears of the other's claim.
"""

from collections import defaultdict
from collections.abc import Iterable
from enum import Enum


class Standing(Enum):
    """The result of another relay's question for an id."""

    FREE = "free"  # no listener of this relay has the id
    OURS = "ours"  # a listener of this relay has the id, or gets it
    MOVED = "moved"  # a listener had the id here, and its program waits at the other relay now


class IdClaim:
    """The claim of a listener that is about to wait for `ids`."""

    def __init__(self, owner: bytes, ids: tuple[bytes, ...]) -> None:
        self.owner = owner
        self.ids = ids
        self.is_lost = False  # a listener at another relay gets one of the ids
        self.is_decided = False  # the listener counts as waiting

    def decide(self) -> bool:
        """Decide, once all other relays have been asked and have none of the ids. Return whether the listener may
        wait."""
        self.is_decided = not self.is_lost
        return self.is_decided


class Claims:
    """The ids that listeners of this relay have or claim. For one thread."""

    def __init__(self) -> None:
        self._owners: dict[bytes, bytes] = {}  # owner by id, of listeners that wait here
        self._claims: defaultdict[bytes, list[IdClaim]] = defaultdict(list)

    def owner(self, id_: bytes) -> bytes:
        """Return the owner of the listener that waits for the id here; b"" if none waits."""
        return self._owners.get(id_, b"")

    def is_wanted(self, id_: bytes) -> bool:
        """Return whether a listener of this relay has or claims the id, so that questions for it must be heard."""
        return id_ in self._owners or id_ in self._claims

    def note(self, id_: bytes, owner: bytes) -> None:
        """Note that a listener of that owner waits for the id here now; b"": none waits any more."""
        if owner:
            self._owners[id_] = owner
        else:
            self._owners.pop(id_, None)

    def begin(self, owner: bytes, ids: Iterable[bytes]) -> IdClaim:
        """Claim the ids for a listener of that owner. Return the claim, which lasts until `end`."""
        claim = IdClaim(owner, tuple(dict.fromkeys(ids)))
        for each in claim.ids:
            self._claims[each].append(claim)
        return claim

    def end(self, claim: IdClaim) -> None:
        """End a claim, once: the listener waits now (see `note`), or was refused."""
        for each in claim.ids:
            self._claims[each].remove(claim)
            if not self._claims[each]:
                del self._claims[each]

    def hear(self, id_: bytes, owner: bytes) -> Standing:
        """Return the answer to another relay that asks for the id: for a listener of that owner that is about to wait
        there, or, with b"", for a caller. An undecided claim of a higher owner is lost by this."""
        if ours := self._owners.get(id_):
            return Standing.MOVED if ours == owner else Standing.OURS
        heard = Standing.FREE
        for claim in self._claims.get(id_, ()) if owner else ():
            if claim.owner == owner:  # the same program: the relay of its newer connection tells others once it waits
                continue
            if claim.is_decided or claim.owner < owner:
                heard = Standing.OURS
            else:
                claim.is_lost = True
        return heard
