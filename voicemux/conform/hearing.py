"""Receives what the program under test sends on one connection: bytes and frames, each with its time."""

import select
import time
from collections.abc import Callable
from typing import NamedTuple

from voicemux.conform.record import Record
from voicemux.conform.verdict import Failed
from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.stream import Stream, descriptor_of
from voicemux.protocol.encoding import from_frame
from voicemux.protocol.frames import Frame, FrameDecoder
from voicemux.protocol.messages import Message, Text


class Arrived(NamedTuple):
    """A received frame, its time (monotonic, in seconds), and its message; None if its tag is unknown."""

    time: float
    frame: Frame
    message: Message | None


class Hearing:
    """Received bytes. `receive()` waits for more; `take()` returns them as they are, `cut()` as frames."""

    def __init__(self, record: Record, began: float, on_text: Callable[[Text], None]) -> None:
        """`began` is when the connection began (monotonic, in seconds)."""
        self.heard: list[Arrived] = []
        self.ended = False  # whether the peer's stream has ended
        self.was_reset = False
        self._record = record
        self._began = began
        self._on_text = on_text
        self._raw = bytearray()  # bytes that came and were not yet cut into frames
        self._frames = FrameDecoder()

    @property
    def uncut(self) -> int:
        """The received bytes that were not yet taken or cut."""
        return len(self._raw)

    def receive(self, stream: Stream, deadline: float) -> bool:
        """Wait for more bytes. Returns False if the stream has ended, or none came in time."""
        while not self.ended:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor_of(stream)], [], [], left)[0]:
                return False
            try:
                data = stream.receive()
            except ConnectionLost:
                self.ended = self.was_reset = True
                self._record.note(self._now, "a reset", is_ours=False)
                return False
            if data is None:  # a message of TLS itself, without data for us
                return True
            self._raw += data
            self.ended = not data
            if self.ended:
                self._record.note(self._now, "the end of its direction", is_ours=False)
            return bool(data)
        return False

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes as they are, or fewer if there are not more."""
        came = bytes(self._raw[:count])
        del self._raw[:count]
        if came:
            self._record.received_bytes(self._now, came)
        return came

    def cut(self) -> None:
        """Cut the received bytes into frames. Raises Failed if they cannot be frames."""
        data, now = bytes(self._raw), time.monotonic()
        self._raw.clear()
        try:
            for frame in self._frames.feed(data):
                message = from_frame(frame)
                self.heard.append(Arrived(now, frame, message))
                self._record.received(now - self._began, frame, message)
                if isinstance(message, Text):
                    self._on_text(message)
        except RemoteProtocolError as error:
            self._record.received_bytes(now - self._began, data)
            raise Failed(f"expected a frame as protocol.md has it, got {error}") from error

    def silence(self, seconds: float) -> str:
        """Return what came instead of bytes, for a failure: a reset, the end of the stream, or nothing."""
        if self.was_reset:
            return "a reset"
        return "the end of its stream" if self.ended else f"nothing for {seconds:.2g} s"

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began
