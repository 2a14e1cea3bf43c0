"""Writes the test vectors of protocol.md, always the same: python tests/vectors/generate.py [FOLDER]

Everything is made by hand from the document, and nothing by what encodes in voicemux: a second opinion.
"""

import datetime
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from spake2 import SPAKE2_A, SPAKE2_B

from voicemux.security.words import EVEN, ODD  # the PGP word list: data

Entry = dict[str, Any]
Parts = bytes | list[bytes | tuple[int, bytes]]  # a pair is (how often, bytes)

PREFACE = b"VMUX/1\r\n"
HELLO, TEXT, AUDIO, PING, PONG, BYE, TEXT_ACK, REPORT, RINGING, CLAIM, CHALLENGE, PROOF, WELCOME = range(1, 14)
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


# --- prefaces ------------------------------------------------------------------------------------


def prefaces() -> list[Entry]:
    def preface(name: str, description: str, stream: bytes, **outcome: Any) -> Entry:
        return entry(f"preface{name}", "3", description, bytes=stream.hex(), **outcome)

    stranger, version = {"error": "not-voicemux"}, {"error": "version"}
    return [
        preface("", "Version 1.", PREFACE, version=1),
        preface("-version-2", "Another version: answered with the own preface and BYE 4.", b"VMUX/2\r\n", **version),
        preface("-version-10", "A version of two digits is another one, too.", b"VMUX/10\r", **version),
        preface("-version-0", "So is version 0.", b"VMUX/0\r\n", **version),
        preface("-line-feed-only", "After VMUX/, whatever is not this version is another.", b"VMUX/1\n\n", **version),
        preface("-lower-case", "The letters are capital ones.", b"vmux/1\r\n", **stranger),
        preface("-http", "A web browser.", b"GET / HTTP/1.1\r\n", **stranger),
        preface("-ssh", "An SSH server.", b"SSH-2.0-OpenSSH_9.7\r\n", **stranger),
        preface("-zeros", "Nothing but zeros.", bytes(8), **stranger),
        preface("-wrong-first-byte", "One byte is enough to know.", b"W", **stranger),
        preface("-wrong-fifth-byte", "So is the first that differs, wherever it stands.", b"VMUX1", **stranger),
        preface("-nothing", "The stream ends before anything was said.", b"", error="lost"),
        preface("-cut", "The stream ends inside the preface.", b"VMUX/1\r", error="torn"),
        preface("-version-cut", "Another version is judged with the 8th byte.", b"VMUX/2\r", error="torn"),
    ]


# --- frames --------------------------------------------------------------------------------------


def frames() -> list[Entry]:
    def cut(name: str, description: str, stream: Parts, *found: tuple[int, int, Parts], **rest: Any) -> Entry:
        shown = [{"tag": tag, "flags": flags, "payload": hexadecimal(payload)} for tag, flags, payload in found]
        return entry(f"frame-{name}", "4", description, bytes=hexadecimal(stream), frames=shown, **rest)

    grease = [
        cut(f"grease-{tag:02x}", "A tag that will never be given out.", frame(tag, b"grease"), (tag, 0, b"grease"))
        for tag in (0x1A, 0xFA)
    ]
    return [
        cut("empty", "No payload: four bytes are a whole frame.", frame(RINGING), (RINGING, 0, b"")),
        cut("short", "A payload of one byte.", frame(WELCOME, b"\1"), (WELCOME, 0, b"\1")),
        cut("two", "Two in one piece.", frame(9) + frame(4, bytes(8)), (9, 0, b""), (4, 0, bytes(8))),
        cut("longest", "4096 bytes.", [b"\x10\0\xfa\0", (4096, b"x")], (0xFA, 0, [(4096, b"x")])),
        cut(
            "too-long", "4097 bytes: judged by the header, before the payload comes.", b"\x10\1\2\0", error="protocol"
        ),
        cut("much-too-long", "65535 bytes.", b"\xff\xff\2\0", error="protocol"),
        cut(
            "too-long-unknown-tag", "The length of an unknown tag is judged, too.", b"\x10\1\xfa\0", error="protocol"
        ),
        cut("tag-zero", "Tag 0.", frame(0, b"x"), error="protocol"),
        cut("zeros", "A stream of zeros.", bytes(16), error="protocol"),
        cut(
            "good-then-bad", "What came before the fault counts.", frame(9) + bytes(4), (9, 0, b""), error="protocol"
        ),
        cut("unknown-tag", "It is cut like any other, and then passed over.", frame(0xFA, b"??"), (0xFA, 0, b"??")),
        cut("unknown-flags", "All of them set.", frame(4, bytes(8), 0xFF), (4, 0xFF, bytes(8))),
        cut("header-only", "The header of a frame whose payload is still to come.", b"\0\x08\4\0"),
        cut("three-bytes", "Less than a header.", b"\0\0\4"),
        *grease,
    ]


# --- messages ------------------------------------------------------------------------------------


def item(key: int, value: bytes) -> bytes:
    return bytes([key, len(value)]) + value


def hellos() -> list[Entry]:
    def hello(name: str, description: str, payload: bytes, canonical: bool = True, /, **fields: Any) -> Entry:
        meant = {"message": {"type": "HELLO", **fields}, "canonical": canonical}
        return entry(f"hello-{name}", "5.1", description, bytes=frame(HELLO, payload).hex(), **meant)

    def fault(name: str, description: str, payload: bytes) -> Entry:
        return entry(f"hello-{name}", "5.1", description, bytes=frame(HELLO, payload).hex(), **PROTOCOL_ERROR)

    session = bytes(range(16))
    last_text = item(5, b"\0\0\0\7")
    everything = item(1, b"bob") + item(2, b"bot1") + item(3, b"\2\1") + item(4, session) + last_text
    longest, long_name = item(1, b"n" * 64), "\u00fc" * 32
    every = {"name": "bob", "agent": "bot1", "codecs": [2, 1], "session": session.hex(), "last_text": 7}
    return [
        hello("empty", "A nameless peer that plays PCM.", b""),
        hello("everything", "Every key there is.", everything, **every),
        hello(
            "items-in-any-order",
            "The order of items means nothing.",
            item(2, b"a") + item(1, b"b"),
            False,
            name="b",
            agent="a",
        ),
        hello("name-longest", "64 bytes.", longest, name="n" * 64),
        hello(
            "name-longest-in-bytes", "Bytes are counted, not characters.", item(1, long_name.encode()), name=long_name
        ),
        hello("agent-longest", "64 bytes.", item(2, b"a" * 64), agent="a" * 64),
        hello("name-empty", "Present and empty is as absent.", item(1, b""), False, name=""),
        hello("codecs-empty", "Send me no audio.", item(3, b""), codecs=[]),
        hello("codecs-most", "255 of them.", item(3, bytes(range(255))), codecs=list(range(255))),
        hello("unknown-codec", "It is passed over.", item(3, b"\x4d\1"), codecs=[0x4D, 1]),
        hello("unknown-key", "It is passed over.", item(0xFA, b"?") + item(1, b"bob"), False, name="bob"),
        hello("unknown-key-longest", "255 bytes.", item(0x40, b"?" * 255), False),
        hello("unknown-key-zero", "Of keys, 0 is an unknown one.", item(0, b""), False),
        hello("name-twice", "The first counts.", item(1, b"one") + item(1, b"two"), False, name="one"),
        hello("codecs-twice", "The first counts, empty or not.", item(3, b"") + item(3, b"\1"), False, codecs=[]),
        hello(
            "name-twice-second-bad",
            "What does not count is not read, though its length is.",
            item(1, b"one") + item(1, b"\xff"),
            False,
            name="one",
        ),
        hello("session", "An offer to resume.", item(4, session) + item(5, bytes(4)), session=session.hex()),
        hello(
            "session-without-last-text", "Nothing was received yet.", item(4, session), False, session=session.hex()
        ),
        hello(
            "last-text-highest",
            "All of 32 bits.",
            item(4, session) + item(5, b"\xff" * 4),
            session=session.hex(),
            last_text=2**32 - 1,
        ),
        fault("item-too-long", "It runs over the end of the payload.", b"\1\4bob"),
        fault("item-without-length", "A key, and then the end.", b"\1"),
        fault("second-item-too-long", "Whatever stands before it.", item(1, b"bob") + b"\2\1"),
        fault("unknown-item-too-long", "Of an unknown key, the length counts, too.", b"\xfa\2?"),
        fault("name-too-long", "65 bytes.", item(1, b"n" * 65)),
        fault("agent-too-long", "65 bytes.", item(2, b"a" * 65)),
        fault("name-not-utf-8", "A byte that never is.", item(1, b"\xff")),
        fault("name-surrogate", "Half of a character of UTF-16.", item(1, b"\xed\xa0\x80")),
        fault("name-overlong", "A longer way to write a slash.", item(1, b"\xc0\xaf")),
        fault("agent-not-utf-8", "A character that is cut off.", item(2, b"\xc3")),
        fault("session-short", "15 bytes.", item(4, session[:15])),
        fault("session-long", "17 bytes.", item(4, session + b"\0")),
        fault("session-empty", "0 bytes.", item(4, b"")),
        fault("last-text-short", "3 bytes.", item(4, session) + item(5, bytes(3))),
        fault("last-text-long", "5 bytes.", item(4, session) + item(5, bytes(5))),
    ]


def messages() -> list[Entry]:
    def good(name: str, section: str, description: str, encoded: Parts, **fields: Any) -> Entry:
        canonical = fields.pop("canonical", True)
        return entry(name, section, description, bytes=hexadecimal(encoded), message=fields, canonical=canonical)

    def fault(name: str, section: str, description: str, encoded: Parts) -> Entry:
        return entry(name, section, description, bytes=hexadecimal(encoded), **PROTOCOL_ERROR)

    def text(name: str, description: str, body: str, number: int = 1, more: bool = False) -> Entry:
        encoded = frame(TEXT, struct.pack(">I", number) + body.encode(), int(more))
        return good(name, "5.2", description, encoded, type="TEXT", id=number, text=body, more=more)

    def audio(name: str, description: str, data: Parts, codec: int = 1, source: int = 0, *numbers: int) -> Entry:
        sequence, timestamp = numbers or (7, 3360)
        body = [data] if isinstance(data, bytes) else data
        size = sum(len(each) if isinstance(each, bytes) else each[0] * len(each[1]) for each in body)
        header = struct.pack(">HBBBBHI", 8 + size, AUDIO, 0, codec, source, sequence, timestamp)
        fields = {"codec": codec, "source": source, "sequence": sequence, "timestamp": timestamp}
        return good(name, "5.3", description, [header, *body], type="AUDIO", **fields, data=hexadecimal(data))

    def bye(name: str, description: str, code: int, reason: str = "") -> Entry:
        encoded = frame(BYE, struct.pack(">H", code) + reason.encode())
        return good(name, "5.5", description, encoded, type="BYE", code=code, reason=reason)

    def report(name: str, description: str, reserved: int = 0, flags: int = 0, **fields: int) -> Entry:
        payload = struct.pack(">BBHIHH", fields["source"], reserved, *list(fields.values())[1:])
        canonical = not reserved and not flags
        encoded = frame(REPORT, payload, flags)
        return good(name, "5.7", description, encoded, type="REPORT", canonical=canonical, **fields)

    def claim(
        name: str, description: str, method: int, share: bytes, certificate: bytes | tuple[int, bytes]
    ) -> Entry:
        size = len(certificate) if isinstance(certificate, bytes) else certificate[0]
        header = struct.pack(">HBB", 34 + len(share) + size, CLAIM, 0)
        start = header + bytes([method]) + NONCE + bytes([len(share)]) + share
        shown: Parts = certificate if isinstance(certificate, bytes) else [certificate]
        fields = {
            "method": method,
            "commitment": NONCE.hex(),
            "share": share.hex(),
            "certificate": hexadecimal(shown),
        }
        return good(name, "5.9", description, [start, certificate], type="CLAIM", **fields)

    eight = bytes.fromhex("0000000000003039")
    most_sound = [(2044, b"\1\0")]
    ringing = frame(RINGING, b"", 0x80)
    return [
        *hellos(),
        text("text", "A whole message in one frame.", "hi"),
        text("text-empty", "An empty line is one, too.", ""),
        text("text-more", "The message goes on.", "gr\u00fc", 2, more=True),
        text("text-highest-id", "All of 32 bits.", "x", 2**32 - 1),
        text("text-any-character", "Whatever Unicode has, zeros and line feeds included.", "a\0\n\u202e\U0001d11e"),
        good(
            "text-longest",
            "5.2",
            "As much as a frame holds.",
            [b"\x10\0\2\0\0\0\0\1", (4092, b"x")],
            type="TEXT",
            id=1,
            text={"repeat": 4092, "text": "x"},
            more=False,
        ),
        good(
            "text-unknown-flags",
            "5.2",
            "Only MORE means something.",
            frame(TEXT, b"\0\0\0\1x", 0xFE),
            type="TEXT",
            id=1,
            text="x",
            more=False,
            canonical=False,
        ),
        fault("text-without-id", "5.2", "Three bytes are no id.", frame(TEXT, bytes(3))),
        fault("text-torn-code-point", "5.2", "A frame ends inside a character.", frame(TEXT, b"\0\0\0\2gr\xc3", 1)),
        fault("text-not-utf-8", "5.2", "A byte that never is.", frame(TEXT, b"\0\0\0\1\xff")),
        fault("text-surrogate", "5.2", "Half of a character of UTF-16.", frame(TEXT, b"\0\0\0\1\xed\xa0\x80")),
        fault("text-continuation-first", "5.2", "The rest of a character.", frame(TEXT, b"\0\0\0\3\xbc")),
        audio("audio-pcm", "Two samples, 1 and -1.", b"\1\0\xff\xff"),
        audio("audio-opus", "20 ms of silence in a byte.", b"\xf8", 2),
        audio("audio-empty", "No data: silence begins here.", b"", 2, 0, 0xFFFF, 2**32 - 16),
        audio("audio-longest", "2044 samples of PCM.", most_sound),
        audio("audio-unknown-codec-layout", "It is well formed; what cannot be played is lost.", b"?", 77),
        audio("audio-another-source", "For relays to come: ignored.", b"\1\0", 1, 3),
        fault("audio-header-cut", "5.3", "Seven bytes.", frame(AUDIO, bytes(7))),
        good(
            "ping",
            "5.4",
            "Answered with a PONG of the same bytes.",
            frame(PING, eight),
            type="PING",
            data=eight.hex(),
        ),
        good("pong", "5.4", "The answer.", frame(PONG, eight), type="PONG", data=eight.hex()),
        *(
            fault(f"{name}-{size}", "5.4", f"{count} bytes.", frame(tag, bytes(count)))
            for name, tag in (("ping", PING), ("pong", PONG))
            for size, count in (("short", 7), ("long", 9), ("empty", 0))
        ),
        bye("bye", "Somebody hung up.", 0),
        bye("bye-reason", "Why, for people.", 1, "in a call now"),
        bye("bye-longest-reason", "256 bytes.", 0, "r" * 256),
        bye("bye-highest-known-code", "11, WRONG_CODE.", 11),
        bye("bye-unknown-code", "Taken as 7, INTERNAL, and no error.", 65535),
        fault("bye-without-code", "5.5", "One byte is no code.", frame(BYE, b"\0")),
        fault("bye-empty", "5.5", "Nor is none.", frame(BYE)),
        fault("bye-reason-too-long", "5.5", "257 bytes.", frame(BYE, bytes(2) + b"r" * 257)),
        fault("bye-reason-not-utf-8", "5.5", "A byte that never is.", frame(BYE, b"\0\0\xff")),
        good("text-ack", "5.6", "Up to and with 2.", frame(TEXT_ACK, b"\0\0\0\2"), type="TEXT_ACK", id=2),
        fault("text-ack-short", "5.6", "Three bytes.", frame(TEXT_ACK, bytes(3))),
        fault("text-ack-long", "5.6", "Five bytes.", frame(TEXT_ACK, bytes(5))),
        report("report", "60 ms of delay, 40 aimed at.", source=0, sequence=7, timestamp=3360, delay=60, target=40),
        report(
            "report-highest",
            "All bits.",
            source=255,
            sequence=2**16 - 1,
            timestamp=2**32 - 1,
            delay=2**16 - 1,
            target=2**16 - 1,
        ),
        report("report-reserved", "Ignored.", 0xFF, source=0, sequence=7, timestamp=3360, delay=60, target=40),
        report(
            "report-unknown-flags", "Ignored.", 0, 0xFF, source=0, sequence=7, timestamp=3360, delay=60, target=40
        ),
        fault("report-short", "5.7", "Eleven bytes.", frame(REPORT, bytes(11))),
        fault("report-long", "5.7", "Thirteen bytes.", frame(REPORT, bytes(13))),
        good("ringing", "5.8", "Nothing but a header.", frame(RINGING), type="RINGING"),
        good("ringing-unknown-flags", "5.8", "Ignored.", ringing, type="RINGING", canonical=False),
        fault("ringing-long", "5.8", "One byte.", frame(RINGING, b"\0")),
        claim("claim-open", "The shortest: whether it is a certificate is judged later.", 0, b"", b""),
        claim("claim-known", "With what begins like a certificate.", 1, b"", b"\x30\x82"),
        claim("claim-code", "With a share of 33 bytes.", 2, b"A" * 33, b"\x30\x82"),
        claim("claim-longest-share", "255 bytes.", 2, b"A" * 255, b""),
        claim("claim-longest-certificate", "2048 bytes.", 1, b"", (2048, b"\x30")),
        fault(
            "claim-certificate-too-long", "5.9", "2049 bytes.", [b"\x08\x23\x0a\0\1" + NONCE + b"\0", (2049, b"\x30")]
        ),
        fault("claim-empty", "5.9", "No method.", frame(CLAIM)),
        fault("claim-commitment-short", "5.9", "31 bytes, and then the end.", frame(CLAIM, b"\1" + NONCE[1:])),
        fault("claim-without-length", "5.9", "It ends before the share's length.", frame(CLAIM, b"\1" + NONCE)),
        fault("claim-share-too-long", "5.9", "The share runs over the end.", frame(CLAIM, b"\2" + NONCE + b"\2A")),
        good("challenge", "5.10", "A nonce.", frame(CHALLENGE, NONCE), type="CHALLENGE", nonce=NONCE.hex(), share=""),
        good(
            "challenge-longest-share",
            "5.10",
            "255 bytes.",
            frame(CHALLENGE, NONCE + b"B" * 255),
            type="CHALLENGE",
            nonce=NONCE.hex(),
            share=(b"B" * 255).hex(),
        ),
        fault("challenge-nonce-short", "5.10", "31 bytes.", frame(CHALLENGE, NONCE[1:])),
        fault("challenge-share-too-long", "5.10", "256 bytes.", frame(CHALLENGE, NONCE + b"B" * 256)),
        good(
            "proof",
            "5.11",
            "What begins like a signature.",
            frame(PROOF, NONCE + b"\0\x30\x45"),
            type="PROOF",
            nonce=NONCE.hex(),
            confirmation="",
            signature="3045",
        ),
        good(
            "proof-code",
            "5.11",
            "With a confirmation.",
            frame(PROOF, NONCE + b"\x20" + NONCE + b"\x30"),
            type="PROOF",
            nonce=NONCE.hex(),
            confirmation=NONCE.hex(),
            signature="30",
        ),
        fault("proof-nonce-short", "5.11", "31 bytes, and then the end.", frame(PROOF, NONCE[1:])),
        fault("proof-without-length", "5.11", "It ends before the confirmation's length.", frame(PROOF, NONCE)),
        fault("proof-confirmation-too-long", "5.11", "It runs over the end.", frame(PROOF, NONCE + b"\2x")),
        good(
            "welcome",
            "5.12",
            "Admitted as KNOWN.",
            frame(WELCOME, b"\1"),
            type="WELCOME",
            admitted=1,
            confirmation="",
        ),
        good(
            "welcome-code",
            "5.12",
            "With a confirmation.",
            frame(WELCOME, b"\2" + NONCE),
            type="WELCOME",
            admitted=2,
            confirmation=NONCE.hex(),
        ),
        fault("welcome-empty", "5.12", "Admitted as nothing.", frame(WELCOME)),
        entry("unknown-tag", "4", "Skipped.", bytes=frame(0x5A, b"abc").hex(), skipped=True),
        entry(
            "unknown-tag-longest", "4", "Skipped.", bytes=hexadecimal([b"\x10\0\xff\0", (4096, b"?")]), skipped=True
        ),
    ]


# --- order ---------------------------------------------------------------------------------------

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


def order() -> list[Entry]:
    def stream(
        name: str,
        description: str,
        *said: Said,
        by: str = "dialler",
        tls: bool = False,
        rest: bytes = b"",
        error: str = "",
    ) -> Entry:
        """`rest` means nothing: it is the fault, or ignored."""
        meant = [message for _, message in said if message]
        encoded = b"".join(each for each, _ in said) + rest
        found = {"bytes": encoded.hex(), "messages": meant} | ({"error": error} if error else {})
        return entry(f"order-{name}", "6", description, **{"from": by, "encrypted": tls}, **found)

    def wrong(name: str, description: str, *said: Said, **where: Any) -> Entry:
        """The last of what is said is the fault."""
        return stream(name, description, *said[:-1], rest=said[-1][0], error="protocol", **where)

    everything = [text_said(1, "a"), ack_said(1), AUDIO_SAID, PING_SAID, PONG_SAID, REPORT_SAID]
    listener = {"by": "listener"}
    return [
        stream("shortest", "HELLO and BYE.", HELLO_SAID, BYE_SAID),
        stream("bye-only", "Nothing but BYE is a whole stream, too.", BYE_SAID, **listener),
        stream("everything", "All that may be said in a call.", HELLO_SAID, *everything, BYE_SAID),
        stream(
            "ringing-twice", "As often as it takes.", RINGING_SAID, RINGING_SAID, HELLO_SAID, BYE_SAID, **listener
        ),
        stream("declined", "It rang, and nobody wanted to.", RINGING_SAID, bye_said(2), **listener),
        stream("unknown-tags", "They are skipped in every state.", UNKNOWN, HELLO_SAID, UNKNOWN, BYE_SAID),
        stream(
            "unknown-tags-encrypted",
            "In those of TLS, too.",
            UNKNOWN,
            CLAIM_SAID,
            UNKNOWN,
            PROOF_SAID,
            UNKNOWN,
            HELLO_SAID,
            BYE_SAID,
            tls=True,
        ),
        stream("after-bye", "What follows a BYE is ignored.", HELLO_SAID, BYE_SAID, rest=text_said(1, "late")[0]),
        stream("rubbish-after-bye", "Whatever it is.", HELLO_SAID, BYE_SAID, rest=b"\xff" * 9 + bytes(9)),
        stream("dialler-encrypted", "A dialler inside TLS.", CLAIM_SAID, PROOF_SAID, HELLO_SAID, BYE_SAID, tls=True),
        stream(
            "listener-encrypted",
            "A listener inside TLS.",
            CHALLENGE_SAID,
            WELCOME_SAID,
            RINGING_SAID,
            HELLO_SAID,
            BYE_SAID,
            tls=True,
            **listener,
        ),
        stream(
            "not-admitted",
            "A listener that does not know the dialler.",
            CHALLENGE_SAID,
            bye_said(10),
            tls=True,
            **listener,
        ),
        stream("bye-of-a-stranger", "A dialler that changes its mind.", BYE_SAID, tls=True),
        stream("lost-at-once", "The end before a BYE.", error="lost"),
        stream("lost", "The end before a BYE.", HELLO_SAID, error="lost"),
        stream("lost-encrypted", "The end before a BYE.", CLAIM_SAID, error="lost", tls=True),
        stream("torn-header", "The end inside a header.", HELLO_SAID, rest=b"\0", error="torn"),
        stream("torn-payload", "The end inside a payload.", HELLO_SAID, rest=PING_SAID[0][:-1], error="torn"),
        wrong("text-before-hello", "HELLO is first.", text_said(1, "hi")),
        wrong("ping-before-hello", "HELLO is first.", PING_SAID),
        wrong("audio-before-hello", "HELLO is first.", RINGING_SAID, AUDIO_SAID, **listener),
        wrong("hello-twice", "HELLO comes once.", HELLO_SAID, HELLO_SAID),
        wrong("ringing-after-hello", "What has been answered does not ring.", HELLO_SAID, RINGING_SAID, **listener),
        wrong("ringing-of-a-dialler", "A dialler does not ring.", RINGING_SAID),
        wrong("hello-before-claim", "Inside TLS, CLAIM is first.", HELLO_SAID, tls=True),
        wrong("hello-before-proof", "A dialler proves itself first.", CLAIM_SAID, HELLO_SAID, tls=True),
        wrong("hello-before-welcome", "So does a listener.", CHALLENGE_SAID, HELLO_SAID, tls=True, **listener),
        wrong(
            "ringing-before-welcome", "A stranger does not ring.", CHALLENGE_SAID, RINGING_SAID, tls=True, **listener
        ),
        wrong("claim-twice", "CLAIM comes once.", CLAIM_SAID, CLAIM_SAID, tls=True),
        wrong("proof-first", "CLAIM is first.", PROOF_SAID, tls=True),
        wrong("proof-twice", "PROOF comes once.", CLAIM_SAID, PROOF_SAID, PROOF_SAID, tls=True),
        wrong("claim-in-a-plain-call", "There, nobody proves anything.", CLAIM_SAID),
        wrong(
            "claim-after-hello", "It is too late for that.", CLAIM_SAID, PROOF_SAID, HELLO_SAID, CLAIM_SAID, tls=True
        ),
        wrong("claim-of-a-listener", "A listener does not claim.", CLAIM_SAID, tls=True, **listener),
        wrong("proof-of-a-listener", "A listener does not prove.", CHALLENGE_SAID, PROOF_SAID, tls=True, **listener),
        wrong("challenge-of-a-dialler", "A dialler does not challenge.", CHALLENGE_SAID, tls=True),
        wrong("welcome-of-a-dialler", "A dialler does not welcome.", CLAIM_SAID, WELCOME_SAID, tls=True),
        wrong("bad-payload", "What came before the fault counts.", HELLO_SAID, text_said(1, "hi"), (frame(4), None)),
    ]


# --- conversations -------------------------------------------------------------------------------


def conversations() -> list[Entry]:
    def talk(name: str, section: str, description: str, *lines: Entry, tls: bool = False) -> Entry:
        return entry(f"conversation-{name}", section, description, encrypted=tls, script=list(lines))

    def line(at: float, by: str, *said: Said, preface: bool = False, end: bool = False, **error: str) -> Entry:
        means = [{"type": "preface"}] * preface + [message for _, message in said if message]
        encoded = PREFACE * preface + b"".join(each for each, _ in said)
        shown = {"at": at, "from": by, "bytes": encoded.hex(), "means": means, **error}
        return shown | {"end": True} if end else shown

    dialler, listener = "dialler", "listener"
    opened = (
        line(0.0, dialler, HELLO_SAID, preface=True),
        line(0.01, listener, RINGING_SAID, BOB_SAID, preface=True),
    )
    both_part = (line(1.0, dialler, BYE_SAID, end=True), line(1.01, listener, BYE_SAID, end=True))
    wrong_frame: Said = frame(0, b"?"), None
    return [
        talk("shortest", "2", "Somebody calls, is answered, and hangs up.", *opened, *both_part),
        talk(
            "text",
            "7",
            "Text both ways, a message in parts, each acknowledged when it has been read.",
            *opened,
            line(0.2, dialler, text_said(1, "hel", more=True)),
            line(0.21, listener, ack_said(1)),
            line(0.22, dialler, text_said(2, "lo")),
            line(0.3, listener, ack_said(2), text_said(1, "hi")),
            line(0.4, dialler, ack_said(1)),
            *both_part,
        ),
        talk(
            "text-behind-hello",
            "6",
            "Text may follow HELLO at once.",
            line(0.0, dialler, HELLO_SAID, text_said(1, "hi"), preface=True),
            line(0.01, listener, BOB_SAID, ack_said(1), preface=True),
            *both_part,
        ),
        talk(
            "ping",
            "5.4",
            "A PING and its PONG.",
            *opened,
            line(0.1, dialler, PING_SAID),
            line(0.11, listener, PONG_SAID),
            *both_part,
        ),
        talk(
            "unknown-tags",
            "4",
            "What is unknown has no answer.",
            line(0.0, dialler, UNKNOWN, HELLO_SAID, UNKNOWN, preface=True),
            line(0.01, listener, BOB_SAID, preface=True),
            *both_part,
        ),
        talk(
            "busy",
            "14",
            "The listener is in another call.",
            line(0.0, dialler, HELLO_SAID, preface=True),
            line(0.01, listener, bye_said(1), preface=True, end=True),
            line(0.02, dialler, BYE_SAID, end=True),
        ),
        talk(
            "another-version",
            "3",
            "A dialler of another version gets a preface, a BYE, and the end.",
            {"at": 0.0, "from": dialler, "bytes": b"VMUX/2\r\n".hex(), "means": [], "error": "version"},
            line(0.01, listener, bye_said(4), preface=True, end=True),
        ),
        talk(
            "protocol-error",
            "10",
            "A frame of tag 0 is answered with BYE 3; what came before it counts.",
            *opened,
            line(0.2, dialler, text_said(1, "hi"), wrong_frame, error="protocol"),
            line(0.21, listener, ack_said(1), bye_said(3, "tag 0"), end=True),
            line(0.22, dialler, end=True),
        ),
        talk(
            "text-on-its-way",
            "10",
            "Text that crosses a BYE still counts, and is acknowledged.",
            *opened,
            line(0.5, dialler, BYE_SAID, end=True),
            line(0.5, listener, text_said(1, "wait")),
            line(0.53, listener, BYE_SAID, end=True),
        ),
        talk(
            "text-before-goodbye",
            "10",
            "A BYE is answered by acknowledging what came before it.",
            *opened,
            line(0.5, dialler, text_said(1, "bye then"), BYE_SAID, end=True),
            line(0.52, listener, ack_said(1), BYE_SAID, end=True),
        ),
        talk(
            "both-part",
            "10",
            "Both hang up at once.",
            *opened,
            line(1.0, dialler, BYE_SAID, end=True),
            line(1.0, listener, BYE_SAID, end=True),
        ),
        talk("lost", "6", "The line breaks.", *opened, line(0.5, dialler, end=True, error="lost")),
        talk(
            "encrypted",
            "12",
            "Who is who, inside TLS, and then a call as any other.",
            line(0.0, dialler, CLAIM_SAID, preface=True),
            line(0.01, listener, CHALLENGE_SAID, preface=True),
            line(0.02, dialler, PROOF_SAID),
            line(0.03, listener, WELCOME_SAID),
            line(0.04, dialler, HELLO_SAID),
            line(0.05, listener, BOB_SAID),
            *both_part,
            tls=True,
        ),
        talk(
            "not-admitted",
            "12",
            "A listener that takes nobody unknown.",
            line(0.0, dialler, CLAIM_SAID, preface=True),
            line(0.01, listener, CHALLENGE_SAID, preface=True),
            line(0.02, dialler, PROOF_SAID),
            line(0.03, listener, bye_said(10), end=True),
            line(0.04, dialler, BYE_SAID, end=True),
            tls=True,
        ),
    ]


# --- delivery ------------------------------------------------------------------------------------


def delivery() -> list[Entry]:
    def sender(name: str, description: str, *script: Entry) -> Entry:
        return entry(f"delivery-{name}", "7", description, role="sender", script=list(script))

    def receiver(name: str, description: str, *script: Entry) -> Entry:
        return entry(f"delivery-{name}", "7", description, role="receiver", script=list(script))

    def put(*texts: Any) -> Entry:
        return {"event": "put", "texts": list(texts)}

    def sends(*ids: int) -> Entry:
        return {"event": "send", "ids": list(ids)}

    def acknowledged(number: int, **error: str) -> Entry:
        return {"event": "acknowledged", "id": number, **error}

    def resumed(number: int, **error: str) -> Entry:
        return {"event": "resumed", "last_text": number, **error}

    def received(number: int, text: Any, acknowledge: int, message: Any = None, more: bool = False) -> Entry:
        return {
            "event": "received",
            "id": number,
            "text": text,
            "more": more,
            "message": message,
            "acknowledge": acknowledge,
        }

    def refused(number: int, text: Any, error: str, more: bool = False) -> Entry:
        return {"event": "received", "id": number, "text": text, "more": more, "error": error}

    def taken(acknowledge: int) -> Entry:
        return {"event": "taken", "acknowledge": acknowledge}

    def lost(last_text: int) -> Entry:
        return {"event": "lost", "last_text": last_text}

    kilobyte = {"repeat": 1020, "text": "x"}  # with its id, a 64th of the window
    full = [received(number, kilobyte, 0, kilobyte) for number in range(1, 65)]
    all_sent = (put("a", "b", "c"), sends(1, 2, 3))
    return [
        sender(
            "ids", "They begin with 1, and each frame has the next.", *all_sent, acknowledged(3), put("d"), sends(4)
        ),
        sender("ack-cumulative", "One acknowledges all before it.", *all_sent, acknowledged(3), resumed(3), sends()),
        sender(
            "ack-lower",
            "A lower acknowledgement than before is ignored.",
            *all_sent,
            acknowledged(2),
            acknowledged(1),
            resumed(2),
            sends(3),
        ),
        sender("ack-repeated", "So is the same again.", *all_sent, acknowledged(2), acknowledged(2)),
        sender("ack-zero", "And one of nothing.", *all_sent, acknowledged(0)),
        sender(
            "ack-unsent", "An acknowledgement of what was never sent.", *all_sent, acknowledged(4, error="protocol")
        ),
        sender("ack-before-anything", "The same, at the beginning.", acknowledged(1, error="protocol")),
        sender(
            "window",
            "65,536 bytes, ids included, and not one more until some are acknowledged.",
            put(*[kilobyte] * 66),
            sends(*range(1, 65)),
            acknowledged(1),
            sends(65),
            acknowledged(1),
            sends(),
            acknowledged(65),
            sends(66),
        ),
        sender(
            "resume-sender",
            "What is above last_text goes out again under the same ids.",
            *all_sent,
            put("d"),
            acknowledged(1),
            resumed(2),
            sends(3, 4),
            acknowledged(4),
            put("e"),
            sends(5),
        ),
        sender("resume-nothing-arrived", "All of it.", *all_sent, resumed(0), sends(1, 2, 3)),
        sender("resume-everything-arrived", "Nothing of it.", *all_sent, resumed(3), sends(), put("d"), sends(4)),
        sender(
            "resume-twice",
            "The line breaks again before anything was sent.",
            *all_sent,
            resumed(1),
            resumed(1),
            sends(2, 3),
        ),
        sender(
            "resume-acknowledged-meanwhile",
            "Sent on the old connection, taken on the new one.",
            *all_sent,
            resumed(0),
            acknowledged(2),
            sends(3),
        ),
        sender(
            "resume-window",
            "The window is counted anew.",
            put(*[kilobyte] * 65),
            sends(*range(1, 65)),
            resumed(2),
            sends(*range(3, 66)),
        ),
        sender("resume-unsent", "A last_text that was never sent.", *all_sent, resumed(4, error="protocol")),
        sender(
            "resume-lost-memory",
            "A last_text below what was acknowledged: that is gone.",
            *all_sent,
            acknowledged(2),
            resumed(1, error="protocol"),
        ),
        receiver(
            "acknowledged-when-taken",
            "A message is acknowledged when its reader has it, not before.",
            received(1, "a", 0, "a"),
            received(2, "b", 0, "b"),
            taken(1),
            taken(2),
        ),
        receiver(
            "parts",
            "Parts are acknowledged as they come, the whole when it was taken.",
            received(1, "gr", 1, more=True),
            received(2, "\u00fc", 1, "gr\u00fc"),
            taken(2),
        ),
        receiver(
            "parts-behind-a-message",
            "Not before the messages in front of them.",
            received(1, "a", 0, "a"),
            received(2, "b", 0, more=True),
            taken(2),
            received(3, "c", 2, "bc"),
            taken(3),
        ),
        receiver(
            "empty-parts",
            "A message of nothing is one.",
            received(1, "", 1, more=True),
            received(2, "", 1, ""),
            taken(2),
        ),
        receiver(
            "repeated",
            "What is there already is ignored.",
            received(1, "a", 0, "a"),
            taken(1),
            received(1, "a", 1),
            received(0, "?", 1),
            received(2, "b", 1, "b"),
        ),
        receiver("gap", "Something is missing.", received(1, "a", 0, "a"), refused(3, "c", "protocol")),
        receiver("first-is-two", "Ids begin with 1.", refused(2, "b", "protocol")),
        receiver("highest-id", "And do not jump.", refused(2**32 - 1, "?", "protocol")),
        receiver(
            "resume-receiver",
            "A message that was cut goes on; what was not taken comes again, and is ignored.",
            received(1, "a", 0, "a"),
            taken(1),
            received(2, "b", 1, "b"),
            received(3, "c", 1, more=True),
            lost(1),
            received(2, "b", 1),
            taken(3),
            received(3, "c", 3),
            received(4, "d", 3, "cd"),
            taken(4),
        ),
        receiver(
            "resume-in-a-message",
            "Its parts were acknowledged.",
            received(1, "a", 1, more=True),
            lost(1),
            received(2, "b", 1, "ab"),
            taken(2),
        ),
        receiver("window-full", "A whole window may wait.", *full, taken(1)),
        receiver(
            "flood",
            "More than the window, ids included: a receiver MAY end the call with BYE 6.",
            *full,
            refused(65, "", "flood"),
        ),
    ]


# --- audio ---------------------------------------------------------------------------------------


def audio() -> list[Entry]:
    def heard(name: str, description: str, *frames: Entry) -> Entry:
        return entry(f"audio-{name}", "8", description, frames=list(frames))

    def comes(
        kind: str, sequence: int, timestamp: int, data: Parts = b"\xf8", ticks: int = 960, codec: int = 2, **more: int
    ) -> Entry:
        numbers = {"sequence": sequence % 2**16, "timestamp": timestamp % 2**32}
        length = {} if kind == "unusable" else {"ticks": ticks}
        return {"codec": codec, **numbers, "data": hexadecimal(data), **length, "is": kind, **more}

    def steady(sequence: int, timestamp: int) -> list[Entry]:
        first, *others = [(sequence + i, timestamp + 960 * i) for i in range(5)]
        return [comes("first", *first), *(comes("next", *each) for each in others)]

    def lengths(kind: int, each: list[tuple[Parts, int]]) -> list[Entry]:
        found, timestamp = [], 0
        for i, (data, ticks) in enumerate(each):
            found.append(comes("next" if i else "first", i, timestamp, data, ticks, kind))
            timestamp += ticks
        return found

    # Packets of Opus that hold nothing: a byte says how long the frames are, a second how many.
    opus: list[tuple[Parts, int]] = [(b"\xe0", 120), (b"\xe8", 240), (b"\xf0", 480), (b"\xf8", 960)]
    opus += [(bytes([0xFB, count]), 960 * count) for count in range(2, 7)]
    pcm: list[tuple[Parts, int]] = [([(ticks, b"\0\0")], ticks) for ticks in (2044, 1920, 960, 480, 240, 120)]
    first, second = comes("first", 0, 0), comes("next", 1, 960)
    return [
        heard("steady", "Each frame follows the one before.", *steady(0, 0)),
        heard("begins-anywhere", "The first numbers may be any.", *steady(4711, 123_456_789)),
        heard("timestamp-wraps", "Modulo 2^32.", *steady(7, 2**32 - 2 * 960)),
        heard("timestamp-wraps-between", "Also where no frame begins.", *steady(7, 2**32 - 1000)),
        heard("timestamp-passes-half", "2^31 is nothing special.", *steady(7, 2**31 - 2 * 960)),
        heard("sequence-wraps", "Modulo 2^16.", *steady(65_534, 0)),
        heard("both-wrap", "At once.", *steady(65_534, 2**32 - 2 * 960)),
        heard(
            "lost",
            "Two frames are missing: the sender dropped them.",
            first,
            second,
            comes("lost", 4, 3840, frames=2, missing=1920),
        ),
        heard(
            "lost-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 65_534, -1920),
            comes("lost", 1, 960, frames=2, missing=1920),
        ),
        heard("silence", "Nobody spoke for 40 ms.", first, second, comes("silence", 2, 3840, missing=1920)),
        heard(
            "silence-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 65_535, -960),
            comes("silence", 0, 1920, missing=1920),
        ),
        heard(
            "silence-begins",
            "A frame without data says so.",
            first,
            comes("silence-begins", 1, 960, b"", 0),
            comes("silence", 2, 4800, missing=3840),
        ),
        heard(
            "silence-begins-and-lost",
            "After it, there is nothing to conceal.",
            first,
            comes("silence-begins", 1, 960, b"", 0),
            comes("silence", 9, 9600, missing=8640),
        ),
        heard(
            "late",
            "It is dropped.",
            first,
            comes("lost", 2, 1920, frames=1, missing=960),
            comes("late", 1, 960),
            comes("next", 3, 2880),
        ),
        heard("doubled", "So is the second of two.", first, second, comes("late", 1, 960), comes("next", 2, 1920)),
        heard(
            "late-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 0, 0),
            comes("late", 65_535, -960),
            comes("next", 1, 960),
        ),
        heard("every-length", "Every length of Opus, 2.5 to 120 ms.", *lengths(2, opus)),
        heard("every-length-pcm", "PCM may be any number of samples up to 2044.", *lengths(1, pcm)),
        heard("odd-length-pcm", "Also an odd one.", *lengths(1, [([(441, b"\0\0")], 441), ([(443, b"\0\0")], 443)])),
        heard(
            "codec-changes",
            "Each frame names its own codec.",
            first,
            comes("next", 1, 960, [(960, b"\0\0")], codec=1),
            comes("next", 2, 1920),
        ),
        heard(
            "half-a-sample",
            "It is taken as lost, and is no protocol error.",
            first,
            comes("unusable", 1, 960, b"\0\0\0", codec=1),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
        heard(
            "unknown-codec",
            "The same.",
            first,
            comes("unusable", 1, 960, b"?", codec=77),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
        heard(
            "opus-malformed",
            "A packet of no frames: the same.",
            first,
            comes("unusable", 1, 960, b"\xfb\0"),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
    ]


# --- authentication ------------------------------------------------------------------------------

OPEN, KNOWN, CODE = range(3)
SPOKEN = "42-beeswax-caravan"


class Person:
    """A key and a certificate that are always the same."""

    def __init__(self, secret: int) -> None:
        self.secret = secret
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "voicemux")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        builder = (
            builder.serial_number(secret)
            .not_valid_before(datetime.datetime(2000, 1, 1))
            .not_valid_after(datetime.datetime(9999, 1, 1))
        )
        made = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        self.certificate = made.public_bytes(serialization.Encoding.DER)
        self.fingerprint = sha256(self.certificate)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def shown(self) -> Entry:
        return {"secret": self.secret.to_bytes(32, "big").hex(), "certificate": self.certificate.hex()}


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


ALICE, BOB, MALLORY = Person(0xA11CE), Person(0xB0B), Person(0x3A11)


class Meeting:
    """All four messages between Alice, who dials, and Bob."""

    def __init__(self, method: int, dialled: str = "", used: str = "", listener_nonce: bytes = bytes(range(32, 64))):
        self.method, self.dialled, self.used = method, dialled, used
        self.dialler_nonce, self.listener_nonce = NONCE, listener_nonce
        self.shares, self.scalars, self.keys = [b"", b""], [0, 0], [b"", b""]
        if method == CODE:
            ids = {"idA": ALICE.fingerprint, "idB": BOB.fingerprint}
            sides = [
                side(code.encode(), **ids, entropy_f=lambda size, byte=byte: bytes([byte]) * size)
                for side, code, byte in ((SPAKE2_A, dialled, 1), (SPAKE2_B, used, 2))
            ]
            self.shares = [side.start() for side in sides]
            self.scalars = [side.xy_scalar for side in sides]
            self.keys = [side.finish(share) for side, share in zip(sides, reversed(self.shares), strict=True)]
        lengths = [bytes([len(share)]) + share for share in self.shares]
        self.transcript = sha256(
            b"voicemux/1 transcript\0",
            BOB.fingerprint,
            ALICE.fingerprint,
            bytes([method]),
            self.dialler_nonce,
            self.listener_nonce,
            *lengths,
        )
        self.signature = ALICE.sign(b"voicemux/1 dialler\0" + self.transcript)
        self.confirmations = [
            hmac.digest(key, b"voicemux/1 " + side + b"\0" + self.transcript, "sha256") if key else b""
            for key, side in zip(self.keys, (b"dialler", b"listener"), strict=True)
        ]
        even, odd, again, last = sha256(b"voicemux/1 words\0", self.transcript)[:4]
        self.words = [EVEN[even], ODD[odd], EVEN[again], ODD[last]]
        self.commitment = sha256(b"voicemux/1 commitment\0", self.dialler_nonce)
        self.nonce = self.dialler_nonce
        self.admitted = method
        self.known = method == KNOWN  # whether Bob has met Alice

    def shown(self) -> Entry:
        share, answer = self.shares
        confirmation, confirmed = self.confirmations
        sent = [
            frame(CLAIM, bytes([self.method]) + self.commitment + bytes([len(share)]) + share + ALICE.certificate),
            frame(CHALLENGE, self.listener_nonce + answer),
            frame(PROOF, self.nonce + bytes([len(confirmation)]) + confirmation + self.signature),
            frame(WELCOME, bytes([self.admitted]) + confirmed),
        ]
        found: Entry = {
            "method": self.method,
            "known": self.known,
            "open": OPEN in (self.method, self.admitted),
            "dialler": ALICE.shown(),
            "listener": BOB.shown(),
            "dialler_nonce": self.dialler_nonce.hex(),
            "listener_nonce": self.listener_nonce.hex(),
        }
        if self.method == CODE:
            found |= {
                "dialled_code": self.dialled,
                "used_code": self.used,
                "dialler_scalar": self.scalars[0].to_bytes(32, "big").hex(),
                "listener_scalar": self.scalars[1].to_bytes(32, "big").hex(),
                "dialler_key": self.keys[0].hex(),
                "listener_key": self.keys[1].hex(),
            }
        messages = dict(zip(("claim", "challenge", "proof", "welcome"), [each.hex() for each in sent], strict=True))
        return found | {"transcript": self.transcript.hex(), "words": self.words, "messages": messages}


def authentication() -> list[Entry]:
    def meeting(name: str, description: str, method: int, codes: tuple[str, ...] = (), **changed: Any) -> Entry:
        met = Meeting(method, *codes)
        outcome = {name: changed.pop(name) for name in ("error", "by") if name in changed}
        vars(met).update(changed)
        return entry(name, "12", description, kind="meeting", **met.shown(), **outcome)

    def refused(name: str, description: str, by: str, error: str, method: int, *codes: str, **changed: Any) -> Entry:
        return meeting(name, description, method, codes, by=by, error=error, **changed)

    def guesses(name: str, description: str, *outcomes: tuple[str, str]) -> Entry:
        shown = [{"code": code, "outcome": outcome} for code, outcome in outcomes]
        return entry(name, "12", description, kind="guesses", code=SPOKEN, guesses=shown)

    def key(name: str, description: str, shown: Person, **outcome: Any) -> Entry:
        who = {"remembered": BOB.fingerprint.hex(), "certificate": shown.certificate.hex()}
        return entry(name, "12", description, kind="key", **who, **outcome)

    both = (SPOKEN, SPOKEN)
    right, wrong = Meeting(CODE, *both), "42-beeswax-carbon"
    of_mallory = MALLORY.sign(b"voicemux/1 dialler\0" + Meeting(KNOWN).transcript)
    replayed = Meeting(KNOWN, listener_nonce=bytes(32)).signature
    unsaid = ALICE.sign(b"voicemux/1 listener\0" + Meeting(KNOWN).transcript)
    listeners, diallers = [right.confirmations[1]] * 2, [right.confirmations[0]] * 2
    return [
        meeting("authentication-known", "Both know the other's key.", KNOWN),
        meeting("authentication-open", "The two users compare the words.", OPEN),
        meeting("authentication-code", "Both know the code.", CODE, both),
        meeting(
            "authentication-admitted-open",
            "The listener does not know the dialler: words are compared.",
            KNOWN,
            admitted=OPEN,
            known=False,
        ),
        refused("proof-wrong-nonce", "Not the one committed to.", "listener", "protocol", KNOWN, nonce=bytes(32)),
        refused("proof-wrong-signature", "By another key.", "listener", "protocol", KNOWN, signature=of_mallory),
        refused("proof-no-signature", "None at all.", "listener", "protocol", KNOWN, signature=b""),
        refused(
            "proof-replayed",
            "Of another conversation: the listener's nonce was another.",
            "listener",
            "protocol",
            KNOWN,
            signature=replayed,
        ),
        refused(
            "proof-signature-of-something-else",
            "Of a text for listeners.",
            "listener",
            "protocol",
            KNOWN,
            signature=unsaid,
        ),
        refused("proof-wrong-confirmation", "Of another code.", "listener", "wrong-code", CODE, wrong, SPOKEN),
        refused(
            "proof-without-confirmation",
            "None at all.",
            "listener",
            "wrong-code",
            CODE,
            *both,
            confirmations=[b"", b""],
        ),
        refused(
            "proof-reflected-confirmation",
            "The listener's own.",
            "listener",
            "wrong-code",
            CODE,
            *both,
            confirmations=listeners,
        ),
        refused(
            "welcome-wrong-confirmation",
            "The listener does not know the code.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=[right.confirmations[0], bytes(32)],
        ),
        refused(
            "welcome-without-confirmation",
            "None at all.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=[right.confirmations[0], b""],
        ),
        refused(
            "welcome-reflected-confirmation",
            "The dialler's own.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=diallers,
        ),
        refused("claim-unknown-method", "3 is none.", "listener", "protocol", 3),
        refused("unknown-caller", "A listener that knows nobody.", "listener", "unknown-caller", KNOWN, known=False),
        guesses(
            "guesses-three",
            "Three wrong ones end a code: then the right one is wrong, too.",
            *[(wrong, "wrong-code")] * 3,
            (SPOKEN, "wrong-code"),
        ),
        guesses("guesses-two", "Two do not.", *[(wrong, "wrong-code")] * 2, (SPOKEN, "admitted")),
        guesses(
            "guesses-spelling",
            "However it is written down.",
            (" 42 Beeswax_CARAVAN! ", "admitted"),
            ("\uff14\uff12-beeswax--caravan", "admitted"),
        ),
        key("key-same", "The listener shows the key that is remembered.", BOB),
        key("key-changed", "Another: nothing is sent inside TLS.", MALLORY, error="key-changed"),
    ]


# --- shown ---------------------------------------------------------------------------------------


def shown() -> list[Entry]:
    def text(name: str, description: str, text: str, harmful: str) -> Entry:
        points = [f"{ord(character):04x}" for character in harmful]
        return entry(f"shown-{name}", "12", description, text=text, harmful=points)

    controls = "".join(map(chr, range(32)))
    late_controls = "".join(map(chr, range(0x7F, 0xA0)))
    bidirectional = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    separators = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
    invisible = "\u00ad\u200b\u2060\u2064\u3164\uffa0\ufeff\U000e0041"
    return [
        text("plain", "Nothing is wrong with it.", "gr\u00fc\u00df dich \u6f22\u5b57 \U0001f3b7!", ""),
        text(
            "escape",
            "Colours, the title of the window, the clipboard.",
            "a\x1b[31mred\x1b]0;title\x07\x1b]52;c;eA==\x1b\\",
            "\x1b\x07",
        ),
        text("controls", "Each of C0.", controls, controls),
        text(
            "late-controls",
            "DEL and C1: some terminals take 9B for an escape sequence.",
            late_controls,
            late_controls,
        ),
        text("backspace", "Writing over what was there.", "no\x08\x08yes", "\x08"),
        text(
            "newlines",
            "Whatever begins a line that looks like the program's own.",
            f"hi{separators}* bob hung up",
            separators,
        ),
        text("bidirectional", "Text that stands elsewhere than it was written.", f"a{bidirectional}b", bidirectional),
        text("invisible", "What shows nothing, and makes two names look the same.", f"bob{invisible}", invisible),
    ]


FILES = {
    "prefaces": prefaces,
    "frames": frames,
    "messages": messages,
    "order": order,
    "conversations": conversations,
    "delivery": delivery,
    "audio": audio,
    "authentication": authentication,
    "shown": shown,
}


def generate(folder: Path) -> None:
    for name, make in FILES.items():
        lines = ",\n".join(json.dumps(each) for each in make())
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
