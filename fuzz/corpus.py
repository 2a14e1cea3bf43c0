"""What a target begins with: one of everything, the vectors of the protocol, and what earlier runs have found."""

import contextlib
import hashlib
import math
import struct
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzz.direction import Deed
from fuzz.resumption import Act
from tests.console.forgeries import forgeries
from tests.notation import octets, vectors
from tests.relay.notation import vectors as relay_vectors
from voicemux.audio.codec import Encoder, OpusEncoder
from voicemux.audio.pcm import PcmEncoder
from voicemux.errors import LibraryMissing
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    Challenge,
    Claim,
    Codec,
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
)
from voicemux.protocol.wire import PREFACE

FOLDER = Path(__file__).parent
FINDINGS = FOLDER / "findings"

HELLO = Hello("bob", "bot1", (2, 1), bytes(16), 7, 60, paths=True)
CLAIM, CHALLENGE = Claim(1, bytes(32), b"share", b"certificate"), Challenge(bytes(32), b"share")
PROOF, WELCOME = Proof(bytes(32), b"confirmation", b"signature"), Welcome(1)
TALK: list[Message] = [
    Text(1, "h", more=True),
    Text(2, "ü"),
    Text(2, "ü"),
    Ping(b"12345678"),
    Audio(1, 0, 7, 960, b"abcd"),
    Pong(b"12345678"),
    Report(0, 1, 2, 3, 4),
    Arrivals(0, 1, 65_530, 3),
    VoiceState(voice=True, records=True),
    Paths((NetworkPath(1, "192.168.1.5", 8689), NetworkPath(2, "2001:db8::5", 41394)), now=True),
    TextAck(0),
    Text(3, "\x1b[2J"),
    Text(4, "cut off", more=True),
]

OWN = 0b11100  # of a kind: four bytes of step, and a sequence
VOICE = 25  # packets: half a second of Opus
INSIDE = 2  # TLS, of the ways of a greeting
HONEST = bytes(4)  # nobody changes the four messages
WRONG, RIGHT = bytes([0b1010, 0, 0, 0]), bytes([0b1000]) + HONEST  # codes, of Alice; who is refused gets no WELCOME


def inputs(target: str) -> dict[str, bytes]:
    """All that there is for a target, each under a name."""
    return seeds(target) | {path.name: path.read_bytes() for path in sorted((FINDINGS / target).glob("*"))}


def seeds(target: str) -> dict[str, bytes]:
    return {hashlib.sha256(seed).hexdigest()[:16]: seed for seed in SEEDS[target]()}


def streams() -> Iterator[bytes]:
    """Bytes of a direction, with a preface or without."""
    yield PREFACE + _encode(Ringing(), HELLO, *TALK, Bye(0, "bye"))
    yield _encode(*TALK, Bye(0, "bye"))
    yield PREFACE + _encode(CLAIM, PROOF, HELLO)
    yield PREFACE + _encode(CHALLENGE, WELCOME, HELLO)
    for name in ("prefaces", "frames", "messages", "order"):
        yield from (octets(vector["bytes"]) for vector in vectors(name))
    for vector in vectors("conversations"):
        yield from (octets(step["bytes"]) for step in vector["script"] if "bytes" in step)


def _encode(*said: Message) -> bytes:
    return b"".join(map(encode_frame, map(to_frame, said)))


def _cut(stream: bytes) -> list[bytes]:
    """As `Draws.pieces` has it: in one piece, and in four."""
    return [b"\0" + stream, bytes([3, 1, 8, 5]) + stream]


def _greeted(stream: bytes) -> bytes:
    return stream if stream.startswith(PREFACE) else PREFACE + stream


def _voices() -> Iterator[bytes]:
    """As `fuzz.tape` has it: kind, step of the time stamp and sequence if the kind says so, size, data, pause."""
    for vector in vectors("audio"):
        before, events = 0, b""
        for frame in vector["frames"]:
            kind = OWN | {Codec.OPUS: 1, Codec.PCM: 2}.get(frame["codec"], 3)
            step, before = (frame["timestamp"] - before) % 2**32, frame["timestamp"]
            data = octets(frame["data"])[:255]
            events += struct.pack(">BIHB", kind, step, frame["sequence"], len(data)) + data + b"\0"
        yield events
    encoders: list[Encoder] = [PcmEncoder(2.5)]
    with contextlib.suppress(LibraryMissing):
        encoders.append(OpusEncoder(20, 24_000))
    for kind, encoder in enumerate(encoders):
        size = encoder.frame_samples
        samples = array("h", (round(8000 * math.sin(i * math.tau / 200)) for i in range(size * VOICE)))
        packets = (encoder.encode(samples[i * size : (i + 1) * size].tobytes()) for i in range(VOICE))
        yield b"".join(bytes([kind, len(packet)]) + packet + b"\0" for packet in packets)


def _texts() -> Iterator[bytes]:
    yield from ("hi\x1b[2J\u202e\u200b".encode(), b"n<>:|\t\n" * 8, b"\xff\xed\xa0\x80")
    yield from (vector["text"].encode() for vector in vectors("shown"))


def _peers() -> Iterator[bytes]:
    """A screen, and what a peer says that wants to be somebody else on it."""
    for number, (_, forged) in enumerate(forgeries(40)):
        name, *texts = (forged[-16:], forged, forged[:20] * 9)
        said = [Hello(name), *(Text(n, text[:900]) for n, text in enumerate(texts, 1)), Bye(0, forged[:60])]
        yield bytes([39, number, number // 2]) + _encode(*said)


def _answers() -> Iterator[bytes]:
    """What listeners say of who is who. What diallers say would have to fit keys and nonces that targets make up."""
    for vector in vectors("authentication"):
        if vector["kind"] == "meeting":
            yield octets(vector["messages"]["challenge"]) + octets(vector["messages"]["welcome"]) + _encode(HELLO)


def _deeds() -> Iterator[bytes]:
    """What one side is told is what the other side does."""
    for vector in vectors("delivery"):
        events = b""
        for event in vector["script"]:
            match event:
                case {"error": _}:
                    events += bytes([Deed.LIE, 0, 0])
                case {"event": "put", "texts": texts}:
                    events += b"".join(map(_writing, texts))
                case {"event": "received", "text": text}:
                    events += _writing(text) + bytes([Deed.SEND, 1, Deed.RECEIVE, 1])
                case {"event": "send", "ids": ids}:
                    events += bytes([Deed.SEND, len(ids), Deed.RECEIVE, len(ids)])
                case {"event": "acknowledged"}:
                    events += bytes([Deed.SHOW, Deed.ACKNOWLEDGE, 0])
                case {"event": "taken"}:
                    events += bytes([Deed.SHOW])
                case {"event": "resumed" | "lost"}:
                    events += bytes([Deed.SHOW, Deed.RESUME])
        yield events


def _writing(text: Any) -> bytes:
    """A byte says how often the text comes."""
    text, times = (text["text"] * (text["repeat"] // 255), 255) if isinstance(text, dict) else (text, 1)
    return bytes([Deed.WRITE, len(text.encode())]) + text.encode() + bytes([times])


# `write` three times "abc", `send`, `receive`, `show`, and so on: the order of Direction's deeds.
DELIVERY = bytes([0, 3, *b"abc", 200, 1, 100, 2, 50, 5, 10, 2, 20, 3, 4, 1, 6, 0, 7, 1, 9, 4, 0])

# Both say something and write it; it arrives in part, and the connection breaks or another takes its place.
TALKING = bytes([Act.SAY, 0, 3, *b"abc", 200, Act.SAY, 1, 3, *b"xyz", 9, Act.WRITE, 0, 90, Act.WRITE, 1, 90])
READING = bytes([Act.READ, 0, 0, 200, Act.READ, 1, 1, 90, Act.SHOW, 0, 9, Act.SHOW, 1, 9])
BREAKING = bytes([Act.BREAK, 3, 0, 77, 2, 5])
DIALLING = bytes([Act.DIAL, Act.READ, 1, 0, 90, Act.READ, 0, 0, 90])  # the HELLO, and its answer
DIALLING_BESIDE = bytes([Act.DIAL, Act.READ, 3, 2, 0, Act.READ, 2, 2, 0, Act.READ, 1, 0, 90])  # the old one first
LYING = bytes([Act.LIE, 0, 0, 0, 0, 9, 0, Act.LIE, 1, 255, 255, 255, 255, 1, 20, 3, 2, *b"??"])

# As `fuzz.relaying` has it. Two come: one waits, the other calls, both go; and the like with a token and in a crowd.
MEETING = bytes([0, 0, 1, 0b00_0000, 0, 1, 0b01_0000, 1, 3, 3, *b"hi!", 1, 4, 0, 5, 200])
WITH_TOKENS = bytes([0, 0, 1, 0b10_0000, 0, 1, 0b00_0000, 0, 1, 0b01_0000, 1, 1, 0b10_0000, 1])
CROWDING = bytes([0] * 14) + bytes([1, 0b00_0000, 0, 1, 0b00_1000, 1, 1, 0b01_0000, 2, 1, 0b01_0000, 3, 5, 255, 4, 0])
AT_TWO_RELAYS = bytes([0, 0, 0, 1, 0b00_0000, 0, 6, 0, 1, 0b01_0010, 1, 6, 1, 1, 0b01_0000, 2, 5, 200, 6, 0])

SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "preface": lambda: [cut for stream in streams() for cut in _cut(stream[:12])],
    "frames": lambda: [cut for stream in streams() for cut in _cut(stream)],
    "messages": lambda: [stream[2:] for stream in streams()],
    "connection": lambda: [
        bytes([i % 6]) + cut for i, stream in enumerate(streams()) for cut in _cut(_greeted(stream))
    ],
    "delivery": lambda: [DELIVERY, DELIVERY * 3, *_deeds()],
    "resume": lambda: [
        TALKING + READING,
        TALKING + BREAKING + DIALLING + TALKING,
        TALKING + READING + DIALLING_BESIDE + READING + LYING,
        (TALKING + READING + DIALLING_BESIDE) * 3 + BREAKING + bytes([Act.DIAL]) + BREAKING + DIALLING + LYING,
        (TALKING + BREAKING + DIALLING + READING) * 4,
    ],
    "authentication": lambda: [
        *(bytes([door, kind]) + HONEST for door in range(4) for kind in range(12)),
        *(bytes([door]) + 3 * WRONG + RIGHT for door in range(4)),
    ],
    "demultiplexer": lambda: list(streams()),
    "greeting": lambda: [
        *(bytes([way]) + _greeted(stream) for stream in streams() for way in range(3)),
        *(bytes([INSIDE]) + _greeted(answer) for answer in _answers()),
    ],
    "audio": lambda: list(_voices()),
    "printable": lambda: list(_texts()),
    "rows": lambda: list(_peers()),
    "relay_stream": lambda: [
        bytes([kind]) + cut
        for vector in relay_vectors("streams")
        for kind in range(3)
        for cut in _cut(octets(vector["bytes"]))
    ],
    "relay_desk": lambda: [
        bytes([0]) + MEETING * 3,
        bytes([1]) + WITH_TOKENS,
        bytes([0]) + CROWDING,
        bytes([2]) + AT_TWO_RELAYS,
    ],
}
