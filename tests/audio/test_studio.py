import os
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from tests.audio.speech import DIALLER, tone
from tests.conftest import sound_threads
from tests.soundcards import SoundCards
from voicemux.audio.capture.wish import Wish
from voicemux.audio.card import CardLoudspeaker
from voicemux.audio.choices import (
    Choice,
    DefaultDevice,
    EchoChoice,
    NamedDevice,
    Nothing,
    SoundFile,
    StandardStream,
    choice,
)
from voicemux.audio.devices import open_sink
from voicemux.audio.endpoints import RATE
from voicemux.audio.playout.jitter import MAX_DELAY
from voicemux.audio.portaudio import PortAudio
from voicemux.audio.processing import Processing
from voicemux.audio.studio import Studio, check_input, check_output
from voicemux.calls.establishing import own_hello
from voicemux.errors import DeviceError, LibraryMissing
from voicemux.protocol.messages import Audio, Codec


def test_a_studio_with_nothing_plays_and_sends_nothing() -> None:
    studio = Studio()
    studio.open_input(Nothing())
    studio.open_output(Nothing())
    studio.check_codec()
    assert (studio.playable, studio.finite, studio.make_player(MAX_DELAY)) == ((), False, None)
    assert studio.make_transmitter((Codec.OPUS, Codec.PCM)) is None
    studio.close()


def test_a_studio_of_files_sends_one_and_records_to_the_other(tmp_path: Path) -> None:
    studio = Studio()
    studio.open_input(SoundFile(str(DIALLER)))
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    studio.record(str(tmp_path / "too.flac"))
    studio.check_codec()
    assert (studio.playable, studio.finite) == ((Codec.OPUS, Codec.PCM), True)
    player = studio.make_player(MAX_DELAY)
    assert player
    assert player.label == "heard.wav"
    recorder = studio.make_recorder(MAX_DELAY)
    assert recorder
    assert recorder.label == "too.flac"
    for playable, wanted, codec in [
        ((Codec.OPUS, Codec.PCM), None, Codec.OPUS),
        ((Codec.OPUS, Codec.PCM), Codec.PCM, Codec.PCM),
        ((Codec.PCM,), Codec.OPUS, Codec.PCM),
    ]:
        transmitter = studio.make_transmitter(playable, wanted)
        assert transmitter
        assert (transmitter.label, transmitter.codec) == (DIALLER.name, codec)
    assert studio.make_transmitter((0x99,)) is None
    assert studio.make_transmitter(()) is None
    studio.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["heard.wav", "too.flac"]


def test_a_microphone_that_is_wanted_late_is_found_and_not_opened(
    sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    studio = Studio()
    with pytest.raises(DeviceError, match="there is no input device 'trumpet'"):
        studio.open_input(NamedDevice("trumpet"), late=True)
    studio.open_input(NamedDevice("headset"), late=True)
    before = sound_threads()
    transmitter = studio.make_transmitter((Codec.PCM,))
    assert transmitter
    assert (transmitter.label, studio.source, studio.finite) == ("headset", "headset", False)
    transmitter.muted = True
    sent = threading.Event()
    thread = threading.Thread(target=transmitter.run, args=(lambda _: sent.set(), lambda _: None))
    thread.start()
    assert not sent.wait(0.2)
    assert sound_threads() == before
    transmitter.muted = False
    assert sent.wait(10)
    assert sound_threads() > before
    transmitter.stop()
    thread.join(5)
    studio.close()


def test_pipes_are_the_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        os.write(write, bytes(4096))
        stream = check_input(StandardStream())
        check_output(StandardStream())
        studio = Studio()
        studio.open_input(StandardStream(), stream)
        studio.open_output(StandardStream())
        transmitter, player = (
            studio.make_transmitter((Codec.PCM,)),
            studio.make_player(MAX_DELAY),
        )
        assert transmitter
        assert player
        assert (transmitter.label, player.label) == ("standard input", "standard output")
        assert studio.finite
        studio.close()


def test_a_half_that_cannot_be_opened_leaves_the_other(tmp_path: Path) -> None:
    studio = Studio()
    with pytest.raises(DeviceError):
        studio.open_input(SoundFile(str(tmp_path / "no.wav")))
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    assert studio.make_transmitter((Codec.PCM,)) is None
    assert studio.make_player(MAX_DELAY)
    studio.record(str(tmp_path / "no folder" / "too.wav"))
    with pytest.raises(DeviceError):
        studio.make_recorder(MAX_DELAY)
    studio.close()


def test_what_arrives_is_recorded_without_a_loudspeaker_too(tmp_path: Path) -> None:
    studio = Studio()
    studio.record(str(tmp_path / "heard.wav"))
    assert studio.playable == (Codec.OPUS, Codec.PCM)
    player = studio.make_player(MAX_DELAY)
    assert player
    assert player.label == "heard.wav"
    assert studio.make_recorder(MAX_DELAY) is None
    assert not any(studio.may_come_back(direction) for direction in ("input", "output", "recording"))
    studio.close()


def test_no_recording_is_made_before_there_is_a_call(tmp_path: Path) -> None:
    studio = Studio()
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    studio.record(str(tmp_path / "too.wav"))
    studio.close()
    assert not list(tmp_path.iterdir())


def test_recordings_that_were_there_get_other_names(tmp_path: Path) -> None:
    (tmp_path / "heard.wav").write_bytes(b"dear")
    studio = Studio()
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    studio.record(str(tmp_path / "heard.wav"))
    labels = [each.label for make in (studio.make_player, studio.make_recorder) if (each := make(MAX_DELAY))]
    studio.close()
    assert labels == ["heard-2.wav", "heard-3.wav"]
    assert studio.renamed == [(str(tmp_path / "heard.wav"), str(tmp_path / label)) for label in labels]


@pytest.mark.parametrize(
    ("kind", "wanted", "complaint"),
    [
        ("input", "{}/no.wav", "cannot open {}/no.wav: no such file or directory"),
        ("input", "{}/text.wav", "cannot use {}/text.wav as sound: format not recognised"),
        ("output", "{}/no/heard.wav", "cannot write {}/no/heard.wav: no such folder"),
        ("output", "{}/", "cannot write {}/: a folder of that name is there"),
        (
            "output",
            "{}/heard.txt",
            "cannot write {}/heard.txt: a recording's name ends in .wav, .aiff, .aif, .au, .flac, .ogg, .opus, .mp3",
        ),
        ("input", "-", "standard input is closed"),
        ("output", "-", "standard output is closed"),
    ],
)
def test_what_cannot_be_had_is_refused_beforehand(
    kind: str, wanted: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    (tmp_path / "text.wav").write_text("Dear diary")
    with pytest.raises(DeviceError) as caught:
        (check_input if kind == "input" else check_output)(choice(wanted.format(tmp_path)))
    assert str(caught.value) == complaint.format(*[tmp_path] * 2)


@pytest.mark.parametrize(("kind", "wanted"), [("input", "none"), ("output", "none"), ("output", "{}/heard.wav")])
def test_what_can_be_had_is_left_as_it_is(kind: str, wanted: str, tmp_path: Path) -> None:
    (check_input if kind == "input" else check_output)(choice(wanted.format(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_a_recording_that_is_there_is_not_touched_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "heard.wav").write_bytes(b"dear")
    check_output(SoundFile(str(tmp_path / "heard.wav")))
    assert (tmp_path / "heard.wav").read_bytes() == b"dear"


def test_without_pyaudio_there_are_files_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    studio = Studio()
    for open_device in (studio.open_input, studio.open_output):
        with pytest.raises(LibraryMissing, match=r"^no sound: ") as caught:
            open_device(DefaultDevice())
        assert caught.value.library == "pyaudio"
    studio.open_input(SoundFile(str(DIALLER)))
    assert studio.finite
    studio.close()


class Passed(Processing):
    """Keeps when sound passed, and the time that was said with it."""

    made: ClassVar[list["Passed"]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.heard: list[tuple[float, float]] = []
        self.said: list[tuple[float, float]] = []
        self.both = threading.Event()

    def rendered(self, pcm: bytes, at: float) -> None:
        self._keep(self.heard, at)

    def captured(self, pcm: bytes, at: float) -> bytes:
        self._keep(self.said, at)
        return pcm

    def _keep(self, times: list[tuple[float, float]], at: float) -> None:
        times.append((time.monotonic(), at))
        if self.heard and self.said:
            self.both.set()


def test_a_loudspeaker_that_is_opened_again_is_listened_to_again(
    sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    opened: list[CardLoudspeaker] = []

    def open_and_keep(portaudio: PortAudio, wanted: str, channels: int) -> CardLoudspeaker:
        opened.append(open_sink(portaudio, wanted, channels))
        return opened[-1]

    monkeypatch.setattr("voicemux.audio.cards.open_sink", open_and_keep)
    studio = Studio()
    studio.open_input(DefaultDevice())
    studio.open_output(DefaultDevice())
    studio.cancel_echo(EchoChoice.AUTO, print, print)
    player = studio.make_player(MAX_DELAY)
    assert player
    player.in_use.reopen()
    studio.close()
    assert len(opened) == 2
    assert opened[0].tap
    assert opened[1].tap == opened[0].tap


@pytest.mark.parametrize(
    ("choice", "source", "sink", "state"),
    [
        (EchoChoice.OFF, DefaultDevice(), DefaultDevice(), "off"),
        (EchoChoice.ON, SoundFile(str(DIALLER)), DefaultDevice(), "not needed"),
        (EchoChoice.ON, DefaultDevice(), Nothing(), "not needed"),
    ],
)
def test_without_both_sound_cards_or_if_the_user_does_not_want_it_no_loudspeaker_is_listened_to(
    choice: EchoChoice,
    source: Choice,
    sink: Choice,
    state: str,
    sound_cards: SoundCards,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(CardLoudspeaker, "tap", None)
    studio = Studio()
    studio.open_input(source)
    studio.open_output(sink)
    studio.cancel_echo(choice, print, print)
    transmitter = studio.make_transmitter((Codec.PCM,))
    assert transmitter
    assert (transmitter.echo, transmitter.capture_ms < 9) == (state, True)
    studio.close()


def test_what_both_sound_cards_of_a_call_hear_and_play_passes_in_one_place(
    sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("voicemux.audio.studio.Processing", Passed)
    monkeypatch.setattr(Passed, "made", [])
    studio = Studio()
    studio.open_input(DefaultDevice())
    studio.open_output(DefaultDevice())
    player, transmitter = studio.make_player(MAX_DELAY), studio.make_transmitter((Codec.PCM,))
    assert player
    assert transmitter
    threads = [
        threading.Thread(target=transmitter.run, args=(lambda _: None, lambda _: None)),
        threading.Thread(target=player.run, args=(lambda _: None,)),
    ]
    for thread in threads:
        thread.start()
    (passed,) = Passed.made
    assert passed.both.wait(10)
    for half in (player, transmitter):
        half.stop()
    for thread in threads:
        thread.join(5)
    studio.close()
    assert any(at > now for now, at in passed.heard), "it is heard later than it passes, unless the machine is busy"
    assert all(at < now for now, at in passed.said), "it was said earlier"


@pytest.mark.parametrize(
    ("playable", "wanted", "in_stereo", "codec", "size"),
    [
        ((Codec.OPUS, Codec.PCM_STEREO, Codec.PCM), None, True, Codec.OPUS, 240),
        ((Codec.OPUS, Codec.PCM_STEREO, Codec.PCM), Codec.PCM, True, Codec.PCM_STEREO, 3840),
        ((Codec.PCM_STEREO, Codec.PCM), None, True, Codec.PCM_STEREO, 3840),
        ((Codec.OPUS, Codec.PCM), None, False, Codec.OPUS, 240),
        ((Codec.OPUS, Codec.PCM_STEREO, Codec.PCM), Codec.PCM, False, Codec.PCM, 1920),  # says that it plays one
        ((Codec.OPUS, Codec.PCM), Codec.PCM, True, Codec.PCM, 1920),  # plays two, but not this way
    ],
)
def test_music_is_sent_as_two_channels_to_a_peer_that_plays_two(
    playable: tuple[int, ...], wanted: Codec | None, in_stereo: bool, codec: Codec, size: int, tmp_path: Path
) -> None:
    said = np.stack((tone(500, 0.2), tone(2000, 0.2)), axis=1)
    soundfile.write(tmp_path / "said.wav", said, RATE)
    studio = Studio(channels=2)
    studio.open_input(SoundFile(str(tmp_path / "said.wav")))
    wish = Wish(bitrate=96_000, frame_ms=20, at_once=True)
    transmitter = studio.make_transmitter(playable, wanted, wish, in_stereo=in_stereo)
    assert transmitter
    assert transmitter.codec == codec
    sent: list[Audio] = []
    transmitter.run(sent.append, lambda since: None)
    assert {len(each.data) for each in sent if each.data} == {size}
    if codec == Codec.OPUS:
        assert {bool(each.data[0] & 4) for each in sent if each.data} == {in_stereo}
    studio.close()


def test_music_is_recorded_in_two_channels_and_offered_as_such(tmp_path: Path) -> None:
    studio = Studio(channels=2)
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    assert studio.playable == (Codec.OPUS, Codec.PCM_STEREO, Codec.PCM)
    hello = own_hello("ann", studio.playable)
    assert hello.plays_stereo
    assert not own_hello("ann", (Codec.OPUS, Codec.PCM)).plays_stereo
    assert studio.make_player(MAX_DELAY)
    studio.close()
    assert soundfile.info(tmp_path / "heard.wav").channels == 2
