"""Sound files as a source, at real pace."""

import os
from typing import Any

import soundfile

from voicemux.audio.endpoints import (
    BLOCK_BYTES,
    BLOCK_SAMPLES,
    BLOCK_SECONDS,
    RATE,
    SILENT_BLOCK,
    TAIL_BLOCKS,
    Block,
)
from voicemux.audio.metronome import Metronome
from voicemux.audio.mixing import Downmix, Floats, Weights, weights, without_gaps
from voicemux.audio.recognition import ENOUGH, recognise, refuse_what_is_no_sound
from voicemux.audio.resample import HIGHEST_RATE, LOWEST_RATE, Resampler, Samples, from_floats
from voicemux.audio.wav import mask_of
from voicemux.errors import DeviceError, Kind

HEADER = 4096  # bytes at the beginning of a WAV file that describe its channels


class FileSource:
    """A sound file of any rate, width and channel count that libsndfile reads."""

    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, path: str, channels: int = 1) -> None:
        """With two `channels`, a file that has two is read as it is; each other one is mixed to one channel.

        Raises DeviceError if it cannot be read, or holds no sound.
        """
        self.label = os.path.basename(path)
        self._file = _open(path)
        self.channels = min(channels, self._file.channels) if self._file.channels <= 2 else 1
        self._block_bytes = self.channels * BLOCK_BYTES
        try:
            self._downmix = Downmix(_weights(self._file, path))
        except DeviceError:
            self._file.close()
            raise
        self._resampler = Resampler(self._file.samplerate, RATE, self.channels)
        self._metronome = Metronome(first=1)
        self._pcm = bytearray()
        self._at_end = False

    def start(self) -> float:
        return self._metronome.start()

    def read(self) -> Block | None:
        self._fill()
        if not self._pcm:
            return None
        beat = self._metronome.wait()
        if beat is None:
            return None
        pcm = bytes(self._pcm[: self._block_bytes])
        del self._pcm[: self._block_bytes]
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(self._block_bytes, b"\0"))

    def _fill(self) -> None:
        """Read until there is a whole block, or the rest of the file."""
        while len(self._pcm) < self._block_bytes and not self._at_end:
            wanted = max(1, round(self._file.samplerate * BLOCK_SECONDS))
            floats = _read(self._file, wanted, self.label)
            sound = from_floats(self._downmix.mix(floats) if self.channels == 1 else without_gaps(floats))
            self._at_end = len(sound) < wanted
            self._pcm += self._resampler.process(sound, last=self._at_end).tobytes()
            if self._at_end:
                self._pcm += SILENT_BLOCK * TAIL_BLOCKS * self.channels

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        self._file.close()


def load(path: str) -> tuple[Samples, int]:
    """Return all samples of a sound file in mono, shape (n,), and their rate in Hz. Raises DeviceError."""
    with _open(path) as file:
        channels: Floats = _read(file, -1, path) @ weights(file.channels)
        return from_floats(channels), file.samplerate


def _weights(file: Any, path: str) -> Weights:
    """Return the weights of the file's channels in a mix. Raises DeviceError if it cannot be played."""
    if file.frames == 0:
        raise DeviceError(f"{path} holds no sound")
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise DeviceError(f"cannot use {path} as sound: it has {file.samplerate} samples a second")
    with open(path, "rb") as begin:
        head = begin.read(HEADER)
    return weights(file.channels, mask_of(head), is_xiph=file.format == "OGG")


def _read(file: Any, frames: int, name: str) -> Floats:
    """Return the next samples, shape (n, channels), as floats: libsndfile would make unscaled and unclipped
    integers."""
    try:
        floats: Floats = file.read(frames, dtype="float32", always_2d=True)
        return floats
    except soundfile.SoundFileError as error:  # the damage may be anywhere in the file
        raise DeviceError(f"cannot read {name}: {_reason(error)}") from error


def _open(path: str) -> Any:
    try:
        with open(path, "rb") as begin:  # the system's words are clearer than libsndfile's
            if not (head := begin.read(ENOUGH)):
                raise DeviceError(f"{path} is empty")
        refuse_what_is_no_sound(recognise(head, is_all=True), path)
        return soundfile.SoundFile(path)
    except OSError as error:
        raise DeviceError(f"cannot open {path}: {(error.strerror or str(error)).lower()}") from error
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise DeviceError(f"cannot use {path} as sound: {_reason(error)}", kind=Kind.UNKNOWN_FORM) from error


def _reason(error: Exception) -> str:
    """Return libsndfile's words without the path and the full stop around them."""
    return str(error).rpartition(": ")[2].rstrip(".").lower()
