"""The dissector for Wireshark, run by tshark: over a real call, hand-made segments, and the vectors."""

import json
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import voicemux
from tests.running import PATIENCE, Program, listening

ROOT = Path(__file__).parent.parent
PREFACE = b"VMUX/1\r\n"
HELLO = bytes.fromhex("00050100 0103626f62")
BYE = bytes.fromhex("00020600 0000")
PORT = 8689
SPEECH = Path(voicemux.__file__).parent / "speech" / "listener.wav"
SOUND = 0.5  # seconds of it
DIALLER, LISTENER = "dialler", "listener"

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")

Segment = tuple[int, str, int, bytes]  # stream, who sends it, where in that direction it begins, what it holds


def text(number: int, words: bytes) -> bytes:
    return struct.pack(">HBBI", 4 + len(words), 2, 0, number) + words


def packet(stream: int, sender: str, at: int, data: bytes, flags: int = 0x18) -> bytes:
    ports = (20000 + stream, PORT) if sender == DIALLER else (PORT, 20000 + stream)
    tcp = struct.pack(">HHIIBBHHH", *ports, 1000 + at, 1, 0x50, flags, 65535, 0, 0) + data
    addresses = (b"\x0a\0\0\1", b"\x0a\0\0\2") if sender == DIALLER else (b"\x0a\0\0\2", b"\x0a\0\0\1")
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + b"".join(addresses)
    return bytes(12) + b"\x08\x00" + ip + tcp


def write_capture(path: Path, segments: Iterable[Segment]) -> None:
    """A pcap of Ethernet, each stream with a SYN of both sides before its first segment."""
    packets: list[bytes] = []
    seen: set[int] = set()
    for stream, sender, at, data in segments:
        if stream not in seen:
            seen.add(stream)
            packets += [packet(stream, DIALLER, -1, b"", 0x02), packet(stream, LISTENER, -1, b"", 0x12)]
        packets.append(packet(stream, sender, at, data))
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, each in enumerate(packets):
            file.write(struct.pack("<IIII", number // 1000, number % 1000 * 1000, len(each), len(each)) + each)


def in_segments(stream: int, sender: str, data: bytes, at: int = 0, size: int = 1400) -> list[Segment]:
    return [(stream, sender, at + begin, data[begin : begin + size]) for begin in range(0, len(data), size)]


def dissected(tmp_path: Path, segments: Iterable[Segment], *options: str) -> dict[int, dict[str, Any]]:
    """Of each stream: `info`, what the columns say, and `faults`, what is flagged."""
    capture = tmp_path / "call.pcap"
    write_capture(capture, segments)
    fields = ["tcp.stream", "tcp.dstport", "tcp.srcport", "_ws.col.Info", "_ws.expert.message", "_ws.malformed"]
    run = subprocess.run(
        ["tshark", "-n", "-2", "-r", capture, "-X", f"lua_script:{ROOT / 'contrib/voicemux.lua'}", *options]
        + ["-Y", "voicemux", "-T", "fields", "-E", "aggregator=|"]
        + [argument for field in fields for argument in ("-e", field)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Lua" not in run.stderr, run.stderr
    streams: dict[int, dict[str, Any]] = {}
    for line in run.stdout.splitlines():
        _, to, source, info, faults, malformed = line.split("\t")
        assert "Lua Error" not in line, line
        assert not malformed, line
        number = (int(to) if int(source) == PORT else int(source)) - 20000
        stream = streams.setdefault(number, {"info": [], "faults": ""})
        stream["info"].append(info)
        stream["faults"] += "".join(part for part in faults.split("|") if not part.startswith("Connection "))
    return streams


def call(*frames: bytes, size: int = 1400) -> list[Segment]:
    return in_segments(0, DIALLER, PREFACE + b"".join(frames), size=size)


def test_many_frames_in_one_segment_are_all_named(tmp_path: Path) -> None:
    audio = bytes.fromhex("000a0300 02000011 00000000 ffff")
    found = dissected(tmp_path, call(HELLO, text(1, b"hi"), audio, BYE))[0]
    assert found == {"info": ['preface, HELLO bob, TEXT 1 "hi", AUDIO #17 Opus 2 bytes, BYE NORMAL'], "faults": ""}


@pytest.mark.parametrize("size", [1, 3, 7])
def test_frames_that_span_segments_are_put_together(tmp_path: Path, size: int) -> None:
    found = dissected(tmp_path, call(HELLO, text(1, b"hi"), BYE, size=size))[0]
    assert [part for info in found["info"] for part in info.split(", ")] == [
        "preface",
        "HELLO bob",
        'TEXT 1 "hi"',
        "BYE NORMAL",
    ]
    assert not found["faults"]


def test_a_retransmitted_segment_is_no_second_hello(tmp_path: Path) -> None:
    segments = call(HELLO, text(1, b"hi"), BYE, size=17)
    found = dissected(tmp_path, [segments[0], *segments])[0]
    assert "HELLO" not in found["faults"]
    assert "BYE NORMAL" in found["info"][-1]


def test_segments_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    first, second, third, *rest = call(HELLO, text(1, b"hi"), BYE, size=8)
    found = dissected(tmp_path, [first, third, second, *rest], "-o", "tcp.reassemble_out_of_order:TRUE")[0]
    assert "HELLO bob" in str(found["info"])
    assert "expected" not in found["faults"]


def test_any_port_will_do(tmp_path: Path) -> None:
    found = dissected(tmp_path, call(HELLO, BYE), "-o", "voicemux.port:1")[0]
    assert found["info"] == ["preface, HELLO bob, BYE NORMAL"]


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([bytes.fromhex("10010200")], "frame of at most 4096 bytes expected, got 4097"),
        ([HELLO, bytes(4)], "tag 0"),
        ([HELLO, bytes.fromhex("0001040000")], "PING: 8 bytes expected, got 1"),
        ([HELLO, text(1, b"\xc3")], "TEXT: UTF-8 expected"),
        ([bytes.fromhex("000301000105ff")], "HELLO item runs over the end"),
        ([text(1, b"hi")], "TEXT before HELLO"),
        ([HELLO, HELLO], "HELLO after HELLO"),
        ([HELLO, BYE, text(1, b"hi")], "Ignored"),
        ([HELLO, text(1, b"a"), text(3, b"b")], "TEXT 2 expected, got 3"),
        ([HELLO, bytes.fromhex("0004070000000002")], "TEXT_ACK of 2, which was never sent"),
    ],
)
def test_what_breaks_the_protocol_is_flagged(tmp_path: Path, frames: list[bytes], fault: str) -> None:
    assert fault in dissected(tmp_path, call(*frames))[0]["faults"]


def test_an_encrypted_call_is_left_to_tls(tmp_path: Path) -> None:
    assert not dissected(tmp_path, in_segments(0, DIALLER, bytes.fromhex("1603010005 0100000100")))


def test_grease_is_shown_and_skipped(tmp_path: Path) -> None:
    found = dissected(tmp_path, call(HELLO, bytes.fromhex("00035a00616263"), BYE))[0]
    assert found == {"info": ["preface, HELLO bob, grease 90, BYE NORMAL"], "faults": ""}


class Tap:
    """A TCP proxy for one connection that keeps what passes, as segments of stream 0. A context manager."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.segments: list[Segment] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Tap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)
        self._server.close()

    def _run(self) -> None:
        self._server.settimeout(PATIENCE)
        with self._server.accept()[0] as dialler, socket.create_connection(self._target) as listener:
            back = threading.Thread(target=self._pass, args=(listener, dialler, LISTENER))
            back.start()
            self._pass(dialler, listener, DIALLER)
            back.join()

    def _pass(self, source: socket.socket, to: socket.socket, sender: str) -> None:
        at = 0
        while data := source.recv(1400):
            self.segments.append((0, sender, at, data))
            at += len(data)
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


def test_a_real_call_is_all_named_and_nothing_in_it_is_flagged(tmp_path: Path) -> None:
    sound = str(tmp_path / "heard.wav")
    with (
        listening("--plain", "--name", "bob", "--input", str(SPEECH), "--output", "none") as (bob, address),
        Tap(address) as tap,
        Program("dial", tap.address, "--plain", "--name", "alice", "--input", "none", "--output", sound) as alice,
    ):
        alice.notice_with("connected to")
        bob.notice_with("connected to")
        alice.write("hi bob\n")
        assert "hi bob" in bob.read()
        time.sleep(SOUND)
        alice.close_input()
        assert alice.wait() == 0
    found = dissected(tmp_path, tap.segments)[0]
    info = ", ".join(found["info"])
    for part in (
        "preface",
        "HELLO alice",
        "HELLO bob",
        'TEXT 1 "hi bob"',
        "TEXT_ACK 1",
        "Opus 60 bytes",
        "BYE NORMAL",
    ):
        assert part in info
    assert "unknown" not in info
    assert not found["faults"]


def joined(parts: Any) -> bytes:
    if isinstance(parts, str):
        return bytes.fromhex(parts)
    return b"".join(
        joined(each) if isinstance(each, str) else joined(each["bytes"]) * each["repeat"] for each in parts
    )


def vectors(name: str) -> list[dict[str, Any]]:
    return json.loads((ROOT / "tests/vectors" / f"{name}.json").read_text())  # type: ignore[no-any-return]


# How each kind of fault begins or what it says; what a single direction cannot show (delivery) is not in the vectors.
OF_FRAMES = ("frame of at most 4096 bytes expected", "tag 0")
OF_MESSAGES = (*OF_FRAMES, "out of order:", "bytes expected", "UTF-8 expected", "runs over the end")


def test_the_vectors_are_judged_as_the_document_says(tmp_path: Path) -> None:
    said: list[tuple[str, str, bytes, bool, tuple[str, ...]]] = []  # name, who says it, what, is it wrong, how
    for vector in vectors("frames"):
        said.append((vector["name"], LISTENER, joined(vector["bytes"]), "error" in vector, OF_FRAMES))
    for vector in vectors("order"):
        if not vector["encrypted"]:
            wrong = vector.get("error") == "protocol"
            said.append((vector["name"], vector["from"], joined(vector["bytes"]), wrong, OF_MESSAGES))
    for vector in vectors("messages"):
        data = joined(vector["bytes"])
        tag = data[2]
        if tag not in range(10, 14):  # those are said inside TLS only
            before = b"" if tag in (1, 9) else HELLO
            said.append(
                (vector["name"], LISTENER if tag == 9 else DIALLER, before + data, "error" in vector, OF_MESSAGES)
            )
    segments: list[Segment] = []
    for stream, (_, sender, data, _, _) in enumerate(said):
        segments.append((stream, DIALLER, 0, PREFACE))
        if sender == LISTENER:
            segments.append((stream, LISTENER, 0, PREFACE))
        segments += in_segments(stream, sender, data, len(PREFACE))
    found = dissected(tmp_path, segments)
    misjudged = {
        name: found[stream]
        for stream, (name, _, _, wrong, faults) in enumerate(said)
        if wrong != any(fault in found[stream]["faults"] for fault in faults)
    }
    assert len(said) > 50
    assert not misjudged
