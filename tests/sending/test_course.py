"""What a call is like on lines that are slow, shared, jittery, lossy, long or dark, in simulated time."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sending.simulator.call import Call, Figures, Line
from tests.sending.simulator.lines import LINES, both
from tests.sending.simulator.way import Kind
from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.audio.capture.wish import BRISK, Wish
from voicemux.protocol.messages import Arrivals, Audio, Codec, Report
from voicemux.protocol.wire import MAX_PAYLOAD
from voicemux.sending.allowance import MOST_LATE
from voicemux.sending.blame import Whose
from voicemux.sending.course import Course
from voicemux.sending.flow import VOICE_BUDGET, Flow

TOP = Rung(20, 32_000)
PHASE, SEED = 0.33, 77  # none of those that thresholds were chosen with


def call(name: str, *, control: str = "cubic", old: str = "", cut: float = 0.0) -> Call:
    line = LINES[name]
    return Call(replace(line, seconds=cut or line.seconds), seed=SEED, phase=PHASE, control=control, old=old)


def is_as_alone(figures: Figures, delay: float) -> None:
    """Nothing is noticed but some delay: milliseconds."""
    assert figures.median is not None
    assert figures.median < delay
    assert figures.missing < 4
    assert figures.dropped < 1.5
    assert figures.kbit > 31


def test_on_a_clean_line_all_is_heard_as_it_was_spoken() -> None:
    line = call("clean", cut=15)
    for figures in (line.there, line.back):
        is_as_alone(figures, 36)
        assert figures.missing < 0.2
        assert figures.estimated == pytest.approx(0, abs=2)


@pytest.mark.parametrize("control", ["cubic", "bbr"])
@pytest.mark.parametrize(("name", "free"), [("bulk 2M .5s", 90), ("bulk 1M 2s", 130), ("bulk 10M .1s", 60)])
def test_beside_a_transfer_of_somebody_else_the_free_direction_is_as_before(
    name: str, free: float, control: str
) -> None:
    is_as_alone(call(name, control=control).back, free)


def test_and_the_loaded_one_is_late_rather_than_silent_and_back_at_once_when_it_is_over() -> None:
    there = call("bulk 2M .5s").there
    assert there.median is not None
    assert 500 < there.median < 650
    assert there.missing < 20
    assert there.dropped < 5
    assert there.kbit > 28
    assert there.back is not None
    assert there.back <= 1.5
    assert there.estimated == pytest.approx(0, abs=5)


def test_a_short_queue_of_somebody_else_costs_no_quality() -> None:
    there = call("bulk 10M .1s").there
    is_as_alone(there, 215)


def test_a_call_that_begins_beside_a_transfer_does_not_take_its_queue_for_our_own() -> None:
    line = call("begun beside bulk", cut=26)
    assert line.there.missing < 35, "54 % if packets never go alone"
    assert line.there.kbit > 12
    is_as_alone(line.back, 130)


def test_a_route_that_becomes_shorter_one_way_leaves_the_estimate_right() -> None:
    line = call("route -90 there", cut=30)
    for figures in (line.there, line.back):
        assert figures.estimated == pytest.approx(0, abs=10)


def test_a_squeeze_is_found_out_and_when_it_is_over_quality_is_back_at_once() -> None:
    line = call("40k 25 s")
    for figures in (line.there, line.back):
        assert figures.p95 is not None
        assert figures.p95 < 330
        assert figures.missing < 6
        assert figures.kbit > 9
        assert figures.back is not None
        assert figures.back <= 1.5


def test_a_squeeze_of_one_direction_is_not_felt_in_the_other() -> None:
    line = call("40k 25 s there")
    is_as_alone(line.back, 105)
    assert line.there.missing < 9


def test_even_half_of_that_leaves_something() -> None:
    line = call("24k 10 s")
    for figures in (line.there, line.back):
        assert figures.missing < 27, "what it was when everything was judged by acknowledgements"
        assert figures.back is not None
        assert figures.back <= 2


@pytest.mark.parametrize(("name", "missing"), [("24k 20 s near", 28), ("20k 20 s near", 52), ("22k 20 s near", 36)])
@pytest.mark.parametrize("phase", [0.15, 0.5, 0.85])
def test_nor_does_a_near_line_that_becomes_slow_both_ways_silence_either(
    name: str, missing: float, phase: float
) -> None:
    line = Call(LINES[name], seed=SEED, phase=phase)
    for figures in (line.there, line.back):
        assert figures.missing < missing, "80 % and more where an end takes its own queue for another program's"


def test_jitter_is_no_reason_to_send_less() -> None:
    line = call("jitter 20+80", cut=25)
    for figures in (line.there, line.back):
        assert figures.median is not None
        assert figures.median < 150
        assert figures.missing < 1
        assert figures.kbit > 30


def test_a_line_that_is_slow_one_way_is_fast_the_other() -> None:
    line = call("48/1000", cut=25)
    is_as_alone(line.back, 85)
    assert line.there.missing < 3


@pytest.mark.parametrize(
    ("name", "delay", "missing"), [("300 ms 1%", 640, 6), ("50 ms 5%", 220, 3), ("120 ms 3% bursts", 330, 14)]
)
def test_a_lost_packet_is_waited_for(name: str, delay: float, missing: float) -> None:
    line = call(name)
    for figures in (line.there, line.back):
        assert figures.median is not None
        assert figures.median < delay
        assert figures.missing < missing
        assert figures.dropped < 4


def test_where_the_round_trip_is_long_and_packets_are_lost_there_are_fewer_of_them() -> None:
    line = call("300 ms 1%", cut=25)
    assert all(seconds[3] == 40 for seconds in line.seconds(line.a, line.b)[20:])


@pytest.mark.parametrize("name", ["dark 2 s held", "dark 2 s lost"])
def test_after_an_outage_all_is_as_before(name: str) -> None:
    line = call(name)
    for figures in (line.there, line.back):
        assert figures.back is not None
        assert figures.back <= 2


def test_a_route_that_becomes_longer_is_gone_along_with() -> None:
    line = call("route +150", cut=30)
    for figures in (line.there, line.back):
        assert figures.median is not None
        assert figures.median < 360
        assert figures.missing < 12
        assert figures.kbit > 28
        assert figures.estimated == pytest.approx(0, abs=10)


@pytest.mark.parametrize("old", ["a", "b", "ab"])
def test_with_peers_that_say_report_only_the_free_direction_lives(old: str) -> None:
    line = call("bulk 2M .5s", old=old)
    assert line.back.missing < 6
    assert line.back.dropped < 3
    assert line.back.kbit > 15
    assert line.there.missing < 40


# --- more than modest voice, unasked


AMPLE = Line("ample", 15, Kind(0.01, 6e6, 1.0), Kind(0.01, 6e6, 1.0))


def test_a_near_steady_and_ample_line_gets_short_packets_unasked() -> None:
    line = Call(AMPLE, seed=SEED, phase=PHASE)
    for figures, end in ((line.there, line.a), (line.back, line.b)):
        assert end.ladder.rung == BRISK
        assert figures.missing < 0.5
        assert figures.median is not None
        assert figures.median < 40, "10 ms under way"


@pytest.mark.parametrize(
    "kind",
    [Kind(0.04), Kind(0.01, 3e6, 1.0), Kind(0.01, jitter=0.06)],
    ids=["far", "not ample", "not steady"],
)
def test_no_other_line_does(kind: Kind) -> None:
    line = Call(replace(AMPLE, there=kind, back=kind), seed=SEED, phase=PHASE)
    assert [line.a.ladder.rung, line.b.ladder.rung] == [TOP, TOP]


def test_nor_does_a_peer_that_tells_no_arrivals() -> None:
    line = Call(AMPLE, seed=SEED, phase=PHASE, old="b")
    assert line.a.ladder.rung == TOP


@pytest.mark.parametrize(("rate", "missing"), [(24e3, 31), (33e3, 9), (45e3, 8), (60e3, 5)])
@pytest.mark.parametrize("delay", [0.001, 0.008, 0.015])
def test_when_such_a_line_becomes_slow_both_ways_little_is_lost_at_first(
    rate: float, missing: float, delay: float
) -> None:
    line = Line(
        "squeeze", 30, Kind(delay), Kind(delay), events=((10.0, both(rate=rate)),), looked_at=(10.0, 30.0), over=30.0
    )
    ends = Call(line, seed=SEED, phase=0.15)
    for figures in (ends.there, ends.back):
        assert figures.missing < missing, "up to 82 % where the way back excuses what our own queue delays"


# --- for who wants more than modest voice


MUCH = Wish(bitrate=64_000)


def much_voice(name: str, cut: float = 0.0) -> Call:
    line = LINES[name]
    return Call(replace(line, seconds=cut or line.seconds), seed=SEED, phase=PHASE, wish=MUCH)


def test_a_roomy_line_gets_it_and_short_packets() -> None:
    line = much_voice("clean", cut=15)
    for figures, end in ((line.there, line.a), (line.back, line.b)):
        assert figures.missing < 0.5
        assert figures.median is not None
        assert figures.median < 30
        assert end.ladder.rung == BRISK


def test_a_line_that_has_no_room_for_it_is_none_the_later_for_that() -> None:
    line = much_voice("96k", cut=25)
    for figures in (line.there, line.back):
        assert figures.median is not None
        assert figures.median < 95
        assert figures.missing < 1
        assert figures.kbit > 31


def test_in_a_squeeze_it_costs_little_more_than_modest_voice() -> None:
    line = much_voice("40k 25 s", cut=40)
    for figures in (line.there, line.back):
        assert figures.missing < 8
        assert figures.back is not None
        assert figures.back <= 1.5


# --- what a peer says may be untrue


def voice(number: int) -> Audio:
    return Audio(Codec.OPUS, 0, number % 2**16, number * 960 % 2**32, bytes([31 << 3]) + bytes(79))


LIES: dict[str, Callable[[int], Arrivals]] = {
    "huge": lambda number: Arrivals(0, number % 2**16, 65_535, 65_535),
    "random": lambda number: Arrivals(0, number % 2**16, number * 30_011 % 2**16, number * 7919 % 2**16),
    "standing still": lambda number: Arrivals(0, 3, 100, 100),
    "backwards": lambda number: Arrivals(0, -number % 2**16, 100, 100),
    "ever later": lambda number: Arrivals(0, number % 2**16, number * 20 % 2**16, number * 20 % 2**16),
    "ever sooner": lambda number: Arrivals(0, number % 2**16, -number * 20 % 2**16, 65_535),
    "of others": lambda number: Arrivals(number % 3, (number + 20_000) % 2**16, 5, 3),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_who_lies_about_arrivals_is_sent_no_more_than_ever_and_all_of_it_stays_bounded(
    lie: Callable[[int], Arrivals],
) -> None:
    near, far, ladder = Flow(), Flow(by_peer=True), Ladder(TOP)
    course = Course(near, far)
    near.round_trip(0.04)
    for number in range(1500):
        now = number * 0.02
        padding = course.padding(now)
        near.wrote(100 + len(padding), now, mark=("audio", number), is_voice=True)
        course.wrote(voice(number), 100 + len(padding), now)
        near.acknowledge(200, now)
        for _ in range(20):  # a thousand a second
            course.told(lie(number), now)
        course.heard(voice(number), now)
        if number % 5 == 0:
            course.judge(ladder, now, calm=True, roomy=True)
        assert len(padding) <= MAX_PAYLOAD
        assert 0 <= near.excused <= 4 * MOST_LATE
        assert 0 <= near.budget <= 4 * MOST_LATE
        assert ladder.rung.line_rate <= TOP.line_rate
        assert near.may_send_text(now + 1) in (True, False)


@pytest.mark.parametrize(("acknowledged_after", "is_tunnelled"), [(0.001, True), (0.5, False)])
def test_voice_that_is_late_though_our_kernel_was_quick_is_behind_a_tunnel(
    acknowledged_after: float, is_tunnelled: bool
) -> None:
    near, ladder = Flow(), Ladder(TOP)
    course = Course(near, Flow(by_peer=True))
    near.round_trip(0.001)
    for number in range(250):
        now, late = number * 0.02, 0.5 if number > 100 else 0.0
        near.wrote(100, now, mark=("audio", number), is_voice=True)
        course.wrote(voice(number), 100, now)
        under_way = round(max(0.0, min(late, acknowledged_after) - 0.001) / 0.02)
        near.acknowledge(100 * min(number, under_way), now + 0.001)
        if number % 5 == 0:
            arrived = max(0, number - round(late / 0.02))
            transit = round(1000 * (0.02 + late * (arrived > 75)))
            course.told(Arrivals(0, arrived, transit, transit), now + 0.002)
            course.judge(ladder, now + 0.002, calm=True, roomy=True)
    assert course.is_tunnelled == is_tunnelled


event = st.one_of(
    st.tuples(
        st.just("told"),
        st.builds(
            Arrivals,
            source=st.just(0),
            sequence=st.integers(0, 2**16 - 1),
            least=st.integers(0, 2**16 - 1),
            most=st.integers(0, 2**16 - 1),
        ),
    ),
    st.tuples(
        st.just("reported"),
        st.builds(
            Report,
            source=st.just(0),
            sequence=st.integers(0, 2**16 - 1),
            timestamp=st.integers(0, 2**32 - 1),
            delay=st.just(0),
            target=st.just(0),
        ),
    ),
    st.tuples(
        st.just("heard"),
        st.builds(
            Audio,
            codec=st.just(2),
            source=st.just(0),
            sequence=st.integers(0, 2**16 - 1),
            timestamp=st.integers(0, 2**32 - 1),
            data=st.binary(max_size=3),
        ),
    ),
    st.tuples(st.just("round_trip"), st.floats(0.0, 20.0)),
    st.tuples(st.just("acknowledge"), st.integers(0, 5000)),
    st.tuples(st.just("dropped"), st.none()),
    st.tuples(st.just("speak"), st.none()),
)


@given(st.lists(st.tuples(st.floats(0, 1.5), event, st.booleans()), max_size=150))
@settings(deadline=None)
def test_whatever_happens_in_whatever_order_it_goes_on_and_stays_within_its_bounds(
    events: list[tuple[float, tuple[str, object], bool]],
) -> None:
    near, far, ladder = Flow(), Flow(by_peer=True), Ladder(Rung(5, 64_000))
    course, now, number = Course(near, far), 0.0, 0
    for step, (kind, what), calm in events:
        now += step
        match kind:
            case "acknowledge":
                near.acknowledge(what, now)  # type: ignore[arg-type]
            case "dropped":
                course.dropped(now)
            case "speak":
                number += 1
                course.wrote(voice(number), 100, now)
                near.wrote(100, now, mark=("audio", number), is_voice=True)
                course.told(Arrivals(0, number, 0, 9), now)
            case "round_trip":
                near.round_trip(what)  # type: ignore[arg-type]
                course.round_trip(what, now)  # type: ignore[arg-type]
            case _:
                getattr(course, kind)(what, now)
        before = ladder.at
        course.judge(ladder, now, calm=calm, roomy=calm)
        assert abs(ladder.at - before) <= ladder.lowest
        assert near.excused >= 0 <= near.budget
        assert near.budget <= max(VOICE_BUDGET, 4 * MOST_LATE)
        assert course.blame.state in Whose
        assert len(course.padding(now)) <= MAX_PAYLOAD + 4
        way = course.peer_on_its_way(now)
        assert way is None or way.seconds >= 0.0
