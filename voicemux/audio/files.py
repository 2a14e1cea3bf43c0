"""Sound files as a microphone and a loudspeaker, at real pace. The only home of soundfile."""

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
    Sink,
)
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.resample import Resampler, Samples, from_floats
from voicemux.errors import DeviceError

# What libsndfile does not know by the ending alone, or must choose itself.
_FORMS: dict[str, dict[str, str]] = {
    ".aif": {"format": "AIFF", "subtype": "PCM_16"},
    ".opus": {"format": "OGG", "subtype": "OPUS"},
    ".ogg": {},
    ".mp3": {},
}


class FileSource:
    """A sound file of any rate, width and channel count that libsndfile reads."""

    finite = True
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, path: str) -> None:
        """Raises DeviceError if it cannot be read, or holds no sound."""
        self.label = os.path.basename(path)
        self._file = _open(path, "r")
        if self._file.frames == 0:
            self._file.close()
            raise DeviceError(f"{path} holds no sound")
        self._resampler = Resampler(self._file.samplerate, RATE)
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
        pcm = bytes(self._pcm[:BLOCK_BYTES])
        del self._pcm[:BLOCK_BYTES]
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(BLOCK_BYTES, b"\0"))

    def _fill(self) -> None:
        """Have a whole block, or what there is of the last one."""
        while len(self._pcm) < BLOCK_BYTES and not self._at_end:
            wanted = max(1, round(self._file.samplerate * BLOCK_SECONDS))
            mono = _read(self._file, wanted, self.label)
            self._at_end = len(mono) < wanted
            self._pcm += self._resampler.process(mono, last=self._at_end).tobytes()
            if self._at_end:
                self._pcm += SILENT_BLOCK * TAIL_BLOCKS

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        self._file.close()


class FileSink(PacedSink):
    """A recording in 48 kHz mono, as long as the call: where nothing was played in time it has silence."""

    def __init__(self, path: str) -> None:
        """Raises DeviceError if it cannot be written."""
        super().__init__()
        self.label = os.path.basename(path)
        self._file = _create(path)

    def write(self, pcm: bytes) -> None:
        lost = self._account(pcm)
        _append(self._file, self.label, SILENT_BLOCK * lost + pcm)

    def close(self) -> None:
        self._file.close()


class Recorder:
    """A sink that also keeps what it plays in a file. The sink behind it may be exchanged, and is not closed here."""

    def __init__(self, sink: Sink, path: str) -> None:
        """Raises DeviceError if the file cannot be written."""
        self.sink = sink
        self._name = os.path.basename(path)
        self._file = _create(path)

    @property
    def label(self) -> str:
        return self.sink.label

    @property
    def delay_ms(self) -> float:
        return self.sink.delay_ms

    @property
    def ahead(self) -> float:
        return self.sink.ahead

    @property
    def reserve(self) -> float:
        return self.sink.reserve

    @property
    def urgent(self) -> bool:
        return self.sink.urgent

    @property
    def xruns(self) -> int:
        return self.sink.xruns

    def start(self) -> float:
        return self.sink.start()

    def ready(self) -> bool:
        return self.sink.ready()

    def write(self, pcm: bytes) -> None:
        self.sink.write(pcm)
        _append(self._file, self._name, pcm)

    def stop(self) -> None:
        self.sink.stop()

    def close(self) -> None:
        self._file.close()


def load(path: str) -> tuple[Samples, int]:
    """All samples of a sound file in mono, and their rate. Raises DeviceError."""
    with _open(path, "r") as file:
        return _read(file, -1, path), file.samplerate


def _create(path: str) -> Any:
    ending = os.path.splitext(path)[1].lower()
    return _open(path, "w", samplerate=RATE, channels=1, **_FORMS.get(ending, {"subtype": "PCM_16"}))


def _read(file: Any, frames: int, name: str) -> Samples:
    """The next samples in mono. By way of floats: libsndfile makes integers of them unscaled and unclipped."""
    try:
        return from_floats(file.read(frames, dtype="float32", always_2d=True).mean(axis=1))
    except soundfile.SoundFileError as error:  # the damaged place may be anywhere
        raise DeviceError(f"cannot read {name}: {_reason(error)}") from error


def _append(file: Any, name: str, pcm: bytes) -> None:
    try:
        file.buffer_write(pcm, dtype="int16")
    except soundfile.SoundFileError as error:
        raise DeviceError(f"cannot write {name}: {_reason(error)}") from error


def _open(path: str, mode: str, **form: Any) -> Any:
    try:
        with open(path, "rb" if mode == "r" else "ab"):  # the system's words are clearer than libsndfile's
            pass
        return soundfile.SoundFile(path, mode, **form)
    except OSError as error:
        raise DeviceError(f"cannot open {path}: {(error.strerror or str(error)).lower()}") from error
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise DeviceError(f"cannot use {path} as sound: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """libsndfile's words without the path and the full stop that it puts around them."""
    return str(error).rpartition(": ")[2].rstrip(".").lower()
