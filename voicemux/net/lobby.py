"""Which caller must give up its place when a listener has no more: a policy. Pure: no clock, socket or thread.

A friend takes a step in every round trip: it speaks, TLS is up, it claims to have a key, it proves that. A stranger
who wants to keep friends out stops somewhere, because each step costs it more. So every stage has a share of the
places for itself, the lowest stage that has more than its share gives one up, and there the visitor goes that reached
the stage first. If one network has many visitors in that stage, or has lost many places lately, it is one of its own.
"""

import enum
import math
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from typing import Generic, TypeVar

from voicemux.security.networks import Network, networks_of

CROWD = 16  # visitors of one network in one stage that are normal: an office, a family behind one address
HALF_LIFE = 60.0  # seconds after which half of a network's lost places are forgotten
MOST_NETWORKS = 4096  # whose lost places are remembered: some 800 kB

Visitor = TypeVar("Visitor")


class Stage(enum.IntEnum):
    """How far a visitor has come. Only what needed an answer of ours counts: bytes alone do not count."""

    LEAVING = 0  # it has been told goodbye
    SILENT = 1  # nothing that could be answered has come
    ANSWERED = 2  # a whole ClientHello, or a preface
    SECURE = 3  # TLS is up
    CLAIMED = 4  # it has said who it is
    PROVED = 5  # and has proved it


class Lobby(Generic[Visitor]):
    """Who is there. `now` is in seconds, of a clock that only goes forward."""

    def __init__(self, places: int) -> None:
        self._places = places
        # For each stage, its visitors and their networks, in the order in which they reached it.
        self._stages: dict[Stage, dict[Visitor, tuple[Network, ...]]] = {stage: {} for stage in Stage}
        self._stage_of: dict[Visitor, Stage] = {}
        self._lost: OrderedDict[Network, tuple[float, float]] = OrderedDict()  # places, as of when

    def __iter__(self) -> Iterator[Visitor]:
        return iter(self._stage_of)

    def __len__(self) -> int:
        return len(self._stage_of)

    def __contains__(self, visitor: object) -> bool:
        return visitor in self._stage_of

    def enter(self, visitor: Visitor, host: str, now: float) -> Visitor | None:
        """Give the newcomer a place. Returns the visitor that has lost its place for it, if one had to."""
        loser = self.evict(now) if len(self) >= self._places else None
        self._stage_of[visitor] = Stage.SILENT
        self._stages[Stage.SILENT][visitor] = networks_of(host)
        return loser

    def reached(self, visitor: Visitor, stage: Stage) -> None:
        """The visitor has come so far, or has been told goodbye."""
        before = self._stage_of[visitor]
        if stage is not before:
            self._stages[stage][visitor] = self._stages[before].pop(visitor)
            self._stage_of[visitor] = stage

    def leave(self, visitor: Visitor) -> None:
        del self._stages[self._stage_of.pop(visitor)][visitor]

    def evict(self, now: float) -> Visitor | None:
        """Take the place of the visitor that should give it up first; None if there is no visitor."""
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
        """The lowest stage with more visitors than its share; in a tiny lobby, the one with the most."""
        share = self._places // len(Stage)
        over = [stage for stage in Stage if len(self._stages[stage]) > share]
        return over[0] if over else max(Stage, key=lambda stage: len(self._stages[stage]))

    def _first_to_go(self, stage: dict[Visitor, tuple[Network, ...]], now: float) -> Visitor:
        """Of the largest crowd, if there is one, or else of all, who has been in the stage for the longest."""
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
        """How many places that network has lost, of which half are forgotten each HALF_LIFE."""
        places, when = self._lost.get(network, (0.0, now))
        return places * math.pow(0.5, (now - when) / HALF_LIFE)
