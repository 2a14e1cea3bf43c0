"""Our end of one connection with a relay under test: raw bytes out, frames of relay.md in, then a peer's bytes."""

import contextlib
import select
import time
from typing import TypeVar

from voicemux.conform.record import Record
from voicemux.conform.verdict import Failed, Skipped
from voicemux.console.quoting import quoted
from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.stream import Stream, descriptor_of
from voicemux.net.tcp import break_off
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.messages import NAMES, Moved, Paired, Parked, Refused, RefusedCode, RelayMessage, Reply
from voicemux.relay.wire import PREFACE

PATIENCE = 5.0  # seconds for an answer
END_PATIENCE = 4.0  # seconds for the end of the stream after a REFUSED: relay.md §4.6 gives the relay 2
APART = 0.002  # seconds between bytes that are sent one at a time

Wanted = TypeVar("Wanted", bound=Reply)


class RelayLink:
    """One connection to a relay. Call `say` or `write`, then `expect`; after PAIRED, `read` returns the peer's
    bytes."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.record = Record()
        self.ended = self.was_reset = False
        self._began = time.monotonic()
        self._raw = b""  # bytes that came and were not yet taken
        self._frames = FrameDecoder()
        self._is_greeted = self._is_paired = False

    # --- out

    def write(self, data: bytes, *, trickles: bool = False) -> None:
        """Write raw bytes. Raises Failed if the relay has closed the connection."""
        self.record.add(self._now, True, data, "bytes")
        self._send(data, trickles=trickles)

    def say(self, *messages: RelayMessage, behind: bytes = b"", trickles: bool = False) -> None:
        """Send the preface, these messages, and some bytes for the peer, all at once."""
        self.record.add(self._now, True, PREFACE, "the preface")
        for each in messages:
            self.record.add(self._now, True, encoded(each), _named(each))
        self._send(PREFACE + b"".join(map(encoded, messages)) + behind, trickles=trickles)

    def frame(self, tag: int, payload: bytes, flags: int = 0) -> None:
        """Send a frame, which may be malformed on purpose."""
        self.write(encode_frame(Frame(tag, flags, payload)))

    def finish(self) -> None:
        """End our direction."""
        self.record.note(self._now, "the end of our direction", is_ours=True)
        self.stream.finish()

    def lose(self) -> None:
        """Reset the connection: what is on its way is lost."""
        self.record.note(self._now, "a reset", is_ours=True)
        self.was_reset = True
        break_off(self.stream)

    def close(self) -> None:
        """Close the connection."""
        if not self.was_reset:
            self.stream.cut()
        self.stream.close()

    # --- in

    def expect(self, kind: type[Wanted], within: float = PATIENCE) -> Wanted:
        """Return the next message, which must be of that kind. Raises Failed if it is another one; Skipped if the
        relay limits our rate for a while, or wants a token."""
        reply = self.reply(within)
        if isinstance(reply, kind):
            return reply
        if isinstance(reply, Refused) and reply.code == RefusedCode.LIMIT:
            raise Skipped(f"the relay takes no more from here for {reply.seconds} s")
        if isinstance(reply, Refused) and reply.code == RefusedCode.TOKEN:
            raise Skipped("the relay is private", "give its --token")
        raise Failed(f"expected {NAMES[kind]}, got {_named(reply) if reply else self._silence(within)}")

    def expect_refusal(self, code: RefusedCode, what: str = "", within: float = PATIENCE) -> None:
        """Wait for REFUSED of that code and the end of the stream. `what` is what has to be refused. Raises Failed
        otherwise."""
        before = f"{what}: " if what else ""
        reply = self.reply(within)
        if isinstance(reply, Refused) and reply.code == RefusedCode.LIMIT != code:
            raise Skipped(f"the relay takes no more from here for {reply.seconds} s")
        if not isinstance(reply, Refused) or reply.code != code:
            came = _named(reply) if reply else self._silence(within)
            raise Failed(f"{before}expected REFUSED of code {code:d} ({code.name}), got {came}")
        self.expect_end()

    def expect_end(self, within: float = END_PATIENCE) -> None:
        """Wait for the end of the stream, with nothing before it. Raises Failed otherwise."""
        if data := self.read(1, within):
            raise Failed(f"expected the end of the stream, got {data!r}")
        if not self.ended:
            raise Failed(f"expected the end of the stream, got nothing of the kind for {within:g} s")

    def expect_bytes(self, data: bytes, what: str, within: float) -> None:
        """Wait for these bytes of the peer, unchanged. Raises Failed otherwise."""
        came = self.read(len(data), within)
        if came != data:
            place = next((i for i, (one, other) in enumerate(zip(came, data, strict=False)) if one != other), None)
            how = f"another byte at {place}" if place is not None else f"{len(came)} bytes"
            raise Failed(f"{what}: expected the {len(data)} bytes as they were, got {how}")

    def reply(self, within: float = PATIENCE) -> Reply | None:
        """Return the next message; None if none comes in time. Frames of unknown tags are skipped. Raises Failed if
        relay.md does not allow the frame."""
        deadline = time.monotonic() + within
        while True:
            try:
                if message := self._next():
                    return message
            except RemoteProtocolError as error:
                raise Failed(f"expected a message of relay.md, got: {error}") from error
            if not self._receive(deadline):
                return None

    def read(self, count: int, within: float) -> bytes:
        """Return the next bytes as they are, or fewer if no more come."""
        deadline = time.monotonic() + within
        while len(self._raw) < count and self._receive(deadline):
            pass
        data, self._raw = self._raw[:count], self._raw[count:]
        return data

    def _next(self) -> Reply | None:
        if not self._is_greeted:
            if not PREFACE.startswith(self._raw[: len(PREFACE)]):
                raise Failed(f"expected the preface VMXR/1, got {self._raw[:16]!r}")
            if len(self._raw) < len(PREFACE):
                return None
            self._raw, self._is_greeted = self._raw[len(PREFACE) :], True
        raw, self._raw = self._raw, b""
        for frame in self._frames.feed(raw):
            message = decoded(frame)
            self.record.add(self._now, False, encode_frame(frame), _named(message) if message else "unknown")
            if message is None:
                continue
            if not isinstance(message, Parked | Paired | Refused | Moved):
                raise Failed(f"expected what a relay says, got {_named(message)}")
            self._raw = self._frames.take_rest()
            return message
        return None

    def _receive(self, deadline: float) -> bool:
        """Wait for more bytes. Returns False if the stream has ended, or none came in time."""
        while not self.ended:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor_of(self.stream)], [], [], left)[0]:
                return False
            try:
                data = self.stream.receive()
            except ConnectionLost:
                self.ended = self.was_reset = True
                self.record.note(self._now, "a reset", is_ours=False)
                return False
            if data is None:  # a message of TLS itself, without data for us
                continue
            self._raw += data
            self.ended = not data
            if self.ended:
                self.record.note(self._now, "the end of its direction", is_ours=False)
            return bool(data)
        return False

    def _send(self, data: bytes, *, trickles: bool) -> None:
        try:
            for piece in (data[i : i + 1] for i in range(len(data))) if trickles else (data,):
                self.stream.write(piece)
                if trickles:
                    time.sleep(APART)
        except ConnectionLost as error:
            with contextlib.suppress(Failed):
                if reply := self.reply(0.1):
                    raise Failed(f"expected it to listen, got {_named(reply)}") from error
            raise Failed(f"expected it to listen, got: {error}") from error

    def _silence(self, within: float) -> str:
        if self.ended:
            return "a reset" if self.was_reset else "the end of the stream"
        return f"nothing for {within:g} s"

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began


def _named(message: RelayMessage) -> str:
    if isinstance(message, Refused):
        return f"REFUSED of code {message.code}" + (f" ({quoted(message.reason)})" if message.reason else "")
    return NAMES[type(message)]
