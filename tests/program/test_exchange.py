"""Another microphone or loudspeaker in the middle of a call: the shipped program, with virtual sound cards."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import RATE, Samples, level, tone
from tests.peers import wait_until
from tests.running import PATIENCE, Program, calling, run
from tests.soundcards import Recording, SoundCards
from tests.tries import best

LOUD, QUIET = 500, 50  # levels of the tone and of silence
LONGEST_GAP = 0.3  # seconds
LOOK = RATE // 200  # samples (5 ms) whose level is looked at


@pytest.fixture
def humming(tmp_path: Path) -> tuple[str, ...]:
    """The options of a side that sends a tone, for longer than any test takes, and keeps what it hears."""
    file = tmp_path / "tone.wav"
    soundfile.write(file, tone(440, 90), RATE)
    return ("--input", str(file), "--output", str(tmp_path / "heard.wav"))


def await_sound(program: Program) -> None:
    assert {program.event("audio_started")["direction"] for _ in range(2)} == {"input", "output"}


def last_second(ear: Recording) -> float:
    return level(ear.so_far[-RATE // 2 :])


def longest_silence(heard: list[Samples]) -> float:
    """Seconds in which none of them is loud."""
    length = min(map(len, heard)) // LOOK * LOOK
    power = np.mean([each[:length].astype(np.float64).reshape(-1, LOOK) ** 2 for each in heard], axis=(0, 2))
    loud = np.flatnonzero(power > LOUD**2)
    return float(np.diff(loud).max() * LOOK / RATE)


def test_the_call_goes_on_with_another_loudspeaker_and_back_and_text_is_untouched(
    humming: tuple[str, ...], sound_cards: SoundCards
) -> None:
    with calling("--json", alice=humming, bob=("--echo", "off"), bob_env=sound_cards.env("a")) as (alice, bob):
        await_sound(bob)
        ears = {name: sound_cards.record(name) for name in ("a_spk", "b_spk")}
        wait_until(lambda: last_second(ears["a_spk"]) > LOUD, PATIENCE)
        names, said = iter(["b_spk", "default", "headphones", "a_spk", "b_spk", "default"]), []

        def gap() -> float:
            name = next(names)
            sink = "a_spk" if name in ("a_spk", "default") else "b_spk"
            began = len(ears["a_spk"].so_far)
            bob.command(command="output", device=name)
            alice.command(command="say", text=f"to {name}")
            said.append(f"to {name}")
            changed = bob.event("device_changed")
            assert changed["direction"] == "output"
            other = "b_spk" if sink == "a_spk" else "a_spk"
            wait_until(lambda: last_second(ears[sink]) > LOUD and last_second(ears[other]) < QUIET, PATIENCE)
            return -longest_silence([each.so_far[began:] for each in ears.values()])

        assert best(gap, -LONGEST_GAP, tries=6) > -LONGEST_GAP
        bob.command(command="quit")
        bob.event("ended")
        for ear in ears.values():
            ear.stop()
        texts = [line for line in bob.out if '"event": "text"' in line]
        assert [text in line for text, line in zip(said, texts, strict=True)] == [True] * len(said)
        assert not [line for line in bob.out if "audio_stopped" in line]


def test_a_device_that_cannot_be_used_leaves_the_one_before_in_its_place(
    humming: tuple[str, ...], sound_cards: SoundCards
) -> None:
    with calling("--json", alice=humming, bob=("--input", "none"), bob_env=sound_cards.env("a")) as (_, bob):
        bob.event("audio_started")
        for name, why in (
            ("gramophone", "there is no output device 'gramophone'; nothing has changed"),
            ("head", "output device 'head' could be any of"),
        ):
            bob.command(command="output", device=name)
            assert bob.event("rejected")["why"].startswith(why)
        bob.command(command="input", device="default")
        assert bob.event("rejected")["why"].startswith("this call sends nothing of a microphone")
        bob.command(command="devices")
        listed = bob.event("devices")
        (used,) = [each for each in listed["devices"] if each["number"] == listed["output"]]
        assert (used["name"], listed["input"]) == ("default", None)
        assert {"a_mic.monitor", "b_spk"} <= {each["target"] for each in listed["devices"]}
        ear = sound_cards.record("a_spk")
        wait_until(lambda: last_second(ear) > LOUD, PATIENCE)
        ear.stop()


def test_what_is_missing_when_the_call_begins_is_used_when_it_comes(humming: tuple[str, ...]) -> None:
    with SoundCards() as cards:
        cards.kill()
        with calling("--json", alice=humming, bob_env=cards.env("a")) as (alice, bob):
            connected = json.loads(bob.out[-1])
            assert (connected["sends"], connected["own"]["sends"], connected["own"]["plays"]) == ("", False, False)
            assert [line for line in bob.out if "no loudspeaker: this system has no default output device" in line], (
                bob.out
            )
            bob.command(command="say", text="I hear nothing")
            assert alice.event("text")["text"] == "I hear nothing"
            cards.restart()
            await_sound(bob)
            switched = [alice.event("peer_switched") for _ in range(2)]
            assert {each["what"]: each["on"] for each in switched} == {"sends": True, "deafened": False}
            ear = cards.record("a_spk")
            wait_until(lambda: last_second(ear) > LOUD, PATIENCE)
            ear.stop()
            bob.command(command="quit")
            bob.event("ended")


def test_a_monitor_is_no_microphone_unless_it_is_named(humming: tuple[str, ...], sound_cards: SoundCards) -> None:
    with calling("--json", alice=humming, bob_env=sound_cards.env("")) as (_, bob):
        assert [line for line in bob.out if "only hears what is played; plug in a microphone" in line]
        bob.command(command="input", device="monitor of")
        assert bob.event("rejected")["why"].startswith("there is no input device 'monitor of'")
        bob.command(command="input", device="a_mic.monitor")
        assert bob.event("device_changed")["direction"] == "input"


def test_another_source_is_taken_where_the_default_is_a_monitor(humming: tuple[str, ...]) -> None:
    with SoundCards() as cards:
        cards.add_microphone("usb", "USB/Two", "a_mic")
        cards.set_default("input", "b_spk.monitor")
        with calling("--json", alice=humming, bob_env=cards.env("")) as (_, bob):
            started = [bob.event("audio_started") for _ in range(2)]
            assert {each["direction"]: each["device"] for each in started} == {
                "input": "USB/Two",
                "output": "default",
            }
        named = ("--input", "USB/Two", "--output", "none", "--unencrypted")
        assert run("dial", "127.0.0.1:1", *named, env=cards.env(""))[0] == 3, "it was taken for the path of a file"


@pytest.mark.long
def test_the_call_follows_the_sound_server_and_a_microphone_that_is_unplugged_is_never_a_monitor(
    humming: tuple[str, ...],
) -> None:
    with SoundCards() as cards:
        usb, jack = cards.add_microphone("usb", "USB", "a_mic"), cards.add_loudspeaker("jack")
        cards.set_default("input", "usb")
        cards.set_default("output", "a_spk")
        with calling("--json", alice=humming, bob=("--echo", "off"), bob_env=cards.env("")) as (_, bob):
            await_sound(bob)
            cards.set_default("output", "jack")
            assert bob.event("device_changed")["direction"] == "output"
            ear = cards.record("jack")
            wait_until(lambda: last_second(ear) > LOUD, PATIENCE)
            ear.stop()
            cards.unplug(jack)
            assert bob.event("device_changed")["direction"] == "output"
            cards.unplug(usb)
            assert bob.event("audio_stopped", direction="input")["error"] == "the microphone has gone"
            usb = cards.add_microphone("usb", "USB", "a_mic")
            bob.event("audio_started", direction="input")
            bob.command(command="input", device="usb")  # and it is waited for if it was chosen by its name
            assert bob.event("device_changed")["device"] == "USB"
            cards.unplug(usb)
            assert bob.event("audio_stopped", direction="input")["error"] == "the microphone has gone"
            cards.add_microphone("usb", "USB", "a_mic")
            bob.event("audio_started", direction="input")
            bob.command(command="quit")
            bob.event("ended")
