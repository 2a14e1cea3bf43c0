"""Pipes as a microphone and a loudspeaker, at real pace. What goes out is raw: s16le, 48 kHz, mono."""

import os
import select
import sys
import time

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.stream import SoundStream, descriptor_of_standard
from voicemux.errors import DeviceError

PAST = 0.1  # seconds of sound that wait when a call begins: whether they are old is worth a look
MOST_PAST = 20.0  # seconds of sound: a pipe holds less, so more than that at once comes from no microphone
SETTLING = 0.05  # seconds for a writer that a full pipe has held up to finish what it had begun
LOOK = 0.4  # seconds in which the pace of what comes is measured: three pieces of arecord's, of 0.125 s
REAL_PACE = (0.7, 1.4)  # seconds of sound in a second: of a microphone, as a busy machine delivers it


class PipeSource:
    """A stream. What comes faster than real time waits in it.

    What a microphone behind the pipe captured before the call is not played, or all of the call would be as late.
    """

    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, stream: SoundStream, metronome: Metronome | None = None) -> None:
        """The stream is not closed with this: the next call may go on with it. Without a `metronome` the source has
        a beat of its own."""
        self.label = stream.label
        self._stream = stream
        self._metronome = metronome or Metronome(first=1)
        self._wake = os.pipe()
        self._pcm = bytearray()
        self._tail = TAIL_BLOCKS

    def start(self) -> float:
        if sys.platform != "win32":  # where a pipe cannot be waited for
            self._leave_the_past()
        return self._metronome.start()

    def _leave_the_past(self) -> None:
        """Throw away what waits, if what follows comes at a microphone's pace: of a file, it is the beginning."""
        self._gather(0.0)
        if not PAST <= self._seconds < MOST_PAST:
            return
        self._gather(SETTLING)
        pieces = self._gather(LOOK)
        if len(pieces) > 1 and REAL_PACE[0] <= _pace(pieces) <= REAL_PACE[1]:
            del self._pcm[: len(self._pcm) // SAMPLE_BYTES * SAMPLE_BYTES]

    def _gather(self, seconds: float) -> list[tuple[float, int]]:
        """Read what comes in that time, to be played later: when each piece has come, and its bytes."""
        pieces = []
        deadline = time.monotonic() + seconds
        while self._seconds < MOST_PAST and (
            more := self._stream.read(self._wake[0], max(0.0, deadline - time.monotonic()))
        ):
            pieces.append((time.monotonic(), len(more)))
            self._pcm += more
        return pieces

    @property
    def _seconds(self) -> float:
        """Of sound that was read and not played yet."""
        return len(self._pcm) / SAMPLE_BYTES / RATE

    def read(self) -> Block | None:
        while len(self._pcm) < BLOCK_BYTES and (more := self._stream.read(self._wake[0])):
            self._pcm += more
        pcm = bytes(self._pcm[:BLOCK_BYTES])
        del self._pcm[:BLOCK_BYTES]
        beat = self._metronome.wait()
        self._tail -= not pcm
        if beat is None or not self._tail:
            return None
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(BLOCK_BYTES, b"\0"))

    def stop(self) -> None:
        self._metronome.stop()
        os.write(self._wake[1], b"!")

    def close(self) -> None:
        for descriptor in self._wake:
            os.close(descriptor)


def _pace(pieces: list[tuple[float, int]]) -> float:
    """Seconds of sound in a second, from the first piece to the last: what came with the first is not counted."""
    (began, _), *rest = pieces
    duration = rest[-1][0] - began
    return sum(size for _, size in rest) / SAMPLE_BYTES / RATE / duration if duration else float("inf")


class PipeSink(PacedSink):
    """Standard output. What its reader does not take in time is dropped: voice is never late."""

    label = "standard output"

    def __init__(self) -> None:
        """Raises DeviceError if it was closed before we began."""
        super().__init__()
        self._descriptor = descriptor_of_standard(sys.stdout, self.label)

    def write(self, pcm: bytes) -> None:
        self._account(pcm)
        for start in range(0, len(pcm), BLOCK_BYTES):
            self._write_block(pcm[start : start + BLOCK_BYTES])

    def _write_block(self, pcm: bytes) -> None:
        try:
            # A block is smaller than PIPE_BUF: a pipe that is writable takes it whole, without waiting.
            if sys.platform == "win32" or select.select([], [self._descriptor], [], 0)[1]:
                os.write(self._descriptor, pcm)
        except OSError as error:
            raise DeviceError(f"cannot write standard output: {(error.strerror or '').lower()}") from error

    def close(self) -> None:
        pass
