"""Calls of the shipped program that outlive their lines. Nothing is judged by milliseconds, only by what arrives.

The whole table is bench/resume; this is its quick form.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from bench.cuts import CutsAtRandom, CuttingRelay
from bench.places import Namespaces
from bench.resume import CASES, live_call
from tests.audio.speech import RATE, Samples, level, pitch
from tests.peers import wait_until
from tests.running import Environment, Program, listening, run
from tests.soundcards import SoundCards
from voicemux.audio.playout.tones import HIGH, LOW

TEXT_ONLY = ("--json", "--no-audio")
VOICE_AGAIN = 20.0  # seconds after the line is well, on a machine that stalls; the grace is 60
SHORT = 2  # seconds of grace
AUDIBLE = 200.0  # of 32768: the tones have 2300, and nothing else is heard

needs_namespaces = pytest.mark.skipif(
    bool(Namespaces.missing()) and not os.environ.get("CI"), reason=f"no bad line here: {Namespaces.missing()}"
)


@contextlib.contextmanager
def call_through_a_relay(
    *options: str,
    once: tuple[str, ...] = ("--once",),
    home: Path | None = None,
    alice_sound: tuple[str, ...] = TEXT_ONLY,
    alice_env: Environment = None,
) -> Iterator[tuple[Program, Program, CuttingRelay]]:
    """Alice has dialled bob through the relay, and both know it. `home` is the folder of bob's key."""
    env = {"VOICEMUX_HOME": str(home)} if home else None
    with (
        listening(*TEXT_ONLY, *once, "--name", "bob", *options, env=env) as (bob, address),
        CuttingRelay(("127.0.0.1", int(address.split(":")[1]))) as relay,
        Program("dial", f"127.0.0.1:{relay.port}", *alice_sound, "--name", "alice", *options, env=alice_env) as alice,
    ):
        for side in (alice, bob):
            side.event("connected")
        yield alice, bob, relay


def talk(speaker: Program, hearer: Program, *lines: str) -> None:
    """What one says, the other hears next, and the speaker knows it."""
    for line in lines:
        speaker.command(command="say", text=line, id=line)
    assert [hearer.event("text")["text"] for _ in lines] == list(lines)
    while speaker.event("delivered")["id"] != lines[-1]:
        pass


def break_the_line(alice: Program, bob: Program, relay: CuttingRelay) -> None:
    """It stays so, and both have been told."""
    relay.is_open = False
    relay.cut("both")
    for side in (alice, bob):
        side.event("interrupted")


@pytest.mark.timeout(120)
def test_text_survives_cuts_at_random_moments_and_nothing_is_left_behind() -> None:
    found = CutsAtRandom(calls=1, cuts=4).measure()
    assert found["failures"] == []
    assert (found["lost"], found["doubled"], found["reordered"]) == (0, 0, 0)
    assert found["resumed"] > 0
    assert found["dialler_left"]["threads"] == found["dialler_left"]["descriptors"] == 0


@pytest.mark.alone  # measures nothing, but two programs and a line share the machine with it
@pytest.mark.timeout(120)
@needs_namespaces
def test_voice_and_text_come_back_after_a_reset_and_at_another_address() -> None:
    cuts = []
    with live_call() as call:
        call.go_on(0.5)
        for number, name in enumerate(("reset", "address"), 1):
            cuts.append(CASES[name].cut(call))
            for party in call.parties.values():
                party.await_event("resumed", VOICE_AGAIN, number)
            call.go_on(1.5)
        call.settle()
        voice = call.heard_again(cuts)
        assert call.texts().is_well, call.texts()
        assert not any(party.named("ended") for party in call.parties.values())
    assert all(seconds is not None and seconds < VOICE_AGAIN for seconds in voice), voice


def test_while_there_is_no_line_text_waits_and_the_listener_is_busy_for_others() -> None:
    with call_through_a_relay() as (alice, bob, relay):
        talk(alice, bob, "before")
        break_the_line(alice, bob, relay)
        for side in (alice, bob):
            side.command(command="say", text="meanwhile", id="1")
            side.command(command="stats")
            stats = side.event("stats")
            assert (stats["interruptions"], stats["texts_waiting"]) == (1, 1)
        code, _, err = run("dial", f"127.0.0.1:{relay.target[1]}", "--no-audio", "--name", "carol")
        assert code == 1
        assert "busy" in " ".join(err)
        relay.is_open = True
        for side in (alice, bob):
            assert side.event("resumed")["after_s"] >= 0
        for side in (alice, bob):
            assert side.event("text")["text"] == "meanwhile"
        talk(bob, alice, "after", "all")


def test_a_recording_of_both_sides_goes_on_in_its_file_when_the_call_has_another_line(tmp_path: Path) -> None:
    kept = tmp_path / "call.wav"
    sound = ("--json", "--input", "none", "--output", "none", "--record-call", str(kept))
    with call_through_a_relay(alice_sound=sound) as (alice, bob, relay):
        break_the_line(alice, bob, relay)
        relay.is_open = True
        for side in (alice, bob):
            side.event("resumed")
        size = kept.stat().st_size
        wait_until(lambda: kept.stat().st_size > size + RATE)
        alice.command(command="quit")
        assert alice.wait() == 0
    assert [each.name for each in tmp_path.iterdir()] == ["call.wav"]
    assert soundfile.read(kept)[0].shape[1] == 2


def test_a_line_that_stays_away_ends_the_call_on_both_sides_with_what_was_not_delivered() -> None:
    with call_through_a_relay("--grace", str(SHORT)) as (alice, bob, relay):
        break_the_line(alice, bob, relay)
        for side, name in ((alice, "alice"), (bob, "bob")):
            for number in range(2):
                side.command(command="say", text=f"{name} {number}", id=str(number))
        for side, name in ((alice, "alice"), (bob, "bob")):
            ended = side.event("ended")
            assert (ended["by"], ended["undelivered"]) == ("error", 2)
            assert ended["undelivered_texts"] == [{"text": f"{name} {n}", "id": str(n)} for n in range(2)]
        assert alice.wait() == 1


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_who_quits_while_there_is_no_line_is_out_of_the_call_at_once(who: str) -> None:
    with call_through_a_relay() as (alice, bob, relay):
        break_the_line(alice, bob, relay)
        quitter = alice if who == "alice" else bob
        began = time.monotonic()
        quitter.command(command="quit")
        assert quitter.event("ended")["by"] == "us"
        assert quitter.wait() == 0
        assert time.monotonic() - began < VOICE_AGAIN, "it does not wait for the line"


def test_a_dialler_learns_that_the_listener_has_hung_up_while_there_was_no_line() -> None:
    with call_through_a_relay(once=()) as (alice, bob, relay):
        break_the_line(alice, bob, relay)
        bob.command(command="quit")
        bob.event("ended")
        relay.is_open = True
        ended = alice.event("ended")
        assert (ended["kind"], alice.wait()) == ("gone", 1)


def test_a_listener_that_was_started_anew_does_not_ring_and_the_dialler_is_told(tmp_path: Path) -> None:
    with call_through_a_relay(home=tmp_path) as (alice, bob, relay):
        bob.process.kill()
        bob.wait()
        env = {"VOICEMUX_HOME": str(tmp_path)}
        with listening(*TEXT_ONLY, "--name", "bob", env=env) as (anew, address):
            relay.target = ("127.0.0.1", int(address.split(":")[1]))
            ended = alice.event("ended")
            assert ended["kind"] == "gone"
            assert "started anew" in ended["hint"]
            assert alice.wait() == 1
            anew.command(command="quit")
            anew.wait()
            assert not [line for line in anew.out if '"connected"' in line or '"ringing"' in line]


def test_without_grace_a_call_ends_with_its_line() -> None:
    with call_through_a_relay("--grace", "0") as (alice, bob, relay):
        relay.cut("both")
        assert [side.event("ended")["by"] for side in (alice, bob)] == ["error", "error"]
        assert not [line for line in alice.out + bob.out if '"interrupted"' in line]


def pitches(heard: Samples) -> list[int]:
    """The tones that are heard one after the other, in Hz: what is not `LOW` or `HIGH` is left out."""
    found: list[int] = []
    size = RATE // 20
    for begin in range(0, len(heard) - size, size // 2):
        window = heard[begin : begin + size]
        if level(window) > AUDIBLE:
            near = [each for each in (LOW, HIGH) if abs(pitch(window) - each) <= RATE / size]
            found += [round(each) for each in near if found[-1:] != [round(each)]]
    return found


@pytest.mark.alone  # tones of a tenth of a second, through a sound server
def test_a_lost_line_falls_and_its_return_rises_in_ones_own_loudspeaker_only(
    sound_cards: SoundCards, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.wav"
    sound = ("--json", "--input", "none", "--record", str(kept))
    with call_through_a_relay(alice_sound=sound, alice_env=sound_cards.env("a")) as (alice, bob, relay):
        ear = sound_cards.record("a_spk")
        high, low = round(HIGH), round(LOW)
        break_the_line(alice, bob, relay)
        wait_until(lambda: pitches(ear.so_far) == [high, low])
        relay.is_open = True
        alice.event("resumed")
        wait_until(lambda: pitches(ear.so_far) == [high, low, high])
        ear.stop()
        alice.command(command="quit")
        assert alice.wait() == 0
    assert level(soundfile.read(kept, dtype="int16")[0]) < AUDIBLE
