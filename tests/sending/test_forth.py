from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.protocol.messages import Arrivals, Audio, Codec
from voicemux.sending.flow import SEGMENT_OVERHEAD
from voicemux.sending.forth import MOST_SENT, WRAP, Forth

SIZE = 100  # bytes
TRIP = 0.02  # seconds


def voice(number: int, ms: int = 20) -> Audio:
    return Audio(Codec.OPUS, 0, number % WRAP, number * ms * 48 % 2**32, b"x")


def send(forth: Forth, number: int, ms: int = 20) -> float:
    """As soon as it has been spoken. When that was."""
    now = (number + 1) * ms / 1000
    forth.wrote(voice(number, ms), SIZE, now)
    return now


def talk(forth: Forth, late: Callable[[float], float], seconds: float, offset: float = 1234.567) -> float:
    """Packets of 20 ms, each `late` when it is sent at that time, told of ten times a second by a clock that is
    off."""
    waiting: list[tuple[float, int, float]] = []
    for number in range(round(seconds * 50)):
        sent = send(forth, number)
        waiting.append((sent + TRIP + late(sent), number, sent))
        if number % 5 == 4:
            come = [each for each in waiting if each[0] <= sent]
            waiting = waiting[len(come) :]
            transits = [int((arrival + offset - number * 0.02) * 1000) for arrival, number, _ in come]
            if come:
                forth.told(Arrivals(0, come[-1][1] % WRAP, min(transits) % WRAP, max(transits) % WRAP), sent + TRIP)
    return round(seconds * 50) / 50 + TRIP


def test_a_queue_is_known_whatever_the_clocks_say() -> None:
    forth = Forth()
    now = talk(forth, lambda sent: 0.0 if sent < 5 else 0.4, 10)
    assert forth.tells_times
    assert forth.queue(now) == pytest.approx(0.4, abs=0.002)


def test_jitter_is_no_queue() -> None:
    forth = Forth()
    now = talk(forth, lambda sent: 0.08 * (round(sent * 50) % 4 != 0), 10)
    assert forth.queue(now) == pytest.approx(0.0, abs=0.002)
    assert forth.moments.spread(now) == pytest.approx(0.08, abs=0.002)


def test_milliseconds_wrap_around_every_minute() -> None:
    forth = Forth()
    now = talk(forth, lambda sent: 0.1 if sent > 80 else 0.0, 85, offset=WRAP / 1000 - 40)
    assert forth.queue(now) == pytest.approx(0.1, abs=0.002)


def test_longer_packets_are_no_later() -> None:
    forth = Forth()
    for number in range(100):
        now = send(forth, number)
        forth.told(Arrivals(0, number, 20, 20), now)
    for number in range(100, 140):
        now = 2.0 + (number - 99) * 0.06
        forth.wrote(Audio(Codec.OPUS, 0, number, round((now - 0.06) * 48_000), b"x"), SIZE, now)
        forth.told(Arrivals(0, number, 60, 60), now)
    assert forth.queue(now) == pytest.approx(0.0, abs=0.002)


def test_what_has_arrived_is_a_rate_with_all_headers() -> None:
    forth = Forth()
    now = talk(forth, lambda sent: 0.0, 5)
    assert forth.delivered_rate(now, 1.0) == pytest.approx((SIZE + SEGMENT_OVERHEAD) * 8 * 50, rel=0.05)


def test_reports_that_come_in_a_bunch_do_not_make_it_more() -> None:
    forth = Forth()
    for number in range(200):
        send(forth, number)
    for number in range(0, 200, 5):
        forth.told(Arrivals(0, number, 20 + 12 * number, 20 + 12 * number), 6.5 + number / 1000)
    rate = (SIZE + SEGMENT_OVERHEAD) * 8 / (0.020 + 0.012)
    assert forth.delivered_rate(6.7, 1.0) == pytest.approx(rate, rel=0.05), "five times as much by the reports' times"


def test_what_was_not_sent_in_a_pause_is_not_taken_for_what_the_line_takes() -> None:
    forth = Forth()
    talk(forth, lambda sent: 0.0, 5)
    for number in (300, 320):
        forth.wrote(replace(voice(number), data=b""), SIZE, (number + 1) / 50)
        assert forth.paused_since == 301 / 50
        forth.told(Arrivals(0, number, 20, 20), (number + 1) / 50 + TRIP)
    assert forth.queue(321 / 50 + TRIP) is not None
    for number in range(321, 331):
        now = send(forth, number)
        forth.told(Arrivals(0, number, 20, 20), now + TRIP)
    assert forth.paused_since is None
    assert forth.delivered_rate(now + TRIP, 1.5) == pytest.approx((SIZE + SEGMENT_OVERHEAD) * 8 * 50, rel=0.1)


def test_of_a_peer_that_says_report_only_both_ways_are_known_less_the_way_back() -> None:
    forth = Forth()
    for number in range(0, 500, 5):
        now = send(forth, number)
        back = 0.5 if number > 250 else 0.0
        forth.reported(number, back, now + TRIP + back)
    assert not forth.tells_times
    assert forth.queue(now + TRIP + 0.5) == pytest.approx(0.0, abs=0.001)
    newest = forth.moments.newest
    forth.reported(number, None, now + 9)
    assert forth.moments.newest == newest


def test_arrivals_are_better_than_reports() -> None:
    forth = Forth()
    now = talk(forth, lambda sent: 0.0, 5)
    send(forth, 250)
    forth.reported(250, 0.0, now + 3.0)
    assert forth.queue(now) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("sequence", [7, 5000, WRAP - 1])
def test_what_says_nothing_new_or_was_never_sent_is_ignored(sequence: int) -> None:
    forth = Forth()
    for number in range(10):
        now = send(forth, number)
    forth.told(Arrivals(0, 9, 20, 20), now)
    before = forth.moments.newest
    forth.told(Arrivals(0, sequence, 5000, 9000), now + 1)
    assert forth.moments.newest == before


told = st.tuples(st.integers(0, WRAP - 1), st.integers(0, WRAP - 1), st.integers(0, WRAP - 1), st.floats(0, 1))


@given(st.lists(told, max_size=200))
def test_whatever_it_is_told_its_answers_are_of_this_world(tellings: list[tuple[int, int, int, float]]) -> None:
    forth, now = Forth(), 0.0
    for number, (sequence, least, most, step) in enumerate(tellings):
        now += step
        forth.wrote(voice(number), SIZE, now)
        forth.told(Arrivals(0, sequence, least, most), now)
        forth.told(Arrivals(0, number % WRAP, least, most), now)
        assert 0.0 <= (forth.queue(now) or 0.0) <= 40.0
        assert (forth.delivered_rate(now, 1.0) or 0.0) >= 0.0


def test_a_peer_that_tells_nothing_costs_little() -> None:
    forth = Forth()
    assert outgrows(forth, lambda number: send(forth, number), MOST_SENT) < 1.5
    assert forth.queue(9e9) is None
