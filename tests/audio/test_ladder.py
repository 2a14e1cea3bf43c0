from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicemux.audio.ladder import (
    FIRST_RATE,
    KNOWN_PATIENCE,
    LOWER_RUNGS,
    MOST_PATIENCE,
    NEXT_PATIENCE,
    PERSISTENCE,
    RESIGNED_PATIENCE,
    SETTLING,
    SHARE,
    Ladder,
    Rung,
)

TOP = Rung(20, 64_000)
FAST = Rung(5, 64_000)
LOWEST = LOWER_RUNGS[-1]
TRIED_EVERY = 5.0  # seconds at least, in the long run
LOOK = 0.1  # seconds between two judgements

rungs = st.builds(Rung, st.sampled_from([5.0, 10.0, 20.0, 40.0, 60.0]), st.integers(6_000, 128_000))


def follow(
    ladder: Ladder, rate: Callable[[float], float], seconds: float, start: float = 0.0, best: float = 0.0
) -> list[Rung]:
    """Where it is, ten times a second, on a line that takes `rate` bits a second at a time.

    A line that is given more than it takes has something waiting on it, and so has one that is slower than it was:
    a PING takes longer. Otherwise it is calm.
    """
    where = []
    for look in range(int(seconds / LOOK)):
        now = start + look * LOOK
        is_too_slow = ladder.rung.line_rate > rate(now)
        best = max(best, rate(now))
        calm = not is_too_slow and rate(now) == best
        where.append(ladder.judge(now, rate(now) if is_too_slow else None, calm=calm, roomy=calm))
    return where


def at_the_top(top: Rung, now: float = 100.0) -> Ladder:
    """By `now`, on a line that takes everything."""
    ladder = Ladder(top)
    follow(ladder, lambda now: 1e6, 60, start=now - 60)
    assert ladder.rung == top
    return ladder


def changes(where: list[Rung]) -> int:
    return sum(sooner != later for sooner, later in pairwise(where))


def test_headers_count_as_much_as_sound() -> None:
    assert Rung(20, 20_000).line_rate > Rung(60, 24_000).line_rate > 24_000
    assert [rung.line_rate for rung in LOWER_RUNGS] == sorted((rung.line_rate for rung in LOWER_RUNGS), reverse=True)


def test_on_a_line_that_keeps_up_there_is_all_that_was_wanted() -> None:
    ladder = at_the_top(TOP)
    assert set(follow(ladder, lambda now: 1e6, 600)) == {TOP}
    assert not ladder.eager


@pytest.mark.parametrize(
    ("top", "soon", "steps"),
    [
        (TOP, 3, [Rung(20, 20_000), Rung(20, 24_000), Rung(20, 32_000), TOP]),
        (FAST, 4, [Rung(20, 20_000), Rung(20, 24_000), Rung(20, 32_000), Rung(20, 64_000), Rung(10, 64_000), FAST]),
    ],
)
def test_what_is_wanted_is_reached_step_by_step_but_soon(top: Rung, soon: float, steps: list[Rung]) -> None:
    where = follow(Ladder(top), lambda now: 1e6, 10)
    assert where[0].line_rate <= FIRST_RATE
    assert list(dict.fromkeys(where)) == steps
    assert set(where[int(soon / LOOK) :]) == {top}


def test_a_line_that_is_not_roomy_is_asked_for_more_only_after_a_long_time() -> None:
    ladder = Ladder(TOP)
    where = [ladder.judge(i * LOOK, None, calm=True, roomy=False) for i in range(int(NEXT_PATIENCE / LOOK) + 3)]
    assert set(where[:-2]) == {Rung(20, 20_000)}
    assert where[-1] == Rung(20, 24_000)


def test_a_line_that_was_squeezed_need_not_be_roomy_to_get_what_it_had() -> None:
    ladder = at_the_top(TOP)
    ladder.judge(100.0, 20_000, calm=False, roomy=False)
    assert ladder.judge(102.0, None, calm=True, roomy=False) != TOP
    assert ladder.judge(103.0, None, calm=True, roomy=False) == TOP


@pytest.mark.parametrize(
    ("top", "rate"),
    [
        *((TOP, rate) for rate in (10_000, 20_000, 30_000, 40_000)),
        *((FAST, rate) for rate in (64_000, 100_000, 150_000)),
    ],
)
def test_on_a_line_that_is_too_slow_it_goes_down_at_once_to_what_fits(top: Rung, rate: float) -> None:
    ladder = at_the_top(top)
    rung = ladder.judge(100.0, rate, calm=False, roomy=False)
    assert rung != top
    assert ladder.eager
    assert rung.line_rate <= rate * SHARE or rung == LOWEST
    better = [each for each in LOWER_RUNGS if each.line_rate > rung.line_rate]
    assert all(each.line_rate > rate * SHARE for each in better)


def test_packets_of_low_latency_are_only_as_much_longer_as_the_line_asks_for() -> None:
    rates = (170_000, 130_000, 50_000)
    assert [at_the_top(FAST).judge(100.0, rate, calm=False, roomy=False).frame_ms for rate in rates] == [10, 20, 40]


@pytest.mark.parametrize(("rate", "settled"), [(64_000, Rung(20, 24_000)), (150_000, Rung(10, 64_000))])
def test_a_wish_that_the_line_never_granted_is_not_tried_again_at_once(rate: float, settled: Rung) -> None:
    ladder = Ladder(FAST)
    where = follow(ladder, lambda now: rate, NEXT_PATIENCE)
    assert set(where[int(8 / LOOK) :]) == {settled}
    assert not ladder.eager


def test_what_a_slow_line_gets_is_in_no_shorter_packets_than_what_was_wanted() -> None:
    ladder = Ladder(Rung(20, 100_000))
    assert ladder.judge(100.0, 160_000, calm=False, roomy=False).frame_ms == 20


def test_a_line_that_takes_what_it_is_sent_and_is_only_slow_to_say_so_gets_no_less() -> None:
    """Its acknowledgements wait behind the voice of the other direction."""
    ladder = at_the_top(TOP)
    for now in (100.0, 101.0):
        slow = [ladder.judge(now + i * LOOK, TOP.line_rate * 0.9, calm=False, roomy=False) for i in range(3)]
        assert set(slow) == {TOP}
        ladder.judge(now + 0.5, None, calm=False, roomy=False)
    slow = [ladder.judge(102.0 + i * LOOK, TOP.line_rate * 0.9, calm=False, roomy=False) for i in range(4)]
    assert slow[-1] != TOP, "but it must be only for a moment"


def test_what_queued_up_before_a_step_is_no_reason_for_another() -> None:
    ladder = Ladder(TOP)
    rung = ladder.judge(100.0, 36_000, calm=False, roomy=False)
    assert ladder.judge(100.0 + SETTLING / 2, 36_000, calm=False, roomy=False) == rung
    assert ladder.judge(100.0 + SETTLING * 1.1, 36_000, calm=False, roomy=False).line_rate < rung.line_rate


def test_after_a_squeeze_everything_comes_back_quickly() -> None:
    ladder = Ladder(TOP)
    where = follow(ladder, lambda now: 20_000 if 10 <= now < 15 else 1e6, 30)
    assert where[int(12 / LOOK)] != TOP
    back = max(i for i, rung in enumerate(where) if rung != TOP) * LOOK
    assert back < 15 + 1


def test_while_the_line_is_not_calm_more_is_tried_only_after_a_long_time() -> None:
    ladder = at_the_top(TOP)
    ladder.judge(100.0, 20_000, calm=False, roomy=False)
    looks = [
        ladder.judge(100.0 + i * LOOK, None, calm=False, roomy=False)
        for i in range(1, int(RESIGNED_PATIENCE / LOOK) - 1)
    ]
    assert set(looks) == {looks[0]}
    assert ladder.judge(100.0 + RESIGNED_PATIENCE + 1, None, calm=False, roomy=False) == TOP


@pytest.mark.parametrize("rate", [19_000, 23_000, 30_000, 35_000, 40_000, 44_000])
def test_on_a_line_that_is_always_too_slow_it_does_not_go_up_and_down(rate: float) -> None:
    ladder = Ladder(TOP)
    where = follow(ladder, lambda now: rate, 3600)
    above = sum(rung.line_rate > rate for rung in where) * LOOK
    assert above < 3600 * 0.02
    assert changes(where[: len(where) // 4]) < 80
    # By then it tries as seldom as it ever does: up, down, and back to what fits.
    assert changes(where[len(where) // 4 :]) <= 3 * 2700 / MOST_PATIENCE + 4


def test_after_a_long_time_at_the_top_the_patience_is_what_it_was_at_first() -> None:
    ladder = Ladder(TOP)
    follow(ladder, lambda now: 30_000, 600)
    follow(ladder, lambda now: 1e6, MOST_PATIENCE * 8, start=600)
    assert ladder.rung == TOP
    start = 600 + MOST_PATIENCE * 8
    where = follow(ladder, lambda now: 20_000 if now < start + 5 else 1e6, 15, start=start, best=1e6)
    assert where[2] != TOP
    assert where[-1] == TOP


def test_a_wish_below_the_lower_rungs_is_the_only_rung() -> None:
    modest = Rung(60, 6_000)
    ladder = Ladder(modest)
    assert set(follow(ladder, lambda now: 1000, 60)) == {modest}
    assert not ladder.eager


@given(rungs, st.lists(st.tuples(st.floats(0, 5), st.none() | st.floats(0, 1e6), st.booleans()), max_size=300))
def test_whatever_the_line_does_it_stays_within_its_bounds(
    top: Rung, looks: list[tuple[float, float | None, bool]]
) -> None:
    ladder = Ladder(top)
    now, last, changed = 1000.0, ladder.rung, 0.0
    for step, rate, calm in looks:
        now += step
        rung = ladder.judge(now, rate, calm=calm, roomy=calm)
        assert rung == ladder.rung
        assert rung == top or rung in LOWER_RUNGS
        assert rung.line_rate <= top.line_rate
        assert rung.frame_ms >= top.frame_ms
        assert rung.bitrate <= top.bitrate
        assert not (ladder.eager and rung == top)
        if rung.line_rate < last.line_rate:
            assert rate is not None
            assert now - changed > SETTLING
        if rung.line_rate > last.line_rate:
            assert rate is None
            assert now - changed > KNOWN_PATIENCE
        changed = now if rung != last else changed
        last = rung


@given(st.lists(st.tuples(st.floats(1, 60), st.floats(5_000, 200_000)), min_size=1, max_size=10))
@settings(deadline=None, max_examples=50)
def test_a_line_that_changes_is_never_asked_too_much_for_long(spells: list[tuple[float, float]]) -> None:
    ladder = Ladder(TOP)
    now = 0.0
    for seconds, rate in spells:
        where = follow(ladder, lambda now, rate=rate: rate, seconds, start=now)
        now += seconds
        settled = where[int((SETTLING + PERSISTENCE + LOOK) * 2 / LOOK) :]
        over = sum(rung.line_rate > max(rate, LOWEST.line_rate) for rung in settled) * LOOK
        assert over <= (SETTLING + PERSISTENCE + 2 * LOOK) * (1 + seconds / TRIED_EVERY)
