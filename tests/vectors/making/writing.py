"""Frames by hand, and entries of the files."""

import struct
from typing import Any

Entry = dict[str, Any]
Parts = bytes | list[bytes | tuple[int, bytes]]  # a pair is (how often, bytes)

PREFACE = b"VMUX/1\r\n"
HELLO, TEXT, AUDIO, PING, PONG, BYE, TEXT_ACK, REPORT, RINGING, CLAIM, CHALLENGE, PROOF, WELCOME = range(1, 14)
PATHS, ARRIVALS, STATE = 14, 19, 20
PROTOCOL_ERROR = {"error": "protocol"}
NONCE = bytes(range(32))


def hexadecimal(parts: Parts) -> Any:
    if isinstance(parts, bytes):
        return parts.hex()
    return [each.hex() if isinstance(each, bytes) else {"repeat": each[0], "bytes": each[1].hex()} for each in parts]


def frame(tag: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">HBB", len(payload), tag, flags) + payload


def entry(name: str, section: str, description: str, **rest: Any) -> Entry:
    return {"name": name, "section": section, "description": description, **rest}


def item(key: int, value: bytes) -> bytes:
    return bytes([key, len(value)]) + value
