"""Signs of life (protocol.md §9): when a PING is due, and whether the peer has been silent for too long.

Pure: `now` is an argument, in seconds on a clock that never goes back.
"""

PING_INTERVAL = 2.0  # seconds at most (protocol.md §9)
PING_EARLY = 0.2  # seconds sooner: the timer looks ten times a second, and then a PING may wait for voice
PINGS_PER_SILENCE = 3  # at least, before the connection counts as dead
PINGS_AT_FIRST = 8  # in quick succession: as long as the line is not known, no more voice is sent
QUICK_PING_INTERVAL = 0.25  # seconds
STALL = 1.0  # seconds between two ticks after which this program itself was stopped, and knows nothing of the peer


class Liveness:
    """Of one connection: `begin` again where another takes its place."""

    def __init__(self, silence: float) -> None:
        """`silence` is after how many seconds without a byte the connection counts as dead."""
        self.silence = silence
        self.begin()

    def begin(self) -> None:
        """Nothing is known of the connection yet; no PING has been sent on it."""
        self._pings = 0
        self._pinged_at = float("-inf")
        self._quick = True
        self._bytes = 0
        self._heard_at = self._ticked_at = float("-inf")

    def tick(self, now: float, bytes_received: int, *, quick: bool) -> None:
        """Take note of the time, and of how many bytes the connection has brought so far.

        `quick` is whether the line is to be measured more often than to show that we are there.
        """
        if bytes_received != self._bytes or now - self._ticked_at > STALL:
            self._bytes, self._heard_at = bytes_received, now
        self._ticked_at = now
        self._quick = quick or self._pings < PINGS_AT_FIRST

    def ping_is_due(self, now: float) -> bool:
        """Whether to send a PING now: True says that the caller does."""
        if now < self._pinged_at + self._interval:
            return False
        self._pings += 1
        self._pinged_at = now
        return True

    def is_silent(self, now: float) -> bool:
        """Whether the connection counts as dead."""
        return now >= self._heard_at + self.silence

    def next_deadline(self, now: float) -> float:
        """When a PING is due, or the connection counts as dead, if nothing comes until then; not before `now`."""
        return max(now, min(self._pinged_at + self._interval, max(self._heard_at, now - STALL) + self.silence))

    @property
    def _interval(self) -> float:
        usual = QUICK_PING_INTERVAL if self._quick else PING_INTERVAL - PING_EARLY
        return min(usual, self.silence / PINGS_PER_SILENCE)
