"""Vectors of relay.md, by hand: python -m tests.vectors.making.relay writes them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.vectors.making.writing import Entry, frame

FOLDER = Path(__file__).parent.parent / "relay"
PREFACE = b"VMXR/1\r\n"
OWNER = bytes(range(16))
ID = hashlib.sha256(b"voicemux/1 number\x004711").digest()
OTHER = hashlib.sha256(b"voicemux/1 number\x004712").digest()
SEEN = bytes.fromhex("04a1b2c6336402")
SEEN_6 = bytes.fromhex("06a1b220010db8000000000000000000000002")
WAIT, CALL, TOKEN = frame(1, OWNER + ID), frame(2, ID), frame(3, b"sesame")
WAITING, PAIRED = frame(17, SEEN), frame(18, ID + SEEN)
UNKNOWN = frame(0x7E, b"later versions")
HELLO = bytes.fromhex("160301")  # as TLS begins

WAIT_SAID = {"type": "WAIT", "owner": OWNER.hex(), "ids": [ID.hex()]}
CALL_SAID = {"type": "CALL", "ids": [ID.hex()]}
TOKEN_SAID = {"type": "TOKEN", "token": "sesame"}
WAITING_SAID = {"type": "WAITING", "seen": ["198.51.100.2", 41394]}
PAIRED_SAID = {"type": "PAIRED", "id": ID.hex(), "seen": ["198.51.100.2", 41394]}


def stream(name: str, description: str, data: bytes, *meant: Entry, rest: bytes = b"", error: str = "") -> Entry:
    """`name` begins with who sends, and "to-" with who receives; `rest` is the peer's."""
    words = name.split("-")
    found = {"bytes": data.hex(), "messages": list(meant), "rest": rest.hex()} | ({"error": error} if error else {})
    return {"name": name, "to": words[1] if words[0] == "to" else "relay", "description": description, **found}


def relay() -> list[Entry]:
    def refused(code: int, seconds: int = 0, reason: str = "") -> tuple[bytes, dict[str, Any]]:
        payload = code.to_bytes(2, "big") + seconds.to_bytes(2, "big") + reason.encode()
        return frame(19, payload), {"type": "REFUSED", "code": code, "seconds": seconds, "reason": reason}

    absent, absent_said = refused(1, 1)
    odd, odd_said = refused(4711, 65535, "später")
    moved, moved_said = frame(20, b"\x21\xf2h"), {"type": "MOVED", "place": ["h", 8690]}
    protocol: dict[str, Any] = {"error": "protocol"}
    return [
        stream("client-wait", "A listener waits.", PREFACE + WAIT, WAIT_SAID),
        stream("client-token-wait", "With a token.", PREFACE + TOKEN + WAIT, TOKEN_SAID, WAIT_SAID),
        stream("client-call", "A dialler calls, and its TLS follows.", PREFACE + CALL + HELLO, CALL_SAID, rest=HELLO),
        stream("client-unknown", "Unknown tags are skipped.", PREFACE + UNKNOWN + CALL, CALL_SAID),
        stream("client-16-unknown", "Also many.", PREFACE + UNKNOWN * 16 + CALL, CALL_SAID),
        stream("client-17-unknown", "Too many.", PREFACE + UNKNOWN * 17, **protocol),
        stream("client-flags", "Flags are ignored.", PREFACE + frame(2, ID, flags=255), CALL_SAID),
        stream("client-not-a-relay-client", "Another protocol.", b"GET / HTTP/1.1\r\n", error="stranger"),
        stream("client-a-call", "A preface of a call.", b"VMUX/1\r\n", error="stranger"),
        stream("client-other-version", "Version 2.", b"VMXR/2\r\n", error="version"),
        stream("client-wait-twice", "WAIT comes once.", PREFACE + WAIT + WAIT, **protocol),
        stream("client-token-twice", "TOKEN comes once.", PREFACE + TOKEN + TOKEN, TOKEN_SAID, **protocol),
        stream("client-a-reply", "What only a relay says.", PREFACE + WAITING, **protocol),
        stream("client-no-id", "An id at least.", PREFACE + frame(2), **protocol),
        stream("client-nine-ids", "Eight at most.", PREFACE + frame(2, ID * 9), **protocol),
        stream("client-65-ids", "64 at most.", PREFACE + frame(1, OWNER + ID * 65), **protocol),
        stream("client-half-an-id", "Whole ids only.", PREFACE + frame(2, ID + ID[:16]), **protocol),
        stream("client-no-owner", "An owner comes first.", PREFACE + frame(1, OWNER[:15]), **protocol),
        stream("client-token-no-utf-8", "UTF-8 only.", PREFACE + frame(3, b"\xff"), **protocol),
        stream("client-token-long", "128 bytes at most.", PREFACE + frame(3, b"x" * 129), **protocol),
        stream("client-zeros", "Tag 0 does not exist.", PREFACE + bytes(4), **protocol),
        stream("client-huge", "A frame of over 4096 bytes.", PREFACE + bytes.fromhex("10010200"), **protocol),
        stream("listener-speaks-too-early", "Before PAIRED it is silent.", PREFACE + WAIT + HELLO, **protocol),
        stream("to-listener-paired", "A call comes.", PREFACE + WAITING + PAIRED + HELLO, WAITING_SAID, PAIRED_SAID,
               rest=HELLO),
        stream("to-listener-ipv6", "From an address of IPv6.", PREFACE + frame(17, SEEN_6),
               {"type": "WAITING", "seen": ["2001:db8::2", 41394]}),
        stream("to-listener-refused", "Later.", PREFACE + WAITING + odd, WAITING_SAID, odd_said),
        stream("to-listener-moved", "At once.", PREFACE + moved, moved_said),
        stream("to-listener-paired-first", "WAITING comes first.", PREFACE + PAIRED, **protocol),
        stream("to-listener-waiting-twice", "It comes once.", PREFACE + WAITING + WAITING, WAITING_SAID, **protocol),
        stream("to-listener-family", "Families are 4 and 6.", PREFACE + frame(17, b"\x05" + SEEN[1:]), **protocol),
        stream("to-listener-address", "Of the right length.", PREFACE + frame(17, SEEN + b"\0"), **protocol),
        stream("to-dialler-paired", "Its peer speaks.", PREFACE + PAIRED + HELLO, PAIRED_SAID, rest=HELLO),
        stream("to-dialler-unknown", "Skipped.", PREFACE + UNKNOWN + PAIRED, PAIRED_SAID),
        stream("to-dialler-refused", "No one waits.", PREFACE + absent, absent_said),
        stream("to-dialler-waiting", "That is for listeners.", PREFACE + WAITING, **protocol),
        stream("to-dialler-paired-by-another-id", "Not asked for.", PREFACE + frame(18, OTHER + SEEN), **protocol),
        stream("to-dialler-a-request", "What only clients say.", PREFACE + CALL, **protocol),
        stream("to-dialler-moved-nowhere", "No host.", PREFACE + frame(20, b"\x21\xf2"), **protocol),
        stream("to-dialler-moved-to-port-0", "No port.", PREFACE + frame(20, b"\0\0h"), **protocol),
        stream("to-dialler-reason", "256 bytes at most.", PREFACE + frame(19, bytes(4) + b"x" * 257), **protocol),
        stream("to-dialler-ssh", "Another server.", b"SSH-2.0-x\r\n", error="stranger"),
    ]  # fmt: skip


def write(folder: Path) -> None:
    lines = ",\n".join(json.dumps(each) for each in relay())
    (folder / "streams.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
