"""Raw sound on standard input and output: signed 16-bit little endian, 48 kHz, mono, at real pace."""

import os
import select
import sys
from typing import TextIO

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.errors import DeviceError


class PipeSource:
    """Standard input. What comes faster than real time waits in the pipe."""

    label = "standard input"
    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self) -> None:
        """Raises DeviceError if it was closed before we began."""
        self._descriptor = _descriptor(sys.stdin, self.label)
        self._metronome = Metronome(first=1)
        self._wake = os.pipe()
        self._tail = TAIL_BLOCKS

    def start(self) -> float:
        return self._metronome.start()

    def read(self) -> Block | None:
        pcm = b""
        while len(pcm) < BLOCK_BYTES:
            more = self._read(BLOCK_BYTES - len(pcm))
            if not more:
                break
            pcm += more
        beat = self._metronome.wait()
        self._tail -= not pcm
        if beat is None or not self._tail:
            return None
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(BLOCK_BYTES, b"\0"))

    def _read(self, wanted: int) -> bytes:
        if sys.platform != "win32":  # where pipes cannot be waited for
            ready, _, _ = select.select([self._descriptor, self._wake[0]], [], [])
            if self._descriptor not in ready:
                return b""
        try:
            return os.read(self._descriptor, wanted)
        except OSError as error:
            raise DeviceError(f"cannot read standard input: {(error.strerror or '').lower()}") from error

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
        self._descriptor = _descriptor(sys.stdout, self.label)

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


def _descriptor(stream: TextIO | None, name: str) -> int:
    if stream is None:
        raise DeviceError(f"{name} is closed")
    return stream.fileno()
