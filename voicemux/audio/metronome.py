"""Paces sources and sinks that are not sound cards."""

import threading
import time

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SECONDS

MAX_LAG = 0.1  # seconds of lateness that are made up for; after a longer stall, the beats of that time are lost


class Metronome:
    """Beats every 5 ms from `start()` on; one thread waits for it."""

    def __init__(self, first: int) -> None:
        """`first` is the number of the first beat: a sink's first block is due at the start (0); a source's
        first block has ended one beat later (1)."""
        self._stopped = threading.Event()
        self._began = 0.0
        self._beat = first

    def start(self) -> float:
        self._began = time.monotonic()
        return self._began

    def wait(self) -> int | None:
        """Wait for the next beat, and return its number; numbers are skipped after a stall. Returns None after
        `stop()`."""
        lag = time.monotonic() - self._began - self._beat * BLOCK_SECONDS
        if lag > MAX_LAG:
            self._beat += int(lag / BLOCK_SECONDS)
        elif lag < 0:
            self._stopped.wait(-lag)
        if self._stopped.is_set():
            return None
        self._beat += 1
        return self._beat - 1

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        self._stopped.set()


class PacedSink:
    """What all sinks that are not sound cards share: each block that is written lasts for a beat."""

    delay_ms = ahead = reserve = 0.0
    urgent = True
    xruns = 0

    def __init__(self, metronome: Metronome | None = None, channels: int = 1) -> None:
        """Without a `metronome`, the sink has its own. `channels` is the number of channels in what is written."""
        self._metronome = metronome or Metronome(first=0)
        self._block_bytes = channels * BLOCK_BYTES
        self._ahead = 0  # bytes written ahead of the clock; negative: bytes that are owed
        self._lost = 0  # beats lost to a stall since the last `write`
        self._beats = 0

    def start(self) -> float:
        return self._metronome.start()

    def ready(self) -> bool:
        while self._ahead >= 0:
            beat = self._metronome.wait()
            if beat is None:
                return False
            self._lost += beat - self._beats
            self._beats = beat + 1
            self._ahead -= self._block_bytes
        return not self._metronome.stopped

    def stop(self) -> None:
        self._metronome.stop()

    def _account(self, pcm: bytes) -> int:
        """Count `pcm` as written. Returns how many blocks were lost before it."""
        self._ahead += len(pcm)
        lost, self._lost = self._lost, 0
        return lost
