"""Sound that can be read only once: standard input, a FIFO, `<(...)`. It is opened once for the whole run.

Raw sound is signed 16-bit little endian, 48 kHz, mono. WAV is accepted, too; anything else that is recognised is
refused.
"""

import os
import select
import stat
import sys
import time
from typing import TYPE_CHECKING, TextIO

from voicemux.audio.endpoints import BLOCK_BYTES, RATE, SAMPLE_BYTES
from voicemux.audio.recognition import ENOUGH, RAW, TEXT, WAV, recognise, refuse_what_is_no_sound
from voicemux.errors import DeviceError, Kind

if TYPE_CHECKING:
    from voicemux.audio.wav import WavDecoder

PATIENCE = 1.0  # seconds before the call to wait for the first bytes: speech synthesis takes 0.1
SETTLING = 0.2  # seconds to wait for more bytes while it cannot be told what they are
READ_SIZE = RATE // 50 * SAMPLE_BYTES  # bytes that are read at a time of a WAV; raw sound is read block by block


class SoundStream:
    """Bytes that are sound. One thread uses it at a time."""

    def __init__(self, descriptor: int, label: str, *, owned: bool) -> None:
        """`owned`: the descriptor is closed with the stream."""
        self.label = label
        self._descriptor = descriptor
        self._owned = owned
        self._head = bytearray()  # bytes that were read and not used yet
        self._at_end = False
        self._form: str | None = None  # None: not known yet
        self._decoder: WavDecoder | None = None

    def check(self) -> None:
        """Check that the stream can be played, as far as its first bytes tell. Raises DeviceError if not. Waits up to
        PATIENCE for them."""
        if sys.platform != "win32":  # on Windows, a pipe cannot be waited for
            self._recognise(None, PATIENCE)

    def read(self, wake: int, patience: float | None = None) -> bytes:
        """Wait for some sound, and return it as 48 kHz mono. Returns b"" at the end, when `wake` can be read, or
        after `patience` seconds.

        Raises DeviceError.
        """
        if self._form is None:
            self._recognise(wake, patience)
        if self._form is None:
            return b""
        if self._form == RAW:
            return self._take(BLOCK_BYTES, wake, patience)
        assert self._decoder
        pcm = b""
        while not pcm and (data := self._take(READ_SIZE, wake, patience)):
            pcm = self._decoder.decode(data)
        return pcm or (self._decoder.decode(b"", last=True) if self._at_end else b"")

    def close(self) -> None:
        if self._owned:
            os.close(self._descriptor)

    def _recognise(self, wake: int | None, patience: float | None) -> None:
        """Find out what the stream is, within `patience` seconds; None: without limit."""
        while self._form is None:
            is_all = self._at_end or len(self._head) >= ENOUGH
            form = recognise(bytes(self._head), is_all=is_all)
            if form is None and not self._fill(wake, SETTLING if self._head else patience):
                if not self._head and not self._at_end:  # nothing has come yet, or `wake` was readable
                    return
                form = recognise(bytes(self._head), is_all=True)
            if form is not None:
                self._take_form(form)

    def _take_form(self, form: str) -> None:
        if form == RAW and self._at_end and not self._head:
            raise DeviceError(f"{self.label} holds no sound")
        if form == TEXT:
            raise DeviceError(f"{self.label} is text, and no sound")
        refuse_what_is_no_sound(form, self.label)
        if form not in (RAW, WAV):
            raise DeviceError(f"{self.label} is {form}, and no raw sound", kind=Kind.NOT_RAW)
        if form == WAV:
            from voicemux.audio.wav import WavDecoder

            WavDecoder().decode(bytes(self._head))  # raises before the call what cannot be played
            self._decoder = WavDecoder()
        self._form = form

    def _take(self, size: int, wake: int, patience: float | None) -> bytes:
        while not self._head and self._fill(wake, patience, size):
            pass
        taken = bytes(self._head[:size])
        del self._head[:size]
        return taken

    def _fill(self, wake: int | None, timeout: float | None, size: int = ENOUGH) -> bool:
        """Wait for more bytes, at most `timeout` seconds. Returns whether some came: not at the end, nor when
        woken."""
        if sys.platform != "win32":
            waited_for = [self._descriptor] if wake is None else [self._descriptor, wake]
            if self._descriptor not in select.select(waited_for, [], [], timeout)[0]:
                return False
        try:
            data = os.read(self._descriptor, size)
        except BlockingIOError:
            time.sleep(0.001)  # another reader has taken the bytes
            return True
        except OSError as error:
            raise DeviceError(f"cannot read {self.label}: {(error.strerror or '').lower()}") from error
        self._head += data
        self._at_end = not data
        return bool(data)


def standard_input() -> SoundStream:
    """Return standard input as a stream. Raises DeviceError if it was closed before the program began, or is a
    terminal."""
    label = "standard input"
    descriptor = descriptor_of_standard(sys.stdin, label)
    if os.isatty(descriptor):
        raise DeviceError(f"{label} is a terminal: raw sound has to be piped into it")
    return SoundStream(descriptor, label, owned=False)


def open_stream(path: str) -> SoundStream | None:
    """Open `path` if it can be read only once; returns None for a file. Raises DeviceError for anything else."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return None
        if not stat.S_ISFIFO(mode):
            raise DeviceError(f"cannot use {path} as sound: it is neither a file nor a pipe")
        return SoundStream(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), path, owned=True)
    except OSError as error:
        raise DeviceError(f"cannot open {path}: {(error.strerror or str(error)).lower()}") from error


def descriptor_of_standard(stream: TextIO | None, name: str) -> int:
    """Return the descriptor of a standard stream. Raises DeviceError if it was closed before the program began."""
    if stream is None:
        raise DeviceError(f"{name} is closed")
    return stream.fileno()
