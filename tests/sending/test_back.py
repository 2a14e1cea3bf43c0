import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.protocol.messages import Arrivals, Audio, Codec
from voicemux.sending.back import HEARD, MOST_KEPT, MOST_SILENCE, Back

MS_20, MS_60 = bytes([31 << 3]), bytes([11 << 3])  # Opus, one frame each
START = 100.0  # seconds: when the first packet begins, by the clock of who hears it


def voice(number: int, data: bytes = MS_20, ms: int = 20, source: int = 0) -> Audio:
    return Audio(Codec.OPUS, source, number % 2**16, (number * ms * 48) % 2**32, data)


def hear(back: Back, count: int, late: float = 0.0, start: int = 0, data: bytes = MS_20, ms: int = 20) -> float:
    """So many packets, each as soon as it has been spoken, and so late. When the last came."""
    now = START
    for number in range(start, start + count):
        now = START + (number + 1) * ms / 1000 + late
        back.heard(voice(number, data, ms), now)
    return now


def test_what_is_told_is_the_least_and_the_most_of_what_came_since_in_milliseconds() -> None:
    back = Back()
    for number, late in enumerate((0.004, 0.044, 0.013)):
        back.heard(voice(number), START + number * 0.02 + late)
    assert back.has_news
    assert back.arrivals() == Arrivals(0, 2, 34_468, 34_508)  # 100,004 and 100,044 modulo 65,536
    assert (back.has_news, back.arrivals()) == (False, None)


def test_how_late_voice_comes_is_told_at_once() -> None:
    back = Back()
    now = hear(back, 50)
    assert back.late(now) == pytest.approx(0.0)
    now = hear(back, 20, late=0.3, start=50)
    assert back.late(now) == pytest.approx(0.3)


def test_one_packet_that_is_late_is_none_of_that() -> None:
    back = Back()
    hear(back, 50)
    back.heard(voice(50), START + 51 * 0.02 + 0.05)
    assert back.late(START + 51 * 0.02 + 0.05) == pytest.approx(0.0)


def test_a_packet_that_is_overdue_will_be_later_by_that() -> None:
    back = Back()
    now = hear(back, 50)
    assert back.late(now + 0.02 + 0.4) == pytest.approx(0.4)
    assert back.late(now + MOST_SILENCE + 1) is None


def test_of_who_says_that_silence_begins_nothing_is_overdue() -> None:
    back = Back()
    now = hear(back, 50)
    back.heard(voice(50, b""), now)
    assert back.late(now + 0.4) is None


@pytest.mark.parametrize(("data", "ms"), [(MS_20, 20), (MS_60, 60)])
def test_a_pause_in_which_the_peer_says_that_it_goes_on_makes_nothing_late_and_tells_when_it_came(
    data: bytes, ms: int
) -> None:
    back = Back()
    now = hear(back, 50, data=data, ms=ms)
    back.round_trip(0.08, now)
    back.arrivals()
    for number in range(50, 150, 10):
        now = START + (number + 1) * ms / 1000
        back.heard(voice(number, b"", ms), now)
        told = back.arrivals()
        assert told
        assert told.least == told.most == pytest.approx((START * 1000 + ms) % 2**16, abs=1)
    assert back.last_late == pytest.approx(0.0)
    way = back.on_its_way(now)
    assert way
    assert way.more == pytest.approx(0.0)


def test_longer_packets_are_no_later() -> None:
    back = Back()
    hear(back, 60)
    now = hear(back, 10, start=20, data=MS_60, ms=60)
    assert back.late(now) == pytest.approx(0.0)
    now = hear(back, 60, start=90)
    assert back.late(now) == pytest.approx(0.0)


def test_who_makes_packets_longer_saves_headers_and_who_always_had_long_ones_does_not() -> None:
    back = Back()
    hear(back, 10, data=MS_60, ms=60)
    assert not back.saves_headers
    hear(back, 10, start=30)
    assert not back.saves_headers
    hear(back, 10, start=15, data=MS_60, ms=60)
    assert back.saves_headers
    hear(back, 10, start=75)
    assert not back.saves_headers


def test_voice_is_half_a_round_trip_on_its_way_and_what_it_is_later_since() -> None:
    back = Back()
    now = hear(back, 50)
    back.round_trip(0.08, now)
    way = back.on_its_way(now)
    assert way
    assert (way.seconds, way.more) == (pytest.approx(0.04), pytest.approx(0.0))
    now = hear(back, 50, late=1.2, start=50)
    back.round_trip(1.3, now)  # which says nothing of the two ways
    way = back.on_its_way(now)
    assert way
    assert (way.seconds, way.more) == (pytest.approx(1.24), pytest.approx(1.2))


def calm(back: Back, seconds: int, round_trip: float, late: float, start: int = 0) -> float:
    """Voice for so long, with a PONG each second."""
    now = START
    for second in range(seconds):
        now = hear(back, 50, late=late, start=start + second * 50)
        back.round_trip(round_trip, now)
    return now


@pytest.mark.parametrize(("shorter_here", "seconds"), [(0.1, 0.06), (0.0, 0.16)])
def test_a_route_that_becomes_shorter_one_way_is_shorter_that_way(shorter_here: float, seconds: float) -> None:
    back = Back()
    calm(back, 12, 0.32, late=0.2)
    now = calm(back, 4, 0.22, late=0.2 - shorter_here, start=600)
    way = back.on_its_way(now)
    assert way
    assert way.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("long_queue", [0.3, 0.06])
def test_a_queue_that_stood_when_the_call_began_is_no_longer_route(long_queue: float) -> None:
    back, now = Back(), START
    for second in range(20):  # another program's queue goes up and down
        sway = 0.1 * long_queue * (second % 5)
        now = hear(back, 50, late=long_queue + sway, start=second * 50)
        back.round_trip(0.08 + long_queue + sway, now)
    now = calm(back, 3, 0.08, late=0.0, start=1000)
    way = back.on_its_way(now)
    assert way
    assert way.seconds == pytest.approx(0.04)


def test_a_queue_that_stands_for_minutes_is_not_forgotten() -> None:
    back = Back()
    back.round_trip(0.08, hear(back, 50))
    now = hear(back, 10_000, late=1.2, start=50)
    way = back.on_its_way(now)
    assert way
    assert way.more == pytest.approx(1.2)


def test_while_nothing_is_heard_nothing_is_told() -> None:
    back = Back()
    assert back.on_its_way(START) is None
    now = hear(back, 50)
    assert back.on_its_way(now) is None, "no PONG has come"
    back.round_trip(0.08, now)
    assert back.on_its_way(now + HEARD + 0.1) is None


def test_voice_of_others_is_for_relays_to_come() -> None:
    back = Back()
    back.heard(voice(0, source=3), START)
    assert not back.has_news


packets = st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=3), st.floats(0, 9))


@given(st.lists(packets))
def test_whatever_comes_what_it_tells_can_be_sent(
    packets: list[tuple[int, int, bytes, float]],
) -> None:
    back, now = Back(), 0.0
    for sequence, timestamp, data, step in packets:
        now += step
        back.heard(Audio(Codec.OPUS, 0, sequence, timestamp, data), now)
        back.round_trip(step, now)
        told = back.arrivals()
        assert told
        assert 0 <= told.least < 2**16 > told.most >= 0
        assert (back.late(now) or 0.0) >= 0.0
        way = back.on_its_way(now)
        assert way is None or way.seconds >= way.more >= 0.0 or way.seconds >= 0.0


def test_of_any_number_of_packets_it_keeps_little() -> None:
    back = Back()
    assert outgrows(back, lambda number: back.heard(voice(number), START + number * 0.02), MOST_KEPT) < 1.5
