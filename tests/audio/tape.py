"""A loudspeaker with a clock of its own, and packets that arrive for it: hours are played in seconds."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tests.audio.speech import samples_of
from voicemux.audio.codec import Encoder, OpusEncoder, make_decoders
from voicemux.audio.endpoints import BLOCK_SECONDS, RATE
from voicemux.audio.pcm import PcmEncoder
from voicemux.audio.playout.jitter import MAX_DELAY
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.protocol.messages import OWN_SOURCE, Audio

PLAYOUT_MS = 3.0

Arrivals = Iterable[tuple[float, Audio]]


class Tape:
    """A sink with a clock of its own, on which packets arrive: it plays hours in seconds."""

    label = "tape"
    delay_ms = PLAYOUT_MS
    xruns = 9

    def __init__(
        self,
        seconds: float,
        arrivals: Arrivals = (),
        before: Callable[[int], None] = lambda block: None,
        reserve: float = 0.0,
        channels: int = 1,
    ):
        """`before` is called with the number of the write that is about to come; `reserve` is in seconds."""
        self._channels = channels
        self._player: Mixer
        self.reserve = reserve
        self.pieces: list[bytes] = []
        self.samples_written = 0
        self._now = 0.0
        self._seconds = seconds
        self._arrivals = sorted(arrivals, key=lambda arrival: arrival[0])
        self._next = 0
        self._before = before
        self.stopped = False
        self._written_before = -1

    def played_by(self, playouts: Mapping[int, Playout], **options: Any) -> Mixer:
        """A mixer of those voices, which gets what arrives."""
        self._player = Mixer(self, playouts, clock=self.monotonic, **options)
        return self._player

    def monotonic(self) -> float:
        return self._now

    @property
    def heard(self) -> np.ndarray:
        heard = samples_of(b"".join(self.pieces))
        return heard if self._channels == 1 else heard.reshape(-1, self._channels)

    @property
    def ahead(self) -> float:
        return self.samples_written / RATE - self._now

    @property
    def urgent(self) -> bool:
        return self.ahead < BLOCK_SECONDS / 2

    def start(self) -> float:
        return 12.5

    def ready(self) -> bool:
        self._before(len(self.pieces))
        if self.samples_written == self._written_before:
            due = self._now + BLOCK_SECONDS
        else:
            due = max(self._now, self.samples_written / RATE - self.reserve)
        self._written_before = self.samples_written
        while self._next < len(self._arrivals) and self._arrivals[self._next][0] <= due:
            self._now, audio = self._arrivals[self._next]
            self._player.put(audio)
            self._next += 1
        self._now = due
        return not self.stopped and self.samples_written / RATE < self._seconds

    def write(self, pcm: bytes) -> None:
        assert len(pcm) % (2 * self._channels) == 0 < len(pcm)
        self.pieces.append(pcm)
        self.samples_written += len(pcm) // (2 * self._channels)

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        pass


def play(
    arrivals: Arrivals,
    seconds: float,
    before: Callable[[Mixer, int], None] = lambda player, block: None,
    max_delay: float = MAX_DELAY,
    reserve: float = 0.0,
    channels: int = 1,
    **options: Any,
) -> tuple[Mixer, Tape]:
    """Who has played, and what: the voice of one source. `before` is called before each write. `options` are the
    mixer's."""
    heard = 1 if options.get("mixes_down") else channels
    tape = Tape(seconds, arrivals, lambda block: before(player, block), reserve, heard)
    playout = Playout(make_decoders(channels), max_delay, channels=channels)
    player = tape.played_by({OWN_SOURCE: playout}, channels=channels, **options)
    started: list[float] = []
    player.run(started.append)
    assert started == [12.5]
    longest = max(map(len, tape.pieces)) / 2 / heard / RATE
    assert seconds <= tape.samples_written / RATE < seconds + longest, "it is not as long as the call"
    return player, tape


def packets_of(samples: np.ndarray, encoder: Encoder | None = None, sequence: int = 0, start: int = 0) -> list[Audio]:
    encoder = encoder or PcmEncoder(20)
    size = encoder.frame_samples
    return [
        Audio(
            encoder.codec,
            0,
            (sequence + i) % 2**16,
            (start + i * size) % 2**32,
            encoder.encode(samples[i * size : (i + 1) * size].tobytes()),
        )
        for i in range(len(samples) // size)
    ]


def opus(frame_ms: float = 20, bitrate: int = 32_000) -> OpusEncoder:
    return OpusEncoder(frame_ms, bitrate)
