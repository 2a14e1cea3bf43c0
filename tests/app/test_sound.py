"""The sound of a run, with files: devices are tried in tests/program."""

from pathlib import Path

import numpy as np
import pytest

from tests.audio.speech import DIALLER
from voicemux.app.settings import Settings, SoundSettings, VoiceSettings
from voicemux.app.sound import Halves, Sound
from voicemux.audio.choices import Nothing, SoundFile, StandardStream
from voicemux.audio.endpoints import RATE
from voicemux.errors import DeviceError
from voicemux.events import AudioStopped, Interrupted, Resumed, TextReceived
from voicemux.protocol.messages import Codec

ANY_CODEC = (Codec.OPUS, Codec.PCM)


@pytest.fixture
def told() -> list[str]:
    return []


def sound_of(told: list[str], sound: SoundSettings, voice: VoiceSettings | None = None) -> Sound:
    return Sound(Settings("ann", sound, voice or VoiceSettings()), told.append)


def test_without_sound_nothing_is_opened(told: list[str]) -> None:
    sound = sound_of(told, SoundSettings(Nothing(), Nothing()))
    sound.check()
    with sound.of_a_call():
        assert sound.open() == ()
        assert sound.make_halves(ANY_CODEC) == Halves()
    assert told == []


def test_a_file_is_sent_and_another_one_recorded(told: list[str], tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    sound = sound_of(
        told, SoundSettings(SoundFile(str(DIALLER)), SoundFile(str(heard))), VoiceSettings(starts_muted=True)
    )
    sound.check()
    assert not heard.exists()
    with sound.of_a_call():
        assert sound.open() == ANY_CODEC
        assert sound.source == DIALLER.name
        halves = sound.make_halves(ANY_CODEC)
        assert halves.is_finite
        assert halves.transmitter
        assert halves.transmitter.muted
        assert halves.player
        assert halves.recorder is None
        assert heard.exists()
    assert (sound.source, sound.playable, told) == ("", (), [])


def test_a_lost_line_and_its_return_are_heard_unless_the_user_wants_no_tones(told: list[str], tmp_path: Path) -> None:
    for tones in (True, False):
        sound = sound_of(told, SoundSettings(Nothing(), SoundFile(str(tmp_path / "heard.wav")), tones=tones))
        with sound.of_a_call():
            sound.open()
            halves = sound.make_halves(ANY_CODEC)
        assert (halves.tones is not None) == tones
        events = (Interrupted("bob", 4.0), TextReceived("bob", "hi"), Resumed("bob", 7.0, "192.168.1.5"))
        heard = []
        for event in events:
            halves.on_event(event)
            heard.append(bool(halves.tones and halves.tones.add(np.zeros(RATE, np.int16)).any()))
        assert heard == [tones, False, tones]


def test_every_call_of_a_run_has_a_recording_of_its_own(told: list[str], tmp_path: Path) -> None:
    heard = str(tmp_path / "heard.wav")
    sound = sound_of(told, SoundSettings(Nothing(), SoundFile(heard)))
    for _ in range(2):
        with sound.of_a_call():
            sound.open()
            sound.make_halves(ANY_CODEC)
    assert told == [f"{heard} is there already: recording to {tmp_path / 'heard-2.wav'}"]


def test_what_was_named_and_is_not_there_is_refused_before_a_call(told: list[str], tmp_path: Path) -> None:
    missing = SoundFile(str(tmp_path / "no.wav"))
    with pytest.raises(DeviceError, match="no such file or directory"):
        sound_of(told, SoundSettings(missing, Nothing())).check()
    with pytest.raises(DeviceError, match="no such folder"):
        sound_of(told, SoundSettings(Nothing(), Nothing(), SoundFile(str(tmp_path / "no" / "a.wav")))).check()


def test_a_recording_that_cannot_be_made_is_said_and_the_call_goes_on(told: list[str], tmp_path: Path) -> None:
    sound = sound_of(told, SoundSettings(Nothing(), SoundFile(str(tmp_path / "gone" / "heard.wav"))))
    with sound.of_a_call():
        sound.open()
        assert sound.make_halves(ANY_CODEC).player is None
    assert [each.endswith("; the call goes on without it") for each in told] == [True]
    assert sound.broken


@pytest.mark.parametrize(
    ("output", "direction", "error", "is_over", "is_for_nobody"),
    [
        (StandardStream(), "output", "the reader has gone", True, True),
        (StandardStream(), "input", "it broke", True, False),
        (StandardStream(), "output", "", False, False),
        (SoundFile("heard.wav"), "output", "the disk is full", True, False),
    ],
)
def test_a_call_is_for_nobody_when_the_reader_of_its_sound_has_gone(
    output: StandardStream | SoundFile,
    direction: str,
    error: str,
    is_over: bool,
    is_for_nobody: bool,
    told: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    sound = sound_of(told, SoundSettings(SoundFile(str(DIALLER)), output))
    with sound.of_a_call(), capfd.disabled():
        sound.open()
        stopped = AudioStopped(direction, error)
        assert (sound.is_over(stopped), sound.is_for_nobody(stopped)) == (is_over, is_for_nobody)
