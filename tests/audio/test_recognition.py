import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.speech import DIALLER, RATE, speech, tone
from voicemux.audio.recognition import ENOUGH, RAW, TEXT, WAV, recognise


def made(form: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(440, 0.5), RATE, format=form, subtype=subtype)
    return file.getvalue()


def whole(data: bytes) -> str | None:
    return recognise(data[:ENOUGH], is_all=True)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("WAV", WAV),
        ("WAVEX", WAV),
        ("RF64", WAV),
        ("OGG", "Ogg"),
        ("FLAC", "FLAC"),
        ("MP3", "MP3"),
        ("AIFF", "AIFF"),
        ("AU", "AU"),
        ("CAF", "CAF"),
        ("W64", "Wave64"),
        ("VOC", "VOC"),
    ],
)
def test_sound_files_are_recognised(form: str, name: str) -> None:
    assert whole(made(form)) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"ID3\x04\0\0\0\0\0\x23TSSE", "MP3"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01", "WebM or Matroska"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MP4"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"#!AMR\n", "AMR"),
        (b"RIFF\x24\0\0\0AVI LIST", "RIFF"),
        (b"RIFX\0\0\0\x24WAVEfmt ", "big-endian WAV"),
        (b"%PDF-1.7\n", "PDF"),
        (b"GIF89a\1\0\1\0", "GIF"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "JPEG"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "LZ4"),
        (b"LZIP\x01\x0c", "lzip"),
        (b".RMF\0\0\0\x12\0\0", "RealMedia"),
        (b"\x02#!SILK_V3\x0c\0", "SILK"),
        (b"ajkg\x02\xfb", "Shorten"),
        (b"\x7f\xfe\x80\x01\xfc\x3c", "DTS"),
        (b"\0\0\1\xb3\x16\0\xf0", "MPEG"),
        (bytes([0x47, *187 * [0]]) * 3, "MPEG"),
        (b"dear diary\n", TEXT),
        ("grüße, \N{HEADPHONE}\n".encode() * 100, TEXT),
        (b"{}\n", TEXT),
    ],
)
def test_what_else_begins_with_a_mark_is_recognised(head: bytes, name: str) -> None:
    assert whole(head) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (bytes.fromhex("fffb9064"), "MP3"),  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz
        (bytes.fromhex("fff384c4"), "MP3"),  # MPEG-2 layer III, 64 kbit/s, 24 kHz
        (bytes.fromhex("fffda4c4"), "MP3"),  # MPEG-1 layer II, 192 kbit/s, 48 kHz
        (bytes.fromhex("ffe318c4"), "MP3"),  # MPEG-2.5 layer III, 8 kbit/s, 8 kHz
    ],
)
def test_mpeg_audio_is_known_by_two_frames_in_a_row_and_by_no_single_one(head: bytes, name: str) -> None:
    lengths = {"fffb9064": 417, "fff384c4": 192, "fffda4c4": 576, "ffe318c4": 72}
    frame = head.ljust(lengths[head.hex()], b"\x55")
    assert whole(frame * 3) == name
    assert whole(frame + b"\x01\x02" * 900) == RAW
    assert recognise(frame, is_all=False) is None


@given(st.lists(st.integers(-400, 400), min_size=64, max_size=ENOUGH // 2))
def test_soft_raw_sound_is_raw(samples: list[int]) -> None:
    assert whole(struct.pack(f"<{len(samples)}h", *samples)) in (RAW, TEXT)  # of text: see the next test
    assert whole(b"\0\0" + struct.pack(f"<{len(samples)}h", *samples)) == RAW


def test_no_piece_of_speech_and_no_noise_is_mistaken() -> None:
    said, rng = speech(DIALLER), np.random.default_rng(1)
    for _ in range(300):
        start = int(rng.integers(0, len(said) - ENOUGH))
        assert whole(said[start : start + ENOUGH // 2].tobytes()) == RAW
        assert whole(rng.normal(0, rng.integers(1, 9000), ENOUGH // 2).astype(np.int16).tobytes()) == RAW
    assert whole(bytes(ENOUGH)) == RAW
    assert whole(np.full(ENOUGH // 2, -1, np.int16).tobytes()) == RAW


@given(st.binary(max_size=64))
def test_any_bytes_are_judged_and_more_never_take_back_what_was_told(head: bytes) -> None:
    assert whole(head) is not None
    sooner = [recognise(head[:length], is_all=False) for length in range(len(head) + 1)]
    told = [each for each in sooner if each is not None]
    assert len(set(told)) <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"R",
        b"RIFF",
        b"RIFF\0\0\0\0WA",
        b"Og",
        b"\0\0\0\x20ft",
        b"hel",
        b"\xff",
        b"\xff\xfb\x90",
        b"\x0b",
        b"\x47",
    ],
)
def test_a_beginning_that_may_become_a_mark_is_waited_for(data: bytes) -> None:
    assert recognise(data, is_all=False) is None
