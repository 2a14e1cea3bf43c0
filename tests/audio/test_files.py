import gzip
import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.clock import Clock
from tests.audio.speech import DIALLER, LISTENER, RATE, level, pitch, place, samples_of, speech, tone
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, TAIL_BLOCKS, Block
from voicemux.audio.files import FileSource, load
from voicemux.console.remedies import hint
from voicemux.errors import DeviceError


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read as fast as it can be."""
    beats = itertools.count(1)
    monkeypatch.setattr("voicemux.audio.metronome.Metronome.wait", lambda metronome: next(beats))


def write(path: Path, rate: int = RATE, channels: int = 1, seconds: float = 0.15, **form: str) -> Path:
    """A tone of 1 kHz."""
    samples = tone(1000, seconds, rate) / 32_768
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate, **form)
    return path


def read_all(source: FileSource) -> list[Block]:
    source.start()
    blocks = []
    while block := source.read():
        blocks.append(block)
    source.close()
    return blocks


def sound_of(blocks: list[Block]) -> np.ndarray:
    return samples_of(b"".join(block.pcm for block in blocks))


@pytest.mark.usefixtures("no_hurry")
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("8-bit.wav", {"subtype": "PCM_U8"}),
        ("24-bit.wav", {"subtype": "PCM_24"}),
        ("32-bit.wav", {"subtype": "PCM_32"}),
        ("float.wav", {"subtype": "FLOAT"}),
        ("double.wav", {"subtype": "DOUBLE"}),
        ("ulaw.wav", {"subtype": "ULAW"}),
        ("stereo.wav", {"channels": 2}),
        ("six.wav", {"channels": 6}),
        ("11k.wav", {"rate": 11_025}),
        ("8k-24-bit-stereo.wav", {"rate": 8_000, "channels": 2, "subtype": "PCM_24"}),
        ("44k.wav", {"rate": 44_100}),
        ("96k.flac", {"rate": 96_000, "subtype": "PCM_24"}),
        ("vorbis.ogg", {}),
        ("sun.au", {}),
        ("grüße \N{HEADPHONE}.wav", {}),
    ],
)
def test_a_sound_file_of_any_form_is_heard_as_it_is(name: str, form: dict, tmp_path: Path) -> None:
    source = FileSource(str(write(tmp_path / name, **form)))
    assert (source.label, source.finite) == (name, True)
    heard = sound_of(read_all(source))
    assert len(heard) / RATE == pytest.approx(0.15 + TAIL_BLOCKS * BLOCK_SECONDS, abs=0.012)
    middle = heard[RATE // 50 : RATE // 8]
    assert pitch(middle) == pytest.approx(1000, abs=12)
    assert level(middle) == pytest.approx(level(tone(1000, 0.1)), rel=0.05)
    assert level(heard[-TAIL_BLOCKS * BLOCK_SAMPLES + 2400 :]) < 100


def test_a_file_is_read_at_real_pace_and_its_blocks_are_numbered(clock: Clock) -> None:
    source = FileSource(str(LISTENER))
    began = source.start()
    blocks = [source.read() for _ in range(40)]
    assert clock.now - began == pytest.approx(40 * BLOCK_SECONDS)
    assert [block and block.position for block in blocks] == [i * BLOCK_SAMPLES for i in range(40)]
    source.stop()
    assert source.read() is None
    source.close()


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_file_of_two_channels_is_read_as_two_where_two_are_wanted(rate: int, clock: Clock, tmp_path: Path) -> None:
    said = np.stack((tone(500, 1.0, rate), tone(2000, 1.0, rate)), axis=1)
    soundfile.write(tmp_path / "said.wav", said, rate)
    source = FileSource(str(tmp_path / "said.wav"), channels=2)
    assert source.channels == 2
    source.start()
    blocks = list(iter(source.read, None))
    assert {len(block.pcm) for block in blocks} == {2 * BLOCK_BYTES}
    assert [block.position for block in blocks] == [i * BLOCK_SAMPLES for i in range(len(blocks))]
    heard = samples_of(b"".join(block.pcm for block in blocks)).reshape(-1, 2)
    assert len(heard) == pytest.approx(RATE + TAIL_BLOCKS * BLOCK_SAMPLES, abs=2 * BLOCK_SAMPLES)
    assert rate != RATE or np.array_equal(heard[:RATE], said)
    assert [pitch(heard[RATE // 4 : RATE * 3 // 4, side]) for side in (0, 1)] == pytest.approx([500, 2000], abs=3)
    source.close()


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_a_file_with_another_number_of_channels_is_mixed_to_one(channels: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "said.wav", np.ones((RATE, channels), np.int16), RATE)
    source = FileSource(str(tmp_path / "said.wav"), channels=2)
    assert source.channels == 1
    source.close()


def test_stop_wakes_who_reads(tmp_path: Path) -> None:
    source = FileSource(str(write(tmp_path / "tone.wav", seconds=60)))
    reader = threading.Thread(target=read_all, args=(source,))
    reader.start()
    source.stop()
    reader.join(5)
    assert not reader.is_alive()


@pytest.mark.usefixtures("no_hurry")
def test_speech_comes_out_of_a_file_as_it_went_in() -> None:
    said = speech(DIALLER)
    heard = sound_of(read_all(FileSource(str(DIALLER))))
    assert place(said[:-RATE], heard)[1] > 0.999
    assert 0 <= len(heard) - len(said) - TAIL_BLOCKS * BLOCK_SAMPLES < 2 * BLOCK_SAMPLES


def damaged(path: Path, keep: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("empty.wav", b"", "{} is empty"),
        ("text.wav", b"Dear diary,\n" * 100, "cannot use {} as sound: format not recognised"),
        ("half.wav", b"RIFF\x24\x08\0\0WAVEfmt ", "cannot use {} as sound: "),
        ("folder.wav", None, "cannot open {}: is a directory"),
    ],
)
def test_what_is_no_sound_file_is_refused_in_a_line(
    name: str, content: bytes, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DeviceError) as caught:
        FileSource(str(path))
    assert str(caught.value).startswith(complaint.format(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^cannot open .*no\.wav: no such file or directory$"):
        FileSource(str(tmp_path / "no.wav"))


@pytest.mark.parametrize("ending", ["wav", "aiff"])
def test_a_file_with_a_header_and_no_samples_is_refused(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"nothing.{ending}", seconds=0)
    with pytest.raises(DeviceError, match=rf"^{path} holds no sound$"):
        FileSource(str(path))


@pytest.mark.usefixtures("no_hurry")
def test_a_wav_that_was_cut_off_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.wav", seconds=0.3)
    damaged(path, 0.5)
    assert len(read_all(FileSource(str(path)))) == pytest.approx(0.15 / BLOCK_SECONDS + TAIL_BLOCKS, abs=2)


@pytest.mark.usefixtures("no_hurry")
def test_a_file_that_turns_out_to_be_damaged_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "damaged.flac", seconds=0.4)
    damaged(path, 0.5)
    source = FileSource(str(path))
    with pytest.raises(DeviceError, match=r"^cannot read damaged\.flac: [a-z]"):
        read_all(source)
    source.close()
    with pytest.raises(DeviceError, match=r"^cannot read .*damaged\.flac: "):
        load(str(path))


@pytest.mark.usefixtures("no_hurry")
@pytest.mark.parametrize(
    ("name", "form", "order"),
    [
        ("film.wav", {"format": "WAVEX"}, "L R C LFE Ls Rs"),
        ("film.wav", {}, "L R C LFE Ls Rs"),
        ("film.flac", {}, "L R C LFE Ls Rs"),
        ("film.ogg", {"subtype": "VORBIS"}, "L C R Ls Rs LFE"),
        ("film.opus", {"format": "OGG", "subtype": "OPUS"}, "L C R Ls Rs LFE"),
    ],
)
def test_the_channels_of_a_film_are_heard_by_what_they_are_for(
    name: str, form: dict, order: str, tmp_path: Path
) -> None:
    """A tone in one channel after the other, as loud as ITU-R BS.775 has it; the subwoofer's is not heard."""
    parts = {"L": 1.0, "R": 1.0, "C": 2**0.5, "Ls": 0.5**0.5, "Rs": 0.5**0.5, "LFE": 0.0}
    total = sum(parts.values())
    for channel, place_ in enumerate(order.split()):
        samples = np.zeros((RATE // 2, 6), np.float32)
        samples[:, channel] = tone(60 if place_ == "LFE" else 1000, 0.5) / 32_768
        soundfile.write(tmp_path / name, samples, RATE, **form)
        heard = sound_of(read_all(FileSource(str(tmp_path / name))))[RATE // 10 : RATE // 3]
        expected = parts[place_] / total * level(tone(1000, 1))
        assert level(heard) == pytest.approx(expected, rel=0.08, abs=30), place_


def test_a_file_that_is_packed_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    path.write_bytes(gzip.compress(write(tmp_path / "whole.wav").read_bytes()))
    with pytest.raises(DeviceError, match=r"said\.wav is a gzip archive, and no sound$") as refused:
        FileSource(str(path))
    assert hint(refused.value) == "unpack it first"


def test_a_file_of_an_impossible_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100, np.int16), 100)
    with pytest.raises(DeviceError, match=r"^cannot use .*slow\.wav as sound: it has 100 samples a second$"):
        FileSource(str(path))
