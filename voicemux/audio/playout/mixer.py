"""Owns a sink: asks the playout of each source for sound, and writes the sum.

A recording is a mixer of its own, with its own playouts: both get every packet. It has a file's clock, so it is
complete and in time even while the loudspeaker is missing or hangs. That costs a second decoder.
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

LEAST, MOST = -(2**15), 2**15 - 1  # smallest and largest sample


class Mixer:
    """The playing half of a call's sound. The loudspeaker's thread, or a recorder's, runs `run()`; the demultiplexer
    calls `put()`, which does not wait."""

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

        `reopen` opens a sink in place of a broken one. `tones` are heard even while the user has deafened the peer.
        `records`: the sink keeps the peer's voice. The playouts make `channels` channels; if the mixer `mixes_down`,
        the sink gets their mean.
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
        self.volume = Volume(self._meter) if limiter else None  # only a loudspeaker has one
        # Samples made by each playout, and not yet written.
        self._made: dict[int, Samples] = {source: no_sound(0, channels) for source in playouts}

    @property
    def label(self) -> str:
        """The name of the sink."""
        return self._sink.label

    @property
    def figures(self) -> Figures:
        """Figures of the playout of the peer's voice. Any thread may read them."""
        return self._playouts[OWN_SOURCE].figures(self._sink.delay_ms, self._sink.xruns)

    @property
    def levels(self) -> SoundLevels:
        """How loud the peer's voice is as it came. Any thread may read it."""
        return self._meter.levels

    def report(self) -> Report | None:
        """Return what to tell the peer of its voice; None before any came."""
        return self._playouts[OWN_SOURCE].report(self._sink.delay_ms)

    def put(self, audio: Audio, arrival: float | None = None) -> None:
        """Queue a packet from the demultiplexer."""
        if playout := self._playouts.get(audio.source):
            playout.put(audio, self._clock() if arrival is None else arrival)

    def begin_again(self, *, goes_on: bool = False) -> None:
        """From now on, packets come by another line. `goes_on`: they follow those before without a gap. Any thread
        may call it."""
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
        """Play on one sink until it ends."""
        self.in_use.begin(on_start)
        while self._sink.ready():
            has_more = self._take_in()
            if has_more or self._sink.urgent:
                pcm = self._mix(self._next_at).tobytes()
                self._processing.rendered(pcm, self._next_at + self._sink.delay_ms / 1000)
                self._sink.write(pcm)

    @property
    def _next_at(self) -> float:
        """The time at which the sink will have played what it has. Making more takes time, so it may be later."""
        return self._clock() + self._sink.ahead

    def _take_in(self) -> bool:
        """Take in what has come. Returns whether there is sound to play, without having to conceal anything of a
        voice that speaks."""
        is_any_here = is_any_missing = False
        for source, playout in self._playouts.items():
            is_here = playout.take_in() or len(self._made[source]) > 0
            is_any_here |= is_here
            is_any_missing |= not (is_here or playout.silent)
        return is_any_here and not is_any_missing

    def _mix(self, now: float) -> Samples:
        """Return what is heard from the time `now` on, at least one sample."""
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
        is_as_it_came = total.ndim == 2 and total.dtype == np.int16  # unchanged music may go up to full scale
        if self._limiter and not is_as_it_came:
            return self._limiter.limit(total)
        clipped: Samples = np.clip(total, LEAST, MOST).astype(np.int16)
        return clipped

    def _sum(self, now: float) -> NDArray[np.integer]:
        """Return the sum of all voices, as long as the shortest piece that they have made."""
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
        """End `run`. Any thread may call it."""
        self.in_use.stop()

    def round_trip(self, seconds: float) -> None:
        """Pass on the shortest of the last round trips, in seconds: see `JitterBuffer.round_trip`. Any thread may
        call it."""
        for playout in self._playouts.values():
            playout.round_trip(seconds)
