"""Encodes the messages of relay.md as frames, and decodes them, by the layouts of `wire`."""

import ipaddress
from collections.abc import Callable
from typing import Any

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.net.address import Address
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.wire import MALFORMED
from voicemux.relay import wire
from voicemux.relay.messages import NAMES, CallFor, Moved, Paired, Parked, Refused, RelayMessage, Token, Wait


def encoded(message: RelayMessage) -> bytes:
    """Return the bytes of a message. Raises LocalProtocolError if it does not fit its layout."""
    try:
        return encode_frame(_WRITERS[type(message)](message))
    except (*MALFORMED, ValueError) as error:  # a ValueError also if an address is not an IP address
        raise LocalProtocolError(f"{NAMES[type(message)]} cannot be encoded: {error}") from error


def decoded(frame: Frame) -> RelayMessage | None:
    """Return the message of a frame; None if its tag is unknown, and the frame is to be skipped. Raises
    RemoteProtocolError."""
    reader = _READERS.get(frame.tag)
    if reader is None:
        return None
    kind, read = reader
    try:
        return read(frame.payload)
    except MALFORMED as error:
        raise RemoteProtocolError(
            f"{NAMES[kind]} of {len(frame.payload)} bytes that do not fit its layout"
        ) from error
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{NAMES[kind]} that is not UTF-8") from error


def _write_wait(wait: Wait) -> Frame:
    _check_number(len(wait.ids), wire.MOST_WAITED, LocalProtocolError)
    return Frame(wire.TAG_WAIT, 0, wire.WAIT.build({"owner": wait.owner, "ids": wait.ids}))


def _read_wait(payload: bytes) -> Wait:
    wait = wire.WAIT.parse(payload)
    _check_number(len(wait.ids), wire.MOST_WAITED, RemoteProtocolError)
    return Wait(wait.owner, tuple(wait.ids))


def _write_call(call: CallFor) -> Frame:
    _check_number(len(call.ids), wire.MOST_CALLED, LocalProtocolError)
    return Frame(wire.TAG_CALL, 0, wire.CALL.build({"ids": call.ids}))


def _read_call(payload: bytes) -> CallFor:
    call = wire.CALL.parse(payload)
    _check_number(len(call.ids), wire.MOST_CALLED, RemoteProtocolError)
    return CallFor(tuple(call.ids))


def _write_token(token: Token) -> Frame:
    return Frame(wire.TAG_TOKEN, 0, wire.TOKEN.build({"token": _limited(token.token, wire.MAX_TOKEN)}))


def _read_token(payload: bytes) -> Token:
    return Token(_text(wire.TOKEN.parse(payload).token, wire.MAX_TOKEN))


def _write_parked(parked: Parked) -> Frame:
    return Frame(wire.TAG_WAITING, 0, wire.WAITING.build({"seen": _seen(parked.seen)}))


def _write_paired(paired: Paired) -> Frame:
    return Frame(wire.TAG_PAIRED, 0, wire.PAIRED.build({"id": paired.id, "seen": _seen(paired.seen)}))


def _read_paired(payload: bytes) -> Paired:
    paired = wire.PAIRED.parse(payload)
    return Paired(paired.id, _address(paired.seen))


def _write_refused(refused: Refused) -> Frame:
    fields = {"code": refused.code, "seconds": refused.seconds, "reason": _limited(refused.reason, wire.MAX_REASON)}
    return Frame(wire.TAG_REFUSED, 0, wire.REFUSED.build(fields))


def _read_refused(payload: bytes) -> Refused:
    refused = wire.REFUSED.parse(payload)
    return Refused(refused.code, refused.seconds, _text(refused.reason, wire.MAX_REASON))


def _write_moved(moved: Moved) -> Frame:
    host = _limited(moved.place.host, wire.MAX_HOST)
    return Frame(wire.TAG_MOVED, 0, wire.MOVED.build({"port": moved.place.port, "host": host}))


def _read_moved(payload: bytes) -> Moved:
    moved = wire.MOVED.parse(payload)
    host = _text(moved.host, wire.MAX_HOST)
    if not host or not host.isprintable() or not moved.port:
        raise RemoteProtocolError("MOVED to a place that is none")
    return Moved(Address(host, moved.port))


def _seen(address: Address) -> dict[str, Any]:
    ip = ipaddress.ip_address(address.host.partition("%")[0])  # an IPv6 zone means nothing to other machines
    return {"family": ip.version, "port": address.port, "address": ip.packed}


def _address(seen: Any) -> Address:
    return Address(str(ipaddress.ip_address(seen.address)), seen.port)


def _check_number(number: int, most: int, error: type[LocalProtocolError | RemoteProtocolError]) -> None:
    if not 1 <= number <= most:
        raise error(f"{number} ids, expected 1 to {most}")


def _limited(text: str, most: int) -> bytes:
    encoded = text.encode()
    if len(encoded) > most:
        raise LocalProtocolError(f"a text of {len(encoded)} bytes, the limit is {most}")
    return encoded


def _text(encoded: bytes, most: int) -> str:
    if len(encoded) > most:
        raise RemoteProtocolError(f"a text of {len(encoded)} bytes, the limit is {most}")
    return encoded.decode()


_WRITERS: dict[type, Callable[[Any], Frame]] = {
    Wait: _write_wait,
    CallFor: _write_call,
    Token: _write_token,
    Parked: _write_parked,
    Paired: _write_paired,
    Refused: _write_refused,
    Moved: _write_moved,
}

_READERS: dict[int, tuple[type, Callable[[bytes], RelayMessage]]] = {
    wire.TAG_WAIT: (Wait, _read_wait),
    wire.TAG_CALL: (CallFor, _read_call),
    wire.TAG_TOKEN: (Token, _read_token),
    wire.TAG_WAITING: (Parked, lambda payload: Parked(_address(wire.WAITING.parse(payload).seen))),
    wire.TAG_PAIRED: (Paired, _read_paired),
    wire.TAG_REFUSED: (Refused, _read_refused),
    wire.TAG_MOVED: (Moved, _read_moved),
}
