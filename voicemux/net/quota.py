"""How much a peer may send of what nothing else limits. Pure: no clock, socket or thread.

Text is limited by what has not been shown yet (protocol.md §7), so it is free. All the rest is dropped or replaced
when it is too much, but reading it takes time.
"""

from voicemux.protocol.messages import Message, Preface, Text, TextAck

RATE = 400_000  # bytes a second: three times what PCM in packets of 5 ms comes to
BURST = 2_000_000  # bytes at once: what some seconds of outage have held back
EACH = 200  # bytes that a message counts for besides its own: to take a short one takes as long
TEXT_HEADER = 8  # bytes, of frame and id


class Quota:
    """`take()` what has come; False is too much, too fast."""

    def __init__(self, now: float) -> None:
        """`now` is in seconds."""
        self._left = float(BURST)
        self._looked = now

    def take(self, size: int, messages: list[Message | Preface], now: float) -> bool:
        """`size` bytes have come, and in them `messages`, whole or the end of them."""
        self._left = min(BURST, self._left + (now - self._looked) * RATE)
        self._looked = now
        self._left -= size + sum(map(_extra, messages))
        return self._left >= 0


def _extra(message: Message | Preface) -> int:
    match message:
        case Text():
            return -TEXT_HEADER - len(message.text.encode())
        case TextAck():
            return 0
        case _:
            return EACH
