"""Hands free: alice talks to bob, whose microphone hears his loudspeaker. Does she hear herself?"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import RATE, Samples, level, speech
from tests.running import Program, calling
from tests.soundcards import SoundCards

ROOM = {60: -6.0, 66: -14.0, 75: -16.0, 91: -20.0, 118: -26.0}  # milliseconds: dB
SAID = np.tile(speech(seconds=9.0), 6)
ENOUGH = -25.0  # dB: on a quiet machine it is -37 to -47
LOUD = -12.0  # dB: what the microphone hears at the least
PATIENCE = 20.0  # seconds


def decibels(samples: Samples) -> float:
    """Against what alice says all the time."""
    return float(20 * np.log10(max(level(samples), 0.1) / level(SAID)))


def usually(sound: Samples) -> float:
    """As `decibels`, of the half second in the middle of all: a machine that stands still spoils one or two."""
    halves = [sound[at : at + RATE // 2] for at in range(0, len(sound) - RATE // 2 + 1, RATE // 2)]
    return statistics.median(decibels(half) for half in halves)


def echo_found(program: Program) -> float:
    """Decibels. It takes two seconds of speech in which no stall moves what is played against what is captured."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        program.command(command="stats")
        found = program.event("stats")["echo_db"]
        if found is not None:
            return float(found)
        time.sleep(0.5)
    raise AssertionError("no echo was found")


def await_sound(program: Program) -> None:
    assert {program.event("audio_started")["direction"] for _ in range(2)} == {"input", "output"}


@pytest.fixture
def said(tmp_path: Path) -> str:
    file = tmp_path / "said.wav"
    soundfile.write(file, SAID, RATE)
    return str(file)


def test_who_talks_to_a_loudspeaker_hears_nothing_of_it_also_when_the_sound_server_has_stood_still(
    said: str, tmp_path: Path
) -> None:
    heard = tmp_path / "heard.wav"
    alice_sound = ("--input", said, "--output", str(heard), "--json")
    with SoundCards() as cards:
        cards.put_in_a_room("b", ROOM)
        with calling(alice=alice_sound, bob=("--json", "--once"), bob_env=cards.env("b")) as (alice, bob):
            began = time.monotonic()
            await_sound(bob)
            microphone = cards.record("b_mic").stop_after(6.0)
            assert decibels(microphone[2 * RATE :]) > LOUD, "there is no echo here"
            frozen = time.monotonic() - began
            with cards.frozen():
                assert {bob.event("audio_stopped")["direction"] for _ in range(2)} == {"input", "output"}
            await_sound(bob)
            again = time.monotonic() - began
            microphone = cards.record("b_mic").stop_after(6.5)
            assert decibels(microphone[2 * RATE :]) > LOUD, "there is no echo any more"
            assert -20 < echo_found(bob) < 0
            bob.command(command="stats")
            stats = bob.event("stats")
            alice.command(command="quit")
            assert (alice.wait(), bob.wait()) == (0, 0)
    sound = soundfile.read(heard, dtype="int16")[0]
    before, after = sound[2 * RATE : int(frozen * RATE)], sound[int((again + 3) * RATE) : int((again + 6) * RATE)]
    assert usually(before) < ENOUGH
    assert usually(after) < ENOUGH
    assert stats["echo"] == "on"
    assert stats["capture_ms"] >= 8.9


def test_with_headphones_or_without_a_loudspeaker_nothing_of_it_runs(
    said: str, tmp_path: Path, sound_cards: SoundCards
) -> None:
    noise = ("--noise-suppression", "low")
    for output, options in (("headphones", noise), ("none", ()), ("default", ("--echo", "off"))):
        alice = ("--input", said, "--output", str(tmp_path / "heard.wav"))
        bob = ("--json", "--output", output, *options)
        with calling(alice=alice, bob=bob, bob_env=sound_cards.env("b")) as (_, listener):
            listener.event("audio_started", direction="input")
            listener.command(command="stats")
            stats = listener.event("stats")
            assert stats["echo"] == ("off" if "off" in options else "not needed")
            assert stats["echo_db"] is None


def test_where_the_library_is_missing_one_line_says_what_to_do(tmp_path: Path, sound_cards: SoundCards) -> None:
    (tmp_path / "pywebrtc_audio.py").write_text("raise ImportError('not here')")
    env = {**sound_cards.env("b"), "PYTHONPATH": str(tmp_path)}
    alice_sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with calling(alice=alice_sound, bob=("--once",), bob_env=env) as (alice, bob):
        alice.write("hello\n")
        assert bob.read() == "alice> hello"
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
        (line,) = [each for each in bob.err if "echo" in each]
    assert line == (
        "voicemux: no echo cancellation: not here: wear headphones, or the other side hears itself; "
        f"to have it: {sys.executable} -m pip install pywebrtc-audio"
    )
