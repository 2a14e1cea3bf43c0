"""The legal order of messages in one direction (protocol.md §3, §6).

Everything that affects the order is in this file. One table judges both directions: `Sending` keeps to it,
`Receiving` holds the peer to it. The two share no state, so neither needs a lock: the writer thread uses the first,
the reader thread the second.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum

from voicemux.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from voicemux.protocol import wire
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Challenge,
    Claim,
    Hello,
    Message,
    Paths,
    Ping,
    Pong,
    Preface,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    VoiceState,
    Welcome,
    name_of,
)


class State(Enum):
    STRANGER = "STRANGER"  # inside TLS only
    CLAIMING = "CLAIMING"
    START = "START"
    OPEN = "OPEN"
    DONE = "DONE"


TRANSITIONS: dict[State, dict[type, State]] = {
    State.STRANGER: {Claim: State.CLAIMING, Challenge: State.CLAIMING, Bye: State.DONE},
    State.CLAIMING: {Proof: State.START, Welcome: State.START, Bye: State.DONE},
    State.START: {Ringing: State.START, Hello: State.OPEN, Bye: State.DONE},
    State.OPEN: {
        **dict.fromkeys((Text, TextAck, Audio, Ping, Pong, Report, Arrivals, VoiceState, Paths), State.OPEN),
        Bye: State.DONE,
    },
    State.DONE: {},
}

NOT_A_DIALLERS = (Challenge, Welcome, Ringing)
NOT_A_LISTENERS = (Claim, Proof)

# Sent so that peers keep the rule to skip unknown frames (protocol.md §13).
_GREASE = Frame(wire.GREASE_TAG, 0, b"grease")

# Called with each frame and its message; None if its tag is unknown, or its payload does not fit its layout.
OnFrame = Callable[[Frame, Message | None], None]


class Sending:
    """Encodes our messages, and refuses those that are out of order. One thread at a time may use it."""

    def __init__(self, first: State = State.START) -> None:
        """`first` is State.STRANGER inside TLS, where a handshake comes before HELLO."""
        self.state = first
        self.on_frame: OnFrame | None = None

    def preface(self) -> bytes:
        return wire.PREFACE

    def encode(self, message: Message) -> bytes:
        """Return the bytes of a message. Raises LocalProtocolError if it is out of order; the state then stays as it
        was."""
        following = TRANSITIONS[self.state].get(type(message))
        if following is None:
            raise LocalProtocolError(f"{name_of(type(message))} cannot be sent in state {self.state.value}")
        frame = to_frame(message)
        encoded = encode_frame(frame)
        self.state = following
        if self.on_frame:
            self.on_frame(frame, message)
        return encoded + self._grease() if isinstance(message, Hello) else encoded

    def _grease(self) -> bytes:
        if self.on_frame:
            self.on_frame(_GREASE, None)
        return encode_frame(_GREASE)


class Receiving:
    """Decodes the peer's preface and messages, and judges their order. One thread at a time may use it."""

    def __init__(self, first: State = State.START, unfit: Collection[type] = ()) -> None:
        """`first` is State.STRANGER inside TLS. `unfit` are the messages that the peer may not send: NOT_A_DIALLERS
        if it is the dialler, NOT_A_LISTENERS if it is the listener."""
        self.state = first
        self._unfit = unfit
        self.on_frame: OnFrame | None = None
        self.greeted = False  # whether the peer's preface has come, so that the peer speaks voicemux
        self._preface = bytearray()
        self._frames = FrameDecoder()
        self._kept: deque[Preface | Message] = deque()

    def keep(self, messages: Iterable[Preface | Message]) -> None:
        """Let the next `receive` yield these messages again: they were received before there was a reader for
        them."""
        self._kept.extend(messages)

    def receive(self, data: bytes) -> Iterator[Preface | Message]:
        """Yield the preface and the messages that `data` completes.

        Raises RemoteProtocolError for anything that protocol.md does not allow, after it has yielded the messages
        before the fault.
        """
        if not self.greeted:
            missing = len(wire.PREFACE) - len(self._preface)
            self._preface += data[:missing]
            data = data[missing:]
            self._judge_preface()
            if len(self._preface) < len(wire.PREFACE):
                return
            self.greeted = True
            self._frames.feed(data)  # before the yield, because a reader may stop at the preface and come back later
            data = b""
            yield Preface()
        # Before the first yield, where a reader may stop.
        frames = iter(()) if self.state is State.DONE else self._frames.feed(data)
        while self._kept:
            kept = self._kept.popleft()
            if self.on_frame and not isinstance(kept, Preface):
                self.on_frame(to_frame(kept), kept)  # the message came before `on_frame` was set
            yield kept
        for frame in frames:
            message = from_frame(frame) if self.on_frame is None else self._told(frame, self.on_frame)
            if message is None:
                continue
            if type(message) in self._unfit:
                raise RemoteProtocolError(f"{name_of(type(message))} out of order: it is not for this side to say")
            following = TRANSITIONS[self.state].get(type(message))
            if following is None:
                name = name_of(type(message))
                raise RemoteProtocolError(f"{name} out of order: the peer is in state {self.state.value}")
            self.state = following
            yield message
            if following is State.DONE:
                return

    @staticmethod
    def _told(frame: Frame, on_frame: OnFrame) -> Message | None:
        message = None
        try:
            message = from_frame(frame)
        finally:
            on_frame(frame, message)
        return message

    def receive_end(self) -> None:
        """Note that the stream has ended. Raises ConnectionLost unless the peer has said BYE."""
        if self.state is State.DONE:
            return
        if self._frames.torn or 0 < len(self._preface) < len(wire.PREFACE):
            raise ConnectionLost("the connection broke in the middle of a frame")
        raise ConnectionLost("the connection ended without a goodbye")

    def _judge_preface(self) -> None:
        got = bytes(self._preface)
        if wire.PREFACE.startswith(got):
            return
        stem = wire.PREFACE_STEM
        if got.startswith(stem):
            if len(got) < len(wire.PREFACE):
                return
            version = got[len(stem) :].split(b"\r")[0].decode("ascii", "replace")
            # The peer's own words are not repeated.
            named = f"version {version}" if version.isdigit() else "another version"
            raise RemoteProtocolError(
                f"{named} of the protocol is spoken there, version {wire.VERSION} here", ByeCode.VERSION
            )
        raise RemoteProtocolError(describe_stranger(got))


_STRANGERS = (
    (b"HTTP/", "HTTP"),
    (b"GET ", "HTTP"),
    (b"POST ", "HTTP"),
    (b"HEAD ", "HTTP"),
    (b"SSH-", "SSH"),
    (b"<!DOCTYP", "HTTP"),
    (b"\x16\x03", "TLS"),
    (b"\x15\x03", "TLS"),
    (b"220 ", "SMTP or FTP"),
)


def describe_stranger(first: bytes) -> str:
    """Return a message about a peer that does not speak voicemux, by its first bytes, which are not repeated in
    it."""
    for start, name in _STRANGERS:
        if first.startswith(start):
            return f"that is not voicemux, it speaks {name}"
    return "that is not voicemux, it speaks something unknown"
