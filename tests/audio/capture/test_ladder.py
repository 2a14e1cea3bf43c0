import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.capture.ladder import FIRST_RATE, LOWER_RUNGS, Ladder, Rung
from voicemux.sending.rungs import MODEST

TOP = Rung(20, 64_000)
FAST = Rung(5, 64_000)
LOWEST = LOWER_RUNGS[-1]

rungs = st.builds(Rung, st.sampled_from([5.0, 10.0, 20.0, 40.0, 60.0]), st.integers(6_000, 128_000))


def at_the_top(top: Rung) -> Ladder:
    ladder = Ladder(top)
    ladder.go(0, 1.0)
    assert ladder.rung == top
    return ladder


def test_headers_count_as_much_as_sound() -> None:
    assert Rung(20, 20_000).line_rate > Rung(60, 24_000).line_rate > 24_000
    assert [rung.line_rate for rung in LOWER_RUNGS] == sorted((rung.line_rate for rung in LOWER_RUNGS), reverse=True)


@pytest.mark.parametrize("top", [TOP, FAST])
def test_a_call_begins_with_what_most_lines_carry(top: Rung) -> None:
    ladder = Ladder(top)
    assert ladder.rung.line_rate <= FIRST_RATE
    assert not ladder.eager, "more than that has not been carried yet"


def test_what_is_wanted_is_reached_step_by_step() -> None:
    ladder, where = Ladder(FAST), []
    while ladder.at:
        ladder.go(ladder.next_up, 1.0)
        where.append(ladder.rung)
    assert where == [Rung(20, 32_000), Rung(20, 64_000), Rung(10, 64_000), FAST]


@pytest.mark.parametrize("top", [TOP, FAST])
@pytest.mark.parametrize("rate", [10_000, 20_000, 30_000, 40_000, 64_000, 100_000])
def test_what_fits_is_the_best_that_does(top: Rung, rate: float) -> None:
    ladder = Ladder(top)
    at = ladder.fitting(rate)
    assert ladder.line_rate_at(at) <= rate or at == ladder.lowest
    assert all(ladder.line_rate_at(better) > rate for better in range(at))


def test_packets_of_low_latency_are_only_as_much_longer_as_the_line_asks_for() -> None:
    ladder, lengths = at_the_top(FAST), []
    for rate in (140_000, 100_000, 48_000):
        ladder.go(ladder.fitting(rate), 1.0)
        lengths.append(ladder.rung.frame_ms)
    assert lengths == [10, 20, 40]


def test_what_a_slow_line_gets_is_in_no_shorter_packets_than_what_was_wanted() -> None:
    ladder = Ladder(Rung(20, 100_000))
    assert {Rung(20, 32_000), LOWEST} <= {
        ladder.rung for at in range(ladder.lowest + 1) if ladder.go(at, 1.0) is None
    }
    ladder.go(ladder.fitting(130_000), 1.0)
    assert ladder.rung.frame_ms == 20


def test_what_was_carried_is_what_is_next_after_a_step_down() -> None:
    ladder = at_the_top(TOP)
    ladder.has_carried()
    ladder.go(ladder.lowest, 2.0)
    assert (ladder.next_up, ladder.was_carried, ladder.eager) == (0, True, True)


def test_what_was_never_carried_is_tried_step_by_step() -> None:
    ladder = at_the_top(TOP)
    ladder.go(ladder.lowest, 2.0)
    assert (ladder.next_up, ladder.was_carried, ladder.eager) == (ladder.lowest - 1, False, False)
    ladder.has_carried()
    assert not ladder.was_carried, "only what is sent now"


def test_packets_can_be_made_longer_and_sound_as_good() -> None:
    ladder = at_the_top(TOP)
    ladder.least_frame_ms = 40
    assert ladder.rung == Rung(40, TOP.bitrate)
    ladder.go(ladder.lowest, 2.0)
    assert ladder.rung == LOWEST
    ladder.least_frame_ms = 0
    ladder.go(0, 3.0)
    assert ladder.rung == TOP


def test_no_more_than_a_limit_is_sent_whatever_the_rung_is() -> None:
    ladder = at_the_top(TOP)
    ladder.most_rate = MODEST
    assert ladder.rung == Rung(20, 32_000)
    assert ladder.at == 0
    ladder.go(ladder.lowest, 2.0)
    assert ladder.rung == LOWEST
    ladder.most_rate = float("inf")
    ladder.go(0, 3.0)
    assert ladder.rung == TOP


def test_a_wish_below_the_lower_rungs_is_the_only_rung() -> None:
    modest = Rung(60, 6_000)
    ladder = Ladder(modest)
    assert ladder.rung == modest
    assert (ladder.lowest, ladder.next_up, ladder.eager) == (0, 0, False)
    assert ladder.fitting(1000) == 0


@given(rungs, st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=50))
def test_whatever_it_is_told_it_stays_within_its_bounds(top: Rung, steps: list[tuple[int, bool, bool]]) -> None:
    ladder = Ladder(top)
    for at, carried, saves in steps:
        ladder.go(min(at, ladder.lowest), 1.0)
        ladder.least_frame_ms = 60 if saves else 0
        if carried:
            ladder.has_carried()
        assert 0 <= ladder.next_up <= ladder.at <= ladder.lowest
        assert ladder.rung.bitrate <= top.bitrate
        assert ladder.rung.frame_ms >= top.frame_ms
        assert not (ladder.eager and ladder.at == 0)
