import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.net.ring_limit import (
    DECLINED_FOR,
    MINUTE,
    MOST_OF_ONE,
    MOST_REMEMBERED,
    MOST_RINGS,
    RingLimit,
    marks_of,
)


def test_one_stranger_rings_a_few_times_a_minute():
    limit = RingLimit()
    assert [limit.take(("a",), float(second)) for second in range(MOST_OF_ONE + 2)] == [True] * MOST_OF_ONE + [
        False
    ] * 2
    assert limit.take(("a",), MINUTE)


@pytest.mark.parametrize("marks", [("key 1", "here"), ("key 2", "there")], ids=["a new key", "a new network"])
def test_a_stranger_is_known_again_by_any_of_its_marks(marks):
    limit = RingLimit()
    shared = "here" if "here" in marks else "key 2"
    for number in range(MOST_OF_ONE):
        assert limit.take((f"other {number}", shared), 0.0)
    assert not limit.take(marks, 1.0)
    limit.declined((shared,), 1.0)
    assert limit.is_declined(marks, 1.0)


def test_callers_are_told_apart_by_their_network_unless_it_is_that_of_a_tunnel_or_relay():
    assert marks_of("key", "192.0.2.1", "") == ("key", "192.0.2.1/32")
    assert marks_of("key", "2001:db8::1", "") == ("key", "2001:db8::/64")
    assert marks_of("key", "127.0.0.1", "") == marks_of("key", "192.0.2.1", "relay.example.org") == ("key",)
    assert marks_of("", "::1", "") == ()


def test_all_strangers_together_ring_a_few_times_a_minute():
    limit = RingLimit()
    assert [limit.take((number,), 0.0) for number in range(MOST_RINGS + 1)] == [True] * MOST_RINGS + [False]
    assert [limit.take((), MINUTE) for number in range(MOST_RINGS + 1)] == [True] * MOST_RINGS + [False]


def test_who_was_declined_stays_so_for_a_while():
    limit = RingLimit()
    limit.declined(("a",), 10.0)
    assert limit.is_declined(("a", "b"), 10.0 + DECLINED_FOR - 1)
    assert not limit.is_declined(("b",), 10.0)
    assert not limit.is_declined(("a",), 10.0 + DECLINED_FOR)


def test_of_very_many_the_first_are_forgotten():
    limit = RingLimit()
    for number in range(10 * MOST_REMEMBERED):
        limit.declined((number,), 0.0)
    assert [limit.is_declined((9 * MOST_REMEMBERED + number,), 1.0) for number in (-1, 0)] == [False, True]
    assert not limit.is_declined((0,), 1.0)
    assert limit.is_declined((10 * MOST_REMEMBERED - 1,), 1.0)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 3)), max_size=60))
def test_no_minute_has_more_rings_than_the_limit(knocks):
    limit, now, rang = RingLimit(), 0.0, []
    for pause, who in knocks:
        now += pause
        if limit.take((who,), now):
            rang.append((now, who))
    for now, _ in rang:
        minute = [who for then, who in rang if now <= then < now + MINUTE]
        assert len(minute) <= MOST_RINGS
        assert all(minute.count(who) <= MOST_OF_ONE for who in set(minute))
