"""`voicemux test`: the shipped program tries virtual sound cards, without a terminal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.audio.speech import RATE
from tests.running import Program, run
from tests.soundcards import SoundCards, without_sound
from tests.tries import best

ROOM = {60: -6.0, 66: -14.0}  # milliseconds: dB
NOISE = 100  # root mean square: -50 dB of full scale


def test_a_microphone_that_hears_a_room_and_the_loudspeaker_is_told_how_loud_both_are(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, NOISE, 180 * RATE).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)

    def is_told() -> float:
        with Program("test", "--json", "--seconds", "1", env=cards.env("b")) as program:
            found: dict[str, Any] = json.loads(program.read(60))
            code = program.wait()
        microphone, loudspeaker, echo = found["microphone"], found["loudspeaker"], found["echo"]
        assert (microphone["device"], loudspeaker["verdict"]) == ("default", "plays")
        is_loud = echo["verdict"] == "cancelled" and -15 < echo["level_db"] < 0 and echo["delay_ms"] > 20
        return (code, found["ok"], microphone["verdict"], is_loud) == (0, True, "no speech", True)

    with SoundCards() as cards:
        cards.put_in_a_room("b", ROOM)
        with cards.play(tmp_path / "noise.wav", "b_mic") as room:
            assert best(is_told, 0.5) == 1
            room.terminate()


def test_what_is_no_device_is_refused_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "voice").write_bytes(b"")
    for option, value, kind in (
        ("--input", str(tmp_path), "a folder, and no device"),
        ("--input", str(tmp_path / "voice"), "a file, and no device"),
        ("--output", "missing.wav", "a file, and no device"),
        ("--output", "none", "no device"),
        ("--input", "-", "no device"),
    ):
        code, out, err = run("test", option, value)
        assert (code, out, len(err)) == (2, [], 1)
        assert f"{value} is {kind}: voicemux devices lists what can be tried" in err[0]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_cannot_be_used_is_told_with_the_exit_code(options: tuple[str, ...], tmp_path: Path) -> None:
    code, out, _ = run("test", *options, env=without_sound(tmp_path))
    assert code == 5
    assert "no microphone: this system has no default input device" in out[0]
