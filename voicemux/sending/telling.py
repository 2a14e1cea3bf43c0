"""What a trace is told of the schedule, and of the line. Pure: no socket, clock or thread; `now` is in seconds."""

from voicemux.protocol.frames import FrameDecoder
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.flow import Obstacle
from voicemux.sending.rungs import Rungs
from voicemux.trace.facts import Chosen, Dropped, FramePassed, HeldBack, Trace


class Telling:
    """Without a trace, nothing here does anything."""

    def __init__(self, trace: Trace | None, congestion: CongestionControl) -> None:
        self._trace = trace
        self._congestion = congestion
        self._held_back: dict[str, str] = {}  # what waits now, and why, as far as it was told

    def chosen(self, what: str, number: int, waited: float) -> None:
        """A packet of voice or a frame of text goes out. It waited for `waited` seconds."""
        if self._trace:
            self._held_back.pop(what, None)
            self._trace(Chosen(what, number, waited * 1000))

    def held_back(self, what: str, now: float, *, voice_waits: bool = False) -> None:
        """Voice, or text, waits. It is told again when the reason is another one."""
        if self._trace:
            why = "voice" if voice_waits else self._obstacle(now) or Obstacle.MUCH
            if self._held_back.get(what) != why:
                self._held_back[what] = why
                self._trace(HeldBack(what, why))

    def dropped(self, number: int, waited: float, now: float) -> None:
        """A packet of voice has waited too long."""
        if self._trace:
            self._trace(Dropped(number, waited * 1000, self._obstacle(now) or "turn"))

    def padding(self, data: bytes) -> None:
        """Frames without a meaning go out with voice."""
        if self._trace and data:
            for frame in FrameDecoder().feed(data):
                self._trace(FramePassed("sent", frame, None))

    def line(self, rungs: Rungs, now: float) -> None:
        """It has been judged."""
        if self._trace:
            self._trace(self._congestion.seen(rungs, now))

    def _obstacle(self, now: float) -> str | None:
        return self._congestion.obstacle(now)
