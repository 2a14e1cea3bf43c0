"""What opens the microphone, in calls of the shipped program."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from tests.audio.speech import ALIKE, LISTENER, RATE, SYLLABLE, likeness, speech
from tests.program.shell import Shell
from tests.running import CODE, PATIENCE, Program, calling, listening

SILENT, SPOKEN = -70.0, -45.0  # dB of what the other side hears


def await_level(
    program: Program, is_so: Callable[[float], bool], meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait until what the other side sends is as loud as that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        program.command(command="stats")
        level = program.event("stats")["their_level_db"]
        if level is not None and is_so(level):
            return
        meanwhile()
        assert time.monotonic() < deadline


def test_with_push_to_talk_and_voice_activity_the_other_side_hears_what_it_is_to_hear(tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    soundfile.write(said, np.tile(speech(LISTENER, 9.0), 12), RATE)
    alice_sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    bob_sound = ("--input", str(said), "--output", "none", "--mic-mode", "ptt")
    with calling("--json", alice=alice_sound, bob=bob_sound) as (alice, bob):
        assert bob.event("mic_mode_chosen")["mode"] == "ptt"
        bob.event("audio_started")
        alice.event("audio_started")
        await_level(alice, lambda level: level < SILENT)
        bob.command(command="talk", on=True)
        assert bob.event("switched") == {"event": "switched", "what": "talking", "on": True}
        await_level(alice, lambda level: level > SPOKEN)
        bob.command(command="talk")
        assert not bob.event("switched")["on"]
        await_level(alice, lambda level: level < SILENT)
        bob.command(command="mic", mode="voice")
        assert bob.event("mic_mode_chosen")["mode"] == "voice"
        await_level(alice, lambda level: level > SPOKEN)
        bob.command(command="talk")
        assert bob.event("rejected")["why"] == "the microphone is in mode voice: /talk is for /mic ptt"
        bob.command(command="stats")
        stats = bob.event("stats")
    assert stats["speaking"] is not None
    assert stats["audio_dropped"] < stats["audio_sent"]


def test_on_a_terminal_the_space_bar_opens_the_microphone_and_the_meter_shows_what_it_hears(tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    soundfile.write(said, np.tile(speech(LISTENER, 9.0), 12), RATE)
    bob_sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    command = "voicemux dial {} --name alice --mic-mode ptt --status --input {} --output none"
    with (
        listening("--json", "--name", "bob", "--auto-accept", *bob_sound) as (bob, address),
        Shell(str(tmp_path / "alice"), VOICEMUX_CODE=CODE) as shell,
    ):
        read = partial(shell.draw, 0.1)  # a terminal that is not read stops the program that writes on it
        shell.run(command.format(address, said))
        bob.event("connected")
        shell.wait_for("alice (push to talk)>")
        shell.wait_for("mic [#")
        await_level(bob, lambda level: level < SILENT, read)
        shell.type(b" ")
        shell.wait_for("alice (talking, push to talk)>")
        await_level(bob, lambda level: level > SPOKEN, read)
        shell.type(b"\x14")
        await_level(bob, lambda level: level < SILENT, read)
        shell.run("/level")
        shell.wait_for("your microphone: speech at")


def test_with_dtx_the_words_are_heard_and_between_them_hardly_a_packet_is_sent(
    tmp_path: Path,
) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    words, pause = speech(LISTENER, 1.5), np.zeros(RATE * 5 // 2, np.int16)
    soundfile.write(said, np.concatenate([words, pause, words]), RATE)
    alice_sound = ("--input", "none", "--output", str(heard))
    bob_sound = ("--input", str(said), "--output", "none", "--mic-mode", "voice", "--dtx")
    with calling("--json", alice=alice_sound, bob=bob_sound) as (alice, bob):
        bob.event("audio_stopped", timeout=3 * PATIENCE)
        bob.command(command="quit")
        sent, received = bob.event("ended")["stats"], alice.event("ended")["stats"]
        assert alice.wait() == 0
    assert sum("an observer of the line sees when you speak" in line for line in bob.out) == 1
    packets = 5.5 * 50
    assert 100 < sent["audio_sent"] + sent["audio_dropped"] < packets - 60
    assert received["audio_received"] == sent["audio_sent"]
    assert likeness(words, soundfile.read(heard, dtype="int16")[0], SYLLABLE) > ALIKE
