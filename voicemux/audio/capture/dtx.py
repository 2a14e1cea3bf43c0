"""Discontinuous transmission: while there is only silence to send, hardly anything is sent. Pure.

A packet of digital silence is what a shut gate gives, and a file or a program that says nothing. The pause begins
with a mark, an AUDIO frame without data, and has one more every 400 ms (protocol.md §8): by these the other side goes
on to measure the line and the clock. Positions and lengths are in samples of 48 kHz.
"""

from enum import Enum

from voicemux.audio.endpoints import RATE

# As Opus has it (RFC 6716, section 2.1.9, and libopus): ten packets of 20 ms before a pause, then one in 400 ms.
HANG = RATE // 5
MARK_EVERY = RATE * 2 // 5


class Sends(Enum):
    """What is sent in the place of a packet."""

    SOUND = "sound"
    MARK = "mark"
    NOTHING = "nothing"


class Pauses:
    """`look` at each packet, in the order of their capture."""

    def __init__(self, *, are_wanted: bool) -> None:
        """If they are not wanted, there are none."""
        self._are_wanted = are_wanted
        self.begin()

    def begin(self) -> None:
        """What comes next does not follow what came before."""
        self._silent = 0  # samples at the end
        self._marked: int | None = None  # position of the newest mark of this pause

    def look(self, position: int, pcm: bytes, samples: int) -> Sends:
        """What to send of a packet that begins at `position`."""
        if not self._are_wanted:
            return Sends.SOUND
        if pcm.strip(b"\0"):
            self.begin()
            return Sends.SOUND
        before, self._silent = self._silent, self._silent + samples
        if before < HANG:
            return Sends.SOUND
        if self._marked is None or position - self._marked >= MARK_EVERY:
            self._marked = position
            return Sends.MARK
        return Sends.NOTHING
