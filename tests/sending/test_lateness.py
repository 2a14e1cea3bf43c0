import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.sending.lateness import (
    BASE_SLOTS,
    LONGER_SLOTS,
    MOST_KEPT,
    MOST_LATE,
    SLOT,
    Lateness,
    Moment,
    Moments,
    Stamps,
)

seconds = st.floats(-1e6, 1e6, allow_nan=False)


def test_lateness_is_what_a_transit_is_above_the_smallest_of_late() -> None:
    lateness = Lateness()
    assert [lateness.add(transit, now) for now, transit in enumerate((5.0, 5.2, 4.9, 5.0))] == pytest.approx(
        [0, 0.2, 0, 0.1]
    )


@pytest.mark.parametrize(("keeps_longer", "forgotten_after"), [(False, BASE_SLOTS), (True, LONGER_SLOTS)])
def test_the_smallest_is_forgotten_because_clocks_drift(keeps_longer: bool, forgotten_after: int) -> None:
    lateness = Lateness()
    lateness.keeps_longer = keeps_longer
    late = [lateness.add(0.0 if now == 0 else 0.5, float(now)) for now in range(forgotten_after + 2)]
    assert late[forgotten_after - 1] == 0.5
    assert late[-1] == 0.0


def test_a_clock_that_was_set_begins_anew() -> None:
    lateness = Lateness()
    lateness.add(0.0, 0.0)
    assert lateness.add(MOST_LATE + 1, 1.0) == 0.0
    assert lateness.add(-MOST_LATE, 2.0) == 0.0
    assert lateness.add(-MOST_LATE + 0.5, 3.0) == 0.5


def test_a_line_that_has_become_longer_is_the_new_base_until_it_is_shorter_again() -> None:
    lateness = Lateness()
    lateness.add(1.0, 0.0)
    lateness.rise(0.15, 1.0)
    assert lateness.add(1.15, 2.0) == pytest.approx(0.0)
    assert lateness.risen == pytest.approx(0.15)
    assert lateness.add(1.05, 3.0) == pytest.approx(0.0)
    assert lateness.risen == pytest.approx(0.05)
    lateness.add(0.9, 4.0)
    assert lateness.risen == 0.0


class PlainBase:
    """The base by its definition: the smallest transit of all slots that are looked back on."""

    def __init__(self) -> None:
        self.slots: list[tuple[float, list[float]]] = []  # when each began, and its transits
        self.keeps_longer = False

    @property
    def base(self) -> float | None:
        recent = self.slots[-(LONGER_SLOTS if self.keeps_longer else BASE_SLOTS) :]
        return min((transit for _, transits in recent for transit in transits), default=None)

    def add(self, transit: float, now: float) -> None:
        if self.base is not None and abs(transit - self.base) > MOST_LATE:
            self.slots.clear()
        if not self.slots or now - self.slots[-1][0] >= SLOT:
            self.slots.append((now, []))
        self.slots[-1][1].append(transit)

    def rise(self, by: float, now: float) -> None:
        if self.base is not None:
            self.slots = [(now, [self.base + by])]


@given(st.randoms(use_true_random=True))
def test_the_base_is_the_smallest_of_all_slots_whatever_happens(chance: random.Random) -> None:
    lateness, plain, now = Lateness(), PlainBase(), 0.0
    for _ in range(300):
        now += chance.choice((0.01, 0.5, SLOT, 2 * SLOT))
        if chance.random() < 0.03:
            lateness.keeps_longer = plain.keeps_longer = chance.random() < 0.5
        elif chance.random() < 0.01:
            lateness.rise(0.15, now)
            plain.rise(0.15, now)
        else:
            transit = chance.random() + (2 * MOST_LATE if chance.random() < 0.003 else 0.0)
            late = lateness.add(transit, now)
            plain.add(transit, now)
            assert plain.base is not None
            assert late == transit - plain.base
        assert lateness.base == plain.base
        assert lateness.keeps_longer is plain.keeps_longer


def told(*least: float, every: float = 0.1, spread: float = 0.0) -> Moments:
    moments = Moments()
    for number, each in enumerate(least):
        moments.add(Moment(number * every, each, each + spread, number * every - 0.5))
    return moments


def test_a_queue_is_what_all_packets_of_a_moment_have() -> None:
    moments = told(0.0, 0.3, 0.1, 0.2, 0.4)
    assert moments.least(0.4, 0.25) == 0.1
    assert moments.most_of_least(0.4, 0.25) == 0.4
    assert moments.least(9.0, 0.25) is None


def test_when_packets_were_sent_counts_and_not_when_one_hears_of_them() -> None:
    moments = told(0.0, 0.3, 0.1, 0.2, 0.4)
    assert moments.sent_between(-0.45, -0.15) == [0.3, 0.1, 0.2]


def test_what_packets_of_a_moment_differ_by_is_jitter() -> None:
    assert told(*[0.0] * 20, spread=0.08).spread(2.0) == pytest.approx(0.08)
    assert told(*[0.0] * 20).spread(2.0) == 0.0


def test_how_a_queue_grows_is_a_slope() -> None:
    assert told(*(number / 20 for number in range(20))).slope(1.9, 1.0) == pytest.approx(0.5)
    assert told(*[0.3] * 20).slope(1.9, 1.0) == pytest.approx(0.0)
    assert told(0.1, 0.2).slope(0.1, 1.0) is None, "two of them say nothing"


@given(st.lists(st.tuples(seconds, seconds), max_size=200))
def test_whatever_it_is_told_lateness_is_never_negative(told: list[tuple[float, float]]) -> None:
    lateness, moments, now = Lateness(), Moments(), 0.0
    for transit, step in told:
        now += abs(step) % 3
        late = lateness.add(transit, now)
        assert 0 <= late <= MOST_LATE
        moments.add(Moment(now, late, late, now))
        assert all(math.isfinite(each) for each in (moments.spread(now), moments.slope(now, 1.0) or 0.0))


@pytest.mark.parametrize("step", [0.001, 1.0, 100.0])
def test_of_any_number_of_tellings_it_keeps_little(step: float) -> None:
    lateness, moments = Lateness(), Moments()

    def tell(number: int) -> None:
        late = lateness.add(number % 7 / 100, number * step)
        moments.add(Moment(number * step, late, late, number * step))

    assert outgrows((lateness, moments), tell, MOST_KEPT + LONGER_SLOTS) < 1.5


def test_time_stamps_wrap_around() -> None:
    stamps = Stamps()
    start = stamps.seconds(2**32 - 960)
    assert stamps.seconds(0) - start == pytest.approx(0.02)
    assert stamps.seconds(2**32 - 960) - start == pytest.approx(0.0)
