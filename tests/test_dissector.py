"""The dissector for Wireshark, run by tshark: over a real call, hand-made segments, and the vectors."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import voicemux
from tests.notation import octets, vectors
from tests.running import PATIENCE, Program, listening
from voicemux.protocol.wire import TAG_CHALLENGE, TAG_CLAIM, TAG_HELLO, TAG_PROOF, TAG_RINGING, TAG_WELCOME

ROOT = Path(__file__).parent.parent
PREFACE = b"VMUX/1\r\n"
HELLO = bytes.fromhex("00050100 0103626f62")
BYE = bytes.fromhex("00020600 0000")
PORT = 8689
SPEECH = Path(voicemux.__file__).parent / "speech" / "listener.wav"
SOUND = 0.5  # seconds of it
DIALLER, LISTENER = "dialler", "listener"
FIELDS = ("tcp.dstport", "tcp.srcport", "_ws.col.Info", "_ws.expert.message")
DECRYPTED = ("-o", "voicemux.decrypted:TRUE")
NOBODY = 65534
# Wireshark 4.4 ignores -X lua_script as root, without a word.
LIKE_A_USER = (
    ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if os.geteuid() == 0 and shutil.which("setpriv")
    else []
)

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


def shown(capture: Path, fields: Iterable[str], *options: str) -> list[list[str]]:
    """These fields of every packet of calls."""
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are its user's alone
        folder = Path(name)
        folder.chmod(0o755)
        for file in (capture, ROOT / "contrib" / "voicemux.lua"):
            shutil.copyfile(file, folder / file.name)
        run = subprocess.run(
            [*LIKE_A_USER, "tshark", "-n", "-2", "-r", str(folder / capture.name)]
            + ["-X", f"lua_script:{folder / 'voicemux.lua'}", *options]
            + ["-Y", "voicemux", "-T", "fields", "-E", "aggregator=|"]
            + [argument for field in ("_ws.malformed", *fields) for argument in ("-e", field)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=os.environ | {"HOME": name},
        )
    assert "Lua" not in run.stderr, run.stderr
    assert "Lua Error" not in run.stdout
    packets = [line.split("\t") for line in run.stdout.splitlines()]
    assert not any(malformed for malformed, *_ in packets)
    return [packet for _, *packet in packets]


def without_tcp(messages: str) -> str:
    """What voicemux alone is flagged for."""
    return "".join(part for part in messages.split("|") if not part.startswith("Connection "))


def dissected(tmp_path: Path, segments: Iterable[Segment], *options: str) -> dict[int, dict[str, Any]]:
    """Of each stream: `info`, what the columns say, and `faults`, what is flagged."""
    capture = tmp_path / "call.pcap"
    write_capture(capture, segments)
    streams: dict[int, dict[str, Any]] = {}
    for to, source, info, faults in shown(capture, FIELDS, *options):
        number = (int(to) if int(source) == PORT else int(source)) - 20000
        stream = streams.setdefault(number, {"info": [], "faults": ""})
        stream["info"].append(info)
        stream["faults"] += without_tcp(faults)
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

    def __init__(self, address: str, size: int = 1400) -> None:
        """`size` is the most bytes of a segment."""
        host, port = address.rsplit(":", 1)
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.segments: list[Segment] = []
        self._size = size
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Tap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)
        self.close()

    def close(self) -> None:
        """Enough if nobody has entered it."""
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
        to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := source.recv(self._size):
            self.segments.append((0, sender, at, data))
            at += len(data)
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


def talk(bob: Program, address: str, tmp_path: Path) -> None:
    """Alice dials, writes a line, hears bob for a while, and hangs up."""
    sound = str(tmp_path / "heard.wav")
    with Program("dial", address, "--unencrypted", "--name", "alice", "--input", "none", "--output", sound) as alice:
        alice.notice_with("connected to")
        bob.notice_with("connected to")
        alice.write("hi bob\n")
        assert "hi bob" in bob.read()
        time.sleep(SOUND)
        alice.close_input()
        assert alice.wait() == 0


BOB = ("--unencrypted", "--name", "bob", "--input", str(SPEECH), "--output", "none")
BY_ALICE = ("preface", "HELLO alice", 'TEXT 1 "hi bob"', "BYE NORMAL")
BY_BOB = ("preface", "HELLO bob", "TEXT_ACK 1", "Opus 50 bytes", "BYE NORMAL")


def test_a_real_call_is_all_named_and_nothing_in_it_is_flagged(tmp_path: Path) -> None:
    with listening(*BOB) as (bob, address), Tap(address) as tap:
        talk(bob, tap.address, tmp_path)
    found = dissected(tmp_path, tap.segments)[0]
    info = ", ".join(found["info"])
    for part in (*BY_ALICE, *BY_BOB):
        assert part in info
    assert "unknown" not in info
    assert not found["faults"]


@contextlib.contextmanager
def capturing(capture: Path, ports: Iterable[str]) -> Iterator[None]:
    """Write down what passes these ports of this machine. Skips the test if nobody may."""
    port, *_ = ports
    command = [
        "tshark",
        "-n",
        "-l",
        "-i",
        "lo",
        "-f",
        " or ".join(f"port {each}" for each in ports),
        "-w",
        str(capture),
    ]
    command += ["-P", "-T", "fields", "-e", "udp.payload"]
    shows, says = capture.with_suffix(".shown"), capture.with_suffix(".said")
    with (
        shows.open("wb") as out,
        says.open("wb") as err,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        subprocess.Popen(command, stdout=out, stderr=err) as tshark,
    ):

        def await_probe(mark: bytes) -> None:
            """Until it is seen, nobody knows whether what passes now, or what has passed, is captured."""
            deadline = time.monotonic() + PATIENCE
            while mark.hex() not in shows.read_text():
                has_ended, said = tshark.poll() is not None, says.read_text()
                if refused := [line for line in said.splitlines() if "permission" in line.lower()]:
                    pytest.skip(refused[0])
                assert not has_ended, said
                assert time.monotonic() < deadline, said
                probe.sendto(mark, ("127.0.0.1", int(port)))
                time.sleep(0.05)

        try:
            await_probe(b"begin")
            yield
            await_probe(b"end")
        finally:
            tshark.send_signal(signal.SIGINT)


def test_a_real_call_that_is_captured_live_is_all_named(tmp_path: Path) -> None:
    """In segments so small that most frames span some."""
    capture = tmp_path / "call.pcapng"
    with listening(*BOB) as (bob, address), contextlib.closing(Tap(address, size=20)) as tap:
        ports = {each.rsplit(":", 1)[1] for each in (address, tap.address)}  # a call with each: what both say is cut
        with capturing(capture, ports), tap:
            talk(bob, tap.address, tmp_path)
    packets = shown(capture, (*FIELDS, "tcp.segment"))
    for is_bob, parts in ((False, BY_ALICE), (True, BY_BOB)):
        info = ", ".join(packet[2] for packet in packets if (packet[1] in ports) == is_bob)
        for part in parts:
            assert part in info
        assert "unknown" not in info
    assert not [packet for packet in packets if without_tcp(packet[3])]
    put_together = {packet[2].split()[0] for packet in packets if packet[4]}
    assert put_together >= {"HELLO", "AUDIO"}


# How each kind of fault begins or what it says; what a single direction cannot show (delivery) is not in the vectors.
OF_FRAMES = ("frame of at most 4096 bytes expected", "tag 0")
OF_MESSAGES = (
    *(*OF_FRAMES, "out of order:", "bytes expected", "byte expected", "UTF-8 expected", "runs over the end"),
    *("PATHS: at most 8", "PATHS family:"),
)


class Said(NamedTuple):
    """What a vector lets one side say behind its preface, and whether, and how, that is wrong."""

    name: str
    sender: str
    data: bytes
    is_wrong: bool
    faults: tuple[str, ...] = OF_MESSAGES


def misjudged(tmp_path: Path, said: list[Said], *options: str) -> dict[str, dict[str, Any]]:
    segments: list[Segment] = []
    for stream, each in enumerate(said):
        segments.append((stream, DIALLER, 0, PREFACE))
        if each.sender == LISTENER:
            segments.append((stream, LISTENER, 0, PREFACE))
        segments += in_segments(stream, each.sender, each.data, len(PREFACE))
    found = dissected(tmp_path, segments, *options)
    return {
        each.name: found[stream]
        for stream, each in enumerate(said)
        if each.is_wrong != any(fault in found[stream]["faults"] for fault in each.faults)
    }


INSIDE = (TAG_CLAIM, TAG_CHALLENGE, TAG_PROOF, TAG_WELCOME)
BEFORE = {TAG_PROOF: "claim-known", TAG_WELCOME: "challenge"}  # what comes first; in plain calls it is a HELLO
LISTENERS = (TAG_RINGING, TAG_CHALLENGE, TAG_WELCOME)


def messages(*, inside: bool) -> Iterator[tuple[dict[str, Any], Said]]:
    """The vectors of messages that are said inside TLS, or those that plain calls have, too."""
    named = {vector["name"]: octets(vector["bytes"]) for vector in vectors("messages")}
    for vector in vectors("messages"):
        data = named[vector["name"]]
        tag = data[2]
        if (tag in INSIDE) == inside:
            before = named.get(BEFORE.get(tag, ""), b"" if inside or tag in (TAG_HELLO, TAG_RINGING) else HELLO)
            sender = LISTENER if tag in LISTENERS else DIALLER
            yield vector, Said(vector["name"], sender, before + data, "error" in vector)


def orders(*, inside: bool) -> Iterator[Said]:
    for vector in vectors("order"):
        if vector["encrypted"] == inside:
            is_wrong = vector.get("error") == "protocol"
            yield Said(vector["name"], vector["from"], octets(vector["bytes"]), is_wrong)


def test_the_vectors_are_judged_as_the_document_says(tmp_path: Path) -> None:
    said = [
        Said(vector["name"], LISTENER, octets(vector["bytes"]), "error" in vector, OF_FRAMES)
        for vector in vectors("frames")
    ]
    said += [*orders(inside=False), *(each for _, each in messages(inside=False))]
    assert len(said) > 50
    assert not misjudged(tmp_path, said)


def test_so_are_those_that_are_said_inside_tls(tmp_path: Path) -> None:
    said = [*orders(inside=True), *(each for _, each in messages(inside=True))]
    assert len(said) > 30
    assert not misjudged(tmp_path, said, *DECRYPTED)


def test_what_tells_who_is_who_is_taken_apart(tmp_path: Path) -> None:
    told = [(vector["message"], each) for vector, each in messages(inside=True) if not each.is_wrong]
    segments: list[Segment] = []
    for stream, (_, each) in enumerate(told):
        segments.append((stream, each.sender, 0, PREFACE + each.data))
    write_capture(tmp_path / "call.pcap", segments)
    names = ("method", "commitment", "share", "certificate", "nonce", "confirmation", "signature", "admitted")
    fields = [f"voicemux.{name}" for name in names]
    packets = shown(tmp_path / "call.pcap", fields, *DECRYPTED)
    for (message, each), packet in zip(told, packets, strict=True):
        found = {name: value.split("|")[-1].replace(":", "") for name, value in zip(names, packet, strict=True)}
        wanted = {name: value for name, value in message.items() if name != "type"}
        assert {name: found[name] for name in wanted} == {
            name: str(value) if isinstance(value, int) else octets(value).hex() for name, value in wanted.items()
        }, each.name


# What takes a hash or a key to know.
BEYOND = {f"proof-{what}" for what in ("wrong-nonce", "wrong-signature", "no-signature", "replayed")}
BEYOND |= {"proof-signature-of-something-else"}


def test_what_is_for_a_code_is_flagged_in_a_call_without_one(tmp_path: Path) -> None:
    meetings = [vector for vector in vectors("authentication") if vector["kind"] == "meeting"]
    segments: list[Segment] = []
    for stream, vector in enumerate(meetings):
        met = {name: bytes.fromhex(data) for name, data in vector["messages"].items()}
        at = {DIALLER: 0, LISTENER: 0}
        for sender, data in (
            *((DIALLER, PREFACE + met["claim"]), (LISTENER, PREFACE + met["challenge"])),
            *((DIALLER, met["proof"]), (LISTENER, met["welcome"])),
        ):
            segments += in_segments(stream, sender, data, at[sender])
            at[sender] += len(data)
    found = dissected(tmp_path, segments, *DECRYPTED)
    flagged = {vector["name"] for stream, vector in enumerate(meetings) if found[stream]["faults"]}
    assert flagged == {vector["name"] for vector in meetings if vector.get("error") == "protocol"} - BEYOND
