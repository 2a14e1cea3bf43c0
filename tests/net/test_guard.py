import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.net.guard import DELAYED_FROM, FIRST_DELAY, IGNORED_FROM, MEMORY, MOST_DELAY, MOST_PLACES, Guard

HOST, OTHER = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def guard() -> Guard:
    return Guard()


def fail(guard: Guard, times: int, host: str = HOST, now: float = 0.0) -> None:
    for _ in range(times):
        guard.failed(host, now)


def test_whoever_has_not_failed_does_not_wait(guard):
    assert guard.delay(HOST, 0.0) == 0.0
    fail(guard, 20)
    assert guard.delay(OTHER, 0.0) == 0.0


def test_waiting_grows_with_failures_until_nobody_listens(guard):
    delays = []
    for _ in range(IGNORED_FROM + 2):
        delays.append(guard.delay(HOST, 0.0))
        guard.failed(HOST, 0.0)
    assert delays == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0, None, None]


def test_the_numbers_are_those_that_were_meant():
    assert (DELAYED_FROM, IGNORED_FROM, FIRST_DELAY, MOST_DELAY, MEMORY) == (3, 8, 1.0, 3.0, 600.0)


def test_a_failure_counts_for_ten_minutes(guard):
    fail(guard, 1, now=0.0)
    fail(guard, 2, now=100.0)
    assert guard.delay(HOST, MEMORY - 1) == FIRST_DELAY
    assert guard.delay(HOST, MEMORY) == 0.0


def test_failures_that_come_slowly_are_never_ignored(guard):
    every = MEMORY / (IGNORED_FROM - 1) + 1
    delays = set()
    for number in range(50):
        guard.failed(HOST, number * every)
        delays.add(guard.delay(HOST, number * every))
    assert delays == {0.0, 1.0, 2.0, 3.0}


def test_whoever_is_ignored_is_so_for_ten_minutes_after_the_last_failure(guard):
    for number in range(IGNORED_FROM):
        guard.failed(HOST, number * 60.0)
    last = (IGNORED_FROM - 1) * 60.0
    assert guard.delay(HOST, last + MEMORY - 1) is None  # though most failures are older than that
    assert guard.delay(HOST, last + MEMORY) == 0.0


def test_failures_while_being_ignored_make_it_longer(guard):
    for number in range(IGNORED_FROM):
        guard.failed(HOST, number * 60.0)
    latest = (IGNORED_FROM - 1) * 60.0 + MEMORY - 1
    guard.failed(HOST, latest)
    assert guard.delay(HOST, latest + MEMORY - 1) is None
    assert guard.delay(HOST, latest + MEMORY) == 0.0


def test_success_forgives_all_but_to_that_host_only(guard):
    for host in (HOST, OTHER):
        fail(guard, IGNORED_FROM, host)
    guard.succeeded(HOST)
    assert guard.delay(HOST, 0.0) == 0.0
    assert guard.delay(OTHER, 0.0) is None
    guard.failed(HOST, 0.0)
    assert guard.delay(HOST, 0.0) == 0.0


def test_success_of_somebody_who_never_failed_is_fine(guard):
    guard.succeeded(HOST)
    assert guard.delay(HOST, 0.0) == 0.0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"])
def test_this_machine_waits_and_is_never_ignored(guard, host):
    fail(guard, 100, host)
    assert guard.delay(host, 0.0) == MOST_DELAY
    assert guard.delay(host, MEMORY) == 0.0


@pytest.mark.parametrize("host", ["128.0.0.1", "126.255.255.255", "::2", "10.0.0.1", "fe80::1", "0.0.0.0"])
def test_no_other_machine_is_taken_for_this_one(guard, host):
    fail(guard, IGNORED_FROM, host)
    assert guard.delay(host, 0.0) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002::0001"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_addresses_of_one_owner_count_together(guard, one, other):
    fail(guard, IGNORED_FROM - 1, one)
    fail(guard, 1, other)
    assert guard.delay(one, 0.0) is guard.delay(other, 0.0) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("somewhere", "elsewhere"),
        ("192.0.2.1", "192.0.2.01"),
        ("192.0.2.1", "3221225985"),
    ],
)
def test_addresses_of_two_owners_do_not(guard, one, other):
    fail(guard, IGNORED_FROM, one)
    assert guard.delay(other, 0.0) == 0.0


def test_whoever_failed_longest_ago_is_forgotten_first(guard):
    fail(guard, IGNORED_FROM, "first")
    fail(guard, IGNORED_FROM, "second")
    guard.failed("first", 1.0)  # and so not longest ago any more
    for number in range(MOST_PLACES - 2):
        guard.failed(f"host {number}", 2.0)
    assert guard.delay("second", 3.0) is None
    guard.failed("one too many", 2.0)
    assert guard.delay("second", 3.0) == 0.0
    assert guard.delay("first", 3.0) is None


def test_memory_has_a_bound(guard):
    for number in range(5 * MOST_PLACES):
        fail(guard, 2, f"2001:db8:{number:x}::1", now=float(number))
    assert len(guard._places) == MOST_PLACES
    fail(guard, 1000, now=1e6)
    assert max(len(place.failures) for place in guard._places.values()) <= IGNORED_FROM


hosts = st.sampled_from([HOST, OTHER, "127.0.0.1", "2001:db8::1", "somewhere"])
steps = st.sampled_from([0.0, 1.0, 60.0, 86.0, 300.0, 599.0, 600.0]) | st.floats(0, 1000)
happenings = st.lists(st.tuples(hosts, steps, st.booleans()), max_size=60)


def expected(failures: list[float], now: float, *, is_here: bool) -> float | None:
    """What the failures of one place since its last success lead to, worked out from the beginning."""
    ignored_until = -math.inf
    for number, failure in enumerate(failures, 1):
        of_late = sum(failure - each < MEMORY for each in failures[:number])
        if failure < ignored_until or of_late >= 8:
            ignored_until = failure + MEMORY
    if now < ignored_until:
        return 3.0 if is_here else None
    return {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.0, 4: 2.0}.get(sum(now - each < MEMORY for each in failures), 3.0)


@given(happenings, steps)
def test_the_guard_says_what_the_history_of_each_place_says(happened, later):
    guard, now = Guard(), 0.0
    failures: dict[str, list[float]] = {}
    for host, step, is_failure in happened:
        now += step
        if is_failure:
            guard.failed(host, now)
            failures.setdefault(host, []).append(now)
        elif step > 500:  # seldom, or nobody would ever be ignored
            guard.succeeded(host)
            failures.pop(host, None)
    for moment in (now, now + later):
        for host in (HOST, OTHER, "127.0.0.1", "2001:db8::1", "somewhere"):
            told = guard.delay(host, moment)
            assert told == expected(failures.get(host, []), moment, is_here=host == "127.0.0.1")


@given(st.text(max_size=30), st.integers(1, 20))
def test_whatever_a_host_is_called_it_is_counted(host, times):
    guard = Guard()
    fail(guard, times, host)
    delay = guard.delay(host, 0.0)
    assert (delay is None) == (times >= IGNORED_FROM)
    assert delay is None or (delay > 0) == (times >= DELAYED_FROM)
