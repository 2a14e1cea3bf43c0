"""Decodes WAV from a pipe, where a reader cannot look ahead, and the sizes in the header are often not true.

RIFF and WAVE are as in Microsoft's "Multimedia Programming Interface" (1991) and "Multiple channel audio data and
WAVE files" (2007), RF64 as in EBU Tech 3306. Samples become 48 kHz mono.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.mixing import Downmix, weights
from voicemux.audio.resample import HIGHEST_RATE, LOWEST_RATE, Resampler, from_floats
from voicemux.errors import DeviceError, Kind

MADE_UP = 0x7FFF_0000  # size from which on it is not believed: a program that writes to a pipe does not know it
UNKNOWN = 2**32 - 1  # size that means: see the ds64 chunk
SIGN = 16  # bytes that identify the next file
MOST_CHANNELS = 64  # of a file that is played; more is a damaged header
LONGEST_FORM = 4096  # bytes of a fmt chunk at most; 16 to 40 are usual

Floats = NDArray[np.float32]

_NOTHING = np.zeros(0, np.int16)


@dataclass(frozen=True)
class Form:
    """What a fmt chunk says. `mask`: which loudspeakers the channels are for; 0: not told."""

    rate: int
    channels: int
    size: int  # bytes of one sample
    mask: int
    convert: Callable[[bytes], Floats]


class WavDecoder:
    """Turns bytes, in pieces of any size, into 48 kHz mono. One file may follow another."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._form: Form | None = None
        self._left = 0  # bytes of the chunk still to come, unless it is `_endless`
        self._padding = 0  # padding bytes behind the chunk: 0 or 1
        self._in_data = False
        self._endless = False  # the data go on to the end of the stream
        self._long_size = 0  # size of the data in RF64, in bytes

    def decode(self, data: bytes, *, last: bool = False) -> bytes:
        """Decode `data`, and return the sound that it completes. Raises DeviceError for what cannot be played."""
        self._bytes += data
        pcm = bytearray()
        goes_on = True
        while goes_on:
            goes_on, sound = self._sound(last) if self._in_data else (self._chunk(), b"")
            pcm += sound
        if last and self._form is None:
            raise _refused("it ends before its sound begins")
        if last and self._in_data:
            pcm += self._resampler.process(_NOTHING, last=True).tobytes()
            self._in_data = False
        return bytes(pcm)

    def _chunk(self) -> bool:
        """Skip or read one chunk, or a part of it. Returns whether there may be more to do."""
        if self._left:
            skipped = min(self._left, len(self._bytes))
            del self._bytes[:skipped]
            self._left -= skipped
            return skipped > 0
        if len(self._bytes) < 12:
            return False
        name, size = struct.unpack_from("<4sI", self._bytes)
        if name in (b"RIFF", b"RF64", b"BW64") and self._bytes[8:12] == b"WAVE":
            del self._bytes[:12]
            return True
        if name == b"data":
            self._begin(size)
            del self._bytes[:8]
            return True
        if name in (b"fmt ", b"ds64"):
            if size > LONGEST_FORM:
                raise _refused("its header is damaged")
            if len(self._bytes) < 8 + size:
                return False
            body = bytes(self._bytes[8 : 8 + size])
            if name == b"fmt ":
                self._take_form(body)
            elif size >= 16:
                self._long_size = int.from_bytes(body[8:16], "little")
        del self._bytes[:8]
        self._left = size + size % 2
        return True

    def _take_form(self, body: bytes) -> None:
        form = read_form(body)
        if form is None:
            raise _refused("its samples are of a form that cannot be read from a pipe")
        self._form = form
        self._downmix = Downmix(weights(form.channels, form.mask))

    def _begin(self, size: int) -> None:
        if self._form is None:
            raise _refused("its header is damaged")
        if size == UNKNOWN and self._long_size:
            size = self._long_size
            self._endless = size >= 2**63
        else:
            self._endless = size >= MADE_UP or size == 0
        self._in_data = True
        self._left, self._padding = size, size % 2
        self._resampler = Resampler(self._form.rate, RATE)

    def _sound(self, last: bool) -> tuple[bool, bytes]:
        """Decode the bytes that are there. Returns whether the data chunk is over, and the sound."""
        assert self._form
        if self._endless:
            next_file = self._next_file()
            is_over = next_file is not None
            there = next_file if next_file is not None else len(self._bytes) - (0 if last else SIGN - 1)
        else:
            there = min(self._left, len(self._bytes))
            is_over = there == self._left
        frame = self._form.size * self._form.channels
        whole = max(0, there) // frame * frame
        channels = self._form.convert(bytes(self._bytes[:whole])).reshape(-1, self._form.channels)
        sound = (
            self._resampler.process(from_floats(self._downmix.mix(channels)), last=is_over)
            if whole or is_over
            else _NOTHING
        )
        used = there if is_over else whole
        del self._bytes[:used]
        self._left -= used
        if is_over:
            self._in_data, self._left = False, 0 if self._endless else self._padding
        return is_over, sound.tobytes()

    def _next_file(self) -> int | None:
        """Return where the next file begins, if the data have no known end: `(espeak-ng ...; espeak-ng ...) |`."""
        at = self._bytes.find(b"RIFF")
        while at >= 0:
            if self._bytes[at + 8 : at + SIGN] == b"WAVEfmt ":
                return at
            at = self._bytes.find(b"RIFF", at + 1)
        return None


def read_form(body: bytes) -> Form | None:
    """Read a fmt chunk; None if it cannot be played."""
    if len(body) < 16:
        return None
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", body)
    mask = 0
    if tag == 0xFFFE and len(body) >= 40:  # WAVE_FORMAT_EXTENSIBLE: the first bytes of a GUID are the tag
        mask, tag = struct.unpack_from("<IH", body, 20)
    convert = _CONVERT.get((tag, (bits + 7) // 8))
    if convert is None or not 1 <= channels <= MOST_CHANNELS or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        return None
    size = (bits + 7) // 8
    return Form(rate, channels, size, mask, convert) if align == size * channels else None


def mask_of(head: bytes) -> int:
    """Return the mask of loudspeakers of a WAV file's channels, from its first kilobytes; 0 if it does not tell."""
    at = 12 if head[:4] in (b"RIFF", b"RF64", b"BW64") else len(head)
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        if name == b"fmt ":
            body = head[at + 8 : at + 8 + size]
            is_extensible = len(body) >= 40 and body[:2] == b"\xfe\xff"
            return int.from_bytes(body[20:24], "little") if is_extensible else 0
        at += 8 + size + size % 2
    return 0


def _from_24_bits(data: bytes) -> Floats:
    samples = np.zeros((len(data) // 3, 4), np.uint8)
    samples[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return (samples.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


def _from_mu_law(data: bytes) -> Floats:
    """Decode mu-law: ITU-T G.711, table 2a."""
    codes = ~np.frombuffer(data, np.uint8)
    sizes = (((codes & 15).astype(np.int32) << 3) + 132 << (codes >> 4 & 7)) - 132
    return (np.where(codes & 128, -sizes, sizes) / 2.0**15).astype(np.float32)


def _from_a_law(data: bytes) -> Floats:
    """Decode A-law: ITU-T G.711, table 1a."""
    codes = np.frombuffer(data, np.uint8) ^ 0x55
    segment = (codes >> 4 & 7).astype(np.int32)
    sizes = ((codes & 15).astype(np.int32) << 4) + np.where(segment, 264, 8) << np.maximum(segment - 1, 0)
    return (np.where(codes & 128, sizes, -sizes) / 2.0**15).astype(np.float32)


# Conversions by format tag and bytes of a sample.
_CONVERT: dict[tuple[int, int], Callable[[bytes], Floats]] = {
    (1, 1): lambda data: (np.frombuffer(data, np.uint8) / np.float32(128) - 1).astype(np.float32),
    (1, 2): lambda data: (np.frombuffer(data, "<i2") / np.float32(2**15)).astype(np.float32),
    (1, 3): _from_24_bits,
    (1, 4): lambda data: (np.frombuffer(data, "<i4") / 2.0**31).astype(np.float32),
    (3, 4): lambda data: np.frombuffer(data, "<f4").astype(np.float32),
    (3, 8): lambda data: np.frombuffer(data, "<f8").astype(np.float32),
    (6, 1): _from_a_law,
    (7, 1): _from_mu_law,
}


def _refused(why: str) -> DeviceError:
    return DeviceError(f"that WAV cannot be played: {why}", kind=Kind.NOT_RAW)
