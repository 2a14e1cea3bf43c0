import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import cuts, u8
from tests.weight import weight
from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.wire import MAX_PAYLOAD

frames = st.lists(st.builds(Frame, st.integers(1, 255), u8, st.binary(max_size=60)), max_size=8)

SMALL = Frame(2, 1, b"hi")
EMPTY = Frame(9, 0, b"")
LARGEST = Frame(3, 0, bytes(MAX_PAYLOAD))


def feed(decoder: FrameDecoder, *pieces: bytes) -> list[Frame]:
    return [frame for piece in pieces for frame in decoder.feed(piece)]


@pytest.mark.parametrize("frame", [SMALL, EMPTY, LARGEST], ids=["small", "empty", "largest"])
@pytest.mark.parametrize("behind", [b"", b"\x00", encode_frame(SMALL)[:-1]], ids=["nothing", "a byte", "most of one"])
def test_a_frame_comes_whole_byte_by_byte_and_followed_by_more(frame, behind):
    stream = encode_frame(frame)
    whole, dribbled = FrameDecoder(), FrameDecoder()
    assert feed(whole, stream + behind) == [frame]
    assert feed(dribbled, *(bytes([byte]) for byte in stream + behind)) == [frame]
    assert whole.torn == dribbled.torn == bool(behind)


@given(frames, st.data())
def test_frames_survive_any_segmentation(expected, data):
    decoder = FrameDecoder()
    stream = b"".join(map(encode_frame, expected))
    assert feed(decoder, *data.draw(cuts(stream))) == expected
    assert not decoder.torn


def test_a_frame_that_is_too_large_is_refused_on_its_header_alone():
    decoder = FrameDecoder()
    header = (MAX_PAYLOAD + 1).to_bytes(2, "big") + b"\x02\x00"
    assert feed(decoder, header[:3]) == []
    with pytest.raises(RemoteProtocolError, match="a frame of 4097 bytes, the limit is 4096"):
        feed(decoder, header[3:])


def test_a_stream_of_zeros_is_noticed_at_its_first_header():
    with pytest.raises(RemoteProtocolError, match="tag 0"):
        feed(FrameDecoder(), bytes(4))


def test_frames_before_a_fault_are_given_before_it():
    frames = FrameDecoder().feed(encode_frame(SMALL) + encode_frame(EMPTY) + bytes(4))
    assert [next(frames), next(frames)] == [SMALL, EMPTY]
    with pytest.raises(RemoteProtocolError):
        next(frames)


def test_a_frame_that_is_too_large_cannot_be_encoded():
    with pytest.raises(LocalProtocolError, match="4097"):
        encode_frame(Frame(2, 0, bytes(MAX_PAYLOAD + 1)))


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_garbage_gives_frames_or_a_protocol_error_and_nothing_else(pieces):
    decoder, got = FrameDecoder(), list[Frame]()
    try:
        for piece in pieces:
            got += decoder.feed(piece)
    except RemoteProtocolError:
        pass
    else:  # what was taken for frames is what came, and the rest is kept
        taken = b"".join(map(encode_frame, got))
        assert b"".join(pieces).startswith(taken)
        assert decoder.torn == (len(taken) < sum(map(len, pieces)))


@given(st.lists(st.binary(max_size=2000), max_size=10))
def test_a_decoder_keeps_less_than_one_frame(payloads):
    decoder = FrameDecoder()
    before = weight(decoder)
    for payload in payloads:
        stream = encode_frame(Frame(2, 0, payload))
        feed(decoder, stream * 20 + stream[:-1])
        assert weight(decoder) < before + 2 * (MAX_PAYLOAD + 4)
        assert feed(decoder, stream[-1:]) == [Frame(2, 0, payload)]


def test_what_a_reader_leaves_in_the_iterator_is_not_lost():
    decoder = FrameDecoder()
    assert next(decoder.feed(encode_frame(SMALL) + encode_frame(EMPTY))) == SMALL
    assert feed(decoder, b"") == [EMPTY]


def test_a_frame_that_was_taken_does_not_come_again_though_its_reader_has_not_gone_on():
    decoder = FrameDecoder()
    reader = decoder.feed(encode_frame(Frame(1, 0, b"one")) + encode_frame(Frame(2, 0, b"two")))
    assert next(reader) == Frame(1, 0, b"one")
    assert list(decoder.feed(b"")) == [Frame(2, 0, b"two")]
    assert list(reader) == []
    assert not decoder.torn
