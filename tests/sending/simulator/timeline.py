"""Simulated time: what happens, in its order."""

import heapq
import itertools
from collections.abc import Callable


class Timeline:
    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, time: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(time, self.now), next(self._count), happen))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._due)
            happen()
        self.now = until
