"""Recordings: new sound files in 48 kHz that can be played at any time, even after this program was killed.

A file's length stands at its beginning, and is normally written at the end. Here it is written again with each piece.
WAV, AIFF and AU are made here. libsndfile makes the others, of which Ogg needs short pages, MP3 a constant bit rate,
and FLAC a number in STREAMINFO (RFC 9639, section 8.2).
"""

import array
import contextlib
import os
import struct
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import soundfile

from voicemux.audio.endpoints import RATE, SAMPLE_BYTES, SILENT_BLOCK
from voicemux.audio.metronome import PacedSink
from voicemux.errors import DeviceError

PIECE = (
    RATE // 20 * SAMPLE_BYTES
)  # bytes (50 ms) of a channel that are written at a time: a killed program loses no more
PAGE_MS = 200.0  # milliseconds in a page of Ogg, which is written in one piece
MOST_NAMES = 10_000  # names that are tried for one recording
MAX_SIZE = 2**32 - 1  # bytes that a header can express, 12 hours; players read on to the end of a longer file
SILENCES = 200  # blocks (1 s) of silence that are written at a time

# The forms that libsndfile makes, and its parameters.
_CODED: dict[str, dict[str, Any]] = {
    ".flac": {"format": "FLAC", "subtype": "PCM_16"},
    # Opus, because Vorbis fills its pages: with quiet sound, that takes seconds.
    ".ogg": {"format": "OGG", "subtype": "OPUS"},
    ".opus": {"format": "OGG", "subtype": "OPUS"},
    # 96 kbit/s. Without a level, libsndfile ignores the mode.
    ".mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.8},
}


def _wav(size: int, channels: int) -> bytes:
    size = min(size, MAX_SIZE - 36)
    frame = channels * SAMPLE_BYTES
    form = struct.pack("<IHHIIHH", 16, 1, channels, RATE, RATE * frame, frame, 8 * SAMPLE_BYTES)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)


def _aiff(size: int, channels: int) -> bytes:
    size = min(size, MAX_SIZE - 46)
    rate = b"\x40\x0e\xbb\x80" + bytes(6)  # 48,000 as an 80-bit floating-point number
    form = struct.pack(">IhIh", 18, channels, size // (channels * SAMPLE_BYTES), 8 * SAMPLE_BYTES) + rate
    return b"FORM" + struct.pack(">I", 46 + size) + b"AIFFCOMM" + form + b"SSND" + struct.pack(">III", size + 8, 0, 0)


def _au(size: int, channels: int) -> bytes:
    return b".snd" + struct.pack(">IIIII", 24, min(size, MAX_SIZE), 3, RATE, channels)  # 3: linear, 16 bits


# Functions of the number of bytes of samples and the number of channels, which make the header. Only WAV's samples
# are little endian.
_HEADERS: dict[str, Callable[[int, int], bytes]] = {".wav": _wav, ".aiff": _aiff, ".aif": _aiff, ".au": _au}

ENDINGS = (*_HEADERS, *_CODED)


class Recording:
    """A sound file that is being written. It never replaces a file: `path` is the first free name, see `claim`."""

    def __init__(self, wanted: str, channels: int = 1) -> None:
        """Make the file. Raises DeviceError if that fails."""
        ending = ending_of(wanted)
        self._descriptor, self.path = claim(wanted)
        self._piece = channels * PIECE
        self._name = os.path.basename(self.path)
        self._held = bytearray()
        self._failed = False
        try:
            if make_header := _HEADERS.get(ending):
                self._body: _Plain | _Coded = _Plain(self._descriptor, make_header, channels)
            else:
                self._body = _Coded(self._descriptor, ending, channels)
        except (OSError, soundfile.SoundFileError) as error:
            broken = self._broken(error)
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                os.unlink(self.path)  # an empty file would take the name from the next try
            raise broken from error

    def write(self, pcm: bytes) -> None:
        """Append samples; several channels are interleaved. Raises DeviceError."""
        self._held += pcm
        if len(self._held) >= self._piece:
            self._flush()

    def close(self) -> None:
        """Write the last piece, and close the file. Raises DeviceError if that fails, unless an earlier write has
        failed."""
        try:
            if not self._failed:
                self._flush()
        finally:
            with contextlib.suppress(OSError, soundfile.SoundFileError):
                self._body.close()
            os.close(self._descriptor)

    def _flush(self) -> None:
        pcm = bytes(self._held)
        self._held.clear()
        try:
            self._body.write(pcm)
        # Soundfile asserts that everything was written.
        except (OSError, soundfile.SoundFileError, AssertionError) as error:
            self._failed = True
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> DeviceError:
        return DeviceError(f"cannot write {self._name}: {_reason(error, self._descriptor)}")


class FileSink(PacedSink):
    """A recording that is as long as the call: it has silence where nothing was played in time."""

    def __init__(self, wanted: str, channels: int = 1) -> None:
        """Make the file. Raises DeviceError if that fails."""
        super().__init__(channels=channels)
        self._silent_block = channels * SILENT_BLOCK
        self._recording = Recording(wanted, channels)
        self.path = self._recording.path
        self.label = os.path.basename(self.path)

    def write(self, pcm: bytes) -> None:
        lost = self._account(pcm)
        while lost:  # after a stall of hours, there is a lot
            blocks = min(lost, SILENCES)
            self._recording.write(self._silent_block * blocks)
            lost -= blocks
        self._recording.write(pcm)

    def close(self) -> None:
        """Close the recording. Raises DeviceError as `Recording.close` does."""
        self._recording.close()


class _Plain:
    """A file of a header and unencoded samples."""

    def __init__(self, descriptor: int, make_header: Callable[[int, int], bytes], channels: int) -> None:
        self._descriptor = descriptor
        self._make_header = make_header
        self._is_little = make_header is _wav
        self._channels = channels
        self._size = 0
        _write_all(descriptor, make_header(0, channels))

    def write(self, pcm: bytes) -> None:
        samples = array.array("h", pcm)
        if self._is_little != (sys.byteorder == "little"):
            samples.byteswap()
        try:
            _write_all(self._descriptor, samples.tobytes())
        finally:  # also if the disk has become full in between
            header, frame = len(self._make_header(0, self._channels)), self._channels * SAMPLE_BYTES
            self._size = (os.lseek(self._descriptor, 0, os.SEEK_END) - header) // frame * frame
            _patch(self._descriptor, 0, self._make_header(self._size, self._channels))

    def close(self) -> None:
        pass


class _Coded:
    """A file that libsndfile encodes."""

    def __init__(self, descriptor: int, ending: str, channels: int) -> None:
        self._descriptor = descriptor
        self._channels = channels
        self._is_flac = ending == ".flac"
        self._frames = 0  # samples of each channel written so far
        self._file: Any = soundfile.SoundFile(
            descriptor, "w", samplerate=RATE, channels=channels, closefd=False, **_CODED[ending]
        )
        if _CODED[ending]["format"] == "OGG":
            _shorten_pages(self._file)

    def write(self, pcm: bytes) -> None:
        self._file.buffer_write(pcm, dtype="int16")
        self._frames += len(pcm) // (self._channels * SAMPLE_BYTES)
        if self._is_flac:
            self._tell_length()

    def _tell_length(self) -> None:
        """Write the total number of samples that have left the encoder: whole blocks, and one sample is kept back."""
        head = _peek(self._descriptor, 26)
        if len(head) < 26:  # nothing has been written yet
            return
        block = int.from_bytes(head[10:12], "big")
        total = max(0, self._frames - 1) // block * block
        fields = int.from_bytes(head[18:26], "big") >> 36 << 36  # rate, channels, bits of a sample
        _patch(self._descriptor, 18, (fields | total).to_bytes(8, "big"))

    def close(self) -> None:
        self._file.close()


def claim(wanted: str) -> tuple[int, str]:
    """Make a new file for us alone. Returns its descriptor and its path: `wanted`, or that with -2, -3 ... in it.

    No other program gets the same file, and no link can lead us to another one. Raises DeviceError.
    """
    if os.path.isdir(wanted):
        raise DeviceError(f"cannot write {wanted}: it is a folder")
    stem, ending = os.path.splitext(wanted)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    for number in count(1):
        path = wanted if number == 1 else f"{stem}-{number}{ending}"
        try:
            return os.open(path, flags, 0o600), path
        except FileExistsError:
            if number == MOST_NAMES:
                raise DeviceError(f"cannot write {wanted}: it is there, and {MOST_NAMES} others like it") from None
        except OSError as error:
            raise DeviceError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
        except ValueError as error:  # the name has a NUL, or a character that the locale does not have
            raise DeviceError(f"cannot write {path!a}: this system has no such names") from error
    raise AssertionError


def ending_of(path: str) -> str:
    """Return the ending of a recording's name, in lower case, by which its format is chosen. Raises DeviceError if no
    format has this ending."""
    for ending in ENDINGS:
        if path.lower().endswith(ending):
            return ending
    raise DeviceError(f"cannot write {path}: a recording's name ends in {', '.join(ENDINGS)}")


def _shorten_pages(file: Any) -> None:
    """Shorten the pages of Opus, which libsndfile makes a second long. soundfile has no public way to do that; if its
    private one is gone, the pages stay long."""
    with contextlib.suppress(AttributeError, TypeError):
        milliseconds = soundfile._ffi.new("double[1]", [PAGE_MS])
        soundfile._snd.sf_command(file._file, 0x1302, milliseconds, 8)  # SFC_SET_OGG_PAGE_LATENCY_MS


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` at the end of the file."""
    os.lseek(descriptor, 0, os.SEEK_END)
    while data:
        data = data[os.write(descriptor, data) :]


def _patch(descriptor: int, at: int, data: bytes) -> None:
    """Overwrite the bytes at `at`, and restore the position."""
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, at, os.SEEK_SET)
    os.write(descriptor, data)
    os.lseek(descriptor, position, os.SEEK_SET)


def _peek(descriptor: int, size: int) -> bytes:
    """Return the first `size` bytes of the file, and restore the position."""
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, size)
    os.lseek(descriptor, position, os.SEEK_SET)
    return head


def _reason(error: Exception, descriptor: int) -> str:
    """Return the reason in the system's words; libsndfile has none for a full disk."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    with contextlib.suppress(OSError, AttributeError):  # Windows has no fstatvfs
        if not os.fstatvfs(descriptor).f_bavail:
            return "no space left on device"
    return str(error).rpartition(": ")[2].rstrip(".").lower() or "the file takes no more"
