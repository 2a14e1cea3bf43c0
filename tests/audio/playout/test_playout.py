import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.listening import on_time
from tests.audio.speech import DIALLER, level, pitch, place, quality, speech, tone
from tests.audio.tape import PLAYOUT_MS, Arrivals, Tape, opus, packets_of, play
from tests.weight import outgrows
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.pcm import PcmEncoder
from voicemux.audio.playout.arrivals import FIRST_TARGET
from voicemux.audio.playout.jitter import MAX_CONCEALED, MAX_DELAY, SKIP
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import MAX_ARRIVED, Playout
from voicemux.protocol.messages import OWN_SOURCE, Audio, Codec

PACKET = 960  # samples: 20 ms
SAID = speech(DIALLER)


def drifting(arrivals: Arrivals, ppm: float) -> Arrivals:
    return ((at / (1 + ppm * 1e-6), audio) for at, audio in arrivals)


def jittery(most: float) -> Callable[[float], float]:
    chance = random.Random(1)
    return lambda sent: chance.uniform(0, most)


# --- how it sounds


def test_pcm_is_played_as_it_was_said_once_the_delay_is_what_it_should_be() -> None:
    said = np.concatenate((SAID, SAID))[: 10 * RATE]
    player, tape = play(on_time(packets_of(said)), 9.9)
    settled = said[5 * RATE : 9 * RATE]
    delay, likeness = place(settled, tape.heard)
    assert likeness > 0.9999
    assert (tape.heard[delay : delay + len(settled)] == settled).all()
    assert (delay / RATE - 5) * 1000 < 20 + player.figures.buffer_ms + 6
    figures = player.figures
    assert (figures.received, figures.late, figures.concealed) == (int(9.9 * 50), 0, 0)


LINES = {
    "clean": (lambda sent: 0.0, 0),
    "clean, a fast clock": (lambda sent: 0.0, 300),
    "clean, a slow clock": (lambda sent: 0.0, -300),
    "jitter of 10 ms": (jittery(0.01), 0),
    "jitter of 30 ms": (jittery(0.03), 0),
    "jitter and a slow clock": (jittery(0.02), -300),
}


@pytest.mark.parametrize("line", LINES)
def test_on_any_usual_line_speech_is_nearly_as_good_as_on_the_best(line: str) -> None:
    late, ppm = LINES[line]
    said = np.concatenate((SAID, SAID))
    player, tape = play(drifting(on_time(packets_of(said, opus()), late), ppm), len(said) / RATE)
    since = len(SAID) + RATE
    best = 4.0
    assert quality(said[since : since + 6 * RATE], tape.heard[since : since + 7 * RATE]) > best - 1.0
    assert player.figures.late == 0


def bend(samples: np.ndarray) -> float:
    """The largest bend from one sample to the next but one: what a click has."""
    return float(np.max(np.abs(np.diff(samples.astype(np.float64), 2))))


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "dropped"])
def test_after_a_blackout_of_two_seconds_it_is_as_before(is_held: bool) -> None:
    said = np.concatenate((SAID, SAID, SAID))

    def late(sent: float) -> float | None:
        return (12 - sent if is_held else None) if 10 < sent < 12 else 0.0

    player, tape = play(on_time(packets_of(said, opus()), late), len(said) / RATE)
    before, after = (
        quality(said[at : at + 4 * RATE], tape.heard[at : at + 5 * RATE]) for at in (5 * RATE, 13 * RATE)
    )
    assert after > before - 0.7
    delay, likeness = place(said[int(12.5 * RATE) : 14 * RATE], tape.heard[12 * RATE : 15 * RATE])
    assert likeness > 0.6
    report = player.report()
    assert report
    assert delay / RATE - 0.5 < 0.06 + report.target / 1000, "it is behind"
    assert player.figures.concealed >= 95
    assert player.figures.late <= 100
    blackout = tape.heard[int(10.5 * RATE) : int(11.9 * RATE)]
    assert level(blackout) < 0.2 * level(said)
    assert bend(tape.heard) < 1.5 * bend(said), "it clicks"


def test_a_voice_that_moves_to_a_faster_line_has_no_gap_and_soon_less_delay() -> None:
    slow, fast, moved = 0.15, 0.02, 3.0  # seconds under way, and when the last packet of the slow line comes
    packets = packets_of(tone(200, 8))
    arrivals = [
        (at + slow if at + slow <= moved else max(moved + 0.001, at + fast), each)
        for at, each in ((number * 0.02, each) for number, each in enumerate(packets))
    ]
    has_moved: list[int] = []

    def move(player: Mixer, block: int) -> None:
        if not has_moved and player.figures.received >= (moved - slow) * 50:
            has_moved.append(block)
            player.begin_again(goes_on=True)

    player, tape = play(arrivals, 7.9, move)
    assert has_moved
    assert (player.figures.late, player.figures.concealed) == (0, 0)
    assert player.figures.buffer_ms < (FIRST_TARGET + slow - fast) * 1000
    loud = np.abs(tape.heard[int(0.5 * RATE) : int(7.5 * RATE)]).reshape(-1, PACKET // 4).max(axis=1)
    assert loud.min() > loud.max() / 2


@pytest.mark.parametrize("frame_ms", [5, 10, 20, 40, 60])
@pytest.mark.parametrize("codec", ["pcm", "opus"])
def test_packets_of_every_length_are_played_whole(frame_ms: int, codec: str) -> None:
    said = tone(440, 3)
    encoder = opus(frame_ms, 64_000) if codec == "opus" else PcmEncoder(frame_ms)
    player, tape = play(on_time(packets_of(said, encoder)), 2.9)
    middle = tape.heard[RATE : int(2.8 * RATE)]
    assert level(middle) == pytest.approx(level(said), rel=0.1)
    assert pitch(middle) == pytest.approx(440, abs=2)
    assert player.figures.late == 0
    assert player.figures.packet_ms == pytest.approx(encoder.frame_samples / 48 + encoder.lookahead_ms, abs=4.1)


def test_short_packets_that_wait_in_silence_are_shortened_too() -> None:
    packets = packets_of(np.zeros(2 * RATE, np.int16), PcmEncoder(5))
    player, _ = play(on_time(packets), 1.9)
    assert player.figures.shortened_ms > 10
    assert player.figures.buffer_ms < FIRST_TARGET * 1000 / 2


def said_to_heard(said: np.ndarray, tape: Tape) -> float:
    """Seconds, from what was said in the middle to where it is heard."""
    delay, likeness = place(said[5 * RATE : 7 * RATE], tape.heard)
    assert likeness > 0.8
    return delay / RATE - 5


def test_a_sinks_reserve_costs_no_delay_and_no_guess_where_the_line_needs_as_much() -> None:
    said = np.concatenate((SAID, SAID))[: 12 * RATE]
    heard = []
    for reserve in (0.0, 0.010, 0.020):
        player, tape = play(on_time(packets_of(said, opus()), jittery(0.02)), 11.9, reserve=reserve)
        heard.append((said_to_heard(said, tape), player.figures.concealed))
    (delay, concealed), *others = heard
    assert all(other == pytest.approx(delay, abs=0.005) for other, _ in others), heard
    assert all(other <= concealed + 1 for _, other in others), heard


def test_a_sinks_reserve_is_there_also_where_the_line_needs_none() -> None:
    said = np.concatenate((SAID, SAID))[: 12 * RATE]
    _, tape = play(on_time(packets_of(said, opus())), 11.9, reserve=0.020)
    assert 0.020 <= said_to_heard(said, tape) - 0.020 - 0.0025 <= 0.032
    _, tape = play(on_time(packets_of(said, opus())), 11.9, reserve=0.020, max_delay=0.015)
    assert said_to_heard(said, tape) - 0.020 - 0.0025 <= 0.015, "what the user allows counts more"


# --- what is missing


def test_what_cannot_be_decoded_is_noise_of_its_length_and_counted() -> None:
    said = SAID[: 5 * RATE].copy()
    packets = packets_of(said)
    bad = {
        175: Audio(Codec.PCM, 0, 175, 175 * PACKET, b"odd"),
        180: Audio(Codec.OPUS, 0, 180, 180 * PACKET, b"\xff"),
        185: Audio(0x99, 0, 185, 185 * PACKET, b"of a codec to come"),
    }
    for number, packet in bad.items():
        packets[number] = packet
        said[number * PACKET : (number + 1) * PACKET] = 0
    player, tape = play(on_time(packets), 4.95)
    assert (player.figures.concealed, player.figures.late) == (3, 0)
    delay, _ = place(said[3 * RATE : int(4.7 * RATE)], tape.heard)
    heard = tape.heard[delay:].reshape(-1)
    for start, end in ((150, 175), (187, 230)):
        wanted = slice((start - 150) * PACKET, (end - 150) * PACKET)
        assert (heard[wanted] == said[3 * RATE :][wanted]).all(), "what is whole is untouched"


def test_a_codec_may_change_at_any_packet() -> None:
    said = tone(440, 2)
    pcm, coded = packets_of(said), packets_of(said, opus(20, 64_000))
    player, tape = play(on_time([*pcm[:30], *coded[30:60], *pcm[60:]]), 1.9)
    heard = tape.heard[PACKET * 10 : PACKET * 90].reshape(-1, PACKET)
    levels = [level(each) / level(said) for each in heard]
    assert min(levels) > 0.1  # a decoder fades in
    assert np.mean(levels) == pytest.approx(1, abs=0.15)
    assert player.figures.late == 0


@pytest.mark.parametrize("codec", ["pcm", "opus"])
def test_a_dropped_packet_is_made_up(codec: str) -> None:
    said = tone(440, 2)
    packets = packets_of(said, opus(20, 64_000) if codec == "opus" else None)
    missing = packets.pop(75)
    player, tape = play(on_time(packets), 1.9)
    start = missing.timestamp + PACKET + int(player.figures.buffer_ms * 48)
    assert level(tape.heard[start : start + PACKET]) > 0.3 * level(said)
    assert player.figures.concealed == 1
    assert bend(tape.heard[RATE:]) < 2 * np.max(np.abs(np.diff(said))), (
        "it clicks: what is made up turns back at most"
    )


def test_where_nothing_comes_any_more_it_fades_into_the_background() -> None:
    background = (np.random.default_rng(1).standard_normal(RATE) * 60).astype(np.int16)
    said = np.concatenate((background, tone(440, 1)))
    _, tape = play(on_time(packets_of(said)), 4)
    behind = int(2.02 * RATE + MAX_CONCEALED + FIRST_TARGET * RATE)
    assert level(tape.heard[behind:]) == pytest.approx(60, rel=0.4)
    assert bend(tape.heard[behind - RATE // 4 :]) < 20_000 / 8


def test_what_was_concealed_is_never_less_than_before() -> None:
    said = tone(440, 1)
    short, long = packets_of(said, PcmEncoder(5)), packets_of(said, PcmEncoder(40), 1000, 2 * RATE)
    counts: list[int] = []
    play(on_time(short + long), 3, lambda player, block: counts.append(player.figures.concealed))
    assert counts[-1] > 50
    assert all(sooner <= later for sooner, later in pairwise(counts))


# --- the rest


def test_the_report_says_what_came_and_what_is_played_and_how_long_it_waits() -> None:
    packets = packets_of(tone(440, 2), start=-50 * PACKET)
    player, _ = play(on_time(packets), 1.5)
    report = player.report()
    assert report
    assert (report.source, report.sequence) == (0, 74)
    assert report.timestamp == pytest.approx(24 * PACKET, abs=3 * PACKET)
    assert report.delay == pytest.approx(player.figures.buffer_ms + PLAYOUT_MS, abs=1)
    assert 0 < report.target <= FIRST_TARGET * 1000


def test_the_figures_say_how_it_goes() -> None:
    player, tape = play(drifting(on_time(packets_of(tone(440, 45))), 200), 44)
    figures = player.figures
    assert (figures.playout_ms, figures.xruns, player.label) == (PLAYOUT_MS, tape.xruns, tape.label)
    assert figures.drift_ppm == pytest.approx(200, abs=5)
    assert 0 < figures.shortened_ms < 100
    assert 0 < figures.buffer_ms < 30


def test_empty_packets_are_not_counted_as_received() -> None:
    silence = Audio(Codec.PCM, 0, 25, 25 * PACKET, b"")
    player, _ = play(on_time([*packets_of(tone(440, 0.5)), silence]), 2)
    assert (player.figures.received, player.figures.concealed) == (25, 0)


def test_a_flood_is_taken_without_waiting_and_without_growing() -> None:
    playout = Playout(make_decoders())

    def put(number: int) -> None:
        playout.put(Audio(Codec.PCM, 0, number % 2**16, number * PACKET % 2**32, bytes(2)), 0.0)

    assert outgrows(playout, put, MAX_ARRIVED) < 1.5
    assert playout.figures(PLAYOUT_MS, xruns=0).received == 8 * MAX_ARRIVED


whatever_comes = st.lists(
    st.tuples(
        st.floats(0, 0.5),  # seconds since the one before
        st.integers(0, 3) | st.integers(0, 2**16 - 1),  # steps of the sequence
        st.just(PACKET) | st.integers(0, 2**32 - 1),  # and of the timestamp
        st.sampled_from([*Codec, 0x99]),
        st.sampled_from([b"", b"x", bytes(2), bytes(1920)]) | st.binary(max_size=100),
    ),
    max_size=60,
)


@given(whatever_comes)
@settings(deadline=None, max_examples=2 * settings().max_examples)
def test_whatever_comes_it_plays_on(steps: list[tuple[float, int, int, int, bytes]]) -> None:
    at, sequence, timestamp, arrivals = 0.0, 0, 0, []
    for wait, sequence_step, timestamp_step, codec, data in steps:
        at, sequence = at + wait, (sequence + sequence_step) % 2**16
        timestamp = (timestamp + timestamp_step) % 2**32
        arrivals.append((at, Audio(codec, 0, sequence, timestamp, data)))
    tape = Tape(at + 1, arrivals)
    player = tape.played_by({OWN_SOURCE: Playout(make_decoders())})
    player.run(lambda since: None)
    figures = player.figures
    assert figures.received == sum(bool(data) for *_, data in steps)
    assert figures.late <= len(steps)
    assert 0 <= figures.buffer_ms <= (MAX_DELAY + SKIP) * 1000
    assert at + 1 <= tape.samples_written / RATE < at + 1.2
    report = player.report()
    assert (report is None) == (not steps)
    assert BLOCK_SAMPLES * len(tape.pieces) > 0
