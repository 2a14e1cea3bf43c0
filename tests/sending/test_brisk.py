from collections.abc import Callable
from itertools import pairwise

import pytest

from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.audio.capture.wish import BETTER, BRISK, BRISKEST, Wish
from voicemux.sending.brisk import FIRST_PATIENCE, MOST_PATIENCE, PROVEN, UNREST, Brisk

LOOK = 0.1  # seconds between two looks
HURRY = Wish(at_once=True)
MUCH = Wish(bitrate=64_000)
LOWER = Rung(20, 32_000)


class Call:
    """A ladder, at its usual rung, and who makes it brisk."""

    def __init__(self, wish: Wish) -> None:
        self.ladder = Ladder(wish.usual, wish.brisk, at_once=wish.at_once)
        self.brisk = Brisk()
        self.now = 0.0
        if not wish.at_once:
            self.ladder.go(self.ladder.usual, 0.0)

    def follow(
        self, rate: Callable[[float], float], seconds: float, calm: Callable[[float], bool] = lambda now: True
    ) -> list[Rung]:
        """Where it is at each look, on a line that takes `rate` bits a second, and is calm but where `calm` says not.

        A rung that is too much for it is left for the best that fits.
        """
        where = []
        for _ in range(round(seconds / LOOK)):
            keeps_up = self.ladder.rung.line_rate <= rate(self.now)
            if not keeps_up:
                self.ladder.go(self.ladder.fitting(rate(self.now)), self.now)
            good = keeps_up and calm(self.now)
            self.brisk.look(self.ladder, self.now, calm=good, roomy=good)
            where.append(self.ladder.rung)
            self.now += LOOK
        return where


def wide(now: float) -> float:
    return 1e6


def restless(now: float) -> bool:
    return False


def brisk_call(wish: Wish = MUCH) -> Call:
    call = Call(wish)
    assert call.follow(wide, 10)[-1] == wish.brisk[-1]
    return call


def kinds(where: list[Rung]) -> list[Rung]:
    """One after the other, without those that stay."""
    return [where[0], *(later for sooner, later in pairwise(where) if later != sooner)]


def test_where_a_line_is_roomy_and_calm_packets_get_shorter_by_themselves() -> None:
    where = Call(MUCH).follow(wide, 60)
    assert kinds(where) == [BETTER, BRISK]
    assert where.index(BRISK) * LOOK == pytest.approx(FIRST_PATIENCE, abs=2 * LOOK)


def test_they_do_not_where_it_is_only_calm_or_has_less_than_usual() -> None:
    call = Call(MUCH)
    for look in range(1000):
        call.brisk.look(call.ladder, look * LOOK, calm=True, roomy=False)
    assert call.ladder.rung == BETTER
    call.ladder.go(call.ladder.usual + 1, 100.0)
    for look in range(1000, 2000):
        call.brisk.look(call.ladder, look * LOOK, calm=True, roomy=True)
    assert call.ladder.rung == LOWER


def test_a_line_that_is_restless_has_usual_packets_before_it_is_slow() -> None:
    where = brisk_call().follow(wide, UNREST + 0.5, restless)
    assert kinds(where) == [BRISK, BETTER]
    assert where.index(BETTER) * LOOK == pytest.approx(UNREST, abs=1.5 * LOOK)


def test_a_moment_of_unrest_changes_nothing_but_is_looked_at_closely() -> None:
    call = brisk_call()
    assert not call.ladder.eager
    call.follow(wide, LOOK, restless)
    assert call.ladder.eager
    assert set(call.follow(wide, 5)) == {BRISK}
    assert not call.ladder.eager


def test_a_line_that_takes_packets_of_10_ms_and_no_shorter_ones_gets_them() -> None:
    where = Call(HURRY).follow(lambda now: 200_000, 600)
    assert where.count(BRISK) / len(where) > 0.9
    assert where.count(BRISKEST) * LOOK < 600 * 0.02


def test_short_packets_are_tried_ever_more_seldom_where_they_do_harm() -> None:
    for call in (Call(MUCH), Call(HURRY)):
        where = call.follow(wide, 3600, lambda now: now % 10 < 8)
        falls = sum(sooner.frame_ms < later.frame_ms for sooner, later in pairwise(where))
        assert falls < 2 * 3600 / MOST_PATIENCE + 10


def test_a_line_that_has_proven_itself_gets_them_back_soon() -> None:
    call = brisk_call()
    call.follow(wide, PROVEN + 1)
    assert call.follow(wide, UNREST + LOOK, restless)[-1] == BETTER
    assert call.follow(wide, FIRST_PATIENCE * 4)[-1] == BRISK


def test_who_is_in_a_hurry_has_the_shortest_from_the_first_packet_on() -> None:
    call = Call(HURRY)
    assert call.ladder.rung == BRISKEST
    assert set(call.follow(wide, 60)) == {BRISKEST}


def test_after_a_squeeze_the_usual_comes_back_first() -> None:
    call = brisk_call()
    call.ladder.has_carried()
    call.ladder.go(call.ladder.lowest, call.now)
    assert call.ladder.eager
    call.ladder.go(call.ladder.next_up, call.now + 1)
    assert call.ladder.rung == BETTER
