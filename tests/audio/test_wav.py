import contextlib
import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.speech import RATE, level, pitch, place, samples_of, speech, tone
from voicemux.audio.wav import WavDecoder, mask_of, read_form
from voicemux.errors import DeviceError, Kind


def wav(
    rate: int = RATE, channels: int = 1, subtype: str = "PCM_16", form: str = "WAV", seconds: float = 0.5
) -> bytes:
    """A tone of 1 kHz."""
    file = io.BytesIO()
    samples = tone(1000, seconds, rate) / 32_768
    soundfile.write(file, np.stack([samples] * channels, axis=1), rate, subtype, format=form)
    return file.getvalue()


def with_size(data: bytes, size: int) -> bytes:
    """What a program writes that cannot know it yet."""
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def heard(data: bytes, piece: int = 1000) -> np.ndarray:
    decoder = WavDecoder()
    pcm = b"".join(decoder.decode(data[start : start + piece]) for start in range(0, len(data), piece))
    return samples_of(pcm + decoder.decode(b"", last=True))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (22_050, 1), (44_100, 2), (8_000, 1), (96_000, 6)])
def test_every_usual_form_is_heard_as_it_is(subtype: str, rate: int, channels: int) -> None:
    sound = heard(wav(rate, channels, subtype))
    assert len(sound) / RATE == pytest.approx(0.5, abs=0.005)
    assert pitch(sound[4800:19200]) == pytest.approx(1000, abs=5)
    assert level(sound[4800:19200]) == pytest.approx(level(tone(1000, 1)), rel=0.2 if channels == 6 else 0.03)


@pytest.mark.parametrize("size", [0, 2**31 - 1, 0x7FFFF000, 0x7FFFFFDC, 0x80000000, 2**32 - 1])
def test_a_size_that_is_made_up_means_to_the_end(size: int) -> None:
    data = wav()
    assert heard(with_size(data, size)).tobytes() == heard(data).tobytes() == tone(1000, 0.5).tobytes()


def test_a_size_that_is_true_ends_the_sound() -> None:
    data = wav()
    trailer = b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf59.27.100\0"
    assert heard(data + trailer).tobytes() == tone(1000, 0.5).tobytes()


@pytest.mark.parametrize("is_made_up", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 4096, 100_000])
def test_one_file_may_follow_the_other(is_made_up: bool, piece: int) -> None:
    first, second = wav(seconds=0.1), wav(rate=24_000, seconds=0.1)
    if is_made_up:
        first, second = with_size(first, 2**32 - 1), with_size(second, 0x7FFFF000)
    sound = heard(first + second, piece)
    assert sound[:4800].tobytes() == tone(1000, 0.1).tobytes()
    assert len(sound) == pytest.approx(9600, abs=100)


def test_rf64_has_its_size_elsewhere() -> None:
    data = wav(form="RF64")
    assert heard(data + b"junk" * 100).tobytes() == tone(1000, 0.5).tobytes()


def test_long_chunks_before_the_sound_are_passed_over() -> None:
    data = wav()
    bext = b"bext" + struct.pack("<I", 10_001) + bytes(10_002)
    assert heard(data[:12] + bext + data[12:], 333).tobytes() == tone(1000, 0.5).tobytes()


def test_speech_from_a_pipe_is_speech() -> None:
    file = io.BytesIO()
    said = speech(seconds=2)
    soundfile.write(file, said[::3], 16_000, "PCM_24", format="WAV")
    assert place(said, heard(file.getvalue()))[1] > 0.99


def test_what_is_no_number_is_silence() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.array([0.5, np.nan, np.inf, -np.inf, 0.5], np.float32), RATE, "FLOAT", format="WAV")
    assert heard(file.getvalue()).tolist() == [16384, 0, 32767, -32768, 16384]


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM"])
def test_a_form_that_needs_a_codec_is_refused_with_what_helps(subtype: str) -> None:
    with pytest.raises(DeviceError, match=r"^that WAV cannot be played: ") as caught:
        heard(wav(subtype=subtype))
    assert caught.value.kind is Kind.NOT_RAW


@pytest.mark.parametrize(
    "fmt",
    [
        b"",
        struct.pack("<HHIIHH", 1, 0, RATE, 0, 0, 16),
        struct.pack("<HHIIHH", 1, 1, 0, 0, 2, 16),
        struct.pack("<HHIIHH", 1, 1, 2**32 - 1, 0, 2, 16),
        struct.pack("<HHIIHH", 1, 65_535, RATE, 0, 2, 16),
        struct.pack("<HHIIHH", 1, 2, RATE, 0, 2, 16),
    ],
)
def test_an_impossible_form_is_refused(fmt: bytes) -> None:
    assert read_form(fmt) is None


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_give_sound_or_one_error(rest: bytes, piece: int) -> None:
    for head in (b"RIFF\xff\xff\xff\xffWAVE", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0", wav()[:44]):
        with contextlib.suppress(DeviceError):
            heard(head + rest, piece)


def test_the_loudspeakers_of_the_channels_are_read() -> None:
    assert mask_of(wav(channels=6, form="WAVEX")) in (0, 0x3F, 0x60F)
    assert mask_of(wav(channels=2)) == 0
    assert mask_of(b"fLaC" + bytes(100)) == 0
