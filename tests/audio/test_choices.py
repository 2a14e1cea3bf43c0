import os
from pathlib import Path

import pytest

from voicemux.audio.choices import DefaultDevice, NamedDevice, Nothing, SoundFile, StandardStream, choice, is_file


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("", DefaultDevice()),
        ("none", Nothing()),
        ("-", StandardStream()),
        ("3", NamedDevice("3")),
        ("None", NamedDevice("None")),
        ("USB", NamedDevice("USB")),
        ("speech.wav", SoundFile("speech.wav")),
        ("/dev/stdin", SoundFile("/dev/stdin")),
    ],
)
def test_words_become_what_they_mean(words: str, meant: object) -> None:
    assert choice(words) == meant


def test_the_default_device_goes_by_no_name() -> None:
    assert DefaultDevice().name == ""


@pytest.mark.parametrize("ending", ["wav", "WAV", "flac", "ogg", "opus", "mp3", "aiff", "au"])
def test_what_ends_like_a_sound_file_is_one(ending: str) -> None:
    assert is_file(f"speech.{ending}")


@pytest.mark.parametrize("wanted", ["", "-", "none", "0", "USB", "HDA Intel PCH: ALC257 Analog (hw:0,0)", "my.mic"])
def test_what_may_be_the_name_of_a_device_is_no_file(wanted: str) -> None:
    assert not is_file(wanted)


def test_what_has_a_folder_is_a_file() -> None:
    assert is_file(os.path.join(".", "speech"))


def test_what_has_an_ending_and_is_there_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_file("speech.raw")
    (tmp_path / "speech.raw").touch()
    assert is_file("speech.raw")
