import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.codec import OpusEncoder
from voicemux.audio.pcm import PcmEncoder
from voicemux.protocol.durations import LONGEST, duration
from voicemux.protocol.messages import Codec


@pytest.mark.parametrize("bitrate", [6_000, 24_000, 64_000])
@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60])
def test_it_is_that_of_what_was_encoded(frame_ms, bitrate):
    encoder = OpusEncoder(frame_ms, bitrate)
    assert duration(Codec.OPUS, encoder.encode(bytes(encoder.frame_samples * 2))) == frame_ms * 48


@pytest.mark.parametrize("frame_ms", [2.5, 10, 40])
def test_that_of_pcm_is_its_size(frame_ms):
    encoder = PcmEncoder(frame_ms)
    assert duration(Codec.PCM, encoder.encode(bytes(encoder.frame_samples * 2))) == frame_ms * 48


def test_of_silence_and_of_codecs_to_come_nothing_is_told():
    assert duration(Codec.OPUS, b"") == duration(99, b"what?") == duration(Codec.OPUS, b"\x03") == 0


@given(st.integers(0, 255), st.binary(max_size=10))
def test_whatever_it_is_it_is_within_bounds(codec, data):
    assert 0 <= duration(codec, data) <= LONGEST
