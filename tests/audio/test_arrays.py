"""Microphones and loudspeakers of many channels, whatever the sound server says that these are for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import RATE, level, samples_of, tone
from tests.peers import wait_until
from tests.soundcards import SoundCards
from voicemux.audio.card import CardMicrophone
from voicemux.audio.cards import Cards
from voicemux.audio.devices import open_sink, open_source
from voicemux.audio.endpoints import BLOCK_SAMPLES, Source
from voicemux.audio.in_use import InUse
from voicemux.audio.portaudio import PortAudio
from voicemux.audio.positions import heard_channels

AUX = tuple(f"aux{number}" for number in range(8))
TONE = tone(440, 30)
FULL = pytest.approx(level(TONE), rel=0.12)  # 1 dB


@pytest.fixture
def cards(sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SoundCards]:
    """A tone is played into a microphone's sink."""
    monkeypatch.setattr("voicemux.audio.card.STALL_TIMEOUT", 10.0)
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    soundfile.write(tmp_path / "tone.wav", TONE, RATE)
    with sound_cards.play(tmp_path / "tone.wav", "a_mic") as mouth:
        yield sound_cards
        mouth.terminate()


@pytest.fixture
def portaudio(cards: SoundCards) -> Iterator[PortAudio]:
    portaudio = PortAudio()
    yield portaudio
    portaudio.close()


@pytest.fixture
def plug(cards: SoundCards) -> Iterator[Callable[[str], None]]:
    """What `add_array` and `add_loudspeaker` return is unplugged at the end."""
    plugged: list[str] = []
    yield plugged.append
    for each in plugged:
        cards.unplug(each)


def sides(microphone: CardMicrophone, inside: int) -> list[float]:
    """The levels of the channels in the next tenth of a second."""
    microphone.batch = 4
    pcm = b""
    while len(pcm) < 20 * BLOCK_SAMPLES * 2 * inside:
        block = microphone.read()
        assert block
        pcm += block.pcm
    return [level(each) for each in samples_of(pcm).reshape(-1, inside).T]


@pytest.mark.parametrize("name", ["", "array"], ids=["as the default", "by name"])
@pytest.mark.parametrize(
    ("positions", "inside", "heard"),
    [
        (AUX, 1, [FULL]),
        (("front-left", "front-right", "lfe"), 1, [FULL]),
        (AUX[:2], 2, [0, FULL]),
        (AUX[:1], 2, [FULL, FULL]),
    ],
    ids=["8 auxiliary ones", "2.1", "a pair of auxiliary ones", "a single auxiliary one"],
)
def test_the_last_channel_of_a_microphone_is_heard_at_its_full_level(
    positions: tuple[str, ...],
    inside: int,
    heard: list[object],
    name: str,
    cards: SoundCards,
    portaudio: PortAudio,
    plug: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plug(cards.add_array("array", positions, "a_mic"))
    if not name:
        monkeypatch.setenv("PULSE_SOURCE", "array")
    microphone = open_source(portaudio, name, inside)
    microphone.start()
    try:
        wait_until(lambda: sides(microphone, inside) == heard)
    finally:
        microphone.close()


def test_a_call_that_the_server_moves_to_another_microphone_hears_all_its_channels(
    cards: SoundCards, plug: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULSE_SOURCE")
    plug(cards.add_microphone("plain", "plain", "b_mic"))
    plug(cards.add_array("array", AUX, "a_mic"))
    cards.set_default("input", "plain")
    studio = Cards()
    try:
        studio.open_source("")
        first = studio.source
        assert isinstance(first, CardMicrophone)
        first.start()
        half = InUse[Source](first)
        cards.set_default("input", "array")
        wait_until(lambda: (used := studio.used("input")) and used.name == "array")
        used = studio.used("input")
        assert used
        half.stop()  # no thread runs that would take the new one over
        assert studio.hear_all_of(used, half)
        second = studio.source
        assert isinstance(second, CardMicrophone)
        assert (second is first, second.heard) == (False, heard_channels(AUX, 1))
        wait_until(lambda: sides(second, 1) == [FULL])
        assert not studio.hear_all_of(used, half)
    finally:
        studio.close()


def test_music_is_heard_on_a_loudspeaker_with_auxiliary_channels_only(
    cards: SoundCards, portaudio: PortAudio, plug: Callable[[str], None]
) -> None:
    plug(cards.add_loudspeaker("studio", AUX[:2]))
    loudspeaker = open_sink(portaudio, "studio", 2)
    loudspeaker.start()
    ear = cards.record("studio")
    pcm = np.stack((tone(440, 0.1),) * 2, axis=1).tobytes()

    def is_heard() -> bool:
        for at in range(0, len(pcm), 4 * BLOCK_SAMPLES):
            assert loudspeaker.ready()
            loudspeaker.write(pcm[at : at + 4 * BLOCK_SAMPLES])
        return level(ear.so_far[-RATE // 5 :]) > 3000

    try:
        wait_until(is_heard)
    finally:
        ear.stop()
        loudspeaker.close()
