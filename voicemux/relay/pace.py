"""How much of one direction of a pair may pass now: a token bucket, applied by reading later. Pure."""

from dataclasses import dataclass

CHUNK = 16_384  # bytes that are read at once, and so the most that waits for a slow reader
LEAST_CHUNK = 2048  # bytes, where a sender is too fast: at 128 kB/s, voice between them waits 16 ms


@dataclass(frozen=True)
class Rate:
    """Of each direction of a pair. PCM voice takes 101 kB/s, Opus at 32 kbit/s takes 8."""

    bytes_per_second: float = 128_000.0
    burst: float = 256_000.0  # bytes that may pass at once after a pause


class Pace:
    """Ask `room`, read no more than that, and take what was read from `left`. `now` in seconds, only goes forward."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self.left = rate.burst  # bytes; below 0 if more has passed than was allowed
        self._looked = now

    def room(self, now: float) -> int:
        """Bytes that may be read now; 0 if none."""
        rate = self._rate
        left = self.left + (now - self._looked) * rate.bytes_per_second
        self.left = left = left if left < rate.burst else rate.burst
        self._looked = now
        if left >= CHUNK:
            return CHUNK
        return 0 if left < LEAST_CHUNK else int(left)

    def again(self, now: float) -> float:
        """When there is room again."""
        return now + max(0.0, LEAST_CHUNK - self.left) / self._rate.bytes_per_second
