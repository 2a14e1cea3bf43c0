"""Decides which packets of voice are sent with DTX (discontinuous transmission), which leaves silence out. Pure.

A packet is silent if all its samples are 0: a shut gate gives such packets, and so does a file or a program that is
silent. A pause begins with a mark, which is an AUDIO frame without data, and has another mark every 400 ms
(protocol.md §8). By the marks, both sides go on measuring the line and the difference of their clocks. Positions and
lengths are in samples of 48 kHz.
"""

from enum import Enum

from voicemux.audio.endpoints import RATE

# As in Opus (RFC 6716, section 2.1.9, and libopus): ten silent packets of 20 ms are sent before a pause, and in it
# one every 400 ms.
HANG = RATE // 5  # samples (0.2 s) of silence that are sent before a pause begins
MARK_EVERY = RATE * 2 // 5  # samples (0.4 s) from one mark of a pause to the next


class Sends(Enum):
    """The ways to send a packet: its sound, a mark in its place, or nothing."""

    SOUND = "sound"
    MARK = "mark"
    NOTHING = "nothing"


class Pauses:
    """The pauses of one stream. Call `look` with each packet, in the order of capture."""

    def __init__(self, *, are_wanted: bool) -> None:
        """Without `are_wanted`, every packet is sent as sound."""
        self._are_wanted = are_wanted
        self.begin()

    def begin(self) -> None:
        """Note that the next packet does not follow the last: silence before it does not count."""
        self._silent = 0  # samples of silence up to the end of the newest packet
        self._marked: int | None = None  # position of the newest mark of this pause

    def look(self, position: int, pcm: bytes, samples: int) -> Sends:
        """Return how to send the packet that begins at `position`: `pcm` in 16-bit samples, of `samples` in each
        channel."""
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
