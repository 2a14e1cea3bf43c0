"""Whether the way to a peer may have changed: another own address leads there, or this machine has slept.

It sends nothing."""

import time
from collections.abc import Callable

LOOK_INTERVAL = 0.25  # seconds between two looks at the addresses: two system calls each
NAP = 2.0  # seconds that the clock of the machine may run ahead of ours: it slept if more


class Surroundings:
    """Ask it several times a second. Belongs to one thread."""

    def __init__(
        self,
        addresses: Callable[[], list[str]],
        slept: Callable[[], float] | None = None,
    ) -> None:
        """`addresses` are ours that lead to the peer; `slept` is the seconds for which the machine has slept,
        ever."""
        self._addresses = addresses
        self._slept = slept or _slept
        self._known = addresses()
        self._slept_so_far = self._slept()
        self._next_look = float("-inf")

    def have_changed(self, now: float) -> bool:
        """Whether anything has changed since the last time."""
        slept, before = self._slept(), self._slept_so_far
        self._slept_so_far = slept
        return self._look_at_addresses(now) or slept - before > NAP

    def _look_at_addresses(self, now: float) -> bool:
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_INTERVAL
        known, self._known = self._known, self._addresses()
        return known != self._known


def _slept() -> float:
    """Linux's clock of the time since the boot runs on while the machine sleeps, the monotonic one does not."""
    if (boot := getattr(time, "CLOCK_BOOTTIME", None)) is None:
        return 0.0
    return float(time.clock_gettime(boot) - time.monotonic())
