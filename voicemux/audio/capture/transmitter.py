"""Makes AUDIO messages of a source: gathers blocks into packets, encodes them, and stamps them with their capture
time."""

import threading
import time
from collections.abc import Callable

from voicemux.audio.capture.dtx import Pauses, Sends
from voicemux.audio.capture.gate import Gate
from voicemux.audio.capture.ladder import Ladder
from voicemux.audio.capture.wish import ANY, Wish
from voicemux.audio.choices import MicMode
from voicemux.audio.codec import Encoder
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE, SAMPLE_BYTES, Block, Source
from voicemux.audio.in_use import InUse
from voicemux.audio.levels import LevelMeter, SoundLevels
from voicemux.audio.processing import Processing
from voicemux.audio.resample import from_bytes, to_mono, to_pairs
from voicemux.protocol.messages import OWN_SOURCE, Audio, Codec


class Transmitter:
    """The sending half of a call's sound. The microphone's thread runs `run()`."""

    def __init__(
        self,
        source: Source,
        encoder: Encoder,
        reopen: Callable[[], Source] | None = None,
        *,
        wish: Wish = ANY,
        opens_late: bool = False,
        processing: Processing | None = None,
        channels: tuple[int, int] = (1, 1),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reopen` returns a new source if one has broken. With `opens_late`, the source is opened, by `reopen`, only
        once voice is to be sent. `wish` is for an encoder that adapts. `channels` are the numbers of channels of the
        source and of the encoder: equal, or 2 and 1, which is their mean."""
        self._captured_channels, self._channels = channels
        self._frame_bytes = self._channels * SAMPLE_BYTES
        self.in_use: InUse[Source] = InUse(source, reopen)
        self._opens_late = opens_late
        self._wanted = threading.Event()  # set once something is to be sent, or never will be
        self._began: float | None = None  # when the first source began, which is the zero of timestamps
        self.codec = encoder.codec
        # Gets what is sent: its position, when that reached the microphone by the monotonic clock, and the samples.
        self.tap: Callable[[int, float, bytes], None] | None = None
        self._muted = False
        self._encoder = encoder
        self._processing = processing or Processing()
        self.gate, self._pauses = Gate(pauses=wish.dtx), Pauses(are_wanted=wish.dtx)
        self._meter, self._clock = LevelMeter(), clock
        if encoder.codec != Codec.OPUS:
            wish = Wish(encoder.bitrate, encoder.frame_samples * 1000 / RATE)
        self._ladder = Ladder(wish.usual, wish.brisk, at_once=wish.at_once, is_unasked=wish.is_unasked)
        self._sequence = 0
        self._send: Callable[[Audio], None]
        self._gathered = bytearray()  # captured bytes that are not a packet yet
        self._position = 0  # position behind them
        self._silent_from = 0  # position behind the last packet
        self._silent = True

    @property
    def label(self) -> str:
        """The name of the source."""
        return self._source.label

    @property
    def muted(self) -> bool:
        """Whether no voice is sent for now. Any thread may change it."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        if not muted:
            self._wanted.set()

    @property
    def levels(self) -> SoundLevels:
        """The loudness of the source, before any processing."""
        return self._meter.levels

    @property
    def capture_ms(self) -> float:
        """Delay in milliseconds from the mouth to where a block of sound is sent."""
        return self._source.delay_ms + self._processing.delay_ms + self.gate.delay_ms

    @property
    def echo(self) -> str:
        """State of the echo cancellation: an `EchoState`."""
        return self._processing.echo

    @property
    def echo_db(self) -> float | None:
        """Level of the echo that the microphone hears, in dB relative to what was played; None if not known."""
        return self._processing.echo_db

    @property
    def xruns(self) -> int:
        """Number of gaps in the captured sound."""
        return self._source.xruns

    @property
    def silent_for(self) -> float | None:
        """Seconds since there was a sound (see `LevelMeter.silent_for`); None while muted."""
        return None if self._muted else self._meter.silent_for

    @property
    def eager(self) -> bool:
        """Whether a higher rung is tried as soon as there is no queue on the line."""
        return self._ladder.eager

    @property
    def ladder(self) -> Ladder:
        """The bitrate ladder, whose rung the next packet has."""
        return self._ladder

    def run(self, send: Callable[[Audio], None], on_start: Callable[[float], None]) -> None:
        """Send voice until the source ends, or `stop()`. Raises DeviceError; after `reopen()`, timestamps go on."""
        if self._opens_late and self._muted:
            self._wanted.wait()
        if self.in_use.is_stopped:
            return
        if self._opens_late:
            self._opens_late = False
            self.in_use.reopen()
        if self.in_use.can_reopen:  # it is a microphone
            self.gate.listen()
        self._send = send
        self._send_all(on_start)
        while self.in_use.goes_on:
            self._send_all(on_start)

    def _send_all(self, on_start: Callable[[float], None]) -> None:
        """Send the sound of one source. Timestamps go on from those of the source before."""
        before = max(self._position, self._silent_from)
        started = self.in_use.begin(on_start, self._processing.begin)
        self._began = started if self._began is None else self._began
        self._gathered.clear()
        self._position = self._silent_from = offset = round((started - self._began) * RATE)
        self._silent = True
        self._meter.begin()
        self._encoder.adapt(*self._ladder.rung)
        try:
            while (block := self._read()) is not None:
                if offset + block.position >= before:  # not captured while the other source was still used
                    self._take(offset + block.position, block.pcm)
        finally:
            self._fall_silent()

    @property
    def _source(self) -> Source:
        return self.in_use.now

    def _read(self) -> Block | None:
        self._source.batch = max(1, self._encoder.frame_samples // BLOCK_SAMPLES, self._processing.batch)
        return self._source.read()

    def _take(self, position: int, pcm: bytes) -> None:
        """Process a block of sound that begins at `position`, and send the packets that it completes."""
        if position != self._position:  # the source has lost samples, so what was gathered belongs to another time
            self._gathered.clear()
            self._processing.lost(max(0, position - self._position))
        mono = to_mono(from_bytes(pcm, self._captured_channels))
        now, samples = self._clock(), len(mono)
        self._position = position + samples
        self._meter.hear(mono)
        if self._channels == 1:
            # Also while muted, so that the canceller goes on learning the echo.
            pcm = self._processing.captured(mono.tobytes(), now - self._source.delay_ms / 1000 - samples / RATE)
            mono = from_bytes(pcm)
        mono = from_bytes(self.gate.take(mono.tobytes()))
        if self._channels == 1:
            pcm = mono.tobytes()
        elif self.gate.mode is not MicMode.OPEN:  # a gate has one channel
            pcm = to_pairs(mono).tobytes()
        if self._muted:
            self.gate.forget()
            self._gathered.clear()
            self._fall_silent()
            return
        self._silent = False
        if tap := self.tap:
            known_ms = self._source.delay_ms + self._processing.delay_ms  # not the gate's, which soon goes away
            tap(position, now - known_ms / 1000 - samples / RATE, mono.tobytes())
        self._gathered += pcm
        start = self._position - len(self._gathered) // self._frame_bytes
        while len(self._gathered) >= (size := self._encoder.frame_samples * self._frame_bytes):
            packet = bytes(self._gathered[:size])
            if (sends := self._pauses.look(start, packet, self._encoder.frame_samples)) is not Sends.NOTHING:
                self._send(self._audio(start, self._encoder.encode(packet) if sends is Sends.SOUND else b""))
            del self._gathered[:size]
            start += size // self._frame_bytes
            # Not earlier: what was gathered for a long packet would be late in short ones.
            self._encoder.adapt(*self._ladder.rung)
        self._silent_from = start

    def _fall_silent(self) -> None:
        """Send what is left, then an empty packet, which says that silence follows."""
        self._pauses.begin()
        if self._silent:
            return
        if self._gathered:
            size = self._encoder.frame_samples * self._frame_bytes
            packet = self._encoder.encode(bytes(self._gathered).ljust(size, b"\0"))
            self._send(self._audio(self._silent_from, packet))
            self._silent_from += size // self._frame_bytes
        self._send(self._audio(self._silent_from, b""))
        self._silent = True

    def stop(self) -> None:
        self.in_use.stop()
        self._wanted.set()

    def _audio(self, position: int, data: bytes) -> Audio:
        self._sequence = (self._sequence + 1) % 2**16
        return Audio(self._encoder.codec, OWN_SOURCE, self._sequence, position % 2**32, data)
