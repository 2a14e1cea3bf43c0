from hypothesis import given
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.net.refusals import ELSEWHERE, LINES, MOST_KINDS, SUMMARIES, WINDOW, Refusal, Refusals

WHY = "a wrong code"


def at(second: float, *hosts: str, refusals: Refusals, why: str = WHY) -> list[Refusal]:
    return [each for host in hosts for each in refusals.add(Refusal(host, why), second)]


def test_a_few_are_told_at_once_as_they_are():
    refusals = Refusals()
    told = at(0.0, *["192.0.2.1"] * LINES, refusals=refusals)
    assert told == [Refusal("192.0.2.1", WHY)] * LINES
    assert refusals.due(WINDOW) == []
    assert refusals.next_time is None


def test_the_rest_of_a_minute_is_one_line_with_its_number():
    refusals = Refusals()
    assert len(at(0.0, *["192.0.2.1"] * (LINES + 312), refusals=refusals)) == LINES
    assert refusals.due(WINDOW - 1) == []
    assert refusals.next_time == WINDOW
    assert refusals.due(WINDOW) == [Refusal("192.0.2.0/24", WHY, 312)]


def test_after_such_a_minute_there_is_one_line_and_after_a_quiet_one_all_is_as_it_was():
    refusals = Refusals()
    at(0.0, *["192.0.2.1"] * (LINES + 1), refusals=refusals)
    refusals.due(WINDOW)
    assert len(at(WINDOW + 1, *["192.0.2.1"] * 10, refusals=refusals)) == 1
    assert refusals.due(2 * WINDOW) == [Refusal("192.0.2.0/24", WHY, 9)]
    assert refusals.due(3 * WINDOW) == []
    assert len(at(3 * WINDOW + 1, *["192.0.2.1"] * 10, refusals=refusals)) == LINES


def test_of_several_networks_the_one_with_the_most_is_named():
    refusals = Refusals()
    at(0.0, *["192.0.2.1"] * LINES, *["2001:db8::1"] * 5, *["2001:db8:0:1::1"] * 4, "192.0.2.9", refusals=refusals)
    assert refusals.due(WINDOW) == [Refusal("2001:db8::/48 and other addresses", WHY, 10)]


def test_callers_through_a_relay_are_not_told_as_a_network():
    refusals = Refusals()
    for _ in range(LINES + 2):
        refusals.add(Refusal("192.0.2.1", WHY, relay="relay.example.org"), 0.0)
    assert refusals.due(WINDOW) == [Refusal("the relay relay.example.org", WHY, 2)]


def test_each_of_the_commonest_reasons_has_a_line_and_the_others_have_one():
    refusals = Refusals()
    at(0.0, *["192.0.2.1"] * LINES, refusals=refusals)
    for number, why in enumerate("abcdef"):
        at(1.0, *["192.0.2.1"] * (10 - number), refusals=refusals, why=why)
    summaries = refusals.due(WINDOW)
    assert [each.why for each in summaries] == ["a", "b", "c", "for other reasons"]
    assert [each.times for each in summaries] == [10, 9, 8, 7 + 6 + 5]


def test_memory_has_a_bound():
    refusals = Refusals()

    def refuse(number: int) -> None:
        at(0.0, f"10.{number >> 8}.{number & 255}.1", refusals=refusals)

    assert outgrows(refusals, refuse, MOST_KINDS) < 1.5
    (summary,) = refusals.due(WINDOW)
    assert summary.times == 8 * MOST_KINDS - LINES
    assert ELSEWHERE in summary.address


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 2000)), max_size=60))
def test_everybody_is_counted_once_and_few_lines_are_told(happened):
    refusals, now, came, told = Refusals(), 0.0, 0, []
    for pause, number in happened:
        now += pause
        told += [(now, each) for each in refusals.due(now)]
        came += 1
        told += [(now, each) for each in refusals.add(Refusal(f"10.0.{number & 255}.1", f"why {number >> 8}"), now)]
    told += [(now + WINDOW, each) for each in refusals.due(now + WINDOW)]
    told += [(now + 2 * WINDOW, each) for each in refusals.due(now + 2 * WINDOW)]
    assert sum(each.times for _, each in told) == came
    for when, _ in told:
        assert sum(when <= other < when + WINDOW for other, _ in told) <= 2 * (LINES + SUMMARIES + 1)
