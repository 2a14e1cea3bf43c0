"""Notices that the way to a peer may have changed: another address of this machine leads there, or the machine has
slept.

It sends nothing.
"""

import time
from collections.abc import Callable

LOOK_INTERVAL = 0.25  # seconds between two looks at the addresses, which cost two system calls each
NAP = 2.0  # seconds of sleep of the machine that count


class Surroundings:
    """Watches one peer's way. One thread asks it several times a second."""

    def __init__(
        self,
        addresses: Callable[[], list[str]],
        slept: Callable[[], float] | None = None,
    ) -> None:
        """`addresses` returns our addresses that lead to the peer. `slept` returns for how many seconds the machine
        has slept since it was started."""
        self._addresses = addresses
        self._slept = slept or _slept
        self._known = addresses()
        self._slept_so_far = self._slept()
        self._next_look = float("-inf")

    def have_changed(self, now: float) -> bool:
        """Whether anything has changed since the last call."""
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
    """Return the seconds that the machine has slept since it was started. On Linux, the boot-time clock goes on while
    the machine sleeps, and the monotonic clock does not; elsewhere, 0."""
    if (boot := getattr(time, "CLOCK_BOOTTIME", None)) is None:
        return 0.0
    return float(time.clock_gettime(boot) - time.monotonic())
