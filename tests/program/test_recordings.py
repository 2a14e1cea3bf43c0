"""Recordings of the shipped program: whatever plays what arrives, and however the program ends."""

import contextlib
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import ALIKE, DIALLER, LISTENER, RATE, SYLLABLE, Samples, level, likeness, speech
from tests.peers import holds, wait_until
from tests.running import Program, calling, listening
from tests.soundcards import SoundCards, without_sound

FEW_WORDS = speech(seconds=2)
SPEAKER = ("--input", str(DIALLER), "--output", "none")
NEARLY = 1.5  # seconds between a recording and its call on a machine that stalls


def sound_of(path: Path) -> Samples:
    samples: Samples = soundfile.read(path, dtype="int16")[0]
    return samples


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_listener_that_is_killed_leaves_what_it_has_heard(ending: str, tmp_path: Path) -> None:
    heard = tmp_path / f"heard.{ending}"
    with calling(alice=SPEAKER, bob=("--input", "none", "--output", str(heard), "--once")) as (_, bob):
        began = time.monotonic()
        time.sleep(3)
        bob.process.send_signal(signal.SIGKILL)
        bob.wait()
        sound = sound_of(heard)
        assert len(sound) / RATE == pytest.approx(time.monotonic() - began, abs=NEARLY)
        assert likeness(FEW_WORDS, sound, SYLLABLE) > ALIKE
        assert os.stat(heard).st_mode & 0o777 == 0o600


def test_what_was_recorded_before_stays_and_a_line_says_the_new_name(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    for number in range(3):
        bob = ("--input", "none", "--record", str(heard), "--output", "none", "--once")
        with calling(alice=("--no-audio",), bob=bob) as (alice, listener):
            alice.write("hi\n")
            alice.close_input()
            assert (alice.wait(), listener.wait()) == (0, 0)
            said = f"voicemux: {heard} is there already: recording to {tmp_path}/heard-{number + 1}.wav"
            assert (said in listener.err) == (number > 0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["heard-2.wav", "heard-3.wav", "heard.wav"]


def test_a_call_that_does_not_come_about_leaves_no_recording(tmp_path: Path) -> None:
    with listening("--no-audio", "--name", "bob") as (bob, address), Program("dial", address, "--no-audio") as first:
        first.notice_with("connected to")
        with Program("dial", address, "--input", "none", "--output", str(tmp_path / "heard.wav")) as second:
            assert second.wait() == 1
        bob.close_input()
    assert not list(tmp_path.iterdir())


def test_what_arrives_is_recorded_without_a_sound_card(tmp_path: Path) -> None:
    kept, said, folder = tmp_path / "kept.wav", tmp_path / "said.wav", tmp_path / "nothing"
    folder.mkdir()
    soundfile.write(said, FEW_WORDS, RATE)
    alice = ("--input", str(said), "--output", "none")
    bob = ("--record", str(kept), "--once")
    with calling(alice=alice, bob=bob, bob_env=without_sound(folder)) as (dialler, listener):
        dialler.close_input()
        assert (dialler.wait(), listener.wait()) == (0, 0)
    assert likeness(FEW_WORDS, sound_of(kept), SYLLABLE) > ALIKE


@pytest.mark.parametrize("trouble", ["dies", "freezes"])
def test_what_arrives_is_recorded_while_the_sound_server(trouble: str, tmp_path: Path) -> None:
    """Ten seconds of a call are ten seconds of a recording, and all that was said is in it."""
    kept, said = tmp_path / "kept.wav", tmp_path / "said.wav"
    words = np.concatenate((speech(seconds=6), np.zeros(RATE // 2, np.int16)))
    soundfile.write(said, words, RATE)
    alice = ("--input", str(said), "--output", "none")
    bob = ("--input", "none", "--record", str(kept), "--once", "--json")
    with (
        SoundCards() as cards,
        listening(*bob, env=cards.env("b")) as (listener, address),
        Program("dial", address, *alice) as dialler,
    ):
        listener.event("connected")
        time.sleep(1.5)
        if trouble == "dies":
            cards.kill()
            dialler.close_input()
            ended = listener.event("ended")
        else:
            with cards.frozen():
                time.sleep(2.5)
            dialler.close_input()
            ended = listener.event("ended")
        assert listener.wait() == 0
    sound = sound_of(kept)
    assert len(sound) / RATE == pytest.approx(ended["stats"]["seconds"], abs=NEARLY)
    assert likeness(words[: 6 * RATE], sound, SYLLABLE) > ALIKE


def test_a_recording_has_silence_where_nothing_came(tmp_path: Path) -> None:
    """Bob says something for two seconds and then nothing, and is no less recorded."""
    kept, said = tmp_path / "kept.wav", tmp_path / "said.wav"
    soundfile.write(said, FEW_WORDS, RATE)
    alice = ("--input", "none", "--output", "none", "--record", str(kept), "--json")
    with (
        listening("--input", str(said), "--output", "none") as (_, address),
        Program("dial", address, *alice) as caller,
    ):
        caller.event("connected")
        time.sleep(6)
        caller.command(command="quit")
        ended = caller.event("ended")
        assert caller.wait() == 0
    sound = sound_of(kept)
    assert len(sound) / RATE == pytest.approx(ended["stats"]["seconds"], abs=NEARLY)
    assert level(sound[-RATE:]) < 30


def small_files() -> None:
    """A limit of their size stands for a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_001, 100_001))


@pytest.mark.parametrize("option", ["--output", "--record"])
def test_a_full_disk_ends_a_recording_and_no_call(option: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.wav"
    sound = ("--input", "none", option, str(kept), *(("--output", "none") if option == "--record" else ()))
    with (
        listening(*SPEAKER, "--name", "bob") as (bob, address),
        Program("dial", address, "--name", "alice", *sound, preexec_fn=small_files) as alice,
    ):
        assert alice.notice_with("cannot write").startswith("voicemux: cannot write kept.wav: ")
        alice.write("I cannot record you\n")
        assert bob.read() == "alice> I cannot record you"
        bob.write("never mind\n")
        assert alice.read() == "bob> never mind"
        alice.close_input()
        assert alice.wait() == 5
        assert len([line for line in alice.err if "cannot write" in line]) == 1
    assert len(sound_of(kept)) == 100_001 // 2 - 22


@pytest.mark.parametrize("command", ["dial", "listen"])
def test_an_output_whose_reader_goes_ends_the_call_and_the_program(command: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    raw = ("--input", "none", "--output", "-")
    with contextlib.ExitStack() as stack:
        if command == "listen":
            program, address = stack.enter_context(listening(*raw, redirect=f"> {pipe}"))
            other = stack.enter_context(Program("dial", address, *SPEAKER))
        else:
            other, address = stack.enter_context(listening(*SPEAKER, "--once"))
            program = stack.enter_context(Program("dial", address, *raw, redirect=f"> {pipe}"))
        program.notice_with("connected to")
        assert holds(lambda: program.process.poll() is None, 0.3)
        os.close(reader)
        assert program.wait() == 5
        assert other.wait() == 0
        (said,) = [line for line in program.err if "broken pipe" in line]
        assert said == "voicemux: cannot write standard output: broken pipe; the call ends"


def both_sides_of(path: Path) -> tuple[Samples, Samples]:
    both, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert (rate, both.shape[1]) == (RATE, 2)
    return both[:, 0], both[:, 1]


def test_both_sides_are_recorded_side_by_side_and_the_other_side_is_told(tmp_path: Path) -> None:
    """Alice says one thing, Bob another, both at once; then Alice is killed, and her file can be played."""
    kept, hers, his = (tmp_path / name for name in ("call.wav", "hers.wav", "his.wav"))
    soundfile.write(hers, speech(DIALLER, 3), RATE)
    soundfile.write(his, speech(LISTENER, 3), RATE)
    bob = ("--input", str(his), "--output", "none", "--record", str(tmp_path / "heard.wav"), "--name", "bob")
    with (
        listening(*bob) as (listener, address),
        Program(
            "dial", address, "--name", "alice", "--input", str(hers), "--output", "none", "--record-call", str(kept)
        ) as alice,
    ):
        listener.notice_with("record")  # in what is said of the call at its beginning, or in a line of its own
        alice.notice_with("connected to")
        wait_until(lambda: kept.stat().st_size > 4 * RATE * 4)
        alice.process.send_signal(signal.SIGKILL)
        alice.wait()
    left, right = both_sides_of(kept)
    assert likeness(speech(DIALLER, 2), left, SYLLABLE) > ALIKE
    assert likeness(speech(LISTENER, 2), right, SYLLABLE) > ALIKE


def test_a_recording_begins_and_ends_in_a_call_when_the_user_says_so(tmp_path: Path) -> None:
    kept = tmp_path / "call.ogg"
    alice = ("--json", "--name", "alice", *SPEAKER)
    with (
        listening(*SPEAKER, "--record", str(tmp_path / "heard.wav"), "--name", "bob") as (bob, address),
        Program("dial", address, *alice) as caller,
    ):
        caller.event("connected")
        caller.command(command="record", file=str(tmp_path / "call.txt"))
        assert "a recording's name ends in .wav" in caller.event("rejected")["why"]
        caller.command(command="stop_recording")
        assert "not being recorded" in caller.event("rejected")["why"]
        caller.command(command="record", file=str(kept))
        assert caller.event("audio_started", direction="recording")["device"] == "call.ogg"
        bob.notice_with("alice records what you say")
        caller.command(command="record", file=str(tmp_path / "more.wav"))
        assert "call.ogg is being recorded already" in caller.event("rejected")["why"]
        wait_until(lambda: kept.stat().st_size > 10_000)
        caller.command(command="stop_recording")
        assert caller.event("audio_stopped", direction="recording")["error"] == ""
        bob.notice_with("alice no longer records what you say")
        size = kept.stat().st_size
        caller.command(command="say", text="that was off the record", id="1")
        caller.event("delivered")
        assert kept.stat().st_size == size
        caller.command(command="quit")
        assert caller.wait() == 0
    left, right = both_sides_of(kept)
    assert len(left) == len(right) > RATE // 2
    assert level(left) > 100


def test_a_full_disk_ends_the_recording_of_both_sides_and_no_call(tmp_path: Path) -> None:
    kept = tmp_path / "call.wav"
    sound = ("--input", "none", "--output", "none", "--record-call", str(kept))
    with (
        listening(*SPEAKER, "--name", "bob") as (bob, address),
        Program("dial", address, "--name", "alice", *sound, preexec_fn=small_files) as alice,
    ):
        assert (
            alice.notice_with("cannot write") == "voicemux: cannot write call.wav: file too large; the call goes on"
        )
        bob.notice_with("alice no longer records what you say")
        alice.write("I cannot record you\n")
        assert bob.read() == "alice> I cannot record you"
        alice.close_input()
        assert alice.wait() == 5
        assert len([line for line in alice.err if "cannot write" in line]) == 1
    assert len(both_sides_of(kept)[0]) == (100_001 - 44) // 4
