"""`--trace` of the shipped program: what both ends of a call write about it."""

import json
import os
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.audio.speech import RATE, speech
from tests.running import Program, calling, listening, run
from voicemux import __version__

WORDS = ["good morning", "the second line", "x" * 3000, "bye then"]
FRAMES = [1, 1, 3, 1]  # of each of these: at most 1024 bytes of text go in one


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def frames(trace: list[dict[str, Any]], way: str, kind: str) -> list[dict[str, Any]]:
    return [line for line in trace if line["event"] == "frame" and (line["way"], line["type"]) == (way, kind)]


def test_both_ends_of_a_call_tell_the_same_frames_and_what_became_of_them(tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    soundfile.write(said, speech(seconds=3), RATE)
    alice_trace, bob_trace = tmp_path / "alice.jsonl", tmp_path / "bob.jsonl"
    alice = ("--input", str(said), "--output", "none", "--trace", str(alice_trace))
    bob = ("--input", "none", "--output", str(tmp_path / "heard.wav"), "--once", "--trace", str(bob_trace))
    with calling(alice=alice, bob=bob) as (dialler, listener):
        for text in WORDS:
            dialler.write(f"{text}\n")
        dialler.close_input()  # alice hangs up when all has been said
        assert (dialler.wait(), listener.wait()) == (0, 0)
    there, here = lines(alice_trace), lines(bob_trace)

    assert [(each[0]["event"], each[0]["version"], each[0]["role"]) for each in (there, here)] == [
        ("trace", __version__, "dialler"),
        ("trace", __version__, "listener"),
    ]
    for trace in (there, here):
        assert [line["t"] for line in trace] == sorted(line["t"] for line in trace)
        assert [line["event"] for line in trace].count("call_began") == 1
        assert trace[-1]["event"] in ("call_ended", "frame")

    texts = frames(there, "sent", "TEXT")
    assert [line["id"] for line in texts] == list(range(1, sum(FRAMES) + 1))
    assert [line["id"] for line in frames(here, "received", "TEXT")] == [line["id"] for line in texts]
    assert frames(there, "received", "TEXT_ACK")[-1]["id"] == texts[-1]["id"]

    packets = frames(there, "sent", "AUDIO")
    assert len(packets) >= 3000 / 60  # milliseconds in the longest packets
    assert frames(here, "received", "AUDIO") == [
        {**line, "t": came["t"], "way": "received"}
        for line, came in zip(packets, frames(here, "received", "AUDIO"), strict=True)
    ]
    decided = Counter((line["event"], line.get("what")) for line in there)
    assert decided["chosen", "voice"] == len(packets)
    assert decided["chosen", "text"] == len(texts)
    numbers = [line["number"] for line in there if line["event"] == "dropped"]
    assert len(numbers) + len(packets) == packets[-1]["sequence"]
    assert [line for line in there if line["event"] == "line_seen" and line["round_trip_ms"] is not None]

    sound = [line["sequence"] for line in frames(here, "received", "AUDIO") if not line["silence"]]
    became = [line["number"] for line in here if line["event"] in ("played", "not_played")]
    assert sorted(became) == sound[: len(became)]
    assert len(became) > 0.8 * len(sound), "all but what had not been played when the call ended"

    for path in (alice_trace, bob_trace):
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert not [text for text in (*WORDS, "alice", "bob", "127.0.0.1") if text in path.read_text()]


def test_a_dialler_tells_the_frames_before_the_call_too_without_any_proof(tmp_path: Path) -> None:
    kept = tmp_path / "call.jsonl"
    with calling("--no-audio", alice=("--trace", str(kept)), bob=("--once",)) as (alice, bob):
        alice.write("hi\n")
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
    trace = lines(kept)
    began = next(number for number, line in enumerate(trace) if line["event"] == "call_began")
    before = [(line["way"], line["type"]) for line in trace[1:began] if line["type"] not in ("padding", "RINGING")]
    assert before == [
        ("sent", "CLAIM"),
        ("received", "CHALLENGE"),
        ("sent", "PROOF"),
        ("received", "WELCOME"),
        ("sent", "HELLO"),
        ("received", "HELLO"),
    ]
    told = {key for line in trace[1:began] for key in line} - {"t", "event", "way", "type", "size", "tag"}
    assert told == {"method", "admitted", "agent", "codecs", "last_text", "grace", "paths", "channels"}


def test_a_dialler_that_is_refused_has_the_frames_that_say_so(tmp_path: Path) -> None:
    kept = tmp_path / "call.jsonl"
    with listening("--no-audio") as (_, address):
        code, _, _ = run("dial", address, "8-wrong-code", "--no-audio", "--trace", str(kept))
    assert code == 6
    assert frames(lines(kept), "received", "BYE")[-1]["code"] == 11  # protocol.md §14: WRONG_CODE


def test_a_trace_replaces_no_file_and_a_line_says_its_name(tmp_path: Path) -> None:
    kept = tmp_path / "call.jsonl"
    kept.write_text("what was there")
    with calling("--no-audio", alice=("--trace", str(kept)), bob=("--once",)) as (alice, bob):
        alice.write("hi\n")
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
        assert f"voicemux: {kept} is there already: the trace goes to {tmp_path}/call-2.jsonl" in alice.err
    assert kept.read_text() == "what was there"
    assert lines(tmp_path / "call-2.jsonl")[-1]["event"] == "call_ended"


@pytest.mark.parametrize("command", ["dial", "listen"])
def test_a_trace_that_cannot_be_written_ends_the_program_before_any_call(command: str, tmp_path: Path) -> None:
    place = ("127.0.0.1:1",) if command == "dial" else ("--host", "127.0.0.1", "--port", "0")
    path = tmp_path / "none" / "call.jsonl"
    code, out, err = run(command, *place, "--no-audio", "--trace", str(path))
    assert (code, out, err) == (5, [], [f"voicemux: cannot write {path}: no such file or directory"])


def small_files() -> None:
    """A limit of their size stands for a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1001, 1001))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_disk_that_is_full_ends_the_trace_and_no_call(tmp_path: Path) -> None:
    kept = tmp_path / "call.jsonl"
    traced = ("--trace", str(kept))
    with (
        listening("--no-audio", "--name", "bob", "--once") as (bob, address),
        Program("dial", address, "--name", "alice", "--no-audio", *traced, preexec_fn=small_files) as alice,
    ):
        alice.notice_with("connected to")
        for number in range(10):
            alice.write(f"line {number}\n")
            assert bob.read() == f"alice> line {number}"
        alice.write("still here\n")
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
        told = [line for line in alice.err if "cannot write" in line]
        assert told == [f"voicemux: cannot write {kept}: file too large; the trace ends here"]
        assert bob.out[-1].endswith("alice> still here")
    assert kept.stat().st_size == 1001
