"""Where a sound card is in what was written for it. It tells in steps; in between it is known by the clock.

A server takes a whole period at a time, so what is left by its account is up to a period too much. But it does so at
a steady rate: a line touches the corners of the steps. No sound, no clock: times are given, in seconds.
"""

LEAK = 0.001  # seconds a second that the line gives way, to follow a card whose clock is slower, or that has paused


class Playhead:
    """What it counts are frames."""

    def __init__(self, rate: int, period: int) -> None:
        self._rate = rate
        self._period = period
        self._written = 0
        self._offset: float | None = None  # of the line: what would have been taken at the time 0
        self._looked_at = 0.0

    def wrote(self, frames: int) -> None:
        """The card was given frames."""
        self._written += frames

    def saw(self, held: int, now: float) -> None:
        """The card has told that it holds `held` frames."""
        least = self._written - held - self._rate * now
        if self._offset is None:
            self._offset = least
        else:
            given_way = self._offset - LEAK * self._rate * (now - self._looked_at)
            self._offset = min(max(given_way, least), least + self._period)
        self._looked_at = now

    def left(self, now: float) -> float:
        """Frames that the card has not taken; below 0 if it would have taken more."""
        return 0.0 if self._offset is None else self._written - self._offset - self._rate * now
