"""Estimates how much of the written sound a sound card has taken. The card tells it in steps; in between, the clock
does.

A server takes a whole period at a time, so what is left by its account may be a period too much. But it takes periods
at a steady rate, so a line touches the corners of the steps. No sound, no clock: times are arguments, in seconds.
"""

# Seconds a second by which the line falls back, to follow a card whose clock is slower, or that has paused.
LEAK = 0.001


class Playhead:
    """The estimate for one card. All counts are frames; `period` is what the server takes at a time."""

    def __init__(self, rate: int, period: int) -> None:
        self._rate = rate
        self._period = period
        self._written = 0
        self._offset: float | None = None  # offset of the line: frames that it would have taken at the time 0
        self._looked_at = 0.0

    def wrote(self, frames: int) -> None:
        """The card was given `frames` frames."""
        self._written += frames

    def saw(self, held: int, now: float) -> None:
        """The card has reported, at `now`, that it holds `held` frames."""
        least = self._written - held - self._rate * now
        if self._offset is None:
            self._offset = least
        else:
            given_way = self._offset - LEAK * self._rate * (now - self._looked_at)
            self._offset = min(max(given_way, least), least + self._period)
        self._looked_at = now

    def left(self, now: float) -> float:
        """Return how many frames the card has not taken; negative if it would have taken more than there were."""
        return 0.0 if self._offset is None else self._written - self._offset - self._rate * now
