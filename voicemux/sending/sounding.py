"""How much the line takes, by one packet of voice that is longer than the others. Pure: no socket, clock or thread.

A probe (`net.climb`) fills a line that has no room, and that is heard. So what is much more than usual is tried only
where such a packet was hardly later than those around it. Times are in seconds, rates in bits a second.
"""

from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.wire import GREASE_TAG
from voicemux.sending.forth import Forth

# Bytes that go once with a packet, to see how much longer the line takes for them. On 64 kbit/s that is 37 ms, and a
# packet that is later by that is not noticed; a probe would make half a second of them later, which is remembered.
SOUNDING = 300
SOUNDED = 0.6  # until it is known what came of that
NOISE = 0.030  # of jitter in which that is not seen, nor is what a probe does
TICK = 0.001  # what ARRIVALS can tell at least
HOLDS = 30.0  # that what was found out is taken for true


class Sounding:
    """`want()` it, and `look()` ten times a second; `padding()` with each packet."""

    def __init__(self, forth: Forth) -> None:
        self._forth = forth
        self._is_wanted = False
        self._sent: float | None = None
        self._found: tuple[float, float] | None = None  # when, and what the line takes

    @property
    def is_on(self) -> bool:
        return self._is_wanted or self._sent is not None

    def room(self, now: float) -> float | None:
        """What the line takes; infinite if that cannot be seen, None if it is not known, or not any more."""
        return self._found[1] if self._found and now - self._found[0] < HOLDS else None

    def want(self, now: float) -> None:
        """Find it out."""
        if self.is_on:
            return
        if self._forth.moments.latest(now, 2 * SOUNDED) >= NOISE:
            self._found = now, float("inf")
        else:
            self._is_wanted = True

    def forget(self) -> None:
        """The line is another."""
        self._is_wanted, self._sent, self._found = False, None, None

    def look(self, now: float) -> None:
        if self._sent is None or now - self._sent < SOUNDED:
            return
        moments = self._forth.moments
        before, least = moments.latest(self._sent, 2 * SOUNDED), moments.least(self._sent, 2 * SOUNDED) or 0.0
        longer = moments.latest(now, SOUNDED) - least
        self._found = now, float("inf") if before >= NOISE else SOUNDING * 8 / max(TICK, longer)
        self._sent = None

    def padding(self, now: float) -> bytes:
        """What goes with the packet of voice that is written now."""
        if not self._is_wanted:
            return b""
        self._is_wanted, self._sent = False, now
        return encode_frame(Frame(GREASE_TAG, 0, bytes(SOUNDING)))
