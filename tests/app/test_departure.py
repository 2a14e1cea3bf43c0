import pytest

from voicemux.app.departure import Departure, Why


def test_the_first_reason_is_kept():
    departure = Departure()
    assert departure.why is None
    departure.ask(Why.QUIT)
    departure.ask(Why.TERMINATED)
    assert departure.why is Why.QUIT


def test_who_waits_is_woken_and_nobody_else():
    departure, woken = Departure(), []
    with departure.waking(lambda: woken.append("first")):
        pass
    with departure.waking(lambda: woken.append("second")), departure.waking(lambda: woken.append("third")):
        departure.ask(Why.INTERRUPTED)
    assert woken == ["second", "third"]


def test_a_wish_that_came_before_is_found_by_the_next_wait():
    departure, woken = Departure(), []
    departure.ask(Why.TERMINATED)
    for _ in range(2):
        with departure.waking(lambda: woken.append("woken")):
            pass
    assert woken == ["woken", "woken"]


@pytest.mark.parametrize("when", ["before", "inside"])
def test_who_breaks_off_is_not_polite_any_more(when):
    departure, woken = Departure(), []
    departure.ask(Why.QUIT)
    if when == "before":
        departure.ask(Why.QUIT, break_off=True)
    with departure.waking(lambda: woken.append("polite"), lambda: woken.append("rude")):
        if when == "inside":
            departure.ask(Why.QUIT, break_off=True)
    assert woken == ["polite", "rude"]
