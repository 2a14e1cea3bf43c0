"""Pipes as a source and a sink, at real pace. Output is raw: s16le, 48 kHz, mono."""

import os
import select
import sys
import time

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.stream import SoundStream, descriptor_of_standard
from voicemux.errors import DeviceError

PAST = 0.1  # seconds of waiting sound from which on it is checked, when a call begins, whether they are old
MOST_PAST = 20.0  # seconds of waiting sound up to which they may be a microphone's: a pipe holds less
SETTLING = 0.05  # seconds for a writer that a full pipe had blocked to finish its write
LOOK = 0.4  # seconds over which the pace of what comes is measured: three pieces of arecord, of 0.125 s
REAL_PACE = (0.7, 1.4)  # seconds of sound in a second that a microphone gives, on a busy machine: least and most


class PipeSource:
    """A piped stream as a source. What comes faster than real time waits in the pipe.

    If a microphone is behind the pipe, what it captured before the call is dropped: otherwise, the whole call would
    be late by as much.
    """

    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, stream: SoundStream, metronome: Metronome | None = None) -> None:
        """The stream is not closed with the source: the next call may go on with it. Without a `metronome`, the
        source has its own."""
        self.label = stream.label
        self._stream = stream
        self._metronome = metronome or Metronome(first=1)
        self._wake = os.pipe()
        self._pcm = bytearray()
        self._tail = TAIL_BLOCKS

    def start(self) -> float:
        if sys.platform != "win32":  # on Windows, a pipe cannot be waited for
            self._leave_the_past()
        return self._metronome.start()

    def _leave_the_past(self) -> None:
        """Drop what waits in the pipe if more comes at a microphone's pace. If it is a file, it is the beginning, and
        kept."""
        self._gather(0.0)
        if not PAST <= self._seconds < MOST_PAST:
            return
        self._gather(SETTLING)
        pieces = self._gather(LOOK)
        if len(pieces) > 1 and REAL_PACE[0] <= _pace(pieces) <= REAL_PACE[1]:
            del self._pcm[: len(self._pcm) // SAMPLE_BYTES * SAMPLE_BYTES]

    def _gather(self, seconds: float) -> list[tuple[float, int]]:
        """Read what comes within `seconds`, to be played later. Returns for each piece when it came, and its
        bytes."""
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
        """Seconds of sound that were read and not played yet."""
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
    """Return the seconds of sound that came in a second, from the first piece to the last; what the first piece
    brought is not counted."""
    (began, _), *rest = pieces
    duration = rest[-1][0] - began
    return sum(size for _, size in rest) / SAMPLE_BYTES / RATE / duration if duration else float("inf")


class PipeSink(PacedSink):
    """Standard output as a sink. What its reader does not take in time is dropped, so that voice is never late."""

    label = "standard output"

    def __init__(self) -> None:
        """Raises DeviceError if standard output was closed before the program began."""
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
