"""Decides which changes of a device the user is told of: the sound server moves calls when devices come and go. Pure.

A default that changes twice a second, or a loose plug, would otherwise fill the screen. Times are arguments, in
seconds.
"""

from collections import deque

SETTLED = 1.0  # seconds for which a device must have been used before the user is told
MOST = 3  # changes that are told within a WHILE
WHILE = 60.0  # seconds


class DeviceWatch:
    """The changes of one direction, input or output."""

    def __init__(self) -> None:
        self._told: str | None = None  # the device that the user knows of
        self._seen: str | None = None
        self._seen_at = 0.0
        self._changes: deque[float] = deque(maxlen=MOST)  # times at which changes were told

    def expect(self, device: str | None) -> None:
        """Note that the user has chosen `device`, or knows of it; None: whatever is used next."""
        self._told = self._seen = device

    def look(self, now: float, device: str) -> bool:
        """Return whether the user should be told that `device` is used now. Call it every few seconds."""
        if self._told is None:
            self.expect(device)
        if device != self._seen:
            self._seen, self._seen_at = device, now
        if device == self._told or now - self._seen_at < SETTLED:
            return False
        self._told = device
        is_calm = len(self._changes) < MOST or now - self._changes[0] >= WHILE
        if is_calm:
            self._changes.append(now)
        return is_calm

    @property
    def is_busy(self) -> bool:
        """Whether the last change that was told is one of many, so that no more are told for a while."""
        return len(self._changes) == MOST and self._changes[-1] - self._changes[0] < WHILE
