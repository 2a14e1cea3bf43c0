"""Tries a microphone and a loudspeaker without a call: how loud the user is, and whether the microphone hears the
loudspeaker."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from voicemux.audio.card import CardLoudspeaker, CardMicrophone
from voicemux.audio.devices import names_of, open_sink, open_source
from voicemux.audio.echo.canceller import WHOLE
from voicemux.audio.echo.meter import LOWEST, EchoEstimate, EchoMeter
from voicemux.audio.echo.reference import Reference
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES
from voicemux.audio.levels import LevelMeter, SoundLevels
from voicemux.audio.portaudio import PortAudio
from voicemux.audio.resample import from_bytes
from voicemux.errors import DeviceError
from voicemux.threads import Threads

LEAD = RATE // 2  # samples (0.5 s) of silence behind what is played: an echo comes late


@dataclass(frozen=True)
class HeardAlone:
    """What the microphone heard while nothing was played."""

    levels: SoundLevels
    is_silent: bool  # it gave only digital silence
    pcm: bytes


@dataclass(frozen=True)
class HeardItself:
    """What the microphone heard of the loudspeaker."""

    echo_db: float | None  # dB relative to what was played; None if no echo was found
    # Delay from the program through the loudspeaker, the air and the microphone back; None if not known.
    delay_ms: float | None
    was_played: bool  # sound was played that could be measured
    is_silent: bool = False  # the microphone gave digital silence only


class SoundCheck:
    """The test of two devices. One thread makes, uses and closes it; another one plays meanwhile."""

    def __init__(self, source: str, sink: str) -> None:
        """Open both devices, by names as for `find_device`; "" is the default. Missing ones are in `missing`, by
        "input" and "output". Raises LibraryMissing."""
        self.microphone: CardMicrophone | None = None
        self.loudspeaker: CardLoudspeaker | None = None
        self.missing: dict[str, DeviceError] = {}
        self.failed: dict[str, DeviceError] = {}  # as `missing`: devices that were opened, and have failed since
        self._threads = Threads(lambda error: self._broken.append(error))
        self._broken: list[BaseException] = []  # exceptions of the playing thread
        self._portaudio = PortAudio()
        try:
            self.microphone = open_source(self._portaudio, source)
            self.microphone.batch = WHOLE // BLOCK_SAMPLES
            self.microphone.start()
        except DeviceError as error:
            self._lose("input", error)
        try:
            self.loudspeaker = open_sink(self._portaudio, sink)
            self.loudspeaker.start()
        except DeviceError as error:
            self._lose("output", error)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return all names that the system has for the device. `kind` is "input" or "output"."""
        card = self.microphone if kind == "input" else self.loudspeaker
        return names_of(card.label, kind, card.device.target) if card else ()

    def listen(self, seconds: float) -> HeardAlone:
        """Record the microphone for `seconds`. Raises DeviceError, as do all tests; `failed` then says which device
        it was."""
        meter, pcm = LevelMeter(), bytearray()
        while len(pcm) < seconds * RATE * SAMPLE_BYTES:
            piece = self._read()
            meter.hear(from_bytes(piece))
            pcm += piece
        return HeardAlone(meter.levels, (meter.silent_for or 0.0) >= len(pcm) // SAMPLE_BYTES / RATE, bytes(pcm))

    def play(self, pcm: bytes) -> None:
        """Play `pcm` to its end. Raises DeviceError."""
        self._play(pcm + bytes(LEAD * SAMPLE_BYTES))

    def play_and_listen(self, pcm: bytes) -> HeardItself:
        """Play `pcm`, and measure what the microphone hears of it. Raises DeviceError, after all was played that the
        loudspeaker takes."""
        assert self.loudspeaker
        reference = Reference()
        self.loudspeaker.tap = reference.played
        whole = pcm + bytes(LEAD * SAMPLE_BYTES)
        self._threads.start("soundcheck", lambda: self._play(whole))
        try:
            found = self._estimates(len(whole), reference)
        except DeviceError:
            self._threads.join()
            raise
        self.loudspeaker.tap = None
        self._threads.join()
        for error in self._broken:
            raise error
        return _summary(found)

    def lose_microphone(self) -> None:
        """Do without the microphone, which has failed."""
        self._lose("input", self.failed["input"])

    def _estimates(self, size: int, reference: Reference) -> list[tuple[EchoEstimate, int]]:
        """Return the estimates of the echo in the next `size` bytes from the microphone, each with the samples by
        which the reference was held back."""
        meter, heard, near = EchoMeter(), 0, bytearray()
        found: list[tuple[EchoEstimate, int]] = []
        while heard < size:
            near += self._read()
            whole = len(near) // (WHOLE * SAMPLE_BYTES) * WHOLE * SAMPLE_BYTES
            far = reference.take(whole // SAMPLE_BYTES)
            if whole and (estimate := meter.hear(from_bytes(bytes(near[:whole])), far)):
                found.append((estimate, reference.waiting))
            heard += whole
            del near[:whole]
        return found

    def close(self) -> None:
        """Close both devices."""
        if self.loudspeaker:
            self.loudspeaker.stop()
        self._threads.join()
        for each in (self.microphone, self.loudspeaker, self._portaudio):
            if each is not None:
                each.close()

    def _read(self) -> bytes:
        assert self.microphone
        with self._noted("input"):
            block = self.microphone.read()
        return block.pcm if block else b""

    def _play(self, pcm: bytes) -> None:
        assert self.loudspeaker
        with self._noted("output"):
            for start in range(0, len(pcm), BLOCK_BYTES):
                if not self.loudspeaker.ready():
                    return
                self.loudspeaker.write(pcm[start : start + BLOCK_BYTES])

    @contextlib.contextmanager
    def _noted(self, kind: str) -> Iterator[None]:
        try:
            yield
        except DeviceError as error:
            self.failed[kind] = error
            raise

    def _lose(self, kind: str, error: DeviceError) -> None:
        self.missing[kind] = error
        card = self.microphone if kind == "input" else self.loudspeaker
        if card:
            card.close()
        if kind == "input":
            self.microphone = None
        else:
            self.loudspeaker = None


def _summary(found: list[tuple[EchoEstimate, int]]) -> HeardItself:
    """Return the median of estimates, each of which has the samples by which the reference was held back."""
    is_silent = all(estimate.near_db <= LOWEST for estimate, _ in found)
    levels = [estimate.echo_db for estimate, _ in found if estimate.echo_db is not None]
    delays = [estimate.lag + waiting for estimate, waiting in found if estimate.lag is not None]
    if is_silent or 2 * len(levels) <= len(found):  # a single one of several may be a mistake
        return HeardItself(None, None, bool(found), is_silent)
    return HeardItself(median(levels), median(delays) * 1000 / RATE if delays else None, True)
