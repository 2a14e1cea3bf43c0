"""What the user is told of the own microphone, in calls of the shipped program with virtual sound cards."""

from pathlib import Path

import numpy as np
import soundfile

from tests.audio.speech import LISTENER, RATE, speech
from tests.running import calling
from tests.soundcards import SoundCards


def test_a_microphone_that_clips_and_speech_while_muted_are_told_and_levels_are_there_to_ask(
    tmp_path: Path, sound_cards: SoundCards
) -> None:
    said = np.tile(speech(LISTENER, 9.0), 4)
    loud, clear = tmp_path / "loud.wav", tmp_path / "clear.wav"
    soundfile.write(loud, np.clip(said.astype(int) * 30, -32768, 32767).astype(np.int16), RATE)
    soundfile.write(clear, said, RATE)
    alice = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with calling("--json", alice=alice, bob_env=sound_cards.env("b")) as (alice_program, bob):
        mouth = sound_cards.play(loud, "b_mic")
        hint = bob.event("hint")
        assert (hint["kind"], hint["text"].split(":")[0]) == ("clipping", "your microphone clips")
        mouth.kill()
        mouth.wait()
        bob.command(command="mute")
        assert bob.event("switched")["on"]
        mouth = sound_cards.play(clear, "b_mic")
        assert bob.event("hint")["kind"] == "muted"
        bob.command(command="level")
        level = bob.event("level")
        mouth.kill()
        mouth.wait()
        alice_program.command(command="level")
        heard = alice_program.event("level")
    assert level["muted"]
    assert level["clipped"] > 100
    assert -50 < level["speech_db"] < 0
    assert level["noise_db"] < level["speech_db"]
    assert heard["speech_db"] is heard["noise_db"] is None


def test_an_echo_that_is_not_cancelled_is_told(tmp_path: Path) -> None:
    said = tmp_path / "said.wav"
    soundfile.write(said, np.tile(speech(seconds=9.0), 4), RATE)
    alice = ("--input", str(said), "--output", str(tmp_path / "heard.wav"))
    with SoundCards() as cards:
        cards.put_in_a_room("b", {60: -6.0})
        with calling("--json", alice=alice, bob=("--echo", "off"), bob_env=cards.env("b")) as (_, bob):
            assert bob.event("hint")["kind"] == "echo"
            bob.command(command="stats")
            stats = bob.event("stats")
    assert stats["echo"] == "off"
    assert stats["echo_db"] > -30
