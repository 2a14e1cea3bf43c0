"""Section 5: layouts, each at its limits, and each fault of them."""

import struct
from typing import Any

from tests.vectors.making.hellos import hellos
from tests.vectors.making.writing import (
    ARRIVALS,
    AUDIO,
    BYE,
    CHALLENGE,
    CLAIM,
    NONCE,
    PATHS,
    PING,
    PONG,
    PROOF,
    PROTOCOL_ERROR,
    REPORT,
    RINGING,
    STATE,
    TEXT,
    TEXT_ACK,
    WELCOME,
    Entry,
    Parts,
    entry,
    frame,
    hexadecimal,
)


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

    def arrivals(name: str, description: str, *fields: int, reserved: int = 0, flags: int = 0) -> Entry:
        known = dict(zip(("source", "sequence", "least", "most"), fields, strict=True))
        encoded = frame(ARRIVALS, struct.pack(">BBHHH", fields[0], reserved, *fields[1:]), flags)
        return good(
            name, "5.14", description, encoded, type="ARRIVALS", canonical=not reserved and not flags, **known
        )

    def state(name: str, description: str, bits: int, *said: str, source: int = 0, flags: int = 0) -> Entry:
        known = {each: each in said for each in ("voice", "muted", "deafened", "records")}
        encoded, canonical = frame(STATE, bytes([source, bits]), flags), bits < 0x10 and not flags
        return good(name, "5.13", description, encoded, type="STATE", source=source, canonical=canonical, **known)

    def paths(name: str, description: str, payload: bytes, *known: list[Any], flags: int = 0) -> Entry:
        encoded, now = frame(PATHS, payload, flags), bool(flags & 1)
        return good(name, "5.15", description, encoded, type="PATHS", paths=list(known), now=now, canonical=flags < 2)

    four, six = bytes.fromhex("02 04 a1b2 c6336402"), bytes.fromhex("01 06 21f1 20010db8 00000000 00000000 00000005")
    known_four, known_six = [2, "198.51.100.2", 41394], [1, "2001:db8::5", 8689]

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
    most_sound: Parts = [(2044, b"\1\0")]
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
        bye("bye-highest-known-code", "16, LATER.", 16),
        bye("bye-unknown-code", "Taken as 7, INTERNAL, and no error.", 65535),
        fault("bye-without-code", "5.5", "One byte is not a code.", frame(BYE, b"\0")),
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
        arrivals(
            "arrivals", "Packets up to number 7 took 4660 to 4700 ms, by a clock of the receiver's.", 0, 7, 4660, 4700
        ),
        arrivals("arrivals-one", "One packet, or several that took as long.", 0, 8, 100, 100),
        arrivals("arrivals-wrap", "The largest has wrapped around: 13 ms apart.", 0, 9, 65_530, 7),
        arrivals("arrivals-highest", "All bits.", 255, 65_535, 65_535, 65_535),
        arrivals("arrivals-another-source", "For relays to come: ignored.", 3, 7, 4660, 4700),
        arrivals("arrivals-reserved", "Ignored.", 0, 7, 4660, 4700, reserved=0xFF),
        arrivals("arrivals-unknown-flags", "Ignored.", 0, 7, 4660, 4700, flags=0xFF),
        fault("arrivals-short", "5.14", "Seven bytes.", frame(ARRIVALS, bytes(7))),
        fault("arrivals-long", "5.14", "Nine bytes.", frame(ARRIVALS, bytes(9))),
        fault("arrivals-empty", "5.14", "None.", frame(ARRIVALS)),
        state("state-nothing", "No voice to send, and nothing that a user has chosen.", 0),
        state("state-voice", "Voice comes.", 8, "voice"),
        state("state-muted", "There is a microphone, and it is switched off.", 9, "voice", "muted"),
        state("state-all", "All bits that have a name.", 15, "voice", "muted", "deafened", "records"),
        state("state-unknown-bits", "Ignored.", 0xFA, "voice", "deafened"),
        state("state-unknown-flags", "Ignored.", 4, "records", flags=0xFF),
        state("state-another-source", "For relays to come: ignored.", 8, "voice", source=3),
        fault("state-short", "5.13", "One byte.", frame(STATE, bytes(1))),
        fault("state-long", "5.13", "Three bytes.", frame(STATE, bytes(3))),
        fault("state-empty", "5.13", "None.", frame(STATE)),
        paths("paths-empty", "Nowhere.", b""),
        paths("paths", "One of each family.", four + six, known_four, known_six),
        paths("paths-now", "A round begins.", four, known_four, flags=1),
        paths("paths-unknown-flags", "Only NOW means something.", four, known_four, flags=0xFE),
        paths("paths-unknown-kind", "Ignored later.", b"\x09" + four[1:] + six, [9, *known_four[1:]], known_six),
        paths("paths-twice", "The same again.", four + four, known_four, known_four),
        paths("paths-most", "Eight.", six * 8, *[known_six] * 8),
        paths(
            "paths-of-any-address",
            "Which are used is judged later.",
            bytes.fromhex("02 04 0000 00000000 03 06 ffff" + "ff" * 16),
            [2, "0.0.0.0", 0],
            [3, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535],
        ),
        fault("paths-too-many", "5.15", "Nine.", frame(PATHS, four * 9)),
        fault("paths-family", "5.15", "There is no family 5.", frame(PATHS, b"\2\5" + four[2:])),
        fault("paths-cut", "5.15", "Three bytes of an address.", frame(PATHS, four[:-1])),
        fault("paths-kind-only", "5.15", "A kind, and then the end.", frame(PATHS, four + b"\2")),
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
