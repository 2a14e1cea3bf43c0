"""`voicemux devices`, and devices chosen by what it lists."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.audio.speech import LISTENER, level
from tests.peers import wait_until
from tests.running import PATIENCE, calling, run
from tests.soundcards import SoundCards, without_sound

FIELDS = {"number", "name", "system", "inputs", "outputs", "rate", "default_input", "default_output", "target"}


def devices(sound_cards: SoundCards) -> list[dict[str, Any]]:
    code, out, err = run("devices", "--json", env=sound_cards.env("a"))
    assert (code, err, len(out)) == (0, [], 1)
    found: list[dict[str, Any]] = json.loads(out[0])
    return found


def test_devices_are_listed_for_programs(sound_cards: SoundCards) -> None:
    found = devices(sound_cards)
    assert all(set(each) == FIELDS for each in found)
    assert [each["number"] for each in found] == list(range(len(found)))
    assert {each["name"] for each in found} >= {"default", "headset", "headphones"}
    for kind in ("input", "output"):
        assert [each["name"] for each in found if each[f"default_{kind}"]] == ["default"]
    by_name = {each["name"]: each for each in found}
    assert by_name["headset"]["inputs"] > 0 < by_name["headset"]["outputs"]
    served = {each["target"]: (each["inputs"], each["outputs"]) for each in found if each["target"]}
    assert (served["wide_mic.monitor"], served["b_spk"]) == ((2, 0), (0, 1))
    assert (by_name["headphones"]["inputs"], by_name["headphones"]["outputs"] > 0) == (0, True)


def test_devices_are_listed_for_people_by_number_and_name(sound_cards: SoundCards) -> None:
    code, out, err = run("devices", env=sound_cards.env("a"))
    assert (code, err) == (0, ["     * the default"])
    assert len(out) == len(devices(sound_cards))
    for line, device in zip(out, devices(sound_cards), strict=True):
        system = f"sound server: {device['target']}" if device["target"] else "ALSA"
        assert line.startswith(f"{device['number']:3}  {device['name']}  ({system}; ")
        assert line.isprintable()
        assert line.count("*") == device["default_input"] + device["default_output"]
        assert ("out" in line) == (device["outputs"] > 0)


def hears_speech(sound_cards: SoundCards, sink: str) -> bool:
    """Whether half a second of what the loudspeaker plays is loud."""
    ear = sound_cards.record(sink)
    time.sleep(0.5)
    return level(ear.stop()) > 300


@pytest.mark.parametrize("choice", ["number", "headph", "HEADPHONES"])
def test_a_loudspeaker_is_chosen_by_its_number_or_a_part_of_its_name(choice: str, sound_cards: SoundCards) -> None:
    if choice == "number":
        choice = next(str(each["number"]) for each in devices(sound_cards) if each["target"] == "b_spk")
    alice, bob = ("--input", str(LISTENER), "--output", "none"), ("--input", "none", "--output", choice)
    with calling(alice=alice, bob=bob, bob_env=sound_cards.env("a")):
        # The headphones are side b's, wherever the default goes.
        default = sound_cards.record("a_spk")
        wait_until(lambda: hears_speech(sound_cards, "b_spk"), PATIENCE)
        assert level(default.stop()) < 30


def test_a_microphone_is_chosen_by_a_part_of_its_name(sound_cards: SoundCards) -> None:
    alice, bob = ("--input", "heads", "--output", "none"), ("--input", "none")
    with calling(alice=alice, bob=bob, alice_env=sound_cards.env("a"), bob_env=sound_cards.env("a")):
        mouth = sound_cards.play(LISTENER, "b_mic")
        wait_until(lambda: hears_speech(sound_cards, "a_spk"), PATIENCE)
        mouth.terminate()
        mouth.wait()


def test_a_name_that_fits_several_devices_is_answered_with_their_numbers(sound_cards: SoundCards) -> None:
    numbers = {each["name"]: each["number"] for each in devices(sound_cards)}
    code, out, err = run("dial", "localhost:1", "--output", "head", env=sound_cards.env("a"))
    assert (code, out, len(err)) == (5, [], 1)
    assert err[0].startswith("voicemux: output device 'head' could be any of: ")
    for name in ("headset", "headphones"):
        assert f"{numbers[name]} {name}" in err[0]


@pytest.mark.parametrize("wanted", ["99", "gramophone"])
def test_a_device_that_is_not_there_is_answered_with_how_to_list_them(wanted: str, sound_cards: SoundCards) -> None:
    code, out, err = run("dial", "localhost:1", "--input", wanted, env=sound_cards.env("a"))
    assert (code, out) == (5, [])
    assert err == [f"voicemux: there is no input device '{wanted}'; voicemux devices lists what there is"]


def test_headphones_are_no_microphone(sound_cards: SoundCards) -> None:
    code, _, err = run("dial", "localhost:1", "--input", "headphones", env=sound_cards.env("a"))
    assert (code, err[0].startswith("voicemux: there is no input device 'headphones'")) == (5, True)


def test_a_machine_without_sound_lists_nothing_that_could_be_opened(tmp_path: Path) -> None:
    code, out, err = run("devices", env=without_sound(tmp_path))
    assert code == 0
    assert [
        line for line in [*out, *err] if "Traceback" in line or "ALSA lib" in line or "jack" in line.lower()
    ] == []


def test_a_machine_without_portaudio_says_how_to_have_it(tmp_path: Path) -> None:
    (tmp_path / "pyaudio.py").write_text("raise ImportError('libportaudio.so.2: cannot open shared object file')\n")
    for options in ((), ("--json",)):
        code, out, err = run("devices", *options, env={"PYTHONPATH": str(tmp_path)})
        assert (code, out, len(err)) == (5, [], 1)
        assert err[0].startswith("voicemux: no sound: libportaudio.so.2: ")
        assert "; to have it: " in err[0]
