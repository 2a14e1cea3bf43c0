"""The legal order of what is said in one direction (protocol.md §3, §6).

Two rules hold this together. Everything that affects the order lives in this file. And one table
judges both directions: `Sending` keeps to it, `Receiving` holds the peer to it. The two share no
state, so neither needs a lock: the first belongs to the thread that writes, the second to the thread that reads.
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

_GREASE = Frame(wire.GREASE_TAG, 0, b"grease")  # so that peers really do skip what they do not know

# Hears of each frame, and what it means: None if its tag is unknown, or its payload does not fit its layout.
OnFrame = Callable[[Frame, Message | None], None]


class Sending:
    """What this side says, as bytes. Belongs to one thread at a time."""

    def __init__(self, first: State = State.START) -> None:
        """`first` is STRANGER inside TLS, where each side must show who it is."""
        self.state = first
        self.on_frame: OnFrame | None = None

    def preface(self) -> bytes:
        return wire.PREFACE

    def encode(self, message: Message) -> bytes:
        """The bytes of a message; LocalProtocolError if it is not its turn (the state stays as it was)."""
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
    """What the peer says: bytes in, messages out, its preface first. Belongs to one thread at a time."""

    def __init__(self, first: State = State.START, unfit: Collection[type] = ()) -> None:
        """`first` is STRANGER inside TLS; `unfit` is NOT_A_DIALLERS or NOT_A_LISTENERS, as the peer is one."""
        self.state = first
        self._unfit = unfit
        self.on_frame: OnFrame | None = None
        self.greeted = False  # whether the peer's preface has come: it does speak voicemux
        self._preface = bytearray()
        self._frames = FrameDecoder()
        self._kept: deque[Preface | Message] = deque()

    def keep(self, messages: Iterable[Preface | Message]) -> None:
        """Have these, which were received before anybody could use them, yielded again by the next `receive`."""
        self._kept.extend(messages)

    def receive(self, data: bytes) -> Iterator[Preface | Message]:
        """Yield what `data` completes.

        Raises RemoteProtocolError for anything that protocol.md does not allow. The messages before
        the fault have been yielded by then.
        """
        if not self.greeted:
            missing = len(wire.PREFACE) - len(self._preface)
            self._preface += data[:missing]
            data = data[missing:]
            self._judge_preface()
            if len(self._preface) < len(wire.PREFACE):
                return
            self.greeted = True
            self._frames.feed(data)  # first, because a reader may stop at the preface and come back later
            data = b""
            yield Preface()
        frames = iter(()) if self.state is State.DONE else self._frames.feed(data)  # before a reader may stop
        while self._kept:
            kept = self._kept.popleft()
            if self.on_frame and not isinstance(kept, Preface):
                self.on_frame(to_frame(kept), kept)  # it came before there was one
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
        """The stream has ended. Raises ConnectionLost unless the peer had said BYE."""
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
            named = f"version {version}" if version.isdigit() else "another version"  # no words of a stranger's
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
    """What the first bytes of something that is not voicemux look like. They are a stranger's, and not repeated."""
    for start, name in _STRANGERS:
        if first.startswith(start):
            return f"that is not voicemux, it speaks {name}"
    return "that is not voicemux, it speaks something unknown"
