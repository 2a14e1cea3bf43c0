"""Encodes messages as frames, and decodes them, by the layouts of `wire`."""

import ipaddress
from collections.abc import Callable
from typing import Any

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol import wire
from voicemux.protocol.frames import Frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Authentication,
    Bye,
    Challenge,
    Claim,
    Hello,
    Message,
    NetworkPath,
    Paths,
    Ping,
    Pong,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    VoiceState,
    Welcome,
    name_of,
)


def to_frame(message: Message) -> Frame:
    """Return the frame of a message. Raises LocalProtocolError if a field of it is out of range."""
    try:
        return _WRITERS[type(message)](message)
    except (*wire.MALFORMED, ValueError) as error:  # also text that is not Unicode
        raise LocalProtocolError(f"{name_of(type(message))} cannot be encoded: {error}") from error


def from_frame(frame: Frame) -> Message | None:
    """Return the message of a frame; None if its tag is unknown, when the frame is to be skipped (protocol.md §4).

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


def type_of_tag(tag: int) -> type | None:
    """Return the class of the messages with that tag; None if it is unknown."""
    reader = _READERS.get(tag)
    return reader[0] if reader else None


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
        if hello.last_text is not None:
            items.append({"key": wire.KEY_LAST_TEXT, "value": wire.LAST_TEXT.build({"id": hello.last_text})})
        if hello.grace:
            items.append({"key": wire.KEY_GRACE, "value": wire.GRACE.build({"seconds": hello.grace})})
        if hello.paths:
            items.append({"key": wire.KEY_PATHS, "value": b""})
    if hello.channels:
        items.append({"key": wire.KEY_CHANNELS, "value": wire.CHANNELS.build({"channels": hello.channels})})
    return Frame(wire.TAG_HELLO, 0, wire.HELLO.build({"items": items}))


def _read_hello(frame: Frame) -> Hello:
    values: dict[int, bytes] = {}
    for item in wire.HELLO.parse(frame.payload)["items"]:
        values.setdefault(item.key, item.value)
    name, agent = values.get(wire.KEY_NAME, b""), values.get(wire.KEY_AGENT, b"")
    codecs, session = values.get(wire.KEY_CODECS), values.get(wire.KEY_SESSION, b"")
    last_text = wire.LAST_TEXT.parse(values[wire.KEY_LAST_TEXT]).id if wire.KEY_LAST_TEXT in values else None
    grace = wire.GRACE.parse(values[wire.KEY_GRACE]).seconds if wire.KEY_GRACE in values else 0
    channels = wire.CHANNELS.parse(values[wire.KEY_CHANNELS]).channels if wire.KEY_CHANNELS in values else 0
    wire.OFFER.parse(values.get(wire.KEY_PATHS, b""))
    if max(len(name), len(agent)) > wire.MAX_NAME:
        raise RemoteProtocolError(f"HELLO with a name of over {wire.MAX_NAME} bytes")
    if wire.KEY_SESSION in values and len(session) != wire.SESSION_SIZE:
        raise RemoteProtocolError(f"HELLO with a session of {len(session)} bytes, expected {wire.SESSION_SIZE}")
    return Hello(
        name=name.decode(),
        agent=agent.decode(),
        codecs=None if codecs is None else tuple(codecs),
        session=session,
        last_text=last_text if session else None,  # without a session, these fields mean nothing
        grace=grace if session else 0,
        paths=bool(session) and wire.KEY_PATHS in values,
        channels=channels,
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


def _write_paths(paths: Paths) -> Frame:
    if len(paths.paths) > wire.MAX_PATHS:
        raise LocalProtocolError(f"{len(paths.paths)} paths, the limit is {wire.MAX_PATHS}")
    items = []
    for path in paths.paths:
        address = ipaddress.ip_address(path.address)
        items.append(
            {"kind": path.kind, "family": address.version, "port": path.port, "address": address.packed},
        )
    return Frame(wire.TAG_PATHS, wire.FLAG_NOW if paths.now else 0, wire.PATHS.build({"items": items}))


def _read_paths(frame: Frame) -> Paths:
    items = wire.PATHS.parse(frame.payload)["items"]
    if len(items) > wire.MAX_PATHS:
        raise RemoteProtocolError(f"PATHS with {len(items)} addresses, the limit is {wire.MAX_PATHS}")
    found = tuple(NetworkPath(each.kind, str(ipaddress.ip_address(each.address)), each.port) for each in items)
    return Paths(found, bool(frame.flags & wire.FLAG_NOW))


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
    Paths: _write_paths,
    Ringing: lambda _: Frame(wire.TAG_RINGING, 0, b""),
    Claim: lambda claim: Frame(wire.TAG_CLAIM, 0, wire.CLAIM.build(_fields(claim))),
    Challenge: lambda challenge: Frame(wire.TAG_CHALLENGE, 0, wire.CHALLENGE.build(_fields(challenge))),
    Proof: lambda proof: Frame(wire.TAG_PROOF, 0, wire.PROOF.build(_fields(proof))),
    Welcome: lambda welcome: Frame(wire.TAG_WELCOME, 0, wire.WELCOME.build(_fields(welcome))),
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
    wire.TAG_PATHS: (Paths, _read_paths),
    wire.TAG_RINGING: (Ringing, _read_ringing),
    wire.TAG_CLAIM: (Claim, _read_claim),
    wire.TAG_CHALLENGE: (Challenge, _read_challenge),
    wire.TAG_PROOF: (Proof, _read_proof),
    wire.TAG_WELCOME: (Welcome, _read_welcome),
}
