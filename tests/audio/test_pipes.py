import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.audio.speech import speech
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, TAIL_BLOCKS, Block
from voicemux.audio.pipes import PipeSink, PipeSource
from voicemux.errors import DeviceError

Pipe = tuple[int, int]  # the end to read from, and the one to write to


class Stream:
    """As much of sys.stdin or sys.stdout as pipes need."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # the test has closed it
            continue


@pytest.fixture
def source(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeSource]:
    monkeypatch.setattr(sys, "stdin", Stream(pipe[0]))
    source = PipeSource()
    source.start()
    yield source
    source.close()


@pytest.fixture
def sink(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> PipeSink:
    monkeypatch.setattr(sys, "stdout", Stream(pipe[1]))
    sink = PipeSink()
    sink.start()
    return sink


def test_what_is_piped_in_is_read_at_real_pace_and_followed_by_silence(pipe: Pipe, source: PipeSource) -> None:
    said = speech(seconds=0.1).tobytes()
    os.write(pipe[1], said)
    os.close(pipe[1])
    began = source.start()
    blocks = []
    while block := source.read():
        blocks.append(block)
    assert [block.position for block in blocks] == [i * BLOCK_SAMPLES for i in range(len(blocks))]
    assert b"".join(block.pcm for block in blocks) == said + bytes((TAIL_BLOCKS - 1) * BLOCK_BYTES)
    assert time.monotonic() - began >= len(blocks) * BLOCK_SECONDS - 0.01
    assert source.finite


def test_pieces_of_any_size_are_put_together_and_the_last_is_filled_up(pipe: Pipe, source: PipeSource) -> None:
    said = bytes(range(1, 251)) * 3
    for at in range(0, len(said), 7):
        os.write(pipe[1], said[at : at + 7])
    os.close(pipe[1])
    first, second = source.read(), source.read()
    assert first == Block(0, said[:BLOCK_BYTES])
    assert second == Block(BLOCK_SAMPLES, said[BLOCK_BYTES:].ljust(BLOCK_BYTES, b"\0"))


def test_after_a_writer_that_paused_the_positions_are_those_of_the_clock(pipe: Pipe, source: PipeSource) -> None:
    os.write(pipe[1], bytes(BLOCK_BYTES))
    assert source.read()
    time.sleep(0.3)
    os.write(pipe[1], bytes(BLOCK_BYTES))
    block = source.read()
    assert block
    assert 0.2 <= block.position / 48_000 <= 5


def test_stop_wakes_who_waits_for_the_pipe(source: PipeSource) -> None:
    blocks: list[Block | None] = []
    reader = threading.Thread(target=lambda: blocks.append(source.read()))
    reader.start()
    time.sleep(0.05)
    source.stop()
    reader.join(5)
    assert blocks == [None]


def test_what_is_heard_goes_out_at_real_pace(pipe: Pipe, sink: PipeSink) -> None:
    began = time.monotonic()
    said = speech(seconds=0.1).tobytes()
    for at in range(0, len(said), BLOCK_BYTES):
        assert sink.ready()
        sink.write(said[at : at + BLOCK_BYTES])
    assert time.monotonic() - began >= 0.1 - 2 * BLOCK_SECONDS
    assert os.read(pipe[0], 2 * len(said)) == said
    sink.stop()
    assert not sink.ready()
    sink.close()


def test_what_is_heard_may_come_in_pieces_of_any_length(pipe: Pipe, sink: PipeSink) -> None:
    said = speech(seconds=0.1).tobytes()
    for at in range(0, len(said), 2 * 1001):
        sink.write(said[at : at + 2 * 1001])
    assert os.read(pipe[0], 2 * len(said)) == said


def test_a_reader_that_does_not_read_makes_nobody_wait(pipe: Pipe, sink: PipeSink) -> None:
    os.set_blocking(pipe[1], False)
    while select.select([], [pipe[1]], [], 0)[1]:
        os.write(pipe[1], bytes(4096))
    os.set_blocking(pipe[1], True)
    began = time.monotonic()
    for _ in range(10):
        assert sink.ready()
        sink.write(bytes(BLOCK_BYTES))
    assert time.monotonic() - began < 5


def test_a_reader_that_has_gone_is_reported(pipe: Pipe, sink: PipeSink) -> None:
    os.close(pipe[0])
    with pytest.raises(DeviceError, match=r"^cannot write standard output: broken pipe$"):
        sink.write(bytes(BLOCK_BYTES))


REFUSED = """
import os, voicemux.audio.pipes as pipes
try:
    pipes.{}()
except pipes.DeviceError as error:
    os.write(2, str(error).encode())
"""


@pytest.mark.parametrize(
    ("end", "closing", "complaint"),
    [("PipeSource", "<&-", "standard input is closed"), ("PipeSink", ">&-", "standard output is closed")],
)
def test_a_stream_that_was_closed_before_we_began_is_refused(end: str, closing: str, complaint: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closing}', sys.executable, REFUSED.format(end)]
    assert subprocess.run(command, stderr=subprocess.PIPE, check=True).stderr.decode() == complaint
