"""Text that is never lost, doubled or reordered (protocol.md §7): ids, acknowledgements, the window.

`Outbox` and `Inbox` are the two ends of one direction. Neither knows a connection: after a resume, both go on
where they stopped.
"""

from collections import deque
from collections.abc import Iterator

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.messages import ByeCode, Text
from voicemux.protocol.wire import MAX_MESSAGE, MAX_TEXT_PART, TEXT_WINDOW, text_header_struct

MAX_WAITING = 8 * MAX_MESSAGE  # bytes of text not yet sent: a limit for a fast pipe into a slow line
MAX_ID = 2**32 - 1


def payload_size(text: Text) -> int:
    """Bytes of the TEXT payload, which is what the window counts."""
    return text_header_struct.size + len(text.text.encode())


def split_text(text: str, limit: int) -> list[str]:
    """Split `text` into parts of at most `limit` bytes of UTF-8 each, at code points; at least one part."""
    encoded = text.encode()
    parts, start = [], 0
    while len(encoded) - start > limit:
        end = start + limit
        while encoded[end] & 0xC0 == 0x80:  # a continuation byte: not between two code points
            end -= 1
        parts.append(encoded[start:end].decode())
        start = end
    parts.append(encoded[start:].decode())
    return parts


class Outbox:
    """Outgoing texts: numbered, sent within the window, kept until they are acknowledged."""

    def __init__(self) -> None:
        self._waiting: deque[Text] = deque()
        self._unacknowledged: deque[Text] = deque()
        self._last_id = 0
        self._last_sent = 0
        self._last_acknowledged = 0
        self.waiting_bytes = 0
        self.unacknowledged_bytes = 0

    @property
    def full(self) -> bool:
        return self.waiting_bytes >= MAX_WAITING

    @property
    def delivered(self) -> bool:
        """Whether everything that was put here has been acknowledged."""
        return self._last_acknowledged == self._last_id

    @property
    def undelivered(self) -> int:
        """Frames that were put here and not acknowledged."""
        return self._last_id - self._last_acknowledged

    def undelivered_messages(self) -> Iterator[tuple[int, str]]:
        """Yield each message that is not wholly acknowledged, the oldest first: its last id, and its unacknowledged
        part."""
        parts: list[str] = []
        for frame in (*self._unacknowledged, *self._waiting):
            parts.append(frame.text)
            if not frame.more:
                yield frame.id, "".join(parts)
                parts.clear()

    def put(self, text: str) -> int:
        """Number `text` and queue it, as several messages if it is longer than one may be.

        Returns the id whose acknowledgement means that the whole text has arrived. Raises LocalProtocolError if
        `text` is not Unicode (lone surrogates).
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"text that is not Unicode: {error.reason}") from error
        for message in split_text(text, MAX_MESSAGE):
            parts = split_text(message, MAX_TEXT_PART)
            for i, part in enumerate(parts, 1):
                if self._last_id == MAX_ID:
                    raise LocalProtocolError(f"more than {MAX_ID} TEXT frames in one session")
                self._last_id += 1
                frame = Text(self._last_id, part, more=i < len(parts))
                self._waiting.append(frame)
                self.waiting_bytes += payload_size(frame)
        return self._last_id

    @property
    def can_send(self) -> bool:
        """Whether a frame waits, and the window has room for it."""
        return bool(self._waiting) and self.unacknowledged_bytes + payload_size(self._waiting[0]) <= TEXT_WINDOW

    def next(self) -> Text | None:
        """Return the next frame to send; None if there is none, or the window is full."""
        if not self.can_send:
            return None
        text = self._waiting.popleft()
        size = payload_size(text)
        self.waiting_bytes -= size
        self._unacknowledged.append(text)
        self.unacknowledged_bytes += size
        self._last_sent = max(self._last_sent, text.id)
        return text

    def acknowledge(self, number: int) -> None:
        """Note that the peer has everything up to the id `number`. Raises RemoteProtocolError if that was never
        sent."""
        if number > self._last_sent:
            raise RemoteProtocolError(f"TEXT_ACK of {number}, the last TEXT sent is {self._last_sent}")
        self._last_acknowledged = max(self._last_acknowledged, number)
        while self._unacknowledged and self._unacknowledged[0].id <= number:
            self.unacknowledged_bytes -= payload_size(self._unacknowledged.popleft())
        # Sent on the lost connection, queued again, and reported as received meanwhile.
        while self._waiting and self._waiting[0].id <= number:
            self.waiting_bytes -= payload_size(self._waiting.popleft())

    def resume(self, last_text: int) -> None:
        """Queue the frames that the peer has not acknowledged once more, with the same ids, for a new connection.

        `last_text` is from the peer's HELLO. Raises RemoteProtocolError if it is impossible; the session must then
        end.
        """
        if not self._last_acknowledged <= last_text <= self._last_sent:
            raise RemoteProtocolError(
                f"HELLO with last_text {last_text}, expected {self._last_acknowledged} to {self._last_sent}"
            )
        self.acknowledge(last_text)
        self._waiting.extendleft(reversed(self._unacknowledged))
        self._unacknowledged.clear()
        self.waiting_bytes += self.unacknowledged_bytes
        self.unacknowledged_bytes = 0


class Inbox:
    """Incoming texts: in order, once each, joined into messages, acknowledged when the reader has taken them.

    Holds at most one whole message, and one window of text behind it.
    """

    def __init__(self) -> None:
        self._last_id = 0
        self._whole: deque[int] = deque()  # the last id of each message that was not taken yet
        self._parts: list[str] = []
        self._parts_bytes = 0
        self._unacknowledged: deque[tuple[int, int]] = deque()  # (id, payload bytes)
        self._unacknowledged_bytes = 0

    def receive(self, text: Text) -> str | None:
        """Return the message that `text` completes, or None. The caller must call `taken()` for each message.

        Raises RemoteProtocolError on an id that leaves a gap, a message over the limit, or more
        than a window of text that is not acknowledged.
        """
        if text.id <= self._last_id:
            return None
        if text.id != self._last_id + 1:
            raise RemoteProtocolError(f"TEXT {text.id} after TEXT {self._last_id}: something is missing")
        size = payload_size(text)
        self._parts_bytes += size - text_header_struct.size
        if self._parts_bytes > MAX_MESSAGE:
            raise RemoteProtocolError(f"a text of more than {MAX_MESSAGE} bytes", ByeCode.FLOOD)
        self._last_id = text.id
        if text.text:  # a frame without text takes no memory, so any number may come
            self._parts.append(text.text)
        message = None
        if not text.more:
            message = "".join(self._parts)
            self._whole.append(text.id)
            self._parts.clear()
            self._parts_bytes = 0
        self._unacknowledged.append((text.id, size))
        self._unacknowledged_bytes += size
        self._settle()
        if self._unacknowledged_bytes > TEXT_WINDOW:
            raise RemoteProtocolError(f"more than {TEXT_WINDOW} bytes of text not acknowledged", ByeCode.FLOOD)
        return message

    def taken(self) -> None:
        """Note that the oldest message that `receive` returned has been shown to the user."""
        self._whole.popleft()
        self._settle()

    @property
    def is_taken(self) -> bool:
        """Whether each message that `receive` returned has been taken."""
        return not self._whole

    @property
    def acknowledgement(self) -> int:
        """The id to acknowledge now, also as `last_text`: up to the newest frame, or before the oldest message that
        the reader has not taken."""
        return self._whole[0] - 1 if self._whole else self._last_id

    def end(self) -> str | None:
        """Return the received part of a message whose end will not come, or None. `taken()` is due for it, too.

        The frames of this part were acknowledged, so the reader must see it.
        """
        if not self._parts:
            return None
        self._whole.append(self._last_id)
        rest = "".join(self._parts)
        self._parts.clear()
        return rest

    def _settle(self) -> None:
        while self._unacknowledged and self._unacknowledged[0][0] <= self.acknowledgement:
            self._unacknowledged_bytes -= self._unacknowledged.popleft()[1]
