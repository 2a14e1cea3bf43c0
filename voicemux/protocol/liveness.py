"""Signs of life (protocol.md §9): when a PING is due, and whether the peer has been silent for too long.

Pure: `now` is an argument, in seconds of a monotonic clock.
"""

PING_INTERVAL = 2.0  # most seconds between two PINGs (protocol.md §9)
# Seconds that a PING is sent sooner, because the timer looks only ten times a second, and the PING may then wait for
# voice.
PING_EARLY = 0.2
PINGS_PER_SILENCE = 3  # fewest PINGs without an answer before the connection counts as dead
# PINGs at the beginning that follow each other at QUICK_PING_INTERVAL: until the line has been measured, the bitrate
# is not raised.
PINGS_AT_FIRST = 8
QUICK_PING_INTERVAL = 0.25  # seconds between two PINGs while the line is being measured
# Seconds between two ticks, from which on our own program was stopped meanwhile, so that the silence says nothing of
# the peer.
STALL = 1.0


class Liveness:
    """The signs of life of one connection. Call `begin` when another connection takes its place."""

    def __init__(self, silence: float) -> None:
        """`silence` is after how many seconds without a byte the connection counts as dead."""
        self.silence = silence
        self.begin()

    def begin(self) -> None:
        """Begin with a new connection, on which no PING has been sent."""
        self._pings = 0
        self._pinged_at = float("-inf")
        self._quick = True
        self._bytes = 0
        self._heard_at = self._ticked_at = float("-inf")

    def tick(self, now: float, bytes_received: int, *, quick: bool) -> None:
        """Take note of the time, and of how many bytes the connection has brought so far. `quick`: PINGs are to
        measure the line, not only to show that we are there."""
        if bytes_received != self._bytes or now - self._ticked_at > STALL:
            self._bytes, self._heard_at = bytes_received, now
        self._ticked_at = now
        self._quick = quick or self._pings < PINGS_AT_FIRST

    def ping_is_due(self, now: float) -> bool:
        """Return whether to send a PING now. If True, the PING counts as sent."""
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
