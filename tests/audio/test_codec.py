import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.speakers import speaker
from tests.audio.speech import LISTENER, RATE, Samples, level, pitch, place, quality, samples_of, speech, tone
from voicemux.audio.capture.wish import Wish
from voicemux.audio.codec import (
    LOOKAHEAD_MS,
    LOW_DELAY_LOOKAHEAD_MS,
    MAX_OPUS_SAMPLES,
    Decoder,
    Encoder,
    OpusDecoder,
    OpusEncoder,
    check_opus,
    make_decoders,
    make_encoder,
)
from voicemux.audio.pcm import PcmDecoder, PcmEncoder, StereoPcmDecoder, StereoPcmEncoder, UndecodableError
from voicemux.errors import LibraryMissing
from voicemux.protocol.messages import Codec
from voicemux.protocol.wire import MAX_PAYLOAD

BITRATE = 32_000
AUDIO_HEADER = 8  # bytes of an AUDIO payload before its data
FRAMES_MS = (5.0, 10.0, 20.0, 40.0, 60.0)


def packets_of(encoder: Encoder, pcm: bytes) -> list[bytes]:
    size = encoder.frame_samples * 2
    return [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


@pytest.mark.parametrize("frame_ms", FRAMES_MS)
def test_pcm_comes_back_as_it_was_and_every_packet_fits_a_frame(frame_ms: float) -> None:
    encoder, decoder = PcmEncoder(frame_ms), PcmDecoder()
    said = speech(seconds=1.2).tobytes()
    packets = packets_of(encoder, said)
    assert b"".join(decoder.decode(packet) for packet in packets) == said
    assert max(map(len, packets)) <= MAX_PAYLOAD - AUDIO_HEADER


@pytest.mark.parametrize("frame_ms", FRAMES_MS)
def test_opus_keeps_speech_good_and_delays_it_by_its_lookahead(frame_ms: float) -> None:
    encoder, decoder = OpusEncoder(frame_ms, BITRATE), OpusDecoder()
    said = speech()
    packets = packets_of(encoder, said.tobytes())
    heard = samples_of(b"".join(decoder.decode(packet) for packet in packets))
    assert encoder.frame_samples == frame_ms * RATE / 1000
    assert len(heard) == len(packets) * encoder.frame_samples
    assert quality(said, heard) > 3.8
    delay, likeness = place(said[RATE : 3 * RATE], heard[RATE:])
    assert likeness > 0.8
    assert delay / RATE * 1000 == pytest.approx(encoder.lookahead_ms, abs=1.5)


def handed_over(said: Samples, times: list[int]) -> tuple[list[bytes], list[int]]:
    """`said` in packets of 20 ms, at 24 and 64 kbit/s by turns, and which of them were the first of a new encoder."""
    encoder = OpusEncoder(20.0, 24_000)
    packets, lookaheads = [], []
    for i in range(len(said) // 960):
        if i in times:
            encoder.adapt(20.0, 64_000 if encoder.bitrate == 24_000 else 24_000)
        lookaheads.append(encoder.lookahead_ms)
        packets.append(encoder.encode(said[i * 960 : (i + 1) * 960].tobytes()))
    return packets, [i for i in range(1, len(packets)) if lookaheads[i] != lookaheads[i - 1]]


def likeness_near(piece: Samples, heard: Samples, lag: int, around: int = 12) -> float:
    """The correlation of `piece` with what is heard `lag` samples after the beginning, give or take a few."""
    places = heard[lag - around : lag + around + len(piece)].astype(float)
    powers = np.convolve(places**2, np.ones(len(piece)), "valid") * np.sum(piece.astype(float) ** 2)
    return float(np.max(np.correlate(places, piece.astype(float), "valid") / np.sqrt(powers + 1)))


@pytest.mark.parametrize("name", ["alsa", "letters-de", "fish-nl-large", "letters-hu"])
def test_between_the_applications_nothing_is_left_out_nothing_said_twice_and_nothing_clicks(name: str) -> None:
    said = speaker(name).samples
    times = list(range(30, 440, 41))
    packets, seams = handed_over(said, times)
    assert len(seams) == len(times)
    heard = samples_of(b"".join(map(OpusDecoder().decode, packets)))
    lags, lag = [], LOOKAHEAD_MS * 48
    for i in range(len(packets)):  # what it is to be: a hundredth of the time shorter or longer, and no jump
        lags.append(round(lag))
        falls = any(seam <= i < next_change for seam, next_change in zip(seams[::2], times[1::2], strict=False))
        lag = max(LOW_DELAY_LOOKAHEAD_MS * 48, lag - 9.6) if falls else min(LOOKAHEAD_MS * 48, lag + 9.6)
    alike = [
        likeness_near(said[i * 960 : i * 960 + 1440], heard[i * 960 :], lags[i])
        for i in range(5, len(packets) - 3)
        if level(said[i * 960 : i * 960 + 1440]) > 700
    ]
    assert np.quantile(alike, 0.05) > 0.7
    steepness = [np.abs(np.diff(each.astype(float), 3)) for each in (said, heard)]
    for seam in seams:
        around = slice(seam * 960 - 2880, seam * 960 + 2880)
        assert steepness[1][seam * 960 - 240 : seam * 960 + 960].max() < max(400, 1.5 * steepness[0][around].max())


def test_the_sizes_of_packets_are_those_of_the_rung_whatever_encoder_makes_them() -> None:
    packets, seams = handed_over(speech(seconds=4), [40, 90, 140])
    assert len(seams) == 3
    assert [len(packet) for packet in packets] == [60] * 40 + [160] * 50 + [60] * 50 + [160] * (len(packets) - 140)


def test_a_change_of_mind_while_it_hands_over_is_obeyed() -> None:
    said = speech(seconds=2)
    encoder = OpusEncoder(20.0, 64_000)
    packets_of(encoder, said[:RATE].tobytes())
    encoder.adapt(20.0, 24_000)
    packets_of(encoder, said[:4800].tobytes())
    assert encoder.lookahead_ms == LOW_DELAY_LOOKAHEAD_MS
    encoder.adapt(20.0, 64_000)
    packets = packets_of(encoder, said[RATE:].tobytes())
    assert encoder.lookahead_ms == LOW_DELAY_LOOKAHEAD_MS
    heard = samples_of(b"".join(map(OpusDecoder().decode, packets)))
    delay, _ = place(said[RATE + RATE // 2 : RATE + RATE * 3 // 4], heard[RATE // 2 :])
    assert delay / RATE * 1000 == pytest.approx(LOW_DELAY_LOOKAHEAD_MS, abs=0.5)


@pytest.mark.parametrize(
    ("bitrate", "possible"),
    [(12_000, {9}), (16_000, {9}), (20_000, {13, 15}), (24_000, {13, 15}), (32_000, {13, 15})],
)
def test_where_bits_are_few_they_go_to_what_makes_speech_clear(bitrate: int, possible: set[int]) -> None:
    """RFC 6716, table 2: in 20 ms, 9 is speech up to 8 kHz, 13 up to 12 and 15 up to 20; 16 to 31 are for music."""
    packets = packets_of(OpusEncoder(20.0, bitrate), speaker("letters-de").samples.tobytes())
    assert {packet[0] >> 3 for packet in packets} <= possible


def test_low_delay_of_the_shortest_packets_is_never_given_up() -> None:
    assert OpusEncoder(5.0, 16_000).lookahead_ms == LOW_DELAY_LOOKAHEAD_MS


def test_the_size_of_an_opus_packet_tells_nothing_of_what_is_said() -> None:
    said = np.concatenate([np.zeros(RATE, np.int16), speech(), np.zeros(RATE, np.int16)])
    sizes = {len(packet) for packet in packets_of(OpusEncoder(20.0, 24_000), said.tobytes())}
    assert sizes == {24_000 // 50 // 8}


@pytest.mark.parametrize("bitrate", [6_000, 128_000])
def test_opus_keeps_to_its_bitrate(bitrate: int) -> None:
    said = speech()
    packets = packets_of(OpusEncoder(20.0, bitrate), said.tobytes())
    assert sum(map(len, packets)) * 8 / (len(said) / RATE) == pytest.approx(bitrate, rel=0.02)


@pytest.mark.parametrize("make_decoder", [OpusDecoder, PcmDecoder])
def test_any_packet_gives_whole_samples_or_is_refused(make_decoder: Callable[[], Decoder]) -> None:
    decoder = make_decoder()
    speech_packets = packets_of(OpusEncoder(20.0, BITRATE), speech(seconds=0.4).tobytes())
    damaged = st.builds(
        lambda packet, at, bit: bytes(each ^ (bit if i == at % len(packet) else 0) for i, each in enumerate(packet)),
        st.sampled_from(speech_packets),
        st.integers(0, 200),
        st.sampled_from([1 << i for i in range(8)]),
    )

    @settings(deadline=None, max_examples=3 * settings().max_examples)
    @given(st.binary(max_size=1500) | damaged)
    def decode(packet: bytes) -> None:
        pcm = b""
        with contextlib.suppress(UndecodableError):
            pcm = decoder.decode(packet)
        assert len(pcm) % 2 == 0
        assert len(pcm) <= max(2 * MAX_OPUS_SAMPLES, len(packet))

    decode()
    assert len(decoder.conceal(480)) == 960  # and is none the worse for it


def test_a_packet_of_more_than_120_ms_is_refused() -> None:
    seven_of_20_ms = bytes([0xFB, 7]) + bytes(14)  # RFC 6716, 3.2.5: code 3 with a count of its own
    with pytest.raises(UndecodableError):
        OpusDecoder().decode(seven_of_20_ms)
    assert len(OpusDecoder().decode(bytes([0xFB, 6]) + bytes(12))) == 2 * MAX_OPUS_SAMPLES


@pytest.mark.parametrize("samples", [120, 480, 960, 2880])
def test_opus_conceals_a_gap_with_something_like_the_sound_before_it(samples: int) -> None:
    encoder, decoder = OpusEncoder(20.0, BITRATE), OpusDecoder()
    said = speech(seconds=1.5)
    loud = int(np.argmax(np.convolve(np.abs(said[: -2 * 960].astype(float)), np.ones(4800), "valid"))) + 4800
    before = b"".join(decoder.decode(packet) for packet in packets_of(encoder, said[:loud].tobytes()))
    made_up = samples_of(decoder.conceal(samples))
    assert len(made_up) == samples
    assert level(made_up) > 0.1 * level(samples_of(before)[-4800:])


def test_a_decoder_has_what_is_coarse_refined_where_its_library_can_and_low_delay_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import opuslib_next

    asked: list[int] = []
    ask = opuslib_next.api.decoder.decoder_ctl

    def ask_and_look(state: object, *request: object) -> object:
        answer = ask(state, *request)
        asked.append(ask(state, opuslib_next.api.ctl.get_complexity))
        return answer

    monkeypatch.setattr(opuslib_next.api.decoder, "decoder_ctl", ask_and_look)
    decoder = OpusDecoder()
    can = opuslib_next.api.info.get_version_string().split()[-1] >= b"1.5"
    for bitrate, expected in ((24_000, 7), (64_000, 0), (12_000, 7)):
        for packet in packets_of(OpusEncoder(20.0, bitrate), speech(seconds=0.2).tobytes()):
            assert len(decoder.decode(packet)) == 1920
        assert len(decoder.conceal(960)) == 1920
        if can:
            assert asked[-1] == expected


def test_pcm_conceals_with_silence() -> None:
    assert PcmDecoder().conceal(480) == bytes(960)


@pytest.mark.parametrize(
    ("playable", "wanted", "chosen"),
    [
        ((Codec.OPUS, Codec.PCM), None, Codec.OPUS),
        ((Codec.PCM, Codec.OPUS), None, Codec.PCM),
        ((Codec.PCM,), Codec.OPUS, Codec.PCM),
        ((Codec.OPUS,), Codec.PCM, Codec.OPUS),
        ((Codec.OPUS, Codec.PCM), Codec.PCM, Codec.PCM),
        ((Codec.PCM, Codec.OPUS), Codec.OPUS, Codec.OPUS),
        ((0x99, Codec.PCM), None, Codec.PCM),
        ((0x99,), None, None),
        ((), Codec.PCM, None),
    ],
)
def test_the_encoder_is_the_first_that_the_peer_plays_and_we_make(
    playable: tuple[int, ...], wanted: Codec | None, chosen: Codec | None
) -> None:
    encoder = make_encoder(playable, wanted)
    assert (encoder and encoder.codec) == chosen


@pytest.mark.parametrize(
    ("wish", "samples"),
    [(Wish(), 960), (Wish(at_once=True), 240), (Wish(frame_ms=40), 1920), (Wish(frame_ms=60), 1920)],
)
def test_packets_of_pcm_are_as_long_as_is_wished(wish: Wish, samples: int) -> None:
    encoder = make_encoder((Codec.PCM,), None, wish)
    assert encoder
    assert encoder.frame_samples == samples


def test_pcm_is_not_made_where_the_line_is_not_allowed_to_carry_it() -> None:
    assert make_encoder((Codec.PCM,), None, Wish(bandwidth=800_000)) is None
    assert make_encoder((Codec.PCM,), None, Wish(bandwidth=803_000)) is not None
    encoder = make_encoder((Codec.PCM, Codec.OPUS), None, Wish(bandwidth=100_000))
    assert (encoder and encoder.codec) == Codec.OPUS


@pytest.fixture(params=["opuslib-next is not installed", "libopus is not installed"])
def no_opus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opuslib_next"]:
        monkeypatch.delitem(sys.modules, name)
    if request.param.startswith("opuslib-next"):
        monkeypatch.setitem(sys.modules, "opuslib_next", None)
    else:  # word for word what it does
        stub = 'raise Exception("Could not find Opus library. Make sure it is installed.")'
        (tmp_path / "opuslib_next.py").write_text(stub)
        monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("no_opus")
def test_without_opus_there_is_pcm_and_a_reason() -> None:
    for needs_opus in (check_opus, OpusDecoder, lambda: OpusEncoder(20.0, BITRATE)):
        with pytest.raises(LibraryMissing, match=r"^no Opus: .*[^.]$") as caught:
            needs_opus()
        assert caught.value.library == "opus"
    assert list(make_decoders()) == [Codec.PCM]
    encoder = make_encoder((Codec.OPUS, Codec.PCM), Codec.OPUS)
    assert encoder
    assert encoder.codec == Codec.PCM
    assert make_encoder((Codec.OPUS,)) is None


def test_with_opus_it_is_the_first_of_what_can_be_played() -> None:
    check_opus()
    assert list(make_decoders()) == [Codec.OPUS, Codec.PCM]


def test_pcm_of_two_channels_comes_back_as_it_was_and_one_channel_on_both_sides() -> None:
    left, right = speech(seconds=0.5), speech(LISTENER, 0.5)
    pairs = np.stack((left, right), axis=1)
    decoders = make_decoders(channels=2)
    assert list(decoders) == [Codec.OPUS, Codec.PCM_STEREO, Codec.PCM]
    encoder = StereoPcmEncoder(40)
    size = encoder.frame_samples * 4
    assert size <= MAX_PAYLOAD - AUDIO_HEADER
    pcm = pairs.tobytes()
    packets = [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert b"".join(map(decoders[Codec.PCM_STEREO].decode, packets)) == pcm
    twice = samples_of(decoders[Codec.PCM].decode(left.tobytes())).reshape(-1, 2)
    assert (twice == left[:, None]).all()


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.PCM_STEREO, Codec.PCM])
def test_what_is_missing_of_two_channels_is_made_up_in_pairs(codec: Codec) -> None:
    decoder, said = make_decoders(channels=2)[codec], speech(seconds=2)[RATE:]
    match codec:
        case Codec.OPUS:
            packets = packets_of(OpusEncoder(20.0, BITRATE), said.tobytes())
        case Codec.PCM:
            packets = [said[:960].tobytes()]
        case _:
            packets = [np.stack((said[:960], -said[:960]), axis=1).tobytes()]
    for packet in packets:
        decoder.decode(packet)
    for samples in (240, 240, 960):
        made = samples_of(decoder.conceal(samples)).reshape(-1, 2)
        assert len(made) == samples
        assert np.array_equal(made[:, 0], -made[:, 1] if codec == Codec.PCM_STEREO else made[:, 1])


@given(st.binary(max_size=4088), st.sampled_from([1, 2]))
def test_any_data_is_whole_pairs_or_refused(data: bytes, carried: int) -> None:
    decoder = StereoPcmDecoder(carried)
    if len(data) % (2 * carried):
        with pytest.raises(UndecodableError):
            decoder.decode(data)
    else:
        assert len(decoder.decode(data)) == len(data) * 2 // carried


def test_a_packet_of_opus_with_two_channels_is_heard_on_one_and_one_channel_on_two() -> None:
    """Whatever the other side says that it sends, and also if that changes from packet to packet."""
    opus = pytest.importorskip("opuslib_next")
    both = opus.Encoder(RATE, 2, "audio")
    pairs = np.stack((tone(500, 1.0), tone(2000, 1.0)), axis=1)
    two = [both.encode(pairs[at : at + 960].tobytes(), 960) for at in range(0, RATE, 960)]
    one = packets_of(OpusEncoder(20.0, BITRATE), tone(500, 1.0).tobytes())
    mono, stereo = OpusDecoder(), OpusDecoder(channels=2)
    mean = samples_of(b"".join(map(mono.decode, two)))[RATE // 2 :]
    spectrum = np.abs(np.fft.rfft(mean * np.hanning(len(mean))))
    for hertz in (500, 2000):
        assert spectrum[hertz // 2] > 0.3 * spectrum.max()
    apart = samples_of(b"".join(map(stereo.decode, two))).reshape(-1, 2)[RATE // 2 :]
    assert [pitch(apart[:, side]) for side in (0, 1)] == pytest.approx([500, 2000], abs=5)
    same = samples_of(b"".join(map(stereo.decode, one))).reshape(-1, 2)[RATE // 2 :]
    assert np.array_equal(same[:, 0], same[:, 1])
    for packet in (packet for each in zip(one, two, strict=False) for packet in each):
        assert (len(mono.decode(packet)), len(stereo.decode(packet))) == (1920, 3840)
