import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from voicemux import __version__
from voicemux.trace.facts import Dropped, HeldBack
from voicemux.trace.file import TraceFile

HELD = HeldBack("voice", "age")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_a_trace_begins_with_who_wrote_it_and_when(tmp_path):
    TraceFile(new_file(tmp_path / "t"), "listener", pytest.fail).close()
    (first,) = lines(tmp_path / "t")
    assert (first["t"], first["event"], first["format"]) == (0.0, "trace", 1)
    assert (first["version"], first["role"]) == (__version__, "listener")
    assert first["time"][:2] == "20"


def test_facts_are_written_in_their_order_with_the_time_since_the_beginning(tmp_path):
    clock = Clock()
    trace = TraceFile(new_file(tmp_path / "t"), "dialler", pytest.fail, clock)
    for number in range(3):
        clock.now += 0.5
        trace(Dropped(number, 130.0, "age"))
    trace.close()
    told = lines(tmp_path / "t")[1:]
    assert [(line["t"], line["number"]) for line in told] == [(0.5, 0), (1.0, 1), (1.5, 2)]
    assert told[0] == {"t": 0.5, "event": "dropped", "number": 0, "waited_ms": 130.0, "why": "age"}


def test_what_a_slow_disk_has_no_room_for_is_counted_and_nothing_waits(tmp_path):
    """A pipe whose reader does not read is a disk that stands still."""
    reader, writer = os.pipe()
    fill(writer)
    trace = TraceFile(writer, "dialler", pytest.fail, most_waiting=10)
    for _ in range(25):
        trace(HELD)  # returns at once
    closing = threading.Thread(target=trace.close)
    closing.start()
    drained = b"".join(iter(lambda: os.read(reader, 65_536), b""))
    closing.join()
    os.close(reader)
    told = [json.loads(line) for line in drained.strip(b"\0").decode().splitlines()]
    assert [line["event"] for line in told] == ["trace", *["held_back"] * 10, "lost"]
    assert told[-1]["lines"] == 15


def fill(writer: int) -> None:
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_a_full_disk_is_told_once_and_takes_nothing_else(tmp_path):
    told: list[str] = []
    trace = TraceFile(os.open("/dev/full", os.O_WRONLY), "dialler", told.append)
    for _ in range(10):
        trace(HELD)
    trace.close()
    trace(HELD)
    assert told == ["no space left on device"]
