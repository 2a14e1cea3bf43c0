"""Limits what a peer sends that nothing else limits. Pure: no clock, socket or thread.

Counted are the bytes that come off the socket, TLS included, and a surcharge for the work that each message makes.
New text is free, because it has its own window (protocol.md §7); text in crumbs is not. Everything else is dropped or
replaced when there is too much of it, but reading it takes time.
"""

from voicemux.protocol.messages import Message, Preface, Text, TextAck

RATE = 400_000  # bytes a second: more than twice what PCM takes in packets of 5 ms
BURST = 2_000_000  # bytes at once: what an outage of some seconds has held back
EACH = 200  # bytes that a message counts beside its own: even a short one takes as long to handle
EACH_READ = 60  # bytes that each read of the stream counts beside its own: about the headers of a packet
TEXT_ITSELF = 130  # bytes around a text that are free with it: frame, id, TLS record, surcharge of the read
LEAST_PART = 200  # bytes: a peer that cuts a text into smaller parts wants to make work; protocol.md §5.2 has 1024
UNSETTLED = 24_000  # bytes that may still turn out to be text: a TLS record and a frame that are not complete


class Quota:
    """A token bucket for one peer. Call `read()` for all bytes that come, then `took()` for each message in them.
    False means too much, too fast."""

    def __init__(self, now: float) -> None:
        """`now` is in seconds."""
        self._left = float(BURST)
        self._looked = now
        self._unsettled = 0  # bytes that were counted, and are given back if they turn out to be text
        self._text = self._acknowledged = 0  # highest ids so far

    def read(self, size: int, now: float) -> bool:
        """`size` bytes have come off the socket. Returns whether the peer may go on."""
        self._left = min(BURST, self._left + (now - self._looked) * RATE)
        self._looked = now
        self._left -= size + EACH_READ
        self._unsettled = min(self._unsettled + size + EACH_READ, UNSETTLED)
        return self._left >= 0

    def took(self, message: Message | Preface) -> None:
        """`message` was completed by the bytes that were read last."""
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
