"""Which sound server it is, and that voice passes through PipeWire in PulseAudio's place."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.audio.speech import RATE, place, speech
from tests.soundcards import PipeWireCards, SoundCards, without_sound
from voicemux.audio import pulse
from voicemux.audio.callbacks import CalledLoudspeaker, CalledMicrophone
from voicemux.audio.devices import names_of, open_sink, open_source
from voicemux.audio.echo.verdict import Names, is_cleaned
from voicemux.audio.portaudio import PortAudio

STALL = 0.1  # seconds in which the sound server does nothing, as on a busy machine


@pytest.fixture
def pipewire(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCards]:
    if missing := [program for program in PipeWireCards.needed if not shutil.which(program)]:
        pytest.skip(f"PipeWire needs {' and '.join(missing)}")
    with PipeWireCards() as cards:
        use(cards, monkeypatch)
        yield cards


def use(cards: SoundCards, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cards.env("a").items():
        monkeypatch.setenv(name, value)


def test_pulseaudio_is_known_by_its_name(sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch) -> None:
    use(sound_cards, monkeypatch)
    assert pulse.server_name() == pulse.PULSEAUDIO


def test_without_a_server_there_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in without_sound(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert pulse.server_name() == ""


@pytest.mark.alone
def test_a_server_that_is_frozen_has_no_name_and_holds_us_for_a_moment(
    sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(sound_cards, monkeypatch)
    began = time.monotonic()
    with sound_cards.frozen():
        assert pulse.server_name() == ""
    assert time.monotonic() - began < 10 * pulse.PATIENCE


@pytest.mark.alone
def test_speech_through_pipewire_is_whole_also_after_a_stall(pipewire: SoundCards) -> None:
    assert pulse.server_name() not in ("", pulse.PULSEAUDIO)
    portaudio = PortAudio()
    loudspeaker, microphone = open_sink(portaudio, ""), open_source(portaudio, "")
    try:
        assert isinstance(loudspeaker, CalledLoudspeaker)
        assert isinstance(microphone, CalledMicrophone)
        # A machine that stalls leaves gaps now and then; a way of playing that stumbles leaves some in every run.
        assert any(likeness_after_a_stall(loudspeaker, pipewire) > 0.9 for _ in range(3))
    finally:
        microphone.close()
        loudspeaker.close()
        portaudio.close()


def likeness_after_a_stall(loudspeaker: CalledLoudspeaker, cards: SoundCards) -> float:
    loudspeaker.start()
    play(loudspeaker, np.zeros(RATE // 2, np.int16))
    with cards.frozen():
        time.sleep(STALL)
    recording, said = cards.record("a_spk"), speech(seconds=1.5)
    play(loudspeaker, np.concatenate((np.zeros(RATE // 2, np.int16), said, np.zeros(RATE // 2, np.int16))))
    return place(said, recording.stop())[1]


def play(loudspeaker: CalledLoudspeaker, sound: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> None:
    for i in range(0, len(sound), RATE // 50):
        assert loudspeaker.ready()
        loudspeaker.write(sound[i : i + RATE // 50].tobytes())


def test_the_default_devices_are_called_as_the_server_calls_them(
    sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(sound_cards, monkeypatch)
    assert pulse.names_of_default("output") == ("a_spk", "Null Output")
    assert pulse.names_of_default("input") == ("a_mic.monitor", "Monitor of Null Output")
    monkeypatch.setenv("PULSE_SINK", "no such sink")
    assert pulse.names_of_default("output") == ()


def test_a_microphone_that_the_server_cancels_echo_in_is_told_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with SoundCards() as cards:
        use(cards, monkeypatch)
        monkeypatch.delenv("PULSE_SOURCE")
        cards.cancel_echo("a")
        names = pulse.names_of_default("input")
    assert is_cleaned(Names(names, ()))


def test_without_a_server_the_default_has_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in without_sound(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert names_of("default", "output") == ("default",)
