"""Measures how much the line takes, by one longer packet of voice. Pure: no socket, clock or thread.

A probe (`sending.climb`) would fill a line that has no room, and that is heard. So a much higher rung is tried only
if such a packet arrived hardly later than those around it. Times are in seconds, rates in bits a second.
"""

from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.wire import GREASE_TAG
from voicemux.sending.forth import Forth

# Bytes of padding in the longer packet. At 64 kbit/s they take 37 ms, and one packet that is later by that is not
# noticed; a probe would make the packets of half a second later.
SOUNDING = 300
# Bytes of padding that tell whether a line takes 5 Mbit/s: they take 2 ms there, and times are known to 1 ms. With a
# packet of voice, they are less than one segment of 1448 bytes.
LONG_SOUNDING = 1200
SOUNDED = 0.6  # seconds from the longer packet until its result is known
NOISE = 0.030  # seconds of jitter from which on neither the longer packet nor a probe can be told from it
TICK = 0.001  # seconds: the resolution of ARRIVALS
HOLDS = 30.0  # seconds for which a result counts


class Sounding:
    """Call `want()` to measure, `look()` ten times a second, and `padding()` with each packet; `room()` has the
    result."""

    def __init__(self, forth: Forth, size: int = SOUNDING, *, beside_latest: bool = False) -> None:
        """The longer packet has `size` bytes of padding. It is compared with the quickest packets before it or, if
        `beside_latest`, with the latest: a few milliseconds of jitter do not count then."""
        self._forth, self._size, self._beside_latest = forth, size, beside_latest
        self._is_wanted = False
        self._sent: float | None = None
        self._found: tuple[float, float] | None = None  # when it was measured, and what the line takes

    @property
    def is_on(self) -> bool:
        """Whether a measurement is wanted or under way."""
        return self._is_wanted or self._sent is not None

    def room(self, now: float) -> float | None:
        """Return the bits a second that the line takes; infinite if jitter hides it; None if not measured within
        HOLDS."""
        return self._found[1] if self._found and now - self._found[0] < HOLDS else None

    def want(self, now: float) -> None:
        """Measure with the next packet."""
        if self.is_on:
            return
        if self._forth.moments.latest(now, 2 * SOUNDED) >= NOISE:
            self._found = now, float("inf")
        else:
            self._is_wanted = True

    def forget(self) -> None:
        """Forget the result: the line has changed."""
        self._is_wanted, self._sent, self._found = False, None, None

    def look(self, now: float) -> None:
        """Take the result once it is known. `now` is in seconds."""
        if self._sent is None or now - self._sent < SOUNDED:
            return
        moments = self._forth.moments
        before, least = moments.latest(self._sent, 2 * SOUNDED), moments.least(self._sent, 2 * SOUNDED) or 0.0
        longer = moments.latest(now, SOUNDED) - (before if self._beside_latest else least)
        self._found = now, float("inf") if before >= NOISE else self._size * 8 / max(TICK, longer)
        self._sent = None

    def padding(self, now: float) -> bytes:
        """Return the padding to write with the packet of voice that is written now."""
        if not self._is_wanted:
            return b""
        self._is_wanted, self._sent = False, now
        return encode_frame(Frame(GREASE_TAG, 0, bytes(self._size)))
