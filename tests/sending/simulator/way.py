"""One direction of a line: packets in, packets out, in order, later or never."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.sending.simulator.timeline import Timeline


@dataclass
class Kind:
    """Seconds, bits a second, shares."""

    delay: float = 0.0
    rate: float = 0.0  # 0: any
    queue: float = 1.0  # seconds of `rate` that wait at most
    jitter: float = 0.0  # up to so much more, as with a radio that repeats: nothing overtakes
    loss: float = 0.0
    burst: float = 1.0  # packets that are lost at once, in the mean


class Way:
    def __init__(self, timeline: Timeline, kind: Kind, seed: int) -> None:
        self.kind = kind
        self._timeline = timeline
        self._random = random.Random(seed)
        self._free = self._last = self._dark_until = 0.0
        self._holds = self._is_losing = False

    def change(self, **settings: float) -> None:
        for name, value in settings.items():
            setattr(self.kind, name, value)
        self._free = max(self._free, self._timeline.now) if self.kind.rate else self._timeline.now

    def darken(self, seconds: float, *, holds: bool) -> None:
        """Nothing arrives for so long; what is sent meanwhile is lost, or held."""
        self._dark_until, self._holds = self._timeline.now + seconds, holds

    def send(self, size: int, arrive: Callable[[], None]) -> None:
        now, kind = self._timeline.now, self.kind
        is_dark = now < self._dark_until
        if (is_dark and not self._holds) or self._loses():
            return
        due = now
        if kind.rate:
            self._free = max(self._free, now)
            if self._free - now + size * 8 / kind.rate > kind.queue + 1500 * 8 / kind.rate:
                return
            self._free += size * 8 / kind.rate
            due = self._free
        due += kind.delay + kind.jitter * self._random.random()
        if is_dark:
            due = max(due, self._dark_until)
        self._last = max(due, self._last)
        self._timeline.at(self._last, arrive)

    def _loses(self) -> bool:
        """Gilbert's model: a burst ends with each packet by the same chance."""
        kind, chance = self.kind, self._random.random()
        if not kind.loss:
            return False
        if self._is_losing:
            self._is_losing = chance >= 1 / kind.burst
        else:
            self._is_losing = chance < kind.loss / kind.burst / (1 - kind.loss)
        return self._is_losing
