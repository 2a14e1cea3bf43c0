"""Orders the voice of two connections when a call moves from a slower one to a faster one.

The first packets on the new connection overtake the last ones on the old one, so they are held until the old one has
ended. Pure: `now` is an argument, in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicemux.protocol.messages import Audio

MOST_HELD = 0.3  # seconds that a packet is held: a path through a relay is seldom slower than the direct one by more


@dataclass(frozen=True)
class Playable:
    """Packets to play now, each with its arrival time. `is_first`: they, and all that follow, came by the new
    connection."""

    packets: list[tuple[Audio, float]]
    is_first: bool = False


class Handover:
    """Holds back the voice of one new connection. One thread at a time may use it."""

    def __init__(self) -> None:
        self._is_over: Callable[[], bool] | None = None
        self._held: list[tuple[Audio, float]] = []

    def follow(self, is_over: Callable[[], bool]) -> None:
        """Hold packets from now on, until `is_over` says that the other connection has ended."""
        self._is_over = is_over

    def take(self, audio: Audio, now: float) -> Playable:
        """A packet has come at `now`: return the packets to play now."""
        if self._is_over is None:
            return Playable([(audio, now)])
        self._held.append((audio, now))
        if not self._is_over() and now < self._held[0][1] + MOST_HELD:
            return Playable([])
        held, self._held, self._is_over = self._held, [], None
        return Playable(held, is_first=True)
