"""Messages and bytes as protocol.md and the test vectors write them down in JSON."""

import json
from pathlib import Path
from typing import Any

from voicemux.protocol import messages
from voicemux.protocol.messages import Message, Preface

VECTORS = Path(__file__).parent / "vectors"
CLASSES = {
    "HELLO": messages.Hello,
    "TEXT": messages.Text,
    "AUDIO": messages.Audio,
    "PING": messages.Ping,
    "PONG": messages.Pong,
    "BYE": messages.Bye,
    "TEXT_ACK": messages.TextAck,
    "REPORT": messages.Report,
    "RINGING": messages.Ringing,
    "CLAIM": messages.Claim,
    "CHALLENGE": messages.Challenge,
    "PROOF": messages.Proof,
    "WELCOME": messages.Welcome,
    "ARRIVALS": messages.Arrivals,
    "STATE": messages.VoiceState,
    "PATHS": messages.Paths,
}
BYTES = ("data", "session", "payload", "commitment", "share", "certificate", "nonce", "confirmation", "signature")


def vectors(name: str) -> list[dict[str, Any]]:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def octets(written: Any) -> bytes:
    """Bytes in hexadecimal, a repetition of some, or a list of such parts."""
    if isinstance(written, str):
        return bytes.fromhex(written)
    if isinstance(written, dict):
        return octets(written["bytes"]) * written["repeat"]
    return b"".join(map(octets, written))


def characters(written: Any) -> str:
    """A text, or a repetition of one."""
    return written["text"] * written["repeat"] if isinstance(written, dict) else written


def meant(fields: dict[str, Any]) -> dict[str, Any]:
    """The values of an example as the dataclasses have them."""
    plain = {name: octets(value) if name in BYTES else value for name, value in fields.items()}
    plain |= {"text": characters(plain["text"])} if "text" in plain else {}
    if isinstance(places := plain.get("paths"), list):  # HELLO has a truth value of that name
        plain["paths"] = [messages.NetworkPath(*each) for each in places]
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def message(written: dict[str, Any]) -> Preface | Message:
    fields = dict(written)
    kind = fields.pop("type")
    return Preface() if kind == "preface" else CLASSES[kind](**meant(fields))
