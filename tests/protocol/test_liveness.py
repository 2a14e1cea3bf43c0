from itertools import pairwise

import pytest

from voicemux.protocol.liveness import (
    PING_EARLY,
    PING_INTERVAL,
    PINGS_AT_FIRST,
    PINGS_PER_SILENCE,
    QUICK_PING_INTERVAL,
    STALL,
    Liveness,
)

SILENCE = 15.0
TICK = 0.01  # seconds


def pings(liveness: Liveness, began: float, seconds: float, *, quick: bool = False) -> list[float]:
    """When PINGs are due, to a peer of which one byte comes with each tick."""
    times = [began + number * TICK for number in range(round(seconds / TICK))]
    due = []
    for number, now in enumerate(times):
        liveness.tick(now, number, quick=quick)
        due += [now] if liveness.ping_is_due(now) else []
    return due


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def test_pings_are_frequent_at_first_and_then_rare():
    found = gaps(pings(Liveness(SILENCE), 0, 20))
    quick = PINGS_AT_FIRST - 1
    assert found[:quick] == pytest.approx([QUICK_PING_INTERVAL] * quick, abs=TICK + 0.001)
    rare = found[quick + 1 :]
    assert rare == pytest.approx([PING_INTERVAL - PING_EARLY] * len(rare), abs=TICK + 0.001)


def test_pings_are_frequent_again_while_the_line_is_to_be_measured_and_on_another_connection():
    liveness = Liveness(SILENCE)
    pings(liveness, 0, 10)
    assert len(pings(liveness, 100, 10 * QUICK_PING_INTERVAL, quick=True)) >= 9
    assert len(pings(liveness, 200, 10 * QUICK_PING_INTERVAL)) < 4
    liveness.begin()
    assert len(pings(liveness, 300, 2 * QUICK_PING_INTERVAL)) == 2


def test_several_pings_go_before_silence_counts_as_the_end():
    liveness = Liveness(1.0)
    pings(liveness, 0, 10)
    assert len(pings(liveness, 100, 1.0)) >= PINGS_PER_SILENCE


def test_each_byte_is_a_sign_of_life_and_silence_counts_from_the_last_one():
    liveness = Liveness(SILENCE)
    for tick in range(1000):  # every 0.1 s
        now = tick / 10
        liveness.tick(now, min(tick // 140, 5), quick=False)  # a byte every 14 s, the last at 70 s
        assert liveness.is_silent(now) == (now >= 70 + SILENCE)


def test_a_program_that_was_stopped_itself_does_not_blame_the_peer():
    liveness = Liveness(SILENCE)
    liveness.tick(0, 1, quick=False)
    liveness.tick(100, 1, quick=False)
    assert not liveness.is_silent(100)
    for tick in range(1, 300):
        now = 100 + tick * STALL / 2
        liveness.tick(now, 1, quick=False)
        assert liveness.is_silent(now) == (now >= 100 + SILENCE)


def test_at_the_deadline_something_is_due_and_not_before():
    liveness = Liveness(SILENCE)
    now, due = 0.0, 0
    while now < 60:
        liveness.tick(now, round(now * 100), quick=False)
        if liveness.ping_is_due(now):
            due += 1
        deadline = liveness.next_deadline(now)
        assert deadline > now
        between = (now + deadline) / 2
        liveness.tick(between, round(between * 100), quick=False)
        assert not liveness.ping_is_due(between)
        now = deadline
    assert due > 60 / PING_INTERVAL
