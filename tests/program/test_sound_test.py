"""`voicemux test`: the shipped program tries virtual sound cards, without a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.audio.speech import LISTENER, RATE, speech
from tests.running import Program, run
from tests.soundcards import SoundCards, without_sound

ROOM = {60: -6.0, 66: -14.0}  # milliseconds: dB


def test_a_microphone_that_hears_speech_and_the_loudspeaker_is_told_how_loud_both_are(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "said.wav", speech(LISTENER, 2.5), RATE)
    with SoundCards() as cards:
        cards.put_in_a_room("b", ROOM)
        with Program("test", "--json", "--seconds", "5", env=cards.env("b")) as program:
            program.notice_with("listening for 5 seconds")
            with cards.play(tmp_path / "said.wav", "b_mic"):
                pass
            found: dict[str, Any] = json.loads(program.read(60))
            code = program.wait()
    microphone, loudspeaker, echo = found["microphone"], found["loudspeaker"], found["echo"]
    assert (code, found["ok"]) == (0, True), found
    assert (microphone["verdict"], microphone["device"]) == ("good", "default")
    assert -40 < microphone["level_db"] < -12
    assert loudspeaker["verdict"] == "plays"
    assert echo["verdict"] == "cancelled"
    assert -15 < echo["level_db"] < 0
    assert 40 < echo["delay_ms"] < 500


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_cannot_be_used_is_told_with_the_exit_code(options: tuple[str, ...], tmp_path: Path) -> None:
    code, out, _ = run("test", *options, env=without_sound(tmp_path))
    assert code == 5
    assert "no microphone: this system has no default input device" in out[0]
