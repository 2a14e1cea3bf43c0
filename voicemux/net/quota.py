"""How much a peer may send of what nothing else limits. Pure: no clock, socket or thread.

What counts is what comes off the socket, TLS and all, and the work that it makes. Text that is new is limited by what
has not been shown yet (protocol.md §7), so it is free; what only looks like text is not. All the rest is dropped or
replaced when it is too much, but reading it takes time.
"""

from voicemux.protocol.messages import Message, Preface, Text, TextAck

RATE = 400_000  # bytes a second: more than twice what PCM in packets of 5 ms comes to
BURST = 2_000_000  # bytes at once: what some seconds of outage have held back
EACH = 200  # bytes that a message counts for besides its own: to take a short one takes as long
EACH_READ = 60  # bytes that each read of the stream counts for besides its own: about the headers of a packet
TEXT_ITSELF = 130  # bytes around a text that are free with it: frame, id, TLS record, piece
LEAST_PART = 200  # bytes: who cuts a text into smaller ones wants to make work; protocol.md §5.2 has 1024
UNSETTLED = 24_000  # bytes that may still turn out to be text: a TLS record that is not whole, and a frame


class Quota:
    """`read()` each piece that has come, then `took()` each message in it; False is too much, too fast."""

    def __init__(self, now: float) -> None:
        """`now` is in seconds."""
        self._left = float(BURST)
        self._looked = now
        self._unsettled = 0  # bytes that have been counted, and that a text may have back
        self._text = self._acknowledged = 0  # the highest ids

    def read(self, size: int, now: float) -> bool:
        """`size` bytes have come, as they came off the socket; whether that may go on."""
        self._left = min(BURST, self._left + (now - self._looked) * RATE)
        self._looked = now
        self._left -= size + EACH_READ
        self._unsettled = min(self._unsettled + size + EACH_READ, UNSETTLED)
        return self._left >= 0

    def took(self, message: Message | Preface) -> None:
        """The message was whole with what has been read."""
        match message:
            case Text() if message.id > self._text and not _is_crumb(message):
                self._text = message.id
                free = min(self._unsettled, len(message.text.encode()) + TEXT_ITSELF)
                self._unsettled -= free
                self._left += free
            case TextAck() if message.id > self._acknowledged:
                self._acknowledged = message.id
            case _:
                self._left -= EACH


def _is_crumb(text: Text) -> bool:
    return text.more and len(text.text.encode()) < LEAST_PART
