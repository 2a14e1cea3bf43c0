"""Voice, from mouth to ear: the shipped program at both ends, with virtual sound cards, files and pipes."""

import contextlib
import re
import socket
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import (
    ALIKE,
    DIALLER,
    LISTENER,
    RATE,
    SYLLABLE,
    Samples,
    level,
    likeness,
    samples_of,
    speech,
)
from tests.peers import Peer, wait_until
from tests.running import PATIENCE, Program, calling, listening
from tests.soundcards import SoundCards, without_sound
from voicemux.audio.resample import Resampler
from voicemux.net.address import parse_address
from voicemux.protocol.messages import Audio, Codec, Hello
from voicemux.protocol.wire import PREFACE

EXACT = 0.98  # of what went as PCM, syllable by syllable
OTHER = 0.3  # of other speech, second by second
SETTLED = 0.5  # seconds of a call after which its buffers have found their size
FAREWELL = 1.0  # seconds for the last word to be heard, ten times what it takes
FEW_WORDS = speech(seconds=2)
QUIET, LOUD = 30, 300  # levels of silence and of speech


@pytest.fixture
def few_words(tmp_path: Path) -> str:
    """A file with the beginning of a bundled recording: `FEW_WORDS`."""
    file = tmp_path / "few_words.wav"
    soundfile.write(file, FEW_WORDS, RATE)
    return str(file)


def test_two_people_talk_and_type_at_the_same_time(sound_cards: SoundCards) -> None:
    envs = {"alice_env": sound_cards.env("a"), "bob_env": sound_cards.env("b")}
    with calling(alice=("--verbose",), bob=("--once",), **envs) as (alice, bob):
        for side in (alice, bob):
            assert any(line.endswith("you hear each other (opus)") for line in side.err)
        time.sleep(SETTLED)
        ears = sound_cards.record("a_spk"), sound_cards.record("b_spk")
        mouths = sound_cards.play(DIALLER, "a_mic"), sound_cards.play(LISTENER, "b_mic")
        lines = [f"line {number} ✓" for number in range(20)]
        for line in lines:
            alice.write(f"{line}\n")
            bob.write(f"{line}\n")
            time.sleep(0.4)
        assert [mouth.wait() for mouth in mouths] == [0, 0]
        time.sleep(FAREWELL)
        heard_by_alice, heard_by_bob = (ear.stop() for ear in ears)
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
        assert alice.out == [f"bob> {line}" for line in lines]
        assert bob.out == [f"alice> {line}" for line in lines]
        sent, dropped = map(int, re.findall(r"voice sent (\d+), dropped (\d+)", "\n".join(alice.err))[-1])
        assert 10 * dropped < sent, "only a stall of the machine makes voice too late to be sent"
        assert alice.err[-1].startswith("voicemux: you hung up after")
    for said, other, heard in (
        (speech(DIALLER), speech(LISTENER), heard_by_bob),
        (speech(LISTENER), speech(DIALLER), heard_by_alice),
    ):
        assert likeness(said, heard, SYLLABLE) > ALIKE
        assert likeness(other, heard) < OTHER


def test_pcm_is_sent_if_it_is_asked_for(few_words: str, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    alice = ("--codec", "pcm", "--input", few_words, "--output", "none", "--json")
    with (
        listening("--input", "none", "--output", str(heard), "--once") as (bob, address),
        Program("dial", address, *alice) as caller,
    ):
        assert caller.event("connected")["sends"] == "pcm"
        caller.close_input()
        caller.event("audio_stopped")
        assert (caller.wait(), bob.wait()) == (0, 0)
    assert soundfile.info(heard).samplerate == RATE
    assert likeness(FEW_WORDS, soundfile.read(heard, dtype="int16")[0], SYLLABLE) > EXACT


@pytest.mark.parametrize(("playable", "codec"), [(None, Codec.PCM), ((1,), Codec.PCM), ((2, 1), Codec.OPUS)])
def test_a_peer_gets_the_codec_that_it_can_play(playable: tuple[int, ...] | None, codec: Codec) -> None:
    with (
        listening("--unencrypted", "--input", str(DIALLER), "--output", "none") as (bob, address),
        Peer(socket.create_connection(parse_address(address))) as peer,
    ):
        peer.send(PREFACE, Hello("carol", codecs=playable))
        packets = [peer.hear(Audio) for _ in range(10)]
        assert {packet.codec for packet in packets} == {codec}
        assert [packet.timestamp - packets[0].timestamp for packet in packets] == [960 * i for i in range(10)]
        assert "they hear you" in bob.notice_with("connected to")


def test_a_limit_of_bandwidth_is_kept_from_the_first_packet_on_and_pcm_is_not_sent() -> None:
    sound = ("--unencrypted", "--input", str(DIALLER), "--output", "none", "--bandwidth", "70")
    with listening(*sound) as (_, address), Peer(socket.create_connection(parse_address(address))) as peer:
        peer.send(PREFACE, Hello("carol", codecs=(2, 1)))
        packets = [peer.hear(Audio) for _ in range(100)]
        assert max(len(packet.data) for packet in packets) <= 32_000 // 50 // 8
        assert min(later.timestamp - sooner.timestamp for sooner, later in pairwise(packets)) >= 960
    with listening(*sound) as (bob, address), Peer(socket.create_connection(parse_address(address))) as peer:
        peer.send(PREFACE, Hello("carol", codecs=(1,)))
        assert bob.notice_with("plays nothing that --bandwidth has room for: your voice is not sent")


def test_a_peer_who_wants_no_voice_gets_none(tmp_path: Path) -> None:
    sound = ("--input", str(DIALLER), "--output", str(tmp_path / "heard.wav"))
    with calling(alice=(*sound, "--verbose"), bob=("--no-audio",)) as (alice, bob):
        assert bob.err[-1].endswith("text only")
        alice.write("do you hear me?\n")
        alice.close_input()
        assert bob.read() == "alice> do you hear me?"
        assert "voice sent" not in alice.notice_with("lines sent")


def test_files_are_microphone_and_loudspeaker(few_words: str, tmp_path: Path) -> None:
    ears = [tmp_path / "alice.wav", tmp_path / "bob.flac"]
    alice = ("--input", few_words, "--output", str(ears[0]), "--record", str(tmp_path / "kept.ogg"))
    bob = ("--input", str(LISTENER), "--output", str(ears[1]), "--once")
    with calling(alice=alice, bob=bob) as (dialler, listener):
        dialler.write("while a file plays\n")
        assert listener.read() == "alice> while a file plays"
        dialler.close_input()
        assert (dialler.wait(), listener.wait()) == (0, 0)
        assert not [line for line in dialler.err + listener.err if "text goes on" in line]
    heard = [soundfile.read(each, dtype="int16")[0] for each in (ears[1], ears[0], tmp_path / "kept.ogg")]
    # Alice's file is the shorter one, and its end is the call's.
    for said, there in zip((FEW_WORDS, speech(LISTENER, 2), speech(LISTENER, 2)), heard, strict=True):
        assert likeness(said, there, SYLLABLE) > ALIKE


def test_each_call_of_a_listener_is_a_recording_of_its_own(tmp_path: Path) -> None:
    with listening("--input", "none", "--output", str(tmp_path / "heard.wav")) as (bob, address):
        for _ in range(2):
            with Program("dial", address, "--no-audio") as alice:
                alice.notice_with("connected to")
                alice.write("goodbye\n")
                alice.close_input()
                assert alice.wait() == 0
            bob.notice_with("hung up")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["heard-2.wav", "heard.wav"]


def test_raw_sound_goes_through_pipes(tmp_path: Path) -> None:
    said, heard = tmp_path / "said.raw", tmp_path / "heard.raw"
    said.write_bytes(FEW_WORDS.tobytes())
    with (
        listening("--input", "none", "--output", "-", "--once", redirect=f"> {heard}") as (bob, address),
        Program("dial", address, "--input", "-", "--output", "none", redirect=f"< {said}") as alice,
    ):
        assert (alice.wait(), bob.wait()) == (0, 0)
        assert alice.out == []
    assert likeness(FEW_WORDS, samples_of(heard.read_bytes()), SYLLABLE) > ALIKE


def test_text_beside_raw_sound_is_on_standard_error(tmp_path: Path) -> None:
    heard = tmp_path / "heard.raw"
    with (
        listening("--no-audio", "--name", "bob") as (bob, address),
        Program("dial", address, "--input", "none", "--output", "-", redirect=f"> {heard}") as alice,
    ):
        bob.notice_with("connected to")
        bob.write("hi\n")
        bob.close_input()
        assert alice.wait() == 0
        assert "bob> hi" in alice.err
    assert set(heard.read_bytes()) <= {0}


def test_what_is_heard_can_be_kept(sound_cards: SoundCards, few_words: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.wav"
    bob = ("--input", "none", "--record", str(kept), "--once")
    alice = ("--input", few_words, "--output", "none")
    with listening(*bob, env=sound_cards.env("b")) as (listener, address):
        ear = sound_cards.record("b_spk")
        with Program("dial", address, *alice) as dialler:
            dialler.close_input()
            assert (dialler.wait(), listener.wait()) == (0, 0)
        heard = ear.stop()
    assert likeness(FEW_WORDS, heard, SYLLABLE) > ALIKE
    assert likeness(FEW_WORDS, soundfile.read(kept, dtype="int16")[0], SYLLABLE) > ALIKE


def test_who_is_muted_is_not_heard_and_who_is_deafened_does_not_hear(sound_cards: SoundCards, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(speech(LISTENER), 10), RATE)  # some 90 s: nobody waits for its end
    alice, bob = ("--input", str(tmp_path / "long.wav"), "--output", "none"), ("--input", "none")
    with calling("--json", alice=alice, bob=bob, bob_env=sound_cards.env("b")) as (caller, listener):
        wait_until(lambda: level(_overhear(sound_cards)) > LOUD, PATIENCE)
        caller.command(command="mute")
        assert caller.event("switched")["on"]
        assert listener.event("peer_switched")["what"] == "muted"
        wait_until(lambda: level(_overhear(sound_cards)) < QUIET, PATIENCE)
        caller.command(command="mute")
        assert not caller.event("switched")["on"]
        wait_until(lambda: level(_overhear(sound_cards)) > LOUD, PATIENCE)
        listener.command(command="deafen")
        assert listener.event("switched")["on"]
        wait_until(lambda: level(_overhear(sound_cards)) < QUIET, PATIENCE)


def _overhear(sound_cards: SoundCards) -> Samples:
    """Half a second."""
    ear = sound_cards.record("b_spk")
    time.sleep(0.5)
    return ear.stop()


def test_a_sound_server_that_dies_takes_no_text_with_it(tmp_path: Path) -> None:
    sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with SoundCards() as cards, calling(alice_env=cards.env("a"), alice=("--json",), bob=sound) as (alice, bob):
        _await_sound(alice)  # a server that dies while it is opened is another matter, and told in other words
        bob.write("before\n")
        assert alice.event("text")["text"] == "before"
        cards.kill()
        stopped = [alice.event("audio_stopped") for _ in range(2)]
        assert {each["direction"]: each["error"] for each in stopped} == {
            kind: f"the {kind} device default has stopped" for kind in ("input", "output")
        }
        alice.command(command="say", text="I cannot hear you")
        assert bob.read() == "alice> I cannot hear you"
        bob.write("me neither\n")
        bob.close_input()
        assert alice.event("text")["text"] == "me neither"
        alice.event("ended")
        assert alice.wait() == 0
        assert len([line for line in alice.out if '"audio_stopped"' in line]) == 2
        assert not alice.err


def test_a_sound_server_that_dies_while_it_is_opened_takes_no_text_with_it(tmp_path: Path) -> None:
    sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with SoundCards() as cards, calling(alice_env=cards.env("a"), bob=sound) as (alice, bob):
        cards.kill()
        for _ in range(2):
            assert alice.notice_with("text goes on").startswith("voicemux: ")
        alice.write("I cannot hear you\n")
        alice.close_input()
        assert bob.read() == "alice> I cannot hear you"
        assert alice.wait() == 0
        assert all(line.startswith("voicemux: ") for line in alice.err)


def test_a_sound_server_that_freezes_takes_no_text_with_it(tmp_path: Path) -> None:
    sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with (
        SoundCards() as cards,
        calling(alice_env=cards.env("a"), alice=("--json",), bob=sound) as (alice, bob),
    ):
        _await_sound(alice)
        with cards.frozen():
            said = {alice.event("audio_stopped")["direction"] for _ in range(2)}
            assert said == {"input", "output"}
            bob.write("me neither\n")
            bob.close_input()
            assert alice.event("text")["text"] == "me neither"
            assert alice.wait() == 0


@pytest.mark.parametrize("trouble", ["dies", "freezes"])
def test_sound_comes_back_when_its_server_does_which(trouble: str, tmp_path: Path) -> None:
    sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with (
        SoundCards() as cards,
        calling(alice_env=cards.env("a"), alice=("--json",), bob=sound) as (alice, bob),
    ):
        _await_sound(alice)
        with cards.frozen() if trouble == "freezes" else contextlib.nullcontext(cards.kill()):
            assert {alice.event("audio_stopped")["direction"] for _ in range(2)} == {"input", "output"}
            bob.write("I hear nothing\n")
            assert alice.event("text")["text"] == "I hear nothing"
        if trouble == "dies":
            cards.restart()
        _await_sound(alice)
        bob.close_input()
        assert alice.wait() == 0
        assert not alice.err


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1, 0.2])
def test_a_sound_server_that_freezes_while_it_is_opened_and_then_dies_takes_no_text_with_it(
    seconds: float, tmp_path: Path
) -> None:
    sound = ("--input", "none", "--output", str(tmp_path / "heard.wav"))
    with SoundCards() as cards, calling(alice_env=cards.env("a"), bob=sound) as (alice, bob):
        time.sleep(seconds)  # what it was doing is different each time, and any of it must do
        with cards.frozen():
            bob.write("are you there?\n")
            assert alice.read() == "bob> are you there?"
            cards.kill()
        alice.write("I cannot hear you\n")
        alice.close_input()
        assert bob.read() == "alice> I cannot hear you"
        assert alice.wait() == 0
        assert all(line.startswith("voicemux: ") for line in alice.err)


def _await_sound(program: Program) -> None:
    assert {program.event("audio_started")["direction"] for _ in range(2)} == {"input", "output"}


def test_without_a_sound_card_there_is_text_and_one_line_about_what_is_missing(tmp_path: Path) -> None:
    with calling(alice_env=without_sound(tmp_path), bob=("--no-audio",)) as (alice, bob):
        alice.write("I have no microphone\n")
        alice.close_input()
        assert bob.read() == "alice> I have no microphone"
        assert alice.wait() == 0
        (missing,) = [line for line in alice.err if "no microphone" in line or "no loudspeaker" in line]
        assert missing.startswith("voicemux: no microphone: ")
        assert "no loudspeaker: " in missing
        assert missing.endswith("voicemux devices lists what there is")
        assert len(alice.err) == 5


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    broken = tmp_path / "pyaudio.py"
    broken.write_text("raise ImportError('libportaudio.so.2: cannot open shared object file')\n")
    with calling(alice_env={"PYTHONPATH": str(tmp_path)}, bob=("--no-audio",)) as (alice, bob):
        alice.write("no PortAudio here\n")
        alice.close_input()
        assert bob.read() == "alice> no PortAudio here"
        assert alice.wait() == 0
        (missing,) = [line for line in alice.err if "portaudio" in line.lower()]
        assert missing.startswith("voicemux: no sound: libportaudio")
        assert "; to have it: " in missing


def test_without_opus_voice_is_pcm_and_a_line_says_how_to_have_it(few_words: str, tmp_path: Path) -> None:
    (tmp_path / "opuslib_next.py").write_text("raise ImportError('Could not find Opus library')\n")
    heard = tmp_path / "heard.wav"
    with calling(
        alice=("--input", few_words, "--output", "none"),
        bob=("--input", "none", "--output", str(heard), "--once"),
        alice_env={"PYTHONPATH": str(tmp_path)},
    ) as (alice, bob):
        assert [line for line in alice.err if "to have it: " in line and "opus" in line]
        alice.close_input()
        assert (alice.wait(), bob.wait()) == (0, 0)
    assert likeness(FEW_WORDS, soundfile.read(heard, dtype="int16")[0], SYLLABLE) > EXACT


@pytest.mark.parametrize("codec", ["pcm", pytest.param("auto", marks=pytest.mark.long)])
def test_music_arrives_in_two_channels_which_stay_apart(codec: str, tmp_path: Path) -> None:
    """Of 44.1 kHz, as most music is."""
    said, heard, kept = (tmp_path / name for name in ("said.wav", "heard.wav", "kept.wav"))
    sides = [speech(DIALLER, 3), speech(LISTENER, 3)]
    at_44100 = [Resampler(RATE, 44_100).process(side, last=True) for side in sides]
    soundfile.write(said, np.stack([side[: 44_100 * 3 - 100] for side in at_44100], axis=1), 44_100)
    alice = ("--input", str(said), "--output", "none", "--music", "--codec", codec)
    bob = ("--input", "none", "--output", str(heard), "--record-call", str(kept), "--music", "--once")
    with calling(alice=alice, bob=bob) as (dialler, listener):
        dialler.close_input()
        assert (dialler.wait(), listener.wait()) == (0, 0)
    both, rate = soundfile.read(heard, dtype="int16", always_2d=True)
    assert (rate, both.shape[1]) == (RATE, 2)
    for side in (0, 1):
        same, other = (likeness(sides[number], both[:, side].copy(), SYLLABLE) for number in (side, 1 - side))
        assert same > ALIKE
        assert same > other
    mean = np.rint((sides[0] + sides[1].astype(int)) / 2).astype(np.int16)
    assert (
        likeness(mean, soundfile.read(kept, dtype="int16")[0][:, 1], SYLLABLE) > ALIKE
    )  # a side has one channel there


def test_music_is_heard_by_a_side_that_plays_one_channel(tmp_path: Path, few_words: str) -> None:
    heard = tmp_path / "heard.wav"
    alice = ("--input", few_words, "--output", "none", "--music")
    with calling(alice=alice, bob=("--input", "none", "--output", str(heard), "--once")) as (dialler, listener):
        dialler.close_input()
        assert (dialler.wait(), listener.wait()) == (0, 0)
    assert soundfile.info(heard).channels == 1
    assert likeness(FEW_WORDS, soundfile.read(heard, dtype="int16")[0], SYLLABLE) > ALIKE
