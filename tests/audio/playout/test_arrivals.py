import random
import sys
import threading
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.listening import stalls
from tests.weight import weight
from voicemux.audio.playout.arrivals import (
    BASE_SLOTS,
    DRIFT_SLOTS_LEAST,
    FIRST_TARGET,
    MARGIN,
    MOST_DRIFT,
    PEAK_SLOTS,
    RELIEF,
    SLOT,
    SPELL,
    ArrivalTimes,
)

RATE = 48_000  # ticks a second
PACKET = 960  # ticks: 20 ms
CEILING = 0.2


def listen(
    seconds: float,
    lateness: Callable[[float], float] = lambda sent: 0.0,
    *,
    arrivals: ArrivalTimes | None = None,
    start: float = 0.0,
    ppm: float = 0.0,
) -> ArrivalTimes:
    """Packets of 20 ms, each as late as `lateness` of the second it was sent in; the peer's clock is `ppm` fast."""
    arrivals = arrivals or ArrivalTimes(CEILING)
    for number in range(int(start * 50), int((start + seconds) * 50)):
        sent = number * PACKET / RATE / (1 + ppm * 1e-6)
        arrivals.add(number * PACKET, 1000 + sent + lateness(sent))
    return arrivals


def jitter(most: float) -> Callable[[float], float]:
    chance = random.Random(1)
    return lambda sent: chance.uniform(0, most)


def test_before_anything_has_come_there_is_a_usual_target_and_no_delay() -> None:
    arrivals = ArrivalTimes(CEILING)
    assert (arrivals.target, arrivals.delay(0, 5.0), arrivals.drift_ppm) == (FIRST_TARGET, 0.0, None)
    assert ArrivalTimes(FIRST_TARGET / 2).target == FIRST_TARGET / 2


@pytest.mark.parametrize("end", [4.0, 4.25, 4.4, 4.49])  # anywhere in a slot
def test_an_outage_says_nothing_of_what_comes_after_it_however_young_the_call(end: float) -> None:
    arrivals = listen(end + 0.02, lambda sent: max(0.0, end - sent) if sent > end - 2.0 else 0.0)
    assert arrivals.target < 0.010
    assert listen(1, arrivals=arrivals, start=end + 0.02).target < 0.010


def test_on_a_line_that_is_never_late_the_target_is_the_margin() -> None:
    assert listen(5).target == pytest.approx(MARGIN)


@given(st.floats(0.001, 0.15))
@settings(max_examples=20, deadline=None)
def test_jitter_that_goes_on_is_hidden(most: float) -> None:
    target = listen(20, jitter(most)).target
    assert 0.8 * most <= target <= most + MARGIN


def test_lateness_is_what_a_packet_is_behind_the_earliest() -> None:
    arrivals = ArrivalTimes(CEILING)
    assert [arrivals.add(i * PACKET, 7 + i * 0.02 + late) for i, late in enumerate((0, 0.01, 0.005, -0.003, 0))] == [
        0,
        pytest.approx(0.01),
        pytest.approx(0.005),
        0,
        pytest.approx(0.003),
    ]


def test_delay_is_counted_from_the_earliest_moment_at_which_a_sample_could_be_played() -> None:
    arrivals = listen(1, jitter(0.01))
    earliest = arrivals.delay(50 * PACKET, 1001.0)
    assert 0 >= earliest > -0.01
    assert arrivals.delay(50 * PACKET, 1001.05) == pytest.approx(earliest + 0.05)
    assert arrivals.delay(51 * PACKET, 1001.05) == pytest.approx(earliest + 0.03)


@given(st.lists(st.tuples(st.integers(-(2**31), 2**40), st.floats(-1, 1e6)), max_size=200), st.floats(0.01, 2))
@settings(deadline=None)
def test_whatever_comes_no_packet_is_earlier_than_the_earliest_and_no_target_above_the_ceiling(
    packets: list[tuple[int, float]], ceiling: float
) -> None:
    arrivals = ArrivalTimes(ceiling)
    now = 0.0
    for position, step in packets:
        now += step
        assert arrivals.add(position, now) >= 0
        assert 0 < arrivals.target <= ceiling
        drift = arrivals.drift_ppm
        assert drift is None or abs(drift) < MOST_DRIFT


def test_one_long_stall_does_not_slow_down_what_comes_after_it() -> None:
    before = listen(20).target
    after = listen(60, lambda sent: stalls(1.0, 1e9)(sent - 20) if sent >= 20 else 0.0)
    assert after.target == pytest.approx(before, abs=0.001)


@pytest.mark.parametrize("every", [1.0, 2.0, 4.0])
def test_from_the_first_stall_on_those_that_come_every_few_seconds_are_hidden(every: float) -> None:
    arrivals = ArrivalTimes(CEILING)
    targets = []
    for i in range(50 * 60):
        listen(0.02, stalls(0.08, every), arrivals=arrivals, start=every / 2 + i * 0.02)
        targets.append(arrivals.target)
    first = int(50 * every / 2) + 4
    assert min(targets[first + 1 :]) > 0.075


def test_stalls_that_come_seldom_are_not_waited_for() -> None:
    assert listen(120, stalls(0.08, every=15)).target < 0.01


def test_as_long_as_every_packet_is_late_that_is_the_target_at_once() -> None:
    arrivals = listen(20)
    assert listen(SPELL * 1.2, lambda sent: 0.08, arrivals=arrivals, start=20).target > 0.08
    assert listen(SPELL * 1.2, arrivals=arrivals, start=21).target < 0.01


def test_a_burst_behind_a_stall_is_no_line_that_has_slowed_down() -> None:
    arrivals = listen(20)
    targets = []
    for i in range(100):
        listen(0.02, stalls(0.3, every=1e9), arrivals=arrivals, start=20 + i * 0.02)
        targets.append(arrivals.target)
    assert max(targets) < 0.01


def test_what_was_waited_for_is_as_late_as_it_was_heard_but_not_behind_an_outage() -> None:
    arrivals = listen(20, stalls(0.05, every=0.5))
    for slot in range(10):
        listen(SLOT, stalls(0.05, every=0.5), arrivals=arrivals, start=20 + slot * SLOT)
        arrivals.waited(0.055)
    before = arrivals.target
    assert before == pytest.approx(0.055 + MARGIN)
    arrivals.add(26 * RATE, 1000 + 26 + CEILING * 3)
    arrivals.waited(CEILING * 3)
    assert arrivals.target == before


def test_stalls_that_come_again_and_again_are_hidden() -> None:
    assert listen(40, stalls(0.05, every=1.5)).target > 0.045


def test_a_line_that_has_become_calm_is_believed_after_a_while() -> None:
    arrivals = listen(30, jitter(0.1))
    assert arrivals.target > 0.08
    seconds = PEAK_SLOTS * SLOT + 1
    assert listen(seconds, arrivals=arrivals, start=30).target == pytest.approx(MARGIN, abs=0.001)


def test_a_line_that_has_become_jittery_is_believed_within_seconds() -> None:
    arrivals = listen(30)
    assert listen(10, jitter(0.05), arrivals=arrivals, start=30).target > 0.03


def test_a_detour_that_goes_on_is_the_new_base_after_a_while() -> None:
    arrivals = listen(20)
    listen(BASE_SLOTS * SLOT + 1, lambda sent: 0.08, arrivals=arrivals, start=20)
    position = int(31 * RATE)
    assert arrivals.add(position, 1000 + position / RATE + 0.08) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("ppm", [-300, -50, 0, 50, 300])
@pytest.mark.parametrize("late", [0.0, 0.001, 0.02])
def test_how_much_faster_the_peers_clock_runs_is_measured(ppm: float, late: float) -> None:
    arrivals = listen(120, jitter(late), ppm=ppm)
    assert arrivals.drift_ppm == pytest.approx(ppm, abs=1 + 500 * late)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_drift_is_no_jitter(ppm: float) -> None:
    assert listen(120, ppm=ppm).target < MARGIN + 300e-6 * (BASE_SLOTS + 1) * SLOT


def test_drift_is_not_guessed_at_from_a_few_seconds() -> None:
    assert listen(DRIFT_SLOTS_LEAST * SLOT - 1, ppm=300).drift_ppm is None


def test_a_clock_that_jumps_is_no_drift() -> None:
    arrivals = listen(DRIFT_SLOTS_LEAST * SLOT + 2, lambda sent: 0.5 if sent > 15 else 0.0)
    assert arrivals.drift_ppm is None


def test_after_a_restart_only_the_target_is_remembered() -> None:
    arrivals = listen(60, jitter(0.05), ppm=300)
    before = arrivals.target
    arrivals.restart()
    assert (arrivals.target, arrivals.drift_ppm, arrivals.delay(0, 5.0)) == (before, None, 0.0)
    assert arrivals.add(12345, 99.0) == 0


def test_what_is_remembered_does_not_grow() -> None:
    arrivals = listen(200)
    before = weight(arrivals)
    assert weight(listen(200, arrivals=arrivals, start=200)) < 1.1 * before


def sorted_targets(times: Iterable[float]) -> list[float]:
    return sorted(listen(seconds, jitter(0.05)).target for seconds in times)


def test_on_a_steady_line_the_target_keeps_still() -> None:
    lowest, *_, highest = sorted_targets((20, 25, 30, 35, 40))
    assert highest - lowest < 0.005


def test_after_forgetting_what_came_before_does_not_count_even_if_it_took_longer() -> None:
    arrivals = listen(5, lambda sent: 0.150 if sent < 2.7 else 0.040)  # the last packets of 60 ms, in that slot
    arrivals.forget_peaks()
    listen(0.6, start=5, arrivals=arrivals)
    assert arrivals.target == pytest.approx(MARGIN)


@pytest.mark.parametrize("start", [0.0, 30.0])
def test_when_the_line_has_taken_a_while_to_drain_the_target_is_at_once_small_again(start: float) -> None:
    arrivals = listen(start) if start else None
    arrivals = listen(2, lambda sent: max(0.0, 0.6 - abs(sent - start - 0.6)), arrivals=arrivals, start=start)
    assert arrivals.target < RELIEF


def test_a_stall_or_two_in_a_row_is_no_line_that_drains() -> None:
    pair = stalls(0.2, 3)
    arrivals = listen(40, lambda sent: max(pair(sent), pair(sent - 0.2)))
    assert arrivals.target > 0.15


def test_when_what_waited_on_the_line_has_drained_late_packets_of_before_do_not_count() -> None:
    squeezed = listen(30, lambda sent: 0.0 if sent < 10 else 0.2 + jitter(0.1)(sent))
    assert squeezed.target > 0.05
    listen(1.5, start=30, arrivals=squeezed)
    assert squeezed.target <= FIRST_TARGET


def test_the_target_can_be_asked_for_while_packets_come():
    interval = sys.getswitchinterval()
    arrivals, over = listen(SPELL, lambda sent: 0.1), threading.Event()
    coming = threading.Thread(target=lambda: (listen(400, arrivals=arrivals, start=SPELL), over.set()))
    try:
        sys.setswitchinterval(1e-6)
        coming.start()
        while not over.is_set():
            assert 0 < arrivals.target <= CEILING
    finally:
        coming.join()
        sys.setswitchinterval(interval)
