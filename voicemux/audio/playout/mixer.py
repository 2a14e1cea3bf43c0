"""Owns a sink: asks the voice of each source for what is played next, and writes the sum.

A recording is a mixer of its own, with playouts of its own: both get every packet. It has the clock of a file, so it
is complete, and in time, also while there is no loudspeaker, or one that hangs. That costs a second decoder.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import Sink
from voicemux.audio.in_use import InUse
from voicemux.audio.levels import LevelMeter, SoundLevels
from voicemux.audio.playout.limiter import Limiter
from voicemux.audio.playout.playout import Figures, Playout
from voicemux.audio.playout.tones import Tones
from voicemux.audio.playout.volume import Volume
from voicemux.audio.processing import Processing
from voicemux.audio.resample import Samples, no_sound, to_mono
from voicemux.errors import DeviceError
from voicemux.protocol.messages import OWN_SOURCE, Audio, Report

LEAST, MOST = -(2**15), 2**15 - 1  # of a sample


class Mixer:
    """`run()` is the body of the speaker's thread, or the recorder's; `put()` is the demultiplexer's, and does not
    wait."""

    def __init__(
        self,
        sink: Sink,
        playouts: Mapping[int, Playout],
        reopen: Callable[[], Sink] | None = None,
        *,
        limiter: Limiter | None = None,
        processing: Processing | None = None,
        tones: Tones | None = None,
        records: bool = False,
        channels: int = 1,
        mixes_down: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`playouts` are by the number of their source; AUDIO of others is dropped. `OWN_SOURCE` must be among them.

        `reopen` gives a sink for one that has broken. `tones` are heard also while the user has deafened the peer.
        `records`: the sink keeps what is heard. The playouts make `channels` channels, which the sink gets as one if
        it `mixes_down`.
        """
        self.in_use: InUse[Sink] = InUse(sink, reopen)
        self._playouts = playouts
        self._limiter = limiter
        self._processing = processing or Processing()
        self.tones = tones
        self.records = records
        self._mixes_down = mixes_down
        self._clock = clock
        self.deafened = False
        self._meter = LevelMeter()
        self.volume = Volume(self._meter) if limiter else None  # of a loudspeaker
        self._made: dict[int, Samples] = {source: no_sound(0, channels) for source in playouts}  # and not written

    @property
    def label(self) -> str:
        """The name of the sink."""
        return self._sink.label

    @property
    def figures(self) -> Figures:
        """How the peer's voice is played. Any thread."""
        return self._playouts[OWN_SOURCE].figures(self._sink.delay_ms, self._sink.xruns)

    @property
    def levels(self) -> SoundLevels:
        """How loud the peer is, as it came. Any thread."""
        return self._meter.levels

    def report(self) -> Report | None:
        """What the peer is told of its voice; None until it was heard."""
        return self._playouts[OWN_SOURCE].report(self._sink.delay_ms)

    def put(self, audio: Audio, arrival: float | None = None) -> None:
        """Take a packet from the demultiplexer."""
        if playout := self._playouts.get(audio.source):
            playout.put(audio, self._clock() if arrival is None else arrival)

    def begin_again(self, *, goes_on: bool = False) -> None:
        """What comes from now on comes by another line; `goes_on`: behind what came before, without a gap. Any
        thread."""
        for playout in self._playouts.values():
            playout.begin_again(goes_on=goes_on)

    def run(self, on_start: Callable[[float], None]) -> None:
        """Play until `stop()`. Raises DeviceError."""
        try:
            self._play_on(on_start)
            while self.in_use.goes_on:
                self._play_on(on_start)
        except DeviceError:
            self.records = False
            raise

    @property
    def _sink(self) -> Sink:
        return self.in_use.now

    def _play_on(self, on_start: Callable[[float], None]) -> None:
        """On one sink, to its end."""
        self.in_use.begin(on_start)
        while self._sink.ready():
            has_more = self._take_in()
            if has_more or self._sink.urgent:
                pcm = self._mix(self._next_at).tobytes()
                self._processing.rendered(pcm, self._next_at + self._sink.delay_ms / 1000)
                self._sink.write(pcm)

    @property
    def _next_at(self) -> float:
        """When the sink is through with what it has. To make more takes time, after which that may be later."""
        return self._clock() + self._sink.ahead

    def _take_in(self) -> bool:
        """Whether there is something to play, without a guess for the voice of any who speaks."""
        is_any_here = is_any_missing = False
        for source, playout in self._playouts.items():
            is_here = playout.take_in() or len(self._made[source]) > 0
            is_any_here |= is_here
            is_any_missing |= not (is_here or playout.silent)
        return is_any_here and not is_any_missing

    def _mix(self, now: float) -> Samples:
        """What is heard at the time `now` and from then on, at least one sample."""
        total = self._sum(now)
        self._meter.hear(to_mono(total))
        if self._mixes_down:
            total = to_mono(total)
        if self.volume:
            total = self.volume.apply(total)
        if self.deafened:
            total = np.zeros_like(total)
        if self.tones:
            total = self.tones.add(total)
        is_as_it_came = total.ndim == 2 and total.dtype == np.int16  # music may go up to full scale
        if self._limiter and not is_as_it_came:
            return self._limiter.limit(total)
        clipped: Samples = np.clip(total, LEAST, MOST).astype(np.int16)
        return clipped

    def _sum(self, now: float) -> NDArray[np.integer]:
        """Of all voices, as long as each of them has made its own."""
        if len(self._playouts) == 1:
            return self._playouts[OWN_SOURCE].render(now, self._sink.reserve)
        for source, playout in self._playouts.items():
            if not len(self._made[source]):
                self._made[source] = playout.render(now, self._sink.reserve)
        length = min(map(len, self._made.values()))
        total: NDArray[np.int32] = np.sum([made[:length] for made in self._made.values()], axis=0, dtype=np.int32)
        self._made = {source: made[length:] for source, made in self._made.items()}
        return total

    def stop(self) -> None:
        """End `run`. Any thread."""
        self.in_use.stop()

    def round_trip(self, seconds: float) -> None:
        """The shortest of the last round trips: see `JitterBuffer.round_trip`. Any thread."""
        for playout in self._playouts.values():
            playout.round_trip(seconds)
