"""`voicemux test` with devices that fail in the middle: the report names the one that has failed."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.audio.speech import speech
from voicemux.app.sound_test import try_sound
from voicemux.audio.endpoints import BLOCK_BYTES, RATE, SAMPLE_BYTES, Block
from voicemux.audio.portaudio import Device
from voicemux.errors import DeviceError

SAID = speech(seconds=2.0).tobytes()
SECOND = RATE * SAMPLE_BYTES // BLOCK_BYTES  # blocks
NEVER = 1_000_000  # blocks


def device(name: str) -> Device:
    return Device(0, name, "ALSA", 1, 1, RATE, default_input=True, default_output=True)


class Microphone:
    """Works for so many blocks."""

    def __init__(self, works_for: int) -> None:
        self.label, self.device, self.batch = "mic", device("mic"), 1
        self._left, self._at = works_for, 0

    def start(self) -> float:
        return 0.0

    def read(self) -> Block:
        if not self._left:
            raise DeviceError("the input device mic has stopped")
        self._left -= 1
        at, self._at = self._at, (self._at + BLOCK_BYTES) % (len(SAID) - BLOCK_BYTES)
        return Block(0, SAID[at : at + BLOCK_BYTES])

    def close(self) -> None:
        pass


class Loudspeaker:
    """Works for so many blocks."""

    def __init__(self, works_for: int) -> None:
        self.label, self.device, self.tap = "speaker", device("speaker"), None
        self.works_for = works_for
        self.played = 0

    def start(self) -> float:
        return 0.0

    def ready(self) -> bool:
        if self.played >= self.works_for:
            raise DeviceError("the output device speaker has stopped")
        return True

    def write(self, pcm: bytes) -> None:
        self.played += 1

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("mic_works_for", "speaker_works_for", "verdicts"),
    [
        (SECOND // 2, NEVER, ("missing", "plays", None)),  # while the user speaks
        (2 * SECOND, NEVER, ("missing", "plays", None)),  # while the voice is played
        (NEVER, SECOND // 2, ("good", "missing", None)),
        (2 * SECOND, SECOND // 2, ("missing", "missing", None)),  # both, as when one headset is unplugged
        (SECOND // 2, SECOND // 2, ("missing", "missing", None)),
        (NEVER, NEVER, ("good", "plays", "not known")),
    ],
)
def test_a_device_that_fails_in_the_middle_is_the_one_that_is_named(
    mic_works_for: int,
    speaker_works_for: int,
    verdicts: tuple[str | None, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = "voicemux.audio.soundcheck"
    loudspeaker = Loudspeaker(speaker_works_for)
    monkeypatch.setattr(f"{module}.PortAudio", lambda: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(f"{module}.open_source", lambda *_: Microphone(mic_works_for))
    monkeypatch.setattr(f"{module}.open_sink", lambda *_: loudspeaker)
    report: dict[str, Any] = try_sound("", "", 1.0, lambda _: None, asks=False)
    parts = [report[part] for part in ("microphone", "loudspeaker", "echo")]
    assert tuple(part and part["verdict"] for part in parts) == verdicts
    for part, name in zip(parts[:2], ("input device mic", "output device speaker"), strict=True):
        assert (part["verdict"] == "missing") == (f"the {name} has stopped" in part["text"])
    assert loudspeaker.played >= min(speaker_works_for, 6 * SECOND)
