"""How loud the other side is played, in calls of the shipped program with a virtual loudspeaker."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.audio.speech import RATE, level, speech
from tests.running import PATIENCE, Program, listening
from tests.soundcards import SoundCards

SILENT, SPOKEN = 5.0, 300.0  # levels of a second of what is heard


def await_sound(cards: SoundCards, is_so: Callable[[float], bool]) -> None:
    """Wait until the loudspeaker plays as loud as that."""
    deadline = time.monotonic() + PATIENCE
    while not is_so(level(cards.record("b_spk").stop_after(1.0))):
        assert time.monotonic() < deadline


def test_the_volume_of_a_contact_is_as_the_user_wants_it_and_remembered(
    tmp_path: Path, sound_cards: SoundCards
) -> None:
    said = tmp_path / "said.wav"
    soundfile.write(said, np.tile(speech(seconds=9.0), 12), RATE)
    home = {"VOICEMUX_HOME": str(tmp_path / "alice")}
    options = ("--name", "alice", "--json", "--input", str(said), "--output", "none")
    with listening("--json", "--name", "bob", "--auto-accept", env=sound_cards.env("b")) as (bob, address):
        with Program("dial", address, *options, env=home) as alice:
            bob.event("connected")
            await_sound(sound_cards, lambda heard: heard > SPOKEN)
            bob.command(command="volume", to=0)
            assert bob.event("volume_chosen") == {"event": "volume_chosen", "percent": 0, "auto": False}
            await_sound(sound_cards, lambda heard: heard < SILENT)
            bob.command(command="volume", to="+60")
            assert bob.event("volume_chosen")["percent"] == 60
            await_sound(sound_cards, lambda heard: heard > SPOKEN / 3)
            alice.command(command="quit")
            bob.event("ended")
        with Program("dial", address, *options, env=home):
            bob.event("connected")
            assert bob.event("volume_chosen")["percent"] == 60, "it is told, for the user may have forgotten it"
            bob.command(command="volume", to="auto")
            assert bob.event("volume_chosen")["auto"]
            bob.command(command="volume", to="loud")
            assert "volume of 0 to 400" in bob.event("rejected")["why"]
