"""The voice of a connection that takes the place of one that is well: it waits for the rest of the other's.

The new connection is faster, as a rule, so its first packets come before the last ones of the other. Pure: `now` is
an argument, in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicemux.protocol.messages import Audio

MOST_HELD = 0.3  # seconds: a way through a relay is not longer than a direct one by more, as a rule


@dataclass(frozen=True)
class Playable:
    """Packets to play now, with the time at which each came. `is_first`: what comes from now on came by this
    connection."""

    packets: list[tuple[Audio, float]]
    is_first: bool = False


class Handover:
    """Of one connection. One thread at a time may use it."""

    def __init__(self) -> None:
        self._is_over: Callable[[], bool] | None = None
        self._held: list[tuple[Audio, float]] = []

    def follow(self, is_over: Callable[[], bool]) -> None:
        """Wait until the other connection brings nothing more, which `is_over` says."""
        self._is_over = is_over

    def take(self, audio: Audio, now: float) -> Playable:
        """A packet has come: what to play of what has come so far."""
        if self._is_over is None:
            return Playable([(audio, now)])
        self._held.append((audio, now))
        if not self._is_over() and now < self._held[0][1] + MOST_HELD:
            return Playable([])
        held, self._held, self._is_over = self._held, [], None
        return Playable(held, is_first=True)
