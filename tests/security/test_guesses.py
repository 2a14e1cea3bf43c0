import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.security.code import codes_like
from voicemux.security.guesses import FRESH, MEMORY, MOST_BURST, MOST_NETWORKS, SECONDS, YEARS, Guesses
from voicemux.security.networks import networks_of

HOURS = 3600.0
SHORT, USUAL = "7-a-b", "7-quiet-test"


def tries(guesses: Guesses, host: str, times: int, now: float, every: float = 0.0) -> int:
    """How many of them are let through."""
    return sum(guesses.may_try(networks_of(host), now + number * every) for number in range(times))


@pytest.mark.parametrize(
    ("code", "words", "codes", "rate", "burst"),
    [
        ("", 2, 5_898_240, 28 / HOURS, 400),
        ("", 3, 1_509_949_440, 2.0, 400),
        ("", 4, 386_547_056_640, 10.0, 400),
        (USUAL, 3, 2_097_152, 10 / HOURS, 400),
        (SHORT, 3, 256, 1 / (34 * 24 * HOURS), 3),
        ("42-beeswax-caravan", 3, 2**30, 1.4, 400),
    ],
)
def test_the_numbers_are_those_of_the_page_on_security(code, words, codes, rate, burst):
    guesses = Guesses(code, words)
    assert codes_like(code, words) == codes
    assert guesses.rate == pytest.approx(rate, rel=0.05)
    assert guesses.burst == burst


@pytest.mark.parametrize(("code", "words"), [("", 2), ("", 3), ("", 4), (USUAL, 0), (SHORT, 0)])
def test_to_hit_a_code_takes_years_whoever_guesses_and_however_fast(code, words):
    """One address, one that a tunnel gives to all, a /48 in any number of addresses: all are one bucket."""
    guesses = Guesses(code, words)
    hour = tries(guesses, "2001:db8::1", 15_000, 0.0, HOURS / 15_000) - guesses.burst
    assert hour <= guesses.rate * HOURS + 1
    expected = codes_like(code, words) / 2 / guesses.rate / SECONDS
    assert expected >= YEARS * 0.999
    assert guesses.burst <= max(3, codes_like(code, words) / 5000)


@pytest.mark.parametrize("code", ["", USUAL])
def test_who_guesses_from_one_network_leaves_some_tries_to_others(code):
    guesses = Guesses(code, 2)
    for number in range(2000):
        guesses.may_try(networks_of(f"2001:db8:0:{number:x}::1"), number / 10)
    assert tries(guesses, "2001:db8:0:1::1", 1, 200.0) == 0
    assert tries(guesses, "192.0.2.1", 1, 200.0) == 1
    assert tries(guesses, "198.51.100.1", 1, 200.0) == 1


def test_who_has_not_guessed_may_mistype_and_still_counts_as_one_who_has_not():
    guesses = Guesses("", 2)
    tries(guesses, "2001:db8::1", 1000, 0.0)
    assert tries(guesses, "192.0.2.1", FRESH + 5, 1.0) == FRESH


def test_what_a_network_has_tried_is_forgotten_after_an_hour():
    guesses = Guesses("", 2)
    tries(guesses, "192.0.2.1", FRESH, 0.0)
    tries(guesses, "2001:db8::1", 1000, 0.0)
    assert tries(guesses, "192.0.2.1", 1, 1.0) == 0
    assert tries(guesses, "192.0.2.1", 1, MEMORY) == 1


def test_a_right_code_costs_no_try():
    guesses = Guesses(SHORT, 0)
    for second in range(100):
        assert guesses.may_try(networks_of("192.0.2.1"), float(second))
        guesses.right(networks_of("192.0.2.1"))


@pytest.mark.parametrize("friend", ["192.0.2.1", "198.51.100.7", "2001:db8:0:7::1"])
def test_a_friend_with_a_code_that_was_made_gets_a_try_for_ever_beside_whoever_takes_one_a_second(friend):
    guesses = Guesses("", 3)
    for second in range(4000):
        guesses.may_try(networks_of("192.0.2.1" if second % 2 else f"2001:db8:0:{second:x}::1"), float(second))
        if second % 10 == 0:
            assert guesses.may_try(networks_of(friend), second + 0.5)


def test_memory_has_a_bound():
    guesses = Guesses("", 4)

    def guess(number: int) -> None:
        assert guesses.may_try(networks_of(f"10.{number >> 8}.{number & 255}.1"), float(number))

    assert outgrows(guesses, guess, MOST_NETWORKS) < 1.5


hosts = st.sampled_from(["192.0.2.1", "192.0.2.9", "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1"])


@given(st.lists(st.tuples(hosts, st.floats(0, 1000), st.booleans()), max_size=200), st.sampled_from([USUAL, SHORT]))
@settings(deadline=None)
def test_there_are_never_more_wrong_tries_than_burst_and_rate_allow(happened, code):
    guesses, now, wrong = Guesses(code, 0), 0.0, 0
    for host, pause, is_right in happened:
        now += pause
        if guesses.may_try(networks_of(host), now):
            if is_right:
                guesses.right(networks_of(host))
            else:
                wrong += 1
        assert wrong <= min(guesses.burst, MOST_BURST) + now * guesses.rate
