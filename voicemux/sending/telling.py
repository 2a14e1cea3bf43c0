"""Tells a trace what the schedule does, and what is known of the line. Pure: no socket, clock or thread; `now` is in
seconds."""

from voicemux.protocol.frames import FrameDecoder
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.flow import Obstacle
from voicemux.sending.rungs import Rungs
from voicemux.trace.facts import Chosen, Dropped, FramePassed, HeldBack, Trace


class Telling:
    """Tells a trace. Without one, its methods do nothing."""

    def __init__(self, trace: Trace | None, congestion: CongestionControl) -> None:
        self._trace = trace
        self._congestion = congestion
        self._held_back: dict[str, str] = {}  # what waits now, and the reason that was last told

    def chosen(self, what: str, number: int, waited: float) -> None:
        """A packet of voice or a frame of text goes out. It waited for `waited` seconds."""
        if self._trace:
            self._held_back.pop(what, None)
            self._trace(Chosen(what, number, waited * 1000))

    def held_back(self, what: str, now: float, *, voice_waits: bool = False) -> None:
        """Voice or text is held back. That is told once for each reason."""
        if self._trace:
            why = "voice" if voice_waits else self._obstacle(now) or Obstacle.MUCH
            if self._held_back.get(what) != why:
                self._held_back[what] = why
                self._trace(HeldBack(what, why))

    def dropped(self, number: int, waited: float, now: float) -> None:
        """A packet of voice was dropped after `waited` seconds."""
        if self._trace:
            self._trace(Dropped(number, waited * 1000, self._obstacle(now) or "turn"))

    def padding(self, data: bytes) -> None:
        """`data`, frames of padding, goes out with voice."""
        if self._trace and data:
            for frame in FrameDecoder().feed(data):
                self._trace(FramePassed("sent", frame, None))

    def line(self, rungs: Rungs, now: float) -> None:
        """The rung has been chosen."""
        if self._trace:
            self._trace(self._congestion.seen(rungs, now))

    def _obstacle(self, now: float) -> str | None:
        return self._congestion.obstacle(now)
