"""Limits how fast one direction of a pair passes: a token bucket, applied by reading later. Pure."""

from dataclasses import dataclass

CHUNK = 16_384  # bytes read at once, and so the most that is held for a slow reader
# Bytes; with less room, nothing is read: at 128 kB/s they come 16 ms apart, so voice waits no longer.
LEAST_CHUNK = 2048


@dataclass(frozen=True)
class Rate:
    """The limit of each direction of a pair. PCM voice takes 101 kB/s, Opus at 32 kbit/s takes 8 kB/s."""

    bytes_per_second: float = 128_000.0
    burst: float = 256_000.0  # bytes that may pass at once after a pause


class Pace:
    """The token bucket of one direction. Ask `room`, read no more than that, and subtract what was read from `left`.
    `now` is in seconds, and never goes back."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self.left = rate.burst  # bytes; below 0 if more has passed than was allowed
        self._looked = now

    def room(self, now: float) -> int:
        """Return how many bytes may be read now; 0 if none."""
        rate = self._rate
        left = self.left + (now - self._looked) * rate.bytes_per_second
        self.left = left = left if left < rate.burst else rate.burst
        self._looked = now
        if left >= CHUNK:
            return CHUNK
        return 0 if left < LEAST_CHUNK else int(left)

    def again(self, now: float) -> float:
        """Return the time at which there is room again."""
        return now + max(0.0, LEAST_CHUNK - self.left) / self._rate.bytes_per_second
