import fcntl
import io
import os
import select
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile

from tests.audio.clock import Clock
from tests.audio.speech import pitch, samples_of, speech, tone
from tests.peers import wait_until
from voicemux.audio.choices import SoundFile, choice
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome
from voicemux.audio.pipes import PipeSink, PipeSource
from voicemux.audio.stream import SoundStream as AudioStream
from voicemux.audio.stream import standard_input
from voicemux.audio.studio import check_input
from voicemux.errors import DeviceError, Kind

Pipe = tuple[int, int]  # the end to read from, and the one to write to


class Standard:
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
def source(pipe: Pipe, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeSource]:
    monkeypatch.setattr(sys, "stdin", Standard(pipe[0]))
    source = PipeSource(standard_input())
    source.start()
    yield source
    source.close()


@pytest.fixture
def sink(pipe: Pipe, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> PipeSink:
    monkeypatch.setattr(sys, "stdout", Standard(pipe[1]))
    sink = PipeSink()
    sink.start()
    return sink


def test_what_is_piped_in_is_read_at_real_pace_and_followed_by_silence(
    pipe: Pipe, source: PipeSource, clock: Clock
) -> None:
    said = speech(seconds=0.1).tobytes()
    os.write(pipe[1], said)
    os.close(pipe[1])
    began = source.start()
    blocks = []
    while block := source.read():
        blocks.append(block)
    assert [block.position for block in blocks] == [i * BLOCK_SAMPLES for i in range(len(blocks))]
    assert b"".join(block.pcm for block in blocks) == said + bytes((TAIL_BLOCKS - 1) * BLOCK_BYTES)
    assert clock.now - began >= len(blocks) * BLOCK_SECONDS - 0.001
    assert source.finite


def test_pieces_of_any_size_are_put_together_and_the_last_is_filled_up(pipe: Pipe, source: PipeSource) -> None:
    said = bytes(range(1, 251)) * 3
    for at in range(0, len(said), 7):
        os.write(pipe[1], said[at : at + 7])
    os.close(pipe[1])
    first, second = source.read(), source.read()
    assert first == Block(0, said[:BLOCK_BYTES])
    assert second == Block(BLOCK_SAMPLES, said[BLOCK_BYTES:].ljust(BLOCK_BYTES, b"\0"))


def test_after_a_writer_that_paused_the_positions_are_those_of_the_clock(
    pipe: Pipe, source: PipeSource, clock: Clock
) -> None:
    os.write(pipe[1], bytes(BLOCK_BYTES))
    assert source.read()
    clock.sleep(0.3)
    os.write(pipe[1], bytes(BLOCK_BYTES))
    block = source.read()
    assert block
    assert block.position / 48_000 == pytest.approx(0.3, abs=2 * BLOCK_SECONDS)


class Microphone:
    """A program that writes `PIECE` seconds at a time, as it captures them: each sample is the piece's number."""

    PIECE = 0.05  # seconds

    def __init__(self, descriptor: int) -> None:
        self.written = 0  # pieces, also into a pipe that is full
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._capture)
        self._over = threading.Event()

    def __enter__(self) -> "Microphone":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _capture(self) -> None:
        began = time.monotonic()
        while not self._over.wait(max(0.0, began + self.written * self.PIECE - time.monotonic())):
            self.written = round((time.monotonic() - began) / self.PIECE) + 1  # what came while it waited is lost
            samples = np.full(int(self.PIECE * 48_000), self.written, np.int16)
            os.write(self._descriptor, samples.tobytes())


@pytest.mark.timed
@pytest.mark.parametrize("before", [0.4, 1.2], ids=["a pipe that has room", "a full pipe"])
def test_what_a_microphone_captured_before_the_call_is_not_heard_in_it(before: float) -> None:
    # It is told from a file by the pace at which its pieces come, which a stall of the machine spoils now and then.
    assert any(hears_the_present_soon(before) for _ in range(10))


def hears_the_present_soon(before: float) -> bool:
    """Of a microphone that has captured for so many seconds."""
    reader, writer = os.pipe()
    stream = AudioStream(reader, "microphone", owned=True)
    source = PipeSource(stream)
    with Microphone(writer) as microphone:
        time.sleep(before)
        began = time.monotonic()
        source.start()
        captured = microphone.written
        is_soon = time.monotonic() - began < 0.5
        block = source.read()
        assert block
        source.stop()
    source.close()
    stream.close()
    os.close(writer)
    return is_soon and bool(samples_of(block.pcm)[0] >= captured - 1)


PIPE_SIZE = 65_536  # bytes that the kernel holds of a pipe that nobody reads


def bytes_waiting(pipe: IO[bytes]) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("seconds", [0.3, 0.6, 30.0])
def test_the_beginning_of_a_file_is_heard_however_long_it_waited(seconds: float, tmp_path: Path) -> None:
    said = np.arange(int(seconds * 48_000), dtype=np.int16).tobytes()
    (tmp_path / "said").write_bytes(said)
    with subprocess.Popen(["cat", tmp_path / "said"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        pipe = writer.stdout
        source = PipeSource(AudioStream(pipe.fileno(), "cat", owned=False))
        wait_until(lambda: bytes_waiting(pipe) >= min(len(said), PIPE_SIZE))
        source.start()
        assert b"".join(block.pcm for _ in range(10) if (block := source.read())) == said[: 10 * BLOCK_BYTES]
        source.close()
        writer.kill()


def test_what_waits_is_heard_if_nothing_follows(pipe: Pipe, source: PipeSource) -> None:
    said = speech(seconds=0.3).tobytes()
    os.write(pipe[1], said)
    source.start()
    assert b"".join(block.pcm for _ in range(10) if (block := source.read())) == said[: 10 * BLOCK_BYTES]


def test_stop_wakes_who_waits_for_the_pipe(source: PipeSource) -> None:
    blocks: list[Block | None] = []
    reader = threading.Thread(target=lambda: blocks.append(source.read()))
    reader.start()
    reader.join(0.05)
    assert reader.is_alive()
    source.stop()
    reader.join(5)
    assert blocks == [None]


def test_what_is_heard_goes_out_at_real_pace(pipe: Pipe, sink: PipeSink, clock: Clock) -> None:
    began = clock.now
    said = speech(seconds=0.1).tobytes()
    for at in range(0, len(said), BLOCK_BYTES):
        assert sink.ready()
        sink.write(said[at : at + BLOCK_BYTES])
    assert clock.now - began >= 0.1 - 2 * BLOCK_SECONDS
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
import os, voicemux.audio.pipes as pipes, voicemux.audio.stream as stream
try:
    {}()
except pipes.DeviceError as error:
    os.write(2, str(error).encode())
"""


@pytest.mark.parametrize(
    ("end", "closing", "complaint"),
    [
        ("stream.standard_input", "<&-", "standard input is closed"),
        ("pipes.PipeSink", ">&-", "standard output is closed"),
    ],
)
def test_a_stream_that_was_closed_before_we_began_is_refused(end: str, closing: str, complaint: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closing}', sys.executable, REFUSED.format(end)]
    assert subprocess.run(command, stderr=subprocess.PIPE, check=True).stderr.decode() == complaint


# --- what is piped in, and is no raw sound


def refused(path: str) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        check_input(choice(path))
    return caught.value


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def writing(path: Path, data: bytes) -> threading.Thread:
    """Opens the FIFO once, as `espeak-ng --stdout > fifo` does, and writes all of it."""
    writer = threading.Thread(target=lambda: path.write_bytes(data))
    writer.start()
    return writer


class Unpaced(Metronome):
    """Beats as soon as it is waited for."""

    beats = 0

    def wait(self) -> int:
        self.beats += 1
        return self.beats


def sound_of(stream: AudioStream) -> bytes:
    source = PipeSource(stream, Unpaced(first=1))
    pcm = b""
    while block := source.read():
        pcm += block.pcm
    source.close()
    stream.close()
    return pcm


@pytest.mark.parametrize("rate", [48_000, 22_050])
def test_a_fifo_is_opened_once_and_what_is_in_it_is_heard(rate: int, fifo: Path) -> None:
    said = io.BytesIO()
    soundfile.write(said, tone(1000, 1.0, rate), rate, "PCM_16", format="WAV")
    header = said.getvalue()[:40] + b"\xff\xff\xff\x7f"  # as if its length were not known
    writer = writing(fifo, header + said.getvalue()[44:])
    stream = check_input(SoundFile(str(fifo)))
    assert stream
    heard = samples_of(sound_of(stream))
    writer.join(5)
    assert not writer.is_alive()
    assert pitch(heard[4800:43_200]) == pytest.approx(1000, abs=3)
    assert len(heard) / 48_000 == pytest.approx(1.0 + TAIL_BLOCKS * BLOCK_SECONDS, abs=0.02)


def test_raw_sound_in_a_fifo_is_heard_as_it_is(fifo: Path) -> None:
    said = speech(seconds=0.5).tobytes()
    writer = writing(fifo, said)
    stream = check_input(SoundFile(str(fifo)))
    assert stream
    assert sound_of(stream)[: len(said)] == said
    writer.join(5)


def test_a_fifo_whose_writer_is_late_is_waited_for(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.audio.stream.PATIENCE", 0.05)
    stream = check_input(SoundFile(str(fifo)))  # nobody has opened it yet
    assert stream
    said = speech(seconds=0.2).tobytes()
    writer = writing(fifo, said)
    assert sound_of(stream)[: len(said)] == said
    writer.join(5)


@pytest.mark.parametrize(
    ("content", "complaint", "kind"),
    [
        (b"", "{} holds no sound", None),
        (b"Dear diary,\n" * 400, "{} is text, and no sound", None),
        (b"hi\n", "{} is text, and no sound", None),
        (b"\x1f\x8b\x08" + bytes(1000), "{} is a gzip archive, and no sound", Kind.COMPRESSED),
        (b"PK\x03\x04" + bytes(1000), "{} is a ZIP archive, and no sound", Kind.COMPRESSED),
        (b"7z\xbc\xaf\x27\x1c" + bytes(1000), "{} is a 7z archive, and no sound", Kind.COMPRESSED),
        (b"Rar!\x1a\x07\x00" + bytes(1000), "{} is a RAR archive, and no sound", Kind.COMPRESSED),
        (b"%PDF-1.7\n" + bytes(1000), "{} is PDF, and no sound", None),
        (b"OggS\0\2" + bytes(1000), "{} is Ogg, and no raw sound", Kind.NOT_RAW),
        (b"ID3\4\0\0\0\0\0\0" + bytes(1000), "{} is MP3, and no raw sound", Kind.NOT_RAW),
        (b"fLaC\0\0\0\x22" + bytes(1000), "{} is FLAC, and no raw sound", Kind.NOT_RAW),
        (
            b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + bytes(99),
            "that WAV cannot be played: its header is damaged",
            Kind.NOT_RAW,
        ),
    ],
)
def test_what_is_no_raw_sound_is_refused_before_the_call(
    content: bytes, complaint: str, kind: Kind | None, fifo: Path
) -> None:
    writer = writing(fifo, content)
    error = refused(str(fifo))
    writer.join(5)
    assert (str(error), error.kind) == (complaint.format(fifo), kind)


def test_what_comes_too_late_to_be_refused_before_the_call_is_refused_in_it(
    fifo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.audio.stream.PATIENCE", 0.05)
    stream = check_input(SoundFile(str(fifo)))
    assert stream
    writer = writing(fifo, b"fLaC\0\0\0\x22" + bytes(1000))
    with pytest.raises(DeviceError, match=r"is FLAC, and no raw sound$"):
        sound_of(stream)
    writer.join(5)
    stream.close()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_a_device_of_the_system_is_no_source(path: str) -> None:
    assert str(refused(path)) == f"cannot use {path} as sound: it is neither a file nor a pipe"


def test_a_socket_in_the_file_system_is_no_source(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert str(refused(path)) == f"cannot use {path} as sound: it is neither a file nor a pipe"


def test_a_terminal_is_no_raw_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    monkeypatch.setattr(sys, "stdin", Standard(theirs))
    assert str(refused("-")) == "standard input is a terminal: raw sound has to be piped into it"
    os.close(ours)
    os.close(theirs)
