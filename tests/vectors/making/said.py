"""What is said, with what it means."""

import struct

from tests.vectors.making.writing import (
    ARRIVALS,
    AUDIO,
    BYE,
    CHALLENGE,
    CLAIM,
    HELLO,
    NONCE,
    PATHS,
    PING,
    PONG,
    PROOF,
    REPORT,
    RINGING,
    STATE,
    TEXT,
    TEXT_ACK,
    WELCOME,
    Entry,
    frame,
    item,
)

# What is said, and what it means: pairs of bytes and message.
Said = tuple[bytes, Entry | None]
HELLO_SAID: Said = frame(HELLO), {"type": "HELLO"}
BOB_SAID: Said = frame(HELLO, item(1, b"bob")), {"type": "HELLO", "name": "bob"}
RINGING_SAID: Said = frame(RINGING), {"type": "RINGING"}
BYE_SAID: Said = frame(BYE, bytes(2)), {"type": "BYE", "code": 0, "reason": ""}
PING_SAID: Said = frame(PING, bytes(8)), {"type": "PING", "data": bytes(8).hex()}
PONG_SAID: Said = frame(PONG, bytes(8)), {"type": "PONG", "data": bytes(8).hex()}
AUDIO_SAID: Said = (
    frame(AUDIO, b"\1\0" + bytes(6)),
    {"type": "AUDIO", "codec": 1, "source": 0, "sequence": 0, "timestamp": 0, "data": ""},
)
REPORT_SAID: Said = (
    frame(REPORT, bytes(12)),
    {"type": "REPORT", "source": 0, "sequence": 0, "timestamp": 0, "delay": 0, "target": 0},
)
ARRIVALS_SAID: Said = (
    frame(ARRIVALS, bytes(8)),
    {"type": "ARRIVALS", "source": 0, "sequence": 0, "least": 0, "most": 0},
)
STATE_SAID: Said = (
    frame(STATE, b"\0\x08"),
    {"type": "STATE", "source": 0, "voice": True, "muted": False, "deafened": False, "records": False},
)
PATHS_SAID: Said = (
    frame(PATHS, bytes.fromhex("02 04 a1b2 c6336402"), 1),
    {"type": "PATHS", "paths": [[2, "198.51.100.2", 41394]], "now": True},
)
UNKNOWN: Said = frame(0xFA, b"?", 0xFF), None
CLAIM_SAID: Said = (
    frame(CLAIM, b"\1" + NONCE + b"\0\x30"),
    {"type": "CLAIM", "method": 1, "commitment": NONCE.hex(), "share": "", "certificate": "30"},
)
CHALLENGE_SAID: Said = frame(CHALLENGE, NONCE), {"type": "CHALLENGE", "nonce": NONCE.hex(), "share": ""}
PROOF_SAID: Said = (
    frame(PROOF, NONCE + b"\0\x30"),
    {"type": "PROOF", "nonce": NONCE.hex(), "confirmation": "", "signature": "30"},
)
WELCOME_SAID: Said = frame(WELCOME, b"\1"), {"type": "WELCOME", "admitted": 1, "confirmation": ""}


def text_said(number: int, text: str, more: bool = False) -> Said:
    encoded = frame(TEXT, struct.pack(">I", number) + text.encode(), int(more))
    return encoded, {"type": "TEXT", "id": number, "text": text, "more": more}


def ack_said(number: int) -> Said:
    return frame(TEXT_ACK, struct.pack(">I", number)), {"type": "TEXT_ACK", "id": number}


def bye_said(code: int, reason: str = "") -> Said:
    return frame(BYE, struct.pack(">H", code) + reason.encode()), {"type": "BYE", "code": code, "reason": reason}
