import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.audio.clock import Clock
from tests.audio.speech import level, pitch, samples_of, tone
from voicemux.audio.endpoints import BLOCK_SAMPLES, BLOCK_SECONDS, RATE
from voicemux.audio.files import load
from voicemux.audio.recording import ENDINGS, FileSink, Recording, claim
from voicemux.errors import DeviceError

BLOCK = tone(1000, BLOCK_SECONDS).tobytes()
SECOND = tone(1000, 1.0).tobytes()

# What a program that is killed leaves: it writes in blocks as a call does, says so, and waits for its end.
WRITER = """
import sys, time
from voicemux.audio.recording import Recording
recording = Recording(sys.argv[1])
pcm = sys.stdin.buffer.read()
for start in range(0, len(pcm), 480):
    recording.write(pcm[start : start + 480])
print("written", flush=True)
time.sleep(60)
"""


def killed(path: Path, pcm: bytes) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(pcm)
        writer.stdin.close()
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("peak", [10_000, 0], ids=["a tone", "silence"])
def test_what_was_recorded_is_there_after_kill_9_but_for_the_last_half_second(
    ending: str, peak: float, tmp_path: Path
) -> None:
    path = tmp_path / f"heard{ending}"
    killed(path, tone(1000, 4.0, peak=peak).tobytes())
    samples, rate = load(str(path))
    assert rate == RATE
    assert 3.5 <= len(samples) / RATE <= 4.0
    middle = samples[RATE : 2 * RATE]
    assert level(middle) == pytest.approx(level(tone(1000, 1.0, peak=peak)), rel=0.1, abs=2)
    assert not peak or pitch(middle) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_recording_that_is_closed_has_all(ending: str, tmp_path: Path) -> None:
    recording = Recording(str(tmp_path / f"heard{ending}"))
    for _ in range(203):
        recording.write(BLOCK)
    recording.close()
    samples, _ = load(recording.path)
    lossless = ending not in (".ogg", ".opus", ".mp3")
    assert len(samples) == pytest.approx(203 * BLOCK_SAMPLES, abs=0 if lossless else 1152 * 3)
    assert not lossless or samples.tobytes() == 203 * BLOCK


def test_samples_of_any_number_come_in_pieces_of_any_size(tmp_path: Path) -> None:
    recording = Recording(str(tmp_path / "heard.wav"))
    said = tone(440, 0.9)[:43_211]
    for start in range(0, len(said), 977):
        recording.write(said[start : start + 977].tobytes())
    recording.close()
    assert load(recording.path)[0].tobytes() == said.tobytes()


def test_a_recording_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "heard.wav").write_bytes(b"dear")
    (tmp_path / "heard-3.wav").symlink_to(tmp_path / "elsewhere")
    paths = []
    for _ in range(3):
        recording = Recording(str(tmp_path / "heard.wav"))
        recording.close()
        paths.append(os.path.basename(recording.path))
    assert paths == ["heard-2.wav", "heard-4.wav", "heard-5.wav"]
    assert (tmp_path / "heard.wav").read_bytes() == b"dear"
    assert not (tmp_path / "elsewhere").exists()


def test_a_recording_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        recording = Recording(str(tmp_path / "heard.flac"))
        recording.close()
    finally:
        os.umask(mask)
    assert os.stat(recording.path).st_mode & 0o777 == 0o600


def test_many_who_want_a_name_at_once_get_one_each(tmp_path: Path) -> None:
    paths: list[str] = []

    def take() -> None:
        for _ in range(20):
            descriptor, path = claim(str(tmp_path / "heard.wav"))
            os.close(descriptor)
            paths.append(path)

    takers = [threading.Thread(target=take) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(set(paths)) == len(paths) == 160


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("no folder/heard.wav", "no such file or directory"),
        ("notes.txt/heard.wav", "not a directory"),
        ("folder.wav", "it is a folder"),
        ("heard.txt", f"a recording's name ends in {', '.join(ENDINGS)}"),
        ("wav", f"a recording's name ends in {', '.join(ENDINGS)}"),
    ],
)
def test_a_recording_that_cannot_be_made_is_refused(path: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.wav").mkdir()
    path = os.path.join(tmp_path, path)
    with pytest.raises(DeviceError) as caught:
        Recording(path)
    assert str(caught.value) == f"cannot write {path}: {complaint}"
    assert sorted(os.listdir(tmp_path)) == ["folder.wav", "notes.txt"]


@pytest.mark.parametrize("name", ["a\0b.wav", "\ud800.wav"])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="this system has no such names"):
        Recording(str(tmp_path / name))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_recording_may_have_a_name_of_nothing_but_its_ending(ending: str, tmp_path: Path) -> None:
    Recording(str(tmp_path / ending)).close()
    assert os.listdir(tmp_path) == [ending]


def write_often(recording: Recording, pcm: bytes) -> None:
    for _ in range(100):
        recording.write(pcm)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".aiff", ".mp3"])
def test_a_disk_that_takes_no_more_is_reported_once_and_keeps_what_it_has(ending: str, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    rng = np.random.default_rng(1)
    noise = rng.integers(-9000, 9000, RATE // 4, np.int16).tobytes()
    recording = Recording(str(tmp_path / f"heard{ending}"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_001, limits[1]))  # Python ignores the signal
    try:
        with pytest.raises(DeviceError, match=rf"^cannot write heard{ending}: [a-z]"):
            write_often(recording, noise)
        recording.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.stat(recording.path).st_size <= 60_001
    if ending != ".flac":  # whose last block is cut
        assert len(load(recording.path)[0]) > RATE // 4


@pytest.mark.parametrize("ending", [".wav", ".au"])
def test_a_disk_that_does_not_even_take_the_header_has_no_file_afterwards(ending: str, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(DeviceError, match=rf"^cannot write heard{ending}: file too large$"):
            Recording(str(tmp_path / f"heard{ending}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", [*ENDINGS, ".WAV"])
def test_a_recording_is_as_long_as_what_was_played(ending: str, tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / f"heard{ending}"
    sink = FileSink(str(path))
    assert (sink.label, sink.path) == (path.name, str(path))
    sink.start()
    for _ in range(50):
        assert sink.ready()
        sink.write(BLOCK)
    sink.stop()
    assert not sink.ready()
    sink.close()
    samples, rate = load(str(path))
    assert rate == RATE
    # MP3 has whole frames only.
    assert (
        50 * BLOCK_SAMPLES
        <= len(samples)
        <= 52 * BLOCK_SAMPLES + (1152 * 3 if ending in (".mp3", ".ogg", ".opus") else 0)
    )
    middle = samples[len(samples) // 4 : len(samples) // 2]
    assert pitch(middle) == pytest.approx(1000, abs=20)
    assert level(middle) == pytest.approx(level(tone(1000, 1)), rel=0.1)


def test_a_recording_has_silence_where_nothing_was_played_in_time(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "heard.wav"
    sink = FileSink(str(path))
    began = sink.start()
    assert sink.ready()
    sink.write(BLOCK)
    clock.sleep(0.3)
    assert sink.ready()
    sink.write(BLOCK)
    lasted = clock.now - began
    sink.close()
    samples, _ = load(str(path))
    assert len(samples) / RATE == pytest.approx(lasted, abs=0.02)
    assert not samples[BLOCK_SAMPLES:-BLOCK_SAMPLES].any()
    assert samples[-BLOCK_SAMPLES:].any()


def test_a_stall_of_a_minute_becomes_a_minute_of_silence_piece_by_piece(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = FileSink(str(tmp_path / "heard.wav"))
    sink.start()
    clock.sleep(60)
    assert sink.ready()
    sizes = []
    write = Recording.write
    monkeypatch.setattr(Recording, "write", lambda recording, pcm: (sizes.append(len(pcm)), write(recording, pcm))[1])
    sink.write(SECOND)
    sink.close()
    assert max(sizes) <= RATE * 2
    samples, _ = load(sink.path)
    assert len(samples) == 61 * RATE
    assert samples_of(SECOND).tolist() == samples[-RATE:].tolist()
