"""Tells a trace how the voice of one source is played. Pure: no sound, clock or thread."""

from voicemux.audio.playout.jitter import Conceal, JitterBuffer, Pause
from voicemux.protocol.messages import Audio
from voicemux.protocol.wire import TICKS_PER_SECOND
from voicemux.trace.facts import Filled, NotPlayed, Played, Stretched, Trace

TICKS_PER_MS = TICKS_PER_SECOND / 1000


class Account:
    """The account of one source. Without a trace, its methods do nothing. Lengths are in ticks."""

    def __init__(self, trace: Trace | None, source: int) -> None:
        self._trace = trace
        self._source = source
        self._filling = ""  # how a gap is being filled; "" if there is none
        self._filled = 0  # ticks that were filled so far

    def played(self, audio: Audio, length: int, missed: int, jitter: JitterBuffer) -> None:
        """A packet was decoded. `missed` ticks were cut off its beginning, and `length` are left."""
        if self._trace:
            self._end_filling(self._trace)
            fact = Played(
                self._source,
                audio.sequence,
                length / TICKS_PER_MS,
                missed / TICKS_PER_MS,
                jitter.delay * 1000,
                jitter.target * 1000,
                jitter.buffered * 1000,
            )
            self._trace(fact)

    def stretched(self, more: int, *, quiet: bool) -> None:
        """The packet was made `more` ticks longer, or shorter if negative. `quiet`: it was a pause."""
        if self._trace and more:
            self._trace(Stretched(self._source, more / TICKS_PER_MS, quiet))

    def filled(self, action: Conceal | Pause) -> None:
        """There was no packet to play, and `action` filled the gap."""
        if self._trace:
            how = "paused" if isinstance(action, Pause) else "faded" if action.fading else "concealed"
            if how != self._filling:
                self._end_filling(self._trace)
            self._filling = how
            self._filled += action.ticks

    def not_played(self, audio: Audio, why: str) -> None:
        """A packet with sound will not be played. `why` is as in `NotPlayed`."""
        if self._trace and audio.data:
            self._trace(NotPlayed(self._source, audio.sequence, why))

    def _end_filling(self, trace: Trace) -> None:
        if self._filled:
            trace(Filled(self._source, self._filling, self._filled / TICKS_PER_MS))
        self._filling, self._filled = "", 0
