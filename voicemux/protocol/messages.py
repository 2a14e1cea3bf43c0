"""What frames mean: one frozen dataclass for each message of protocol.md §5, to frames and back."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol import wire
from voicemux.protocol.frames import Frame


class Codec(IntEnum):
    """protocol.md §14. HELLO and AUDIO may name others: these are the ones that we know."""

    PCM = 1
    OPUS = 2


class ByeCode(IntEnum):
    """protocol.md §14."""

    NORMAL = 0
    BUSY = 1
    DECLINED = 2
    PROTOCOL = 3
    VERSION = 4
    TIMEOUT = 5
    FLOOD = 6
    INTERNAL = 7
    REPLACED = 8
    SECURITY = 9
    UNKNOWN_CALLER = 10
    WRONG_CODE = 11
    LATER = 16


class Method(IntEnum):
    """How a dialler is authenticated (protocol.md §12)."""

    OPEN = 0
    KNOWN = 1
    CODE = 2


@dataclass(frozen=True, slots=True)
class Preface:
    """Not a frame: the first 8 bytes in each direction (protocol.md §3)."""

    version: int = wire.VERSION


@dataclass(frozen=True, slots=True)
class Hello:
    """Who I am and what I can play. `codecs` None is "absent": PCM only; empty is "no audio"."""

    name: str = ""
    agent: str = ""
    codecs: tuple[int, ...] | None = None
    session: bytes = b""
    last_text: int = 0

    @property
    def playable(self) -> tuple[int, ...]:
        return (Codec.PCM,) if self.codecs is None else self.codecs


@dataclass(frozen=True, slots=True)
class Text:
    id: int
    text: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """One packet. `timestamp` in 48 kHz ticks modulo 2^32, `sequence` modulo 2^16; empty data: silence begins."""

    codec: int
    source: int
    sequence: int
    timestamp: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    data: bytes


@dataclass(frozen=True, slots=True)
class Bye:
    code: int = ByeCode.NORMAL
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TextAck:
    id: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a receiver of audio does with it; `delay` and `target` in milliseconds."""

    source: int
    sequence: int
    timestamp: int
    delay: int
    target: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When audio has come since its receiver last said so: the smallest and the largest transit.

    A transit is the arrival of a packet by the receiver's clock, less its time stamp, in milliseconds modulo 2^16.
    """

    source: int
    sequence: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class VoiceState:
    """What a side does with voice now (the message STATE): it has some to send, and what its user has chosen."""

    source: int = 0
    voice: bool = False
    muted: bool = False
    deafened: bool = False
    records: bool = False


@dataclass(frozen=True, slots=True)
class Ringing:
    pass


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a dialler says that it is. `commitment` is to a nonce; `share` is SPAKE2's, `certificate` is DER."""

    method: int
    commitment: bytes
    share: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce: bytes
    share: bytes = b""


@dataclass(frozen=True, slots=True)
class Proof:
    """The nonce that was committed to; that the code is known; that the certificate's key is had."""

    nonce: bytes
    confirmation: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The listener believes it. `admitted` is the method by which."""

    admitted: int
    confirmation: bytes = b""


Authentication = Claim | Challenge | Proof | Welcome
Message = (
    Hello | Text | Audio | Ping | Pong | Bye | TextAck | Report | Arrivals | VoiceState | Ringing | Authentication
)


def to_frame(message: Message) -> Frame:
    """The frame of a message. Raises LocalProtocolError if it cannot be written down."""
    try:
        return _WRITERS[type(message)](message)
    except (*wire.MALFORMED, ValueError) as error:  # also text that is not Unicode
        raise LocalProtocolError(f"{name_of(type(message))} cannot be encoded: {error}") from error


def from_frame(frame: Frame) -> Message | None:
    """The message of a frame, None if its tag is unknown (skip it, protocol.md §4).

    Raises RemoteProtocolError if the payload does not fit its layout.
    """
    reader = _READERS.get(frame.tag)
    if reader is None:
        return None
    kind, read = reader
    try:
        return read(frame)
    except wire.MALFORMED as error:
        raise RemoteProtocolError(
            f"{name_of(kind)} of {len(frame.payload)} bytes that do not fit its layout"
        ) from error
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{name_of(kind)} that is not UTF-8") from error


def name_of(kind: type) -> str:
    """What protocol.md calls the messages of a class: "TEXT_ACK"."""
    return _NAMES[kind]


def _write_hello(hello: Hello) -> Frame:
    items: list[dict[str, Any]] = []
    for key, text in ((wire.KEY_NAME, hello.name), (wire.KEY_AGENT, hello.agent)):
        if text:
            items.append({"key": key, "value": _limited(text.encode(), wire.MAX_NAME)})
    if hello.codecs is not None:
        items.append({"key": wire.KEY_CODECS, "value": bytes(hello.codecs)})
    if len(hello.session) not in (0, wire.SESSION_SIZE):
        raise LocalProtocolError(f"a session of {len(hello.session)} bytes, expected {wire.SESSION_SIZE}")
    if hello.session:
        items.append({"key": wire.KEY_SESSION, "value": hello.session})
        items.append({"key": wire.KEY_LAST_TEXT, "value": wire.LAST_TEXT.build({"id": hello.last_text})})
    return Frame(wire.TAG_HELLO, 0, wire.HELLO.build({"items": items}))


def _read_hello(frame: Frame) -> Hello:
    values: dict[int, bytes] = {}
    for item in wire.HELLO.parse(frame.payload)["items"]:
        values.setdefault(item.key, item.value)
    name, agent = values.get(wire.KEY_NAME, b""), values.get(wire.KEY_AGENT, b"")
    codecs, session = values.get(wire.KEY_CODECS), values.get(wire.KEY_SESSION, b"")
    last_text = wire.LAST_TEXT.parse(values[wire.KEY_LAST_TEXT]).id if wire.KEY_LAST_TEXT in values else 0
    if max(len(name), len(agent)) > wire.MAX_NAME:
        raise RemoteProtocolError(f"HELLO with a name of over {wire.MAX_NAME} bytes")
    if wire.KEY_SESSION in values and len(session) != wire.SESSION_SIZE:
        raise RemoteProtocolError(f"HELLO with a session of {len(session)} bytes, expected {wire.SESSION_SIZE}")
    return Hello(
        name=name.decode(),
        agent=agent.decode(),
        codecs=None if codecs is None else tuple(codecs),
        session=session,
        last_text=last_text if session else 0,  # of no session, it means nothing
    )


def _write_text(text: Text) -> Frame:
    payload = wire.text_header_struct.pack(text.id) + text.text.encode()
    return Frame(wire.TAG_TEXT, wire.FLAG_MORE if text.more else 0, payload)


def _read_text(frame: Frame) -> Text:
    (number,) = wire.text_header_struct.unpack_from(frame.payload)
    return Text(number, frame.payload[wire.text_header_struct.size :].decode(), bool(frame.flags & wire.FLAG_MORE))


def _write_audio(audio: Audio) -> Frame:
    header = wire.audio_header_struct.pack(audio.codec, audio.source, audio.sequence, audio.timestamp)
    return Frame(wire.TAG_AUDIO, 0, header + audio.data)


def _read_audio(frame: Frame) -> Audio:
    codec, source, sequence, timestamp = wire.audio_header_struct.unpack_from(frame.payload)
    return Audio(codec, source, sequence, timestamp, frame.payload[wire.audio_header_struct.size :])


def _write_bye(bye: Bye) -> Frame:
    reason = _limited(bye.reason.encode(), wire.MAX_REASON)
    return Frame(wire.TAG_BYE, 0, wire.BYE.build({"code": bye.code, "reason": reason}))


def _read_bye(frame: Frame) -> Bye:
    bye = wire.BYE.parse(frame.payload)
    if len(bye.reason) > wire.MAX_REASON:
        raise RemoteProtocolError(f"BYE with a reason of {len(bye.reason)} bytes, the limit is {wire.MAX_REASON}")
    return Bye(bye.code, bye.reason.decode())


def _write_report(report: Report) -> Frame:
    fields = report.source, 0, report.sequence, report.timestamp, report.delay, report.target
    return Frame(wire.TAG_REPORT, 0, wire.report_struct.pack(*fields))


def _read_report(frame: Frame) -> Report:
    source, _, sequence, timestamp, delay, target = wire.report_struct.unpack(frame.payload)
    return Report(source, sequence, timestamp, delay, target)


def _write_arrivals(arrivals: Arrivals) -> Frame:
    fields = arrivals.source, 0, arrivals.sequence, arrivals.least, arrivals.most
    return Frame(wire.TAG_ARRIVALS, 0, wire.arrivals_struct.pack(*fields))


def _read_arrivals(frame: Frame) -> Arrivals:
    source, _, sequence, least, most = wire.arrivals_struct.unpack(frame.payload)
    return Arrivals(source, sequence, least, most)


_STATE_BITS = {
    "voice": wire.STATE_VOICE,
    "muted": wire.STATE_MUTED,
    "deafened": wire.STATE_DEAFENED,
    "records": wire.STATE_RECORDS,
}


def _write_state(state: VoiceState) -> Frame:
    bits = sum(bit for name, bit in _STATE_BITS.items() if getattr(state, name))
    return Frame(wire.TAG_STATE, 0, wire.STATE.build({"source": state.source, "bits": bits}))


def _read_state(frame: Frame) -> VoiceState:
    state = wire.STATE.parse(frame.payload)
    return VoiceState(state.source, **{name: bool(state.bits & bit) for name, bit in _STATE_BITS.items()})


def _read_ringing(frame: Frame) -> Ringing:
    wire.RINGING.parse(frame.payload)
    return Ringing()


def _read_claim(frame: Frame) -> Claim:
    claim = wire.CLAIM.parse(frame.payload)
    if len(claim.certificate) > wire.MAX_CERTIFICATE:
        size = len(claim.certificate)
        raise RemoteProtocolError(f"CLAIM with a certificate of {size} bytes, the limit is {wire.MAX_CERTIFICATE}")
    return Claim(claim.method, claim.commitment, claim.share, claim.certificate)


def _read_challenge(frame: Frame) -> Challenge:
    challenge = wire.CHALLENGE.parse(frame.payload)
    if len(challenge.share) > wire.MAX_SHARE:
        raise RemoteProtocolError(
            f"CHALLENGE with a share of {len(challenge.share)} bytes, the limit is {wire.MAX_SHARE}"
        )
    return Challenge(challenge.nonce, challenge.share)


def _read_proof(frame: Frame) -> Proof:
    proof = wire.PROOF.parse(frame.payload)
    return Proof(proof.nonce, proof.confirmation, proof.signature)


def _read_welcome(frame: Frame) -> Welcome:
    welcome = wire.WELCOME.parse(frame.payload)
    return Welcome(welcome.admitted, welcome.confirmation)


def _fields(message: Authentication) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__slots__}


def _limited(encoded: bytes, limit: int) -> bytes:
    if len(encoded) > limit:
        raise LocalProtocolError(f"a text of {len(encoded)} bytes, the limit is {limit}")
    return encoded


_WRITERS: dict[type, Callable[[Any], Frame]] = {
    Hello: _write_hello,
    Text: _write_text,
    Audio: _write_audio,
    Ping: lambda ping: Frame(wire.TAG_PING, 0, wire.PING.build({"data": ping.data})),
    Pong: lambda pong: Frame(wire.TAG_PONG, 0, wire.PING.build({"data": pong.data})),
    Bye: _write_bye,
    TextAck: lambda ack: Frame(wire.TAG_TEXT_ACK, 0, wire.TEXT_ACK.build({"id": ack.id})),
    Report: _write_report,
    Arrivals: _write_arrivals,
    VoiceState: _write_state,
    Ringing: lambda _: Frame(wire.TAG_RINGING, 0, b""),
    Claim: lambda claim: Frame(wire.TAG_CLAIM, 0, wire.CLAIM.build(_fields(claim))),
    Challenge: lambda challenge: Frame(wire.TAG_CHALLENGE, 0, wire.CHALLENGE.build(_fields(challenge))),
    Proof: lambda proof: Frame(wire.TAG_PROOF, 0, wire.PROOF.build(_fields(proof))),
    Welcome: lambda welcome: Frame(wire.TAG_WELCOME, 0, wire.WELCOME.build(_fields(welcome))),
}

_NAMES: dict[type, str] = {  # protocol.md §5
    Hello: "HELLO",
    Text: "TEXT",
    Audio: "AUDIO",
    Ping: "PING",
    Pong: "PONG",
    Bye: "BYE",
    TextAck: "TEXT_ACK",
    Report: "REPORT",
    Arrivals: "ARRIVALS",
    VoiceState: "STATE",
    Ringing: "RINGING",
    Claim: "CLAIM",
    Challenge: "CHALLENGE",
    Proof: "PROOF",
    Welcome: "WELCOME",
}

_READERS: dict[int, tuple[type, Callable[[Frame], Message]]] = {
    wire.TAG_HELLO: (Hello, _read_hello),
    wire.TAG_TEXT: (Text, _read_text),
    wire.TAG_AUDIO: (Audio, _read_audio),
    wire.TAG_PING: (Ping, lambda frame: Ping(wire.PING.parse(frame.payload).data)),
    wire.TAG_PONG: (Pong, lambda frame: Pong(wire.PING.parse(frame.payload).data)),
    wire.TAG_BYE: (Bye, _read_bye),
    wire.TAG_TEXT_ACK: (TextAck, lambda frame: TextAck(wire.TEXT_ACK.parse(frame.payload).id)),
    wire.TAG_REPORT: (Report, _read_report),
    wire.TAG_ARRIVALS: (Arrivals, _read_arrivals),
    wire.TAG_STATE: (VoiceState, _read_state),
    wire.TAG_RINGING: (Ringing, _read_ringing),
    wire.TAG_CLAIM: (Claim, _read_claim),
    wire.TAG_CHALLENGE: (Challenge, _read_challenge),
    wire.TAG_PROOF: (Proof, _read_proof),
    wire.TAG_WELCOME: (Welcome, _read_welcome),
}
