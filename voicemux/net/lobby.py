"""Decides which visitor gives up its place when a listener has no more places. Pure: no clock, socket or thread.

A visitor is a connection that is not a call yet. A friend advances one stage per round trip: ClientHello, TLS, CLAIM,
PROOF. A stranger who wants to keep friends out stops at some stage, because each stage costs the stranger more. So
every stage has its share of the places. The lowest stage with more visitors than its share gives one up: the visitor
that reached the stage first. If one network has many visitors in that stage, or has lost many places recently, one of
that network's visitors goes.
"""

import enum
import math
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from typing import Generic, TypeVar

from voicemux.security.networks import Network, networks_of

# Visitors of one network in one stage up to which it is not a crowd: an office or a family may share an address.
CROWD = 16
HALF_LIFE = 60.0  # seconds after which half of a network's lost places are forgotten
MOST_NETWORKS = 4096  # networks whose lost places are remembered: about 800 kB

Visitor = TypeVar("Visitor")


class Stage(enum.IntEnum):
    """How far a visitor has come. Only what we had to answer counts; bytes alone do not."""

    LEAVING = 0  # BYE was sent to it
    SILENT = 1  # it has sent nothing that could be answered
    ANSWERED = 2  # it has sent a whole ClientHello, or a preface
    SECURE = 3  # TLS is up
    CLAIMED = 4  # it has sent CLAIM
    PROVED = 5  # its PROOF was right


class Lobby(Generic[Visitor]):
    """The visitors of a listener, and their stages. `now` is in seconds, and never goes back."""

    def __init__(self, places: int) -> None:
        self._places = places
        # For each stage, its visitors and their networks, in the order in which they reached it.
        self._stages: dict[Stage, dict[Visitor, tuple[Network, ...]]] = {stage: {} for stage in Stage}
        self._stage_of: dict[Visitor, Stage] = {}
        # Number of lost places, and the time of that figure.
        self._lost: OrderedDict[Network, tuple[float, float]] = OrderedDict()

    def __iter__(self) -> Iterator[Visitor]:
        return iter(self._stage_of)

    def __len__(self) -> int:
        return len(self._stage_of)

    def __contains__(self, visitor: object) -> bool:
        return visitor in self._stage_of

    def enter(self, visitor: Visitor, host: str, now: float) -> Visitor | None:
        """Give a new visitor a place. Returns the visitor that has lost its place for it, or None."""
        loser = self.evict(now) if len(self) >= self._places else None
        self._stage_of[visitor] = Stage.SILENT
        self._stages[Stage.SILENT][visitor] = networks_of(host)
        return loser

    def reached(self, visitor: Visitor, stage: Stage) -> None:
        """The visitor has reached that stage; LEAVING once it was sent BYE."""
        before = self._stage_of[visitor]
        if stage is not before:
            self._stages[stage][visitor] = self._stages[before].pop(visitor)
            self._stage_of[visitor] = stage

    def leave(self, visitor: Visitor) -> None:
        """The visitor has gone, or become a call."""
        del self._stages[self._stage_of.pop(visitor)][visitor]

    def evict(self, now: float) -> Visitor | None:
        """Remove the visitor that should give up its place first, and return it; None if there is no visitor."""
        if not self._stage_of:
            return None
        stage = self._fullest()
        loser = self._first_to_go(self._stages[stage], now)
        if stage is not Stage.LEAVING:
            for network in self._stages[stage][loser]:
                self._lost[network] = (self._lost_by(network, now) + 1, now)
                self._lost.move_to_end(network)
            while len(self._lost) > MOST_NETWORKS:
                self._lost.popitem(last=False)
        self.leave(loser)
        return loser

    def _fullest(self) -> Stage:
        """Return the lowest stage with more visitors than its share; if none has, the one with the most visitors."""
        share = self._places // len(Stage)
        over = [stage for stage in Stage if len(self._stages[stage]) > share]
        return over[0] if over else max(Stage, key=lambda stage: len(self._stages[stage]))

    def _first_to_go(self, stage: dict[Visitor, tuple[Network, ...]], now: float) -> Visitor:
        """Return the visitor that has been in the stage for the longest: of the largest crowd, or of all if there is
        no crowd."""
        candidates: Collection[Visitor] = stage
        for level in range(max(map(len, stage.values()))):
            sizes = Counter(stage[each][level] for each in candidates if level < len(stage[each]))
            weights = {network: size + self._lost_by(network, now) for network, size in sizes.items()}
            crowd = max(weights, key=weights.__getitem__, default=None)
            if crowd is None or weights[crowd] <= CROWD:
                break
            candidates = [each for each in candidates if stage[each][level : level + 1] == (crowd,)]
        return next(iter(candidates))

    def _lost_by(self, network: Network, now: float) -> float:
        """Return how many places the network has lost recently; half of them are forgotten each HALF_LIFE."""
        places, when = self._lost.get(network, (0.0, now))
        return places * math.pow(0.5, (now - when) / HALF_LIFE)
