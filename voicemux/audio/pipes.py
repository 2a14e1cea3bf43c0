"""Pipes as a microphone and a loudspeaker, at real pace. What goes out is raw: s16le, 48 kHz, mono."""

import os
import select
import sys

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.stream import Stream, descriptor_of
from voicemux.errors import DeviceError


class PipeSource:
    """A stream. What comes faster than real time waits in it."""

    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, stream: Stream) -> None:
        """It is not closed with this: the next call may go on with it."""
        self.label = stream.label
        self._stream = stream
        self._metronome = Metronome(first=1)
        self._wake = os.pipe()
        self._pcm = bytearray()
        self._tail = TAIL_BLOCKS

    def start(self) -> float:
        return self._metronome.start()

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


class PipeSink(PacedSink):
    """Standard output. What its reader does not take in time is dropped: voice is never late."""

    label = "standard output"

    def __init__(self) -> None:
        """Raises DeviceError if it was closed before we began."""
        super().__init__()
        self._descriptor = descriptor_of(sys.stdout, self.label)

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
