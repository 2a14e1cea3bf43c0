"""Which of a peer's addresses are tried, and when. No clock: time is a number, and so is chance."""

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.net.address import Address
from voicemux.net.paths import (
    LEAST_PAUSE,
    LEAST_PORT,
    MOST_ADDRESSES,
    MOST_PAUSE,
    MOST_ROUNDS,
    MOST_TRIES,
    PAUSES,
    ROUND,
    SPAN,
    Rounds,
    Tries,
    own_paths,
    usable,
)
from voicemux.protocol.messages import NetworkPath, PathKind, Paths

HERE, THERE = Address("198.51.100.2", 41394), Address("203.0.113.5", 50000)
SAID = Paths((NetworkPath(PathKind.SEEN, THERE.host, THERE.port),))
ROUND_TRIP = 0.2

any_paths = st.lists(
    st.builds(NetworkPath, st.integers(0, 9), st.ip_addresses().map(str), st.integers(0, 65_535)), max_size=8
).map(tuple)


@given(st.ip_addresses().map(str), any_paths)
def test_no_address_of_this_machine_or_of_many_is_ever_tried(seen, theirs):
    for each in usable(Address(seen, 1), theirs):
        address = ipaddress.ip_address(each.host)
        assert each.port >= LEAST_PORT
        assert not any((address.is_loopback, address.is_multicast, address.is_link_local))
        assert not address.is_unspecified
        assert address.version == ipaddress.ip_address(seen).version
        assert each.host != "255.255.255.255"


def test_what_we_say_is_what_the_relay_sees_and_what_we_have():
    own = Address("192.168.1.5", 41394)
    assert [(each.kind, each.port) for each in own_paths(own, HERE)] == [(2, 41394), (1, 41394)]
    assert own_paths(own, HERE, 8689)[2:] == (NetworkPath(PathKind.OWN, own.host, 8689),)
    assert own_paths(Address("127.0.0.1", 5000), Address("127.0.0.1", 5000), 8689) == ()


def dialler(now: float = 0.0) -> Rounds:
    rounds = Rounds(dials=True)
    rounds.begin(HERE, now)
    rounds.hear(SAID, now)
    return rounds


def test_a_dialler_says_now_when_it_knows_both_and_starts_half_a_round_trip_later():
    rounds = Rounds(dials=True)
    rounds.begin(HERE, 0.0)
    assert not rounds.says_now(0.1, ROUND_TRIP)
    rounds.hear(SAID, 0.1)
    assert not rounds.says_now(0.1, None)
    assert rounds.says_now(0.2, ROUND_TRIP)
    assert not rounds.says_now(0.2, ROUND_TRIP)
    assert rounds.start(0.2) is None
    assert rounds.wait(0.2) == pytest.approx(ROUND_TRIP / 2)
    assert rounds.start(0.31) == (THERE,)


def test_a_listener_starts_when_now_comes_and_not_before():
    rounds = Rounds(dials=False)
    rounds.begin(HERE, 0.0)
    rounds.hear(SAID, 0.0)
    assert not rounds.says_now(1.0, ROUND_TRIP)
    assert rounds.start(1.0) is None
    rounds.hear(Paths(SAID.paths, now=True), 1.0)
    assert rounds.start(1.0) == (THERE,)
    rounds.hear(Paths(SAID.paths, now=True), 1.5)  # the round is under way
    assert rounds.start(1.5) is None


def test_a_now_of_a_listener_means_nothing():
    rounds = dialler()
    rounds.hear(Paths(SAID.paths, now=True), 0.1)
    assert rounds.start(0.1) is None


def test_there_are_three_rounds_on_a_connection_with_pauses_between():
    rounds, now, begun = dialler(), 0.0, list[float]()
    while now < 200:
        if rounds.says_now(now, 0.0):
            assert rounds.start(now)
            begun.append(now)
            now += ROUND
            rounds.finish(now)
        now += 0.5
    assert len(begun) == len(PAUSES)
    pauses = [later - before - ROUND for before, later in pairwise(begun)]
    assert all(0 <= pause - meant <= 0.5 for pause, meant in zip(pauses, PAUSES[1:], strict=True))
    assert rounds.wait(now) is None
    rounds.begin(Address(HERE.host, 5000), now)  # after a resume
    rounds.hear(SAID, now)
    assert rounds.says_now(now, 0.0)


def test_what_was_heard_on_another_connection_is_forgotten():
    rounds = dialler()
    rounds.leave()
    assert not rounds.says_now(1.0, ROUND_TRIP)
    rounds.begin(HERE, 2.0)
    assert not rounds.says_now(2.0, ROUND_TRIP)


Said = tuple[float, bool, bool, tuple[NetworkPath, ...]]  # seconds later, whether it is NOW, a new connection, what


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.booleans(), any_paths), max_size=40))
def test_a_peer_cannot_have_more_tried_than_the_limits_say(said: list[Said]):
    rounds, now = Rounds(dials=False), 0.0
    tried: list[tuple[float, Address | None]] = []
    rounds.begin(HERE, now)
    for seconds, is_now, is_new, paths in said:
        now += seconds
        if is_new:
            rounds.begin(HERE, now)
        rounds.hear(Paths(paths, is_now), now)
        addresses = rounds.start(now)
        if addresses is not None:
            tried += [(now, each) for each in (*addresses, None)]
            rounds.finish(now)
    for start, _ in tried:
        span = [each for at, each in tried if start <= at < start + SPAN]
        assert span.count(None) <= MOST_ROUNDS
        assert len({each for each in span if each}) <= MOST_ADDRESSES


@given(st.lists(st.tuples(st.floats(0, 0.3), st.booleans()), max_size=100), st.floats(0, 1))
def test_a_round_ends_and_tries_each_address_so_often_only(steps, chance):
    tries, now = Tries([HERE, THERE], 0.0, lambda: chance), 0.0
    counts, failed = dict.fromkeys((HERE, THERE), 0), dict[Address, float]()
    for seconds, fails in steps:
        now += seconds
        for each in tries.due(now):
            assert now < ROUND
            counts[each] += 1
            if each in failed:
                assert now >= failed[each] + LEAST_PAUSE + chance * (MOST_PAUSE - LEAST_PAUSE)
            if fails:
                tries.failed(each, now)
                failed[each] = now
        assert tries.wait(now) >= 0.0
    assert max(counts.values()) <= MOST_TRIES


def test_a_try_that_is_under_way_is_not_made_again():
    tries = Tries([THERE], 0.0, lambda: 1.0)
    assert tries.due(0.0) == [THERE]
    assert tries.due(2.0) == []
    tries.failed(THERE, 2.0)
    assert tries.wait(2.0) == pytest.approx(MOST_PAUSE)
    assert tries.due(2.2) == [THERE]
