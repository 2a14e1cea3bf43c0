import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.listening import BLOCK, PACKET, QUIET, RATE, Ear, audio, on_time, stalls, stream
from voicemux.audio.playout.arrivals import FIRST_TARGET, MARGIN
from voicemux.audio.playout.jitter import (
    ADRIFT,
    HURRY,
    MAX_CONCEALED,
    MAX_DELAY,
    MAX_PACKETS,
    MOST_CEILING,
    NEGLIGIBLE,
    ROOM,
    SHORTFALL,
    SKIP,
    SLACK,
    STEADY,
    STEP,
    Conceal,
    JitterBuffer,
    Pause,
    Play,
)

GRAIN = BLOCK / RATE  # seconds: what is to be played is decided for so long at least
USUAL = MAX_DELAY - SKIP  # lateness that is at most late, and not hopeless


def uniform(most: float, seed: int = 1) -> Callable[[float], float]:
    chance = random.Random(seed)
    return lambda sent: chance.uniform(0, most)


def losing(share: float, otherwise: Callable[[float], float], seed: int = 2) -> Callable[[float], float | None]:
    chance = random.Random(seed)
    return lambda sent: None if chance.random() < share else otherwise(sent)


# --- in time


@pytest.mark.parametrize(
    ("sequence", "timestamp"),
    [(0, 0), (65_530, 2**32 - 5 * PACKET), (7, 2**31 - 3 * PACKET), (65_535, 2**31), (1, 2**32 - 1), (9, 2**31 + 1)],
)
def test_a_steady_stream_is_played_in_order_and_whole_also_where_its_numbers_wrap(
    sequence: int, timestamp: int
) -> None:
    packets = stream(50, sequence, timestamp)
    ear = Ear().expect(on_time(packets)).listen(1.1)
    assert ear.played == packets
    assert not [each for each in ear.plays if each.action.missed]
    assert not [each for each in ear.heard if isinstance(each.action, Conceal) and each.at < ear.plays[-1].at]
    assert ear.jitter.late == 0


def test_the_first_packet_is_played_when_it_has_waited_for_the_first_target() -> None:
    ear = Ear().expect(on_time(stream(20))).listen(0.2)
    first = ear.plays[0]
    assert first.at - 0.02 == pytest.approx(FIRST_TARGET, abs=GRAIN)
    assert first.delay == pytest.approx(FIRST_TARGET, abs=GRAIN)
    assert not first.action.joins
    assert {each.action for each in ear.heard if each.at < first.at} == {Pause(STEP)}


def test_a_packet_joins_the_one_before_it() -> None:
    ear = Ear().expect(on_time(stream(20))).listen(0.4)
    assert all(each.action.joins for each in ear.plays[1:])


@pytest.mark.parametrize("data", [b"x", QUIET])
def test_on_a_line_that_is_never_late_the_delay_comes_down_to_the_target_and_stays_there(data: bytes) -> None:
    ear = Ear().expect(on_time(stream(1000, data=data))).listen(20)
    assert ear.jitter.target < 0.01
    delays = ear.delays(since=3)
    assert max(delays) <= ear.jitter.target + SLACK
    assert max(delays) - min(delays) < 0.001, "it goes up and down"


@given(st.floats(0, 0.12), st.integers(0, 100), st.sampled_from([b"x", QUIET]))
@settings(max_examples=15, deadline=None)
def test_on_a_jittery_line_nothing_is_missed_for_long_and_the_delay_keeps_still(
    most: float, seed: int, data: bytes
) -> None:
    ear = Ear().expect(on_time(stream(3000, data=data), uniform(most, seed))).listen(60)
    settled = [each for each in ear.heard if each.at > 30]
    concealed = [each for each in settled if isinstance(each.action, Conceal)]
    assert len(concealed) * STEP / RATE < 0.02 * 30
    delays = ear.delays(since=30)
    assert max(delays) - min(delays) < 0.02 + SHORTFALL
    assert max(delays) < most + 0.04


@pytest.mark.parametrize("ppm", [-300, -20, 20, 300])
@pytest.mark.parametrize("data", [b"x", QUIET])
def test_a_clock_that_is_off_is_followed_without_a_gap(ppm: int, data: bytes) -> None:
    packets = stream(6000, data=data)
    ear = Ear().expect((at / (1 + ppm * 1e-6), packet) for at, packet in on_time(packets, uniform(0.003)))
    ear.listen(119)
    settled = [each for each in ear.heard if each.at > 5]
    assert sum(isinstance(each.action, Conceal) for each in settled) * STEP / RATE < 0.3
    assert max(ear.delays(since=5)) < 0.04
    assert ear.jitter.late == 0
    assert ear.jitter.drift_ppm == pytest.approx(ppm, abs=10)


# --- late


@pytest.mark.parametrize("stall", [0.03, 0.06, 0.1])
def test_what_comes_late_but_soon_is_played_whole_and_a_second_later_the_delay_is_what_it_was(stall: float) -> None:
    def late(sent: float) -> float:
        return max(0.0, 30 + stall - sent) if sent > 30 else 0.0

    packets = stream(2000)
    ear = Ear().expect(on_time(packets, late)).listen(39)
    assert ear.jitter.late == 0
    assert [play.action.audio for play in ear.plays] == packets[: len(ear.plays)]
    assert not any(play.action.missed for play in ear.plays)
    assert max(ear.delays(since=29, until=31)) == pytest.approx(stall, abs=0.02)
    assert max(ear.delays(since=31 + stall)) <= ear.jitter.target + SLACK + GRAIN


def test_what_is_concealed_below_the_target_is_time_gained_and_what_comes_is_played_whole() -> None:
    ear = Ear().expect(on_time(stream(10))).listen(0.15)
    ear.jitter.least_target = 0.15
    ear.listen(0.17)
    assert ear.concealed > 0
    assert ear.jitter.position == 10 * PACKET
    ear.expect([(0, audio(10, 10 * PACKET))]).listen(0.02)
    assert ear.plays[-1].action.audio.sequence == 10
    assert ear.plays[-1].action.missed == 0


@pytest.mark.parametrize("ahead", [0.001, 0.0025, 0.0045])
def test_what_stalls_again_and_again_is_not_guessed_at_again_and_again(ahead: float) -> None:
    """A loudspeaker wants its next block before it is to be heard: what comes in between might as well not have."""
    ear = Ear(ahead=ahead).expect(on_time(stream(1000, data=QUIET), stalls(0.03, every=0.4)))
    ear.listen(5.0)
    before = ear.concealed
    ear.listen(14.0)
    assert ear.concealed <= before + STEP
    assert max(ear.delays(since=5)) < 0.03 + MARGIN + 2 * STEP / RATE


def test_what_is_doubled_or_comes_in_the_wrong_order_is_dropped_and_counted() -> None:
    packets = stream(20)
    ear = Ear().expect(on_time(packets)).listen(0.2)
    for packet in (packets[3], packets[1], audio(99, 1)):
        ear.jitter.put(packet, ear.now)
    assert ear.jitter.late == 3
    assert ear.listen(0.25).played == packets


def test_whoever_starves_hears_a_guess_and_then_fades_into_noise() -> None:
    ear = Ear().expect(on_time(stream(10))).listen(1.0)
    conceals = [each.action for each in ear.heard if isinstance(each.action, Conceal)]
    faint = [each for each in conceals if not each.fading]
    assert sum(each.ticks for each in faint) == MAX_CONCEALED
    assert conceals == faint + [Conceal(STEP, fading=True)] * (len(conceals) - len(faint))
    assert conceals[-1].fading
    assert ear.jitter.concealed == ear.concealed


# --- gaps and pauses


@pytest.mark.parametrize("lost", [1, 2, 3, 10])
def test_packets_that_the_sender_dropped_are_concealed_for_their_length(lost: int) -> None:
    packets = stream(100)
    del packets[50 : 50 + lost]
    ear = Ear().expect(on_time(packets)).listen(1.9)
    between = ear.between(packets[49], packets[50])
    assert all(isinstance(action, Conceal) for action in between)
    assert sum(action.ticks for action in between) == pytest.approx(lost * PACKET, abs=2 * STEP)
    assert (ear.jitter.late, len(ear.played)) == (0, len([each for each in packets if each.sequence < 95 - 1]))


def test_a_pause_of_the_speaker_is_no_loss_and_behind_it_the_delay_is_at_its_target_again() -> None:
    before, after = stream(50), stream(50, 51, 100 * PACKET)
    ear = Ear().expect(on_time([*before, audio(50, 50 * PACKET, b""), *after])).listen(2.9)
    assert set(ear.between(before[-1], after[0])) == {Pause(STEP)}
    assert ear.concealed == ear.jitter.late == 0
    again = next(each for each in ear.plays if each.action.audio == after[0])
    assert again.delay == pytest.approx(again.target, abs=GRAIN)
    assert not again.action.joins


def test_a_pause_that_was_not_announced_is_bridged_when_the_next_word_tells_that_it_was_one() -> None:
    before, after = stream(10), stream(10, 10, 10 * PACKET + PACKET // 2)
    ear = Ear().expect(on_time(before + after)).listen(0.4)
    between = ear.between(before[-1], after[0])
    assert all(isinstance(action, Pause) for action in between)
    assert sum(action.ticks for action in between) == pytest.approx(PACKET // 2, abs=STEP)


def test_a_senders_rounding_is_no_gap() -> None:
    packets = [audio(i, i * PACKET + i % 2 * NEGLIGIBLE) for i in range(20)]
    ear = Ear().expect(on_time(packets)).listen(0.38)
    assert len(ear.played) > 15
    assert not any(each for first, second in pairwise(ear.played) for each in ear.between(first, second))


@pytest.mark.parametrize("late", [0.0, USUAL, 2 * MAX_DELAY])
def test_where_silence_was_announced_nothing_is_concealed_for_long_however_late_it_was(late: float) -> None:
    ear = Ear().expect(on_time([*stream(50), audio(50, 50 * PACKET, b"")], lambda sent: late if sent > 1 else 0.0))
    ear.listen(10)
    assert ear.concealed / RATE <= late + 0.1
    assert ear.heard[-1].action == Pause(STEP)


# --- outages, and lines that change


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "dropped"])
@pytest.mark.parametrize("usually_late", [0.0, 0.03])
def test_after_a_blackout_the_delay_is_at_its_target_within_half_a_second(is_held: bool, usually_late: float) -> None:
    def late(sent: float) -> float | None:
        if 30 < sent < 32:
            return 32 - sent if is_held else None
        return usual(sent)

    usual = uniform(usually_late)
    ear = Ear().expect(on_time(stream(2500), late)).listen(49)
    fresh = next(each.at for each in ear.plays if each.at > 31.9)
    assert fresh < 32.2
    back = [each for each in ear.plays if each.at > fresh + 0.5]
    assert all(each.delay < each.target + SLACK + GRAIN for each in back)
    assert max(ear.delays(since=5)) <= MAX_DELAY + GRAIN


def test_a_line_that_is_later_all_at_once_is_gone_along_with_before_anything_is_dropped() -> None:
    ear = Ear().expect(on_time(stream(3000), lambda sent: 0.0 if sent < 30 else 2.0)).listen(61)
    gap = 2.0 + STEADY * PACKET / RATE
    assert ear.concealed / RATE < gap + 0.2, "no second of it"
    assert ear.jitter.late <= STEADY
    assert max(ear.delays(since=40)) < 0.05


def test_what_has_waited_for_an_outage_to_end_is_none_of_that() -> None:
    def held(sent: float) -> float:
        return max(0.0, 32.0 - sent) if sent > 30 else 0.0

    ear = Ear().expect(on_time(stream(3000), held)).listen(62)
    assert ear.jitter.late > 1.5 * 50
    assert max(ear.delays(since=33)) < 0.3


def highest_target(jitter: JitterBuffer) -> float:
    jitter.least_target = math.inf
    return jitter.target


def drops(jitter: JitterBuffer, late: float) -> bool:
    """Whether it drops one packet that is so late on a line that never is."""
    for arrival, packet in on_time(stream(51), lambda sent: late if sent > 51 * PACKET / RATE - 0.001 else 0.0):
        jitter.put(packet, arrival)
    return jitter.late > 0


@pytest.mark.parametrize(("round_trip", "ceiling"), [(0.001, 0.2), (0.3, 0.455), (9.0, MOST_CEILING)])
def test_on_a_long_line_a_packet_that_is_repeated_is_worth_waiting_for(round_trip: float, ceiling: float) -> None:
    def after(*round_trips: float) -> JitterBuffer:
        jitter = JitterBuffer()
        for each in round_trips:
            jitter.round_trip(each)
        return jitter

    assert highest_target(after(round_trip)) == pytest.approx(ceiling)
    most = max(MAX_DELAY, ceiling / ROOM)
    assert [drops(after(round_trip), late) for late in (most - 0.001, most + 0.001)] == [False, True]
    again = after(round_trip, 0.001), after(round_trip, 0.001)
    assert [drops(*each) for each in zip(again, (MAX_DELAY - 0.001, MAX_DELAY + 0.001), strict=True)] == [False, True]


def test_but_no_longer_than_the_user_has_chosen() -> None:
    for late, is_dropped in ((0.099, False), (0.101, True)):
        jitter = JitterBuffer(0.1)
        jitter.round_trip(0.3)
        assert drops(jitter, late) == is_dropped


def test_what_voice_waits_here_is_not_what_it_is_late_on_the_line() -> None:
    ear = Ear().expect(on_time(stream(3000), lambda sent: 0.0 if sent < 58 else 0.15)).listen(60)
    assert ear.jitter.delay > 0.15
    assert ear.jitter.wait < 0.06


@pytest.mark.parametrize("step", [0.03, 0.1, 0.2, MAX_DELAY + 0.02, 1.0])
def test_a_line_that_has_become_slower_is_accepted_after_about_a_second(step: float) -> None:
    ear = Ear().expect(on_time(stream(2500), lambda sent: step if sent > 30 else 0.0)).listen(48)
    assert ear.concealed / RATE < ADRIFT + step + 0.2
    assert max(each.at for each in ear.heard if isinstance(each.action, Conceal)) < 30 + ADRIFT + step + 0.3
    assert not [each for each in ear.plays if each.at > 32.5 and each.action.missed]


@pytest.mark.parametrize("most", [0.05, 0.1, 0.2])
def test_a_line_that_becomes_slower_and_slower_costs_what_it_has_become_slower_by(most: float) -> None:
    def slower(sent: float) -> float:
        return min(most, max(0.0, (sent - 30) * 0.05))

    ear = Ear().expect(on_time(stream(2500), slower)).listen(48)
    assert ear.concealed / RATE < most + 0.05
    assert sum(each.action.missed for each in ear.plays) / RATE < most / 2


def test_a_line_that_has_become_faster_is_caught_up_with_at_once() -> None:
    ear = Ear().expect(on_time(stream(2500), lambda sent: 0.1 if sent < 30 else 0.0)).listen(48)
    assert max(ear.delays(since=33)) < ear.jitter.target + SLACK + 0.01


def test_after_a_stall_of_our_own_the_past_is_thrown_away() -> None:
    ear = Ear().expect(on_time(stream(1000))).listen(10)
    ear.now += 1.0  # nobody asked for so long
    back = ear.now
    ear.listen(3)
    assert max(ear.delays(since=back)) < ear.jitter.target + SKIP
    assert max(ear.delays(since=back + 1.5)) <= ear.jitter.target + HURRY


def test_a_sender_that_begins_anew_is_heard() -> None:
    old, new = stream(50, timestamp=100 * RATE), stream(50, sequence=500, timestamp=RATE)
    ear = Ear().expect(on_time(old)).listen(1.5)
    ear.expect(on_time(new)).listen(0.9)
    assert [each for each in ear.played if each in new[:40]] == new[:40]


def test_never_more_than_so_many_packets_are_held() -> None:
    jitter = JitterBuffer(max_delay=2.0)
    for i in range(MAX_PACKETS + 100):  # one tick each: far below any limit of time
        jitter.put(audio(i, i), 5.0)
    assert jitter.late == 100


def test_packets_are_taken_along_as_long_as_they_follow_without_a_gap() -> None:
    jitter = JitterBuffer()
    packets = [*stream(3), audio(3, 3 * PACKET + 2 * NEGLIGIBLE)]
    for packet in packets:
        jitter.put(packet, 5.0)
    play: Play | Conceal | Pause | None = jitter.next(5.02)
    taken = []
    while isinstance(play, Play):
        taken.append(play.audio)
        play = play.finish(PACKET).take_along()
    assert taken == packets[:3]


def test_a_packet_is_finished_once_before_anything_else_is_asked() -> None:
    jitter = JitterBuffer()
    for packet in stream(3):
        jitter.put(packet, 5.0)
    play = jitter.next(5.02)
    assert isinstance(play, Play)
    with pytest.raises(AssertionError, match="not finished"):
        jitter.next(5.02)
    fit = play.finish(PACKET)
    with pytest.raises(AssertionError, match="finished before"):
        play.finish(PACKET)
    assert fit.take_along()
    with pytest.raises(AssertionError, match="not finished"):
        fit.take_along()


# --- whatever comes


hostile_packets = st.lists(
    st.tuples(
        st.one_of(st.integers(-3, 3), st.integers(0, 2**16 - 1)),  # step of the sequence
        st.one_of(st.just(PACKET), st.integers(-PACKET, 5 * PACKET), st.integers(0, 2**32 - 1)),  # of the timestamp
        st.booleans(),  # silence begins here
        st.sampled_from([0, 1, 120, PACKET, 5760]),  # its length in ticks
        st.one_of(st.just(0.0), st.just(0.02), st.floats(0, 3)),  # seconds until the next
    ),
    max_size=80,
)


@given(hostile_packets, st.sampled_from([0.02, MAX_DELAY, 2.0]))
@settings(deadline=None, max_examples=3 * settings().max_examples)
def test_whatever_comes_it_answers_within_its_bounds(
    steps: list[tuple[int, int, bool, int, float]], max_delay: float
) -> None:
    jitter = JitterBuffer(max_delay)
    now, sequence, timestamp, played = 5.0, 0, 0, 0
    lengths: dict[int, int] = {}
    for number, (sequence_step, timestamp_step, silent, length, wait) in enumerate(steps):
        sequence, timestamp = sequence + sequence_step, timestamp + timestamp_step
        lengths[number] = length
        jitter.put(audio(sequence, timestamp, b"" if silent else number.to_bytes(2, "big")), now)
        before = jitter.position
        for _ in range(min(200, int(wait / GRAIN) + 1)):
            action = jitter.next(now)
            if isinstance(action, Play):
                assert action.missed >= 0
                assert jitter.delay <= jitter.target + max(SKIP, max_delay) + 1e-6
                action.finish(lengths.pop(int.from_bytes(action.audio.data, "big")))  # KeyError: played twice
                played += 1
            else:
                assert action.ticks == STEP
            if before is not None and jitter.position is not None:
                assert jitter.position >= before, "time went back"
            before = jitter.position
            now += GRAIN
        assert jitter.target <= max_delay
        assert jitter.buffered >= 0
    assert played + jitter.late <= len(steps)
    for i in range(len(steps)):
        jitter.next(now + 60 + i * GRAIN)
    assert jitter.buffered == 0.0, "in the end, it has played or dropped all"


@st.composite
def lines(draw: st.DrawFn) -> Callable[[float], float | None]:
    """Jitter, losses by the sender, outages and changes of the route, at random."""
    usual = losing(draw(st.floats(0, 0.2)), uniform(draw(st.floats(0, 0.1)), draw(st.integers(0, 99))))
    outages = draw(st.lists(st.tuples(st.floats(1, 15), st.floats(0.1, 3), st.booleans()), max_size=3))
    changed_at, change = draw(st.floats(3, 15)), draw(st.floats(-0.3, 1))

    def late(sent: float) -> float | None:
        late = usual(sent)
        for began, length, is_held in outages:
            if began < sent < began + length:
                late = began + length - sent if is_held else None
        return late and max(0.0, late + (change if sent > changed_at else 0.0))

    return late


@given(lines(), st.sampled_from([0.1, MAX_DELAY, 1.0]), st.sampled_from([b"x", QUIET]))
@settings(deadline=None, max_examples=60)
def test_on_whatever_line_time_never_goes_back_and_the_delay_is_bounded(
    late: Callable[[float], float | None], max_delay: float, data: bytes
) -> None:
    ear = Ear(JitterBuffer(max_delay)).expect(on_time(stream(1000, data=data), late)).listen(25)
    sequences = [each.sequence for each in ear.played]
    assert sequences == sorted(set(sequences))
    assert all(each.delay <= each.target + max(SKIP, max_delay) + GRAIN for each in ear.plays)
    assert ear.given / RATE == pytest.approx(25, abs=0.04)
    assert len(ear.plays) + ear.jitter.late <= 1000
