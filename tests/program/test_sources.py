"""What is given as a microphone, and is none: pipes, files and what is neither, as a user would."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import ALIKE, DIALLER, RATE, SYLLABLE, level, likeness, speech
from tests.peers import holds
from tests.running import PATIENCE, Program, listening, run

FEW_WORDS = speech(seconds=2)
HELPS = "| ffmpeg -i - -f s16le -ar 48000 -ac 1 - | voicemux"


def wav_of_a_pipe(path: Path, rate: int = 22_050) -> Path:
    """As espeak-ng writes it to a pipe: at its own rate, and with a length that is made up."""
    at = np.arange(int(len(FEW_WORDS) * rate / RATE)) * RATE / rate
    soundfile.write(path, np.interp(at, np.arange(len(FEW_WORDS)), FEW_WORDS / 2**15), rate, "PCM_16")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\x24\xf0\xff\x7f" + data[8:40] + b"\x00\xf0\xff\x7f" + data[44:])
    return path


@pytest.mark.parametrize("way", ["-", "/dev/stdin", "<(...)", "fifo"])
def test_speech_that_is_piped_in_as_wav_is_heard_at_its_own_pace(way: str, tmp_path: Path) -> None:
    said, heard = wav_of_a_pipe(tmp_path / "said.wav"), tmp_path / "heard.wav"
    with listening("--input", "none", "--output", str(heard), "--once") as (bob, address):
        arguments, redirect, writer = (way,), f"< {said}", None
        if way == "<(...)":
            arguments, redirect = ("/dev/fd/9",), f"9< <(cat {said})"
        elif way == "fifo":
            os.mkfifo(tmp_path / "fifo")
            arguments, redirect = (str(tmp_path / "fifo"),), ""
            writer = subprocess.Popen(["cp", "--", said, tmp_path / "fifo"])
        elif way == "-":
            redirect = f"< <(cat {said})"
        with Program("dial", address, "--output", "none", "--input", *arguments, redirect=redirect) as alice:
            alice.close_input()
            assert (alice.wait(), bob.wait()) == (0, 0)
        if writer:
            assert writer.wait(PATIENCE) == 0
    sound = soundfile.read(heard, dtype="int16")[0]
    assert likeness(FEW_WORDS, sound, SYLLABLE) > ALIKE
    assert level(sound) < 1.5 * level(FEW_WORDS)


@pytest.mark.parametrize("form", ["MP3", "OGG", "FLAC", "AIFF", "AU"])
def test_a_form_that_cannot_be_taken_from_a_pipe_is_refused_before_the_call(form: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    soundfile.write(file, FEW_WORDS, RATE, format=form)
    with Program("dial", "localhost:1", "--input", "-", "--output", "none", redirect=f"< {file}") as alice:
        assert alice.wait() == 5
        (line,) = alice.err
        assert line.startswith("voicemux: standard input is ")
        assert HELPS in line


@pytest.mark.parametrize(
    ("redirect", "complaint"),
    [
        ("< /etc/passwd", "standard input is text, and no sound"),
        ("< /dev/null", "standard input holds no sound"),
        ("<&-", "standard input is closed"),
    ],
)
def test_what_is_no_sound_at_all_is_refused_before_the_call(redirect: str, complaint: str) -> None:
    with Program("dial", "localhost:1", "--input", "-", "--output", "none", redirect=redirect) as alice:
        assert (alice.wait(), alice.err) == (5, [f"voicemux: {complaint}"])


@pytest.mark.parametrize("command", [["dial", "localhost:1"], ["listen", "--port", "0"]])
def test_a_path_that_can_be_no_source_is_refused_before_the_call(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary\n" * 50)
    (tmp_path / "empty").touch()
    for path, complaint in [
        (tmp_path, f"cannot open {tmp_path}: is a directory"),
        (tmp_path / "notes.txt", f"cannot use {tmp_path}/notes.txt as sound: format not recognised; if it is sound"),
        (tmp_path / "empty", f"{tmp_path}/empty is empty"),
        (Path("/dev/urandom"), "cannot use /dev/urandom as sound: it is neither a file nor a pipe"),
        (tmp_path / "nothing" / "there", f"cannot open {tmp_path}/nothing/there: no such file or directory"),
    ]:
        code, out, err = run(*command, "--input", str(path), "--output", "none")
        assert (code, out, len(err)) == (5, [], 1)
        assert err[0].startswith(f"voicemux: {complaint}")


def test_a_file_that_the_other_side_cannot_hear_is_told_and_counts_as_played() -> None:
    with (
        listening("--no-audio", "--once") as (bob, address),
        Program("dial", address, "--input", str(DIALLER), "--output", "none") as alice,
    ):
        said = f"voicemux: the other side plays no voice: {DIALLER.name} is not sent"
        assert alice.notice_with("plays no voice") == said
        assert holds(lambda: alice.process.poll() is None, 0.5), "somebody may still type"
        alice.write("then I write it\n")
        assert bob.read().endswith("> then I write it")
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)


def test_a_pipe_that_the_other_side_cannot_hear_ends_the_call(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(FEW_WORDS.tobytes())
    with (
        listening("--no-audio", "--once") as (bob, address),
        Program("dial", address, "--input", "-", "--output", "none", redirect=f"< {raw}") as alice,
    ):
        assert (alice.wait(), bob.wait()) == (0, 0)
        assert [line for line in alice.err if "plays no voice: standard input is not sent" in line]
