"""Plays a caller's voice back to the caller some seconds later, for `--echo-test`."""

import threading

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES, SILENT_BLOCK, Block
from voicemux.audio.metronome import Metronome, PacedSink

LATER = 5  # seconds: by then the caller has finished a sentence, and still remembers it
HELD = LATER * RATE * SAMPLE_BYTES  # bytes of sound that are held
SLACK = RATE // 2 * SAMPLE_BYTES  # bytes (0.5 s) more that may wait after a stall


class Mirror(PacedSink):
    """The sink of the echo test. Its `source` gives back what is written. One thread writes, another reads."""

    label = "echo test"

    def __init__(self) -> None:
        super().__init__()
        self._changes = threading.Lock()
        self._held = bytearray()  # heard and not yet given back
        self.source = MirrorSource(self)

    def write(self, pcm: bytes) -> None:
        lost = self._account(pcm)
        with self._changes:
            self._held += bytes(lost * BLOCK_BYTES) + pcm
            if len(self._held) > HELD + SLACK:
                del self._held[: len(self._held) - HELD]

    def take(self) -> bytes:
        """Return the next block, `LATER` seconds after it was heard; silence until then."""
        with self._changes:
            if len(self._held) < HELD + BLOCK_BYTES:
                return SILENT_BLOCK
            pcm = bytes(self._held[:BLOCK_BYTES])
            del self._held[:BLOCK_BYTES]
            return pcm

    def close(self) -> None:
        pass


class MirrorSource:
    """The source of the echo test, at the pace of a sound card."""

    label = "echo test"
    finite = False
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._metronome = Metronome(first=1)

    def start(self) -> float:
        return self._metronome.start()

    def read(self) -> Block | None:
        beat = self._metronome.wait()
        return None if beat is None else Block((beat - 1) * BLOCK_SAMPLES, self._mirror.take())

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        pass
