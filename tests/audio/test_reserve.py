import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.reserve import CALM, LONGEST_CALM, LONGEST_TERM, OFTEN, OFTEN_WITHIN, SOON, TERM, Outages, Reserve


def test_a_reserve_grows_with_each_gap_to_its_most_and_shrinks_block_by_block_without() -> None:
    reserve = Reserve(2, forgiven=False)
    sizes = []
    for second in (0, 1, 2):
        reserve.gap(second)
        sizes.append(reserve.blocks)
    assert sizes == [1, 2, 2]
    assert reserve.is_full
    reserve.look(2 + TERM)
    assert reserve.blocks == 2
    reserve.look(2.1 + TERM)
    assert reserve.blocks == 1
    reserve.look(2.2 + TERM)
    assert reserve.blocks == 1
    reserve.look(3 + 2 * TERM)
    reserve.look(4 + 3 * TERM)
    assert reserve.blocks == 0


@pytest.mark.parametrize(("seconds", "blocks"), [(TERM / 2, 1), (2 * TERM, 0)])
def test_a_gap_that_is_forgiven_counts_only_beside_another(seconds: float, blocks: int) -> None:
    reserve = Reserve(4, forgiven=True)
    reserve.gap(100.0)
    assert reserve.blocks == 0
    reserve.gap(100.0 + seconds)
    assert reserve.blocks == blocks


def test_a_reserve_that_was_too_small_is_tried_again_ever_later_and_soon_again_if_it_lasted() -> None:
    reserve, now, terms = Reserve(2, forgiven=False, least=1), 0.0, []
    for _ in range(5):
        reserve.gap(now)
        since = now
        while reserve.blocks > 1:
            now += 0.5
            reserve.look(now)
        terms.append(now - since)
    assert terms == pytest.approx([TERM, 2 * TERM, 4 * TERM, LONGEST_TERM, LONGEST_TERM], abs=0.6)
    reserve.gap(now + TERM)
    reserve.look(now + 2.1 * TERM)
    assert reserve.blocks == 1


def test_a_reserve_becomes_smaller_when_it_may_only_be_so() -> None:
    reserve = Reserve(5, forgiven=False)
    for _ in range(5):
        reserve.gap(0.0)
    reserve.most = 2
    reserve.look(0.1)
    assert reserve.blocks == 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=60))
def test_a_reserve_stays_within_its_bounds(events: list[tuple[bool, float]]) -> None:
    reserve, now = Reserve(3, forgiven=False), 0.0
    for is_gap, after in events:
        now += after
        before = reserve.blocks
        (reserve.gap if is_gap else reserve.look)(now)
        assert 0 <= reserve.blocks <= 3
        assert abs(reserve.blocks - before) <= 1


def test_longer_blocks_are_wanted_after_several_outages_in_a_short_time() -> None:
    outages = Outages()
    for i in range(OFTEN):
        assert not outages.are_frequent(i)
        outages.outage(i)
    assert outages.are_frequent(OFTEN)
    assert not outages.are_frequent(OFTEN_WITHIN + 1)


def test_longer_blocks_are_given_back_after_seconds_and_later_where_they_are_wanted_again_soon() -> None:
    outages, now, calm = Outages(), 0.0, []
    for _ in range(6):
        for _ in range(OFTEN):
            now += 0.5
            outages.outage(now)
        outages.lengthened(now)
        began = now
        while not outages.are_over(now):
            now += 0.25
        calm.append(now - began)
        outages.given_back(now)
    assert calm == pytest.approx([CALM, 2 * CALM, 4 * CALM, 8 * CALM, LONGEST_CALM, LONGEST_CALM], abs=0.5)
    now += SOON
    outages.outage(now)
    outages.lengthened(now)
    assert outages.are_over(now + CALM + 0.1), "it is forgotten"


def test_there_is_no_calm_while_there_are_outages() -> None:
    outages = Outages()
    for second in range(60):
        outages.outage(second)
        assert not outages.are_over(second + 0.9)
