"""Our end of one connection with the program under test: raw bytes out, frames in, each with its time.

It is lenient: the cases judge what the other side does. It acknowledges text unless a case forbids that.
"""

import contextlib
import os
import time
from typing import TypeVar

from voicemux.conform.hearing import Arrived, Hearing
from voicemux.conform.record import Record
from voicemux.conform.verdict import Failed
from voicemux.console.quoting import quoted
from voicemux.errors import ConnectionLost, RemoteProtocolError, SecurityError
from voicemux.net.stream import Stream
from voicemux.net.tcp import break_off
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import (
    Bye,
    ByeCode,
    Hello,
    Message,
    Ping,
    Pong,
    Text,
    TextAck,
    name_of,
)
from voicemux.protocol.wire import PREFACE

PATIENCE = 2.0  # seconds to wait for an answer that can come at once
APART = 0.002  # seconds between bytes that are sent one at a time
# Seconds to wait for a preface: a listener may delay a caller that has failed before (protocol.md §12).
PREFACE_PATIENCE = 12.0
LAST_WORDS = 0.1  # seconds to read what a peer sent before it closed the connection
GOODBYE = 2.5  # seconds for the end of a stream: protocol.md §10 gives it 2

Wanted = TypeVar("Wanted")


def encode(*messages: Message) -> bytes:
    return b"".join(encode_frame(to_frame(message)) for message in messages)


class Link:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.hello: Hello | None = None  # the peer's HELLO
        self.trickles = False  # whether everything is written one byte at a time
        self.acknowledges = True
        self.said_goodbye = False
        self.is_lost = False  # whether we have reset the connection
        self.record = Record()
        self._began = time.monotonic()
        self._takes_nothing = False  # whether a write has failed, so that the peer takes nothing more
        self._hearing = Hearing(self.record, self._began, self._on_text)
        self._next = 0  # index in `heard` of the next frame for `expect`

    # --- out --------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write raw bytes. Raises Failed if the peer has closed the connection."""
        try:
            self._send(data)
        except ConnectionLost as error:
            with contextlib.suppress(Failed):
                self.watch(LAST_WORDS)
            goodbyes = self.all(Bye)
            came = _described(goodbyes[-1]) if goodbyes else self._hearing.silence(0) if self.ended else str(error)
            raise Failed(f"expected it to listen, got {came}") from error

    def say(self, *messages: Message) -> None:
        self.write(encode(*messages))

    def frame(self, tag: int, payload: bytes, flags: int = 0) -> None:
        self.write(encode_frame(Frame(tag, flags, payload)))

    def finish(self) -> None:
        self.said_goodbye = True
        self.record.note(self._now, "the end of our direction", is_ours=True)
        self.stream.finish()

    # --- in ---------------------------------------------------------------------------------------------

    @property
    def heard(self) -> list[Arrived]:
        """All frames received so far."""
        return self._hearing.heard

    @property
    def ended(self) -> bool:
        """Whether the peer's stream has ended."""
        return self._hearing.ended

    def expect_preface(self, within: float = PREFACE_PATIENCE) -> None:
        came = self.take_bytes(len(PREFACE), within)
        if came != PREFACE:
            raise Failed(f"expected the preface VMUX/1, got {_shown(came) or self._hearing.silence(within)}")

    def take_bytes(self, count: int, within: float) -> bytes:
        """Return the next bytes outside frames, or fewer if no more come."""
        deadline = time.monotonic() + within
        while self._hearing.uncut < count and self._hearing.receive(self.stream, deadline):
            pass
        return self._hearing.take(count)

    def watch(self, seconds: float) -> list[Arrived]:
        """Return what is received in that many seconds, or until the end of the stream."""
        before = len(self.heard)
        deadline = time.monotonic() + seconds
        self._hearing.cut()
        while self._hearing.receive(self.stream, deadline):
            self._hearing.cut()
        return self.heard[before:]

    def expect(self, kind: type[Wanted], within: float = PATIENCE, what: str = "") -> Wanted:
        """Return the next message of that kind; others are skipped. `what` is its name in a failure.

        Raises Failed if a BYE, the end of the stream or nothing comes instead.
        """
        deadline = time.monotonic() + within
        what = what or _article(kind)
        others: dict[str, None] = {}  # names of the messages that came instead, in order
        while True:
            self._hearing.cut()
            while self._next < len(self.heard):
                message = self.heard[self._next].message
                self._next += 1
                if isinstance(message, kind):
                    return message
                if isinstance(message, Bye):
                    raise Failed(f"expected {what}, got {_described(message)}")
                if message:
                    others[name_of(type(message))] = None
            if not self._hearing.receive(self.stream, deadline):
                instead = f"{', '.join(others)}, and then " if others else ""
                raise Failed(f"expected {what}, got {instead}{self._hearing.silence(within)}")

    def expect_end(self, within: float = GOODBYE, *, reset_is_fine: bool = False) -> None:
        """Wait until the peer ends its stream, in the time of protocol.md §10 and without a reset. Raises Failed
        otherwise."""
        self.watch(within)
        if not self.ended:
            raise Failed(f"expected the end of its stream, got nothing of the kind for {within:g} s")
        if self._hearing.was_reset and not reset_is_fine:
            raise Failed("expected the end of its stream, got a reset")

    def expect_goodbye(self, code: int) -> Bye:
        """Wait for a BYE of that code and the end of the stream. Raises Failed otherwise."""
        bye = self.expect(Bye, what=f"a BYE of code {code}")
        if bye.code != code:
            raise Failed(f"expected a BYE of code {code}, got {_described(bye)}")
        self.expect_end()
        return bye

    def expect_refusal(self, what: str) -> None:
        """Wait for a BYE which says that `what` breaks the protocol, and for the end of the stream. Raises Failed
        otherwise."""
        try:
            bye = self.expect_goodbye(ByeCode.PROTOCOL)
        except Failed as error:
            raise Failed(f"{what}: {error}") from error
        if not bye.reason:
            raise Failed(f"{what}: expected a BYE with a reason, got one without")

    def expect_acknowledgement(self, number: int, within: float = PATIENCE) -> None:
        """Wait for a TEXT_ACK of that id; lower ones may come before it. Raises Failed otherwise."""
        deadline = time.monotonic() + within
        highest = 0
        while highest < number:
            left = max(0.0, deadline - time.monotonic())
            highest = self.expect(TextAck, left, what=f"a TEXT_ACK of {number}").id
        if highest > number:
            raise Failed(f"expected a TEXT_ACK of {number}, got one of {highest}")

    def expect_pong(self, within: float = PATIENCE) -> None:
        """Send a PING and wait for its PONG: so the call goes on. Raises Failed otherwise."""
        ping = Ping(os.urandom(4).hex().encode())
        self.say(ping)
        while self.expect(Pong, within).data != ping.data:
            pass

    def all(self, kind: type[Wanted]) -> list[Wanted]:
        """Return the messages of that kind that have come so far."""
        return [heard.message for heard in self.heard if isinstance(heard.message, kind)]

    def lose(self) -> None:
        """Reset the connection: without a BYE, and what is on its way is lost."""
        self.is_lost = True
        self.record.note(self._now, "a reset", is_ours=True)
        break_off(self.stream)

    def close(self) -> None:
        """Leave politely, so that the program under test is free for the next case."""
        if self.is_lost:
            return
        with contextlib.suppress(ConnectionLost, Failed):
            if not self.ended and not self.said_goodbye and self.hello:
                self.trickles = False
                self.say(Bye())
                self.finish()
                self.watch(GOODBYE)
        self.stream.close()

    def finish_tls(self, within: float) -> None:
        """Finish the TLS handshake. Raises Failed if the peer does not speak TLS 1.3."""
        deadline = time.monotonic() + within
        try:
            while not self.stream.is_secure:
                if not self._hearing.receive(self.stream, deadline):
                    raise Failed(f"expected TLS, got {self._hearing.silence(within)}", hangs=not self.ended)
        except (RemoteProtocolError, SecurityError) as error:
            raise Failed(f"expected TLS 1.3, got: {error}") from error

    # --- inside -----------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        """Seconds since the connection began."""
        return time.monotonic() - self._began

    def _send(self, data: bytes) -> None:
        """Send raw bytes. Raises ConnectionLost if that fails, and then at every call."""
        self.record.sent(self._now, data)
        if self._takes_nothing:
            raise ConnectionLost("the connection broke")
        try:
            for piece in (data[i : i + 1] for i in range(len(data))) if self.trickles else (data,):
                self.stream.write(piece)
                if self.trickles:
                    time.sleep(APART)
        except ConnectionLost:
            self._takes_nothing = True
            raise

    def _on_text(self, text: Text) -> None:
        if self.acknowledges and not self.said_goodbye:
            with contextlib.suppress(ConnectionLost):  # the peer may have closed: what it sent before is still read
                self._send(encode(TextAck(text.id)))


def _article(kind: type) -> str:
    name = name_of(kind)
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _described(bye: Bye) -> str:
    return f"a BYE of code {bye.code}" + (f" ({quoted(bye.reason)})" if bye.reason else "")


def _shown(data: bytes) -> str:
    return repr(data)[1:] if data else ""
