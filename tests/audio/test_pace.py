from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.ladder import FIRST_RATE, LOWER_RUNGS, Rung
from voicemux.audio.pace import (
    ANY,
    BRISK,
    BRISKEST,
    FIRST_PATIENCE,
    MOST_PATIENCE,
    PROVEN,
    UNREST,
    USUAL,
    Pace,
    Wish,
)

LOOK = 0.1  # seconds between two judgements
HURRY = Wish(at_once=True)

wishes = st.builds(
    Wish,
    st.just(0) | st.integers(6_000, 128_000),
    st.sampled_from([0.0, 5.0, 10.0, 20.0, 40.0, 60.0]),
    st.just(0) | st.integers(18_000, 400_000),
    st.booleans(),
)


def follow(
    pace: Pace,
    rate: Callable[[float], float],
    seconds: float,
    start: float = 0.0,
    calm: Callable[[float], bool] | None = None,
) -> list[Rung]:
    """Where it is, ten times a second, on a line that takes `rate` bits a second; `calm` unless it says otherwise."""
    where = []
    for look in range(round(seconds / LOOK)):
        now = start + look * LOOK
        keeps_up = pace.rung.line_rate <= rate(now)
        good = keeps_up and (calm is None or calm(now))
        where.append(pace.judge(now, None if keeps_up else rate(now), calm=good, roomy=good))
    return where


def at_the_shortest(wish: Wish = ANY, now: float = 100.0) -> Pace:
    pace = Pace(wish)
    follow(pace, lambda now: 1e6, 60, start=now - 60)
    assert pace.rung == wish.brisk[-1]
    return pace


def kinds(where: list[Rung]) -> list[Rung]:
    """One after the other, without those that stay."""
    return [rung for i, rung in enumerate(where) if not i or rung != where[i - 1]]


def test_where_there_is_room_packets_get_shorter_by_themselves() -> None:
    where = follow(Pace(Wish()), lambda now: 1e6, 60)
    assert where[0].line_rate <= FIRST_RATE
    assert kinds(where) == [Rung(20, 20_000), Rung(20, 24_000), Rung(20, 32_000), USUAL, BRISK]
    assert where.index(BRISK) * LOOK < 5


def test_on_a_line_that_is_not_roomy_they_stay_as_they_are() -> None:
    pace = Pace(Wish())
    where = [pace.judge(look * LOOK, None, calm=True, roomy=False) for look in range(3000)]
    assert where[-1] == USUAL
    assert {rung.frame_ms for rung in where} == {20}


def test_a_line_that_is_restless_has_long_packets_before_it_is_slow() -> None:
    pace = at_the_shortest()
    where = [pace.judge(100 + look * LOOK, None, calm=False, roomy=False) for look in range(round(UNREST / LOOK) + 2)]
    assert kinds(where) == [BRISK, USUAL]


def test_a_moment_of_unrest_changes_nothing_but_is_looked_at_closely() -> None:
    pace = at_the_shortest()
    assert not pace.eager
    pace.judge(100, None, calm=False, roomy=False)
    assert pace.eager
    assert pace.judge(100 + UNREST / 2, None, calm=True, roomy=True) == BRISK
    assert not pace.eager


@pytest.mark.parametrize("wish", [ANY, HURRY])
@pytest.mark.parametrize("rate", [20_000, 50_000, 110_000])
def test_on_a_line_that_is_too_slow_they_are_long_at_once(wish: Wish, rate: float) -> None:
    pace = at_the_shortest(wish)
    rung = pace.judge(100, rate, calm=False, roomy=False)
    assert rung.frame_ms >= 20
    assert rung.line_rate <= rate


def test_what_had_queued_up_behind_short_packets_is_no_reason_for_fewer_bits() -> None:
    pace = at_the_shortest()
    where = [pace.judge(100 + look * LOOK, 110_000, calm=False, roomy=False) for look in range(9)]
    assert set(where) == {USUAL}


def test_a_line_that_takes_packets_of_10_ms_and_no_shorter_ones_gets_them() -> None:
    where = follow(Pace(HURRY), lambda now: 200_000, 600)
    assert where.count(BRISK) / len(where) > 0.9
    assert where.count(BRISKEST) * LOOK < 600 * 0.02


def test_short_packets_are_tried_ever_more_seldom_where_they_do_harm() -> None:
    where = follow(Pace(Wish()), lambda now: 1e6, 3600, calm=lambda now: now % 10 < 8)
    falls = sum(sooner.frame_ms < later.frame_ms for sooner, later in pairwise(where))
    assert falls < 3600 / MOST_PATIENCE + 10


def test_a_line_that_has_proven_itself_gets_them_back_soon() -> None:
    pace = at_the_shortest()
    follow(pace, lambda now: 1e6, PROVEN + 1, start=100)
    start = 100 + PROVEN + 1
    pace.judge(start, 120_000, calm=False, roomy=False)
    assert pace.rung == USUAL
    where = follow(pace, lambda now: 1e6, FIRST_PATIENCE * 5, start=start + LOOK)
    assert where[-1] == BRISK


def test_who_is_in_a_hurry_has_the_shortest_from_the_first_packet_on() -> None:
    pace = Pace(HURRY)
    assert pace.rung == BRISKEST
    assert set(follow(pace, lambda now: 1e6, 60)) == {BRISKEST}


@pytest.mark.parametrize("rate", [64_000, 110_000])
def test_hurry_on_a_slow_line_ends_at_once_and_does_no_lasting_harm(rate: float) -> None:
    where = follow(Pace(HURRY), lambda now: rate, 300)
    assert where[0].frame_ms == 20
    over = sum(rung.line_rate > rate for rung in where) * LOOK
    assert over < 10
    assert where[-1].bitrate >= 20_000


def test_who_chooses_the_length_of_packets_has_no_others() -> None:
    for wish in (Wish(frame_ms=20), Wish(frame_ms=20, at_once=True)):
        assert {rung.frame_ms for rung in follow(Pace(wish), lambda now: 1e6, 60)} == {20}
    assert Wish(frame_ms=5).usual == Rung(5, 64_000)


def test_who_wants_few_bits_has_no_short_packets_unless_in_a_hurry() -> None:
    assert Wish(bitrate=32_000).brisk == []
    assert Wish(bitrate=32_000, at_once=True).brisk == [Rung(10, 32_000), Rung(5, 32_000)]
    assert Wish(bitrate=96_000).brisk == [Rung(10, 96_000)]


@pytest.mark.parametrize(
    ("bandwidth", "most"),
    [(18, LOWER_RUNGS[-1]), (70, Rung(20, 32_000)), (100, USUAL), (140, BRISK), (240, BRISKEST)],
)
def test_a_limit_of_bandwidth_gets_the_best_that_it_allows(bandwidth: int, most: Rung) -> None:
    wish = Wish(bandwidth=bandwidth * 1000, at_once=True)
    assert not wish.lacking
    assert follow(Pace(wish), lambda now: 1e6, 600)[-1] == most


def test_a_limit_that_allows_no_such_packets_is_known_beforehand() -> None:
    assert Wish(frame_ms=5, bandwidth=100_000).lacking > 143_000
    assert not Wish(frame_ms=5, bandwidth=144_000).lacking


@given(
    wishes,
    st.lists(st.tuples(st.floats(0, 5), st.none() | st.floats(0, 1e6), st.booleans(), st.booleans()), max_size=200),
)
def test_whatever_the_line_does_it_is_as_the_user_wants(
    wish: Wish, looks: list[tuple[float, float | None, bool, bool]]
) -> None:
    pace = Pace(wish)
    now = 1000.0
    for step, rate, calm, roomy in looks:
        now += step
        rung = pace.judge(now, rate, calm=calm, roomy=roomy)
        assert rung == pace.rung
        assert not wish.bitrate or rung.bitrate <= wish.bitrate
        assert not wish.frame_ms or rung.frame_ms >= wish.frame_ms
        if not wish.lacking:
            assert not wish.bandwidth or rung.line_rate <= wish.bandwidth
        if rate is not None:
            assert rung not in wish.brisk
