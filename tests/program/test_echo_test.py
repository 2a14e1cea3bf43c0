"""`listen --echo-test`: callers hear themselves some seconds later, and read how their voice comes."""

from pathlib import Path

import numpy as np
import soundfile

from tests.audio.speech import RATE, SYLLABLE, level, likeness, speech
from tests.running import Program, listening, run

SAID = speech(seconds=3.5)
ALIKE_TWICE = 0.5  # of what went as Opus there and back, on a busy machine; 0.8 on a quiet one


def test_a_caller_hears_its_own_voice_five_seconds_later_and_reads_a_verdict(tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    soundfile.write(said, np.concatenate((SAID, np.zeros(5 * RATE, np.int16))), RATE)
    with (
        listening("--echo-test", "--name", "bob", "--once", "--json") as (bob, address),
        Program("dial", address, "--json", "--input", str(said), "--output", str(heard)) as alice,
    ):
        connected = alice.event("connected")
        assert (connected["sends"], connected["hears"]) == ("opus", "opus")
        assert "you hear it 5 seconds later" in alice.event("text")["text"]
        while not alice.event("text", timeout=40)["text"].startswith("echo test: your voice comes at -"):
            pass
        assert alice.event("audio_stopped", timeout=60)["error"] == ""
        alice.command(command="quit")
        assert (alice.wait(), bob.wait()) == (0, 0)
    samples = soundfile.read(heard, dtype="int16")[0]
    assert level(samples[: 4 * RATE]) < 30, "it is heard too soon"
    assert likeness(SAID[RATE : 3 * RATE], samples[4 * RATE :], SYLLABLE) > ALIKE_TWICE


def test_an_echo_test_takes_no_devices() -> None:
    code, _, err = run("listen", "--echo-test", "--input", "none")
    assert code == 2
    assert "--input means nothing beside --echo-test: no device is used" in err[0]
