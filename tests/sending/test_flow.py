from collections import deque
from collections.abc import Hashable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.sending.flow import (
    ANSWER_WAIT,
    BEHIND,
    LEAST_PIECES,
    LEAST_TEXT,
    MOST_BACKLOG,
    MOST_PIECES,
    MOST_ROUND_TRIPS,
    MOST_TEXT,
    PATIENCE,
    SEGMENT_OVERHEAD,
    TEXT_DELAY,
    UNKNOWN_INTERVAL,
    VOICE_BUDGET,
    Flow,
    Obstacle,
)

ROUND_TRIP = 0.05  # seconds
PACKET = 100  # bytes


@pytest.fixture
def flow() -> Flow:
    flow = Flow()
    flow.acknowledge(0, 0.0)  # the kernel tells
    flow.round_trip(ROUND_TRIP)
    return flow


def send_voice(flow: Flow, now: float, size: int = PACKET) -> None:
    flow.wrote(size, now, mark=("audio", int(now * 1000)), is_voice=True)


def test_voice_may_go_while_what_is_under_way_is_young(flow):
    for number in range(5):
        assert flow.may_send_voice(number * 0.02)
        send_voice(flow, number * 0.02)
    assert flow.may_send_voice(ROUND_TRIP + VOICE_BUDGET - 0.001)
    assert not flow.may_send_voice(ROUND_TRIP + VOICE_BUDGET + 0.001)


def test_why_voice_may_not_go_has_a_name(flow):
    for number in range(LEAST_PIECES + 1):
        send_voice(flow, number * 0.02)
    assert flow.obstacle(0.06) is None
    assert flow.obstacle(ROUND_TRIP + VOICE_BUDGET + 0.001) is Obstacle.AGE
    flow.most_voice = PACKET
    assert flow.obstacle(0.06) is Obstacle.MUCH
    flow.backlog = MOST_BACKLOG + 1
    assert flow.obstacle(0.06) is Obstacle.BACKLOG


def test_what_is_acknowledged_opens_the_gate_again(flow):
    for number in range(5):
        send_voice(flow, number * 0.02)
    flow.acknowledge(2 * PACKET, 0.2)
    assert flow.unacknowledged == 2 * PACKET
    assert flow.age(0.2) == pytest.approx(0.14)
    assert flow.may_send_voice(0.2)


def test_a_piece_that_has_arrived_in_part_is_still_under_way(flow):
    send_voice(flow, 0.0)
    flow.acknowledge(1, 0.3)
    assert flow.age(0.3) == pytest.approx(0.3)


def test_some_voice_may_always_be_under_way(flow):
    for _ in range(LEAST_PIECES):
        assert flow.may_send_voice(100.0)
        send_voice(flow, 0.0)
    assert not flow.may_send_voice(100.0)


def test_a_longer_line_may_hold_more():
    flow = Flow()
    flow.acknowledge(0, 0.0)
    flow.round_trip(0.6)
    for _ in range(20):
        send_voice(flow, 0.0)
    assert flow.may_send_voice(0.6)


def test_the_smallest_round_trip_counts(flow):
    flow.round_trip(5.0)
    for _ in range(5):
        send_voice(flow, 0.0)
    assert not flow.may_send_voice(ROUND_TRIP + VOICE_BUDGET + 0.001)


def deliver(flow: Flow, rate: float, seconds: float, offered: float, size: int = PACKET) -> list[float | None]:
    """Offer `offered` bits a second to a line of `rate`: what it is said to take, asked every 10 ms."""
    under_way: deque[int] = deque()
    credit = written = 0.0
    answers = []
    for step in range(int(seconds * 1000)):
        now = step / 1000
        credit = min(credit + rate / 8000, 1500) if under_way else 0
        while under_way and credit >= under_way[0] + SEGMENT_OVERHEAD:
            credit -= under_way.popleft() + SEGMENT_OVERHEAD
        written += offered / 8000
        while written >= size + SEGMENT_OVERHEAD:
            written -= size + SEGMENT_OVERHEAD
            if flow.may_send_voice(now):
                send_voice(flow, now, size)
                under_way.append(size)
        if step % 10 == 0:
            flow.acknowledge(sum(under_way), now)
            answers.append(flow.line_rate(now))
    return answers


def test_a_line_that_keeps_up_is_not_called_slow(flow):
    assert set(deliver(flow, rate=100_000, seconds=5, offered=50_000)) == {None}


@pytest.mark.parametrize("rate", [15_000, 24_000, 40_000])
def test_a_line_that_does_not_keep_up_is_found_out_and_measured(flow, rate):
    told = [answer for answer in deliver(flow, rate, seconds=3, offered=60_000) if answer]
    assert told
    assert sorted(told)[len(told) // 2] == pytest.approx(rate, rel=0.3)


def test_a_line_that_is_full_in_both_directions_is_found_out_although_answers_come_in_bursts(flow):
    """As measured: they wait behind the voice of the peer, who waits for ours. In between, nothing is under way."""
    cycle, pieces, told = 0.3, 10, []
    for start in np.arange(0, 3, cycle):
        for _ in range(pieces):
            send_voice(flow, start)
        for number in range(1, pieces + 1):
            now = start + cycle / 2 + number * 0.014
            flow.acknowledge((pieces - number) * PACKET, now)
            told.append(flow.line_rate(now))
    assert None not in told[pieces * 2 :]
    assert told[-1] == pytest.approx(pieces * (PACKET + SEGMENT_OVERHEAD) * 8 / cycle, rel=0.15)


def test_what_was_slow_and_then_idle_is_measured_anew(flow):
    deliver(flow, rate=20_000, seconds=2, offered=60_000)
    flow.acknowledge(0, 2.1)
    for number in range(10):
        send_voice(flow, 60.0)
        flow.acknowledge(PACKET, 60.0 + 0.2 * number)
    told = flow.line_rate(62.0)
    assert told is None or told > 4000


def test_a_stall_without_acknowledgements_is_no_slow_line(flow):
    for number in range(8):
        send_voice(flow, number * 0.02)
    for step in range(200):
        flow.acknowledge(8 * PACKET, 0.2 + step / 100)
        assert flow.line_rate(0.2 + step / 100) is None
    flow.acknowledge(0, 2.5)  # a repeated packet has come through, and all behind it counts
    assert flow.line_rate(2.5 + PATIENCE) is None


@pytest.mark.parametrize("rest_comes_after", [0.05, 0.15, 0.25, 0.6])
def test_nor_is_an_outage_whose_end_comes_in_two_steps(flow, rest_comes_after):
    """The peer's repeated packet acknowledges what came before the outage; ours, all."""
    deliver(flow, rate=1_000_000, seconds=1, offered=60_000)
    for number in range(8):
        send_voice(flow, 1 + number * 0.02)
    flow.acknowledge(6 * PACKET, 3.0)
    end = 3.0 + rest_comes_after
    flow.acknowledge(0, end)
    assert {flow.line_rate(end + step / 100) for step in range(100)} == {None}


def test_a_line_is_no_longer_slow_when_all_has_arrived(flow):
    deliver(flow, rate=20_000, seconds=2, offered=60_000)
    assert flow.line_rate(2.0)
    flow.acknowledge(0, 2.1)
    assert flow.line_rate(2.1 + PATIENCE) is None


def test_a_moment_of_it_is_not_enough(flow):
    for _ in range(4):
        send_voice(flow, 0.0)
    now = ROUND_TRIP + BEHIND + 0.01
    flow.acknowledge(3 * PACKET, now)
    assert flow.line_rate(now + PATIENCE / 2) is None
    assert flow.line_rate(now + PATIENCE + 0.01) is not None


def test_little_text_may_be_under_way_at_first(flow):
    assert flow.may_send_text(0.0)
    flow.wrote(LEAST_TEXT, 0.0, mark=("text", 1))
    assert not flow.may_send_text(0.0)


def test_text_waits_while_anything_is_late(flow):
    send_voice(flow, 0.0)
    assert not flow.may_send_text(ROUND_TRIP + 2 * TEXT_DELAY + 0.001)


def send_texts(flow: Flow, delay: float, rounds: int) -> int:
    """Use all the room there is, again and again, with acknowledgements after `delay`: how much room that was."""
    now, sent = 0.0, 0
    for number in range(rounds):
        sent = 0
        while flow.may_send_text(now):
            flow.wrote(1000, now, mark=("text", number))
            sent += 1000
        now += delay
        for left in range(sent - 1000, -1, -1000):
            flow.acknowledge(left, now)
    return sent


def test_more_text_may_be_under_way_where_it_delays_nothing(flow):
    assert send_texts(flow, ROUND_TRIP + 0.001, 60) > 10 * LEAST_TEXT


def test_there_is_a_limit_to_it(flow):
    assert send_texts(flow, ROUND_TRIP + 0.001, 100) <= MOST_TEXT + 1000


def test_less_text_may_be_under_way_where_it_adds_delay(flow):
    send_texts(flow, ROUND_TRIP + 0.001, 60)
    assert send_texts(flow, ROUND_TRIP + TEXT_DELAY + 0.01, 20) <= LEAST_TEXT + 1000


# --- as the peer sees it


def test_a_peer_that_tells_nothing_gets_all_voice_and_costs_no_memory():
    flow = Flow(by_peer=True)

    def send(number: int) -> None:
        assert flow.may_send_voice(number * 0.02)
        send_voice(flow, number * 0.02)

    assert outgrows(flow, send, MOST_PIECES) < 1.5


def test_its_text_waits_for_its_acknowledgements():
    flow = Flow(by_peer=True)
    for number in range(100):
        send_voice(flow, number * 0.02)
    flow.wrote(LEAST_TEXT, 2.0, mark=("text", 1))
    assert not flow.may_send_text(9.0)
    flow.heard(("text", 1), 9.0)
    assert flow.may_send_text(9.0)


def test_a_report_acknowledges_what_came_before_it():
    flow = Flow(by_peer=True)
    flow.round_trip(ROUND_TRIP)
    for number in range(10):
        flow.wrote(PACKET, number * 0.02, mark=("audio", number), is_voice=True)
    late = ROUND_TRIP + ANSWER_WAIT + VOICE_BUDGET + UNKNOWN_INTERVAL + 4 * 0.02 + 0.001
    flow.heard(("audio", 3), late)
    assert flow.age(late) == pytest.approx(late - 4 * 0.02)
    assert not flow.may_send_voice(late)
    flow.heard(("audio", 9), late)
    assert flow.may_send_voice(late)


def through_a_tunnel(
    rate: float, offered: float, seconds: float, *, every: float = 0.1, text: bool = False, obeys: bool = False
) -> tuple[list[float], list[float | None], int]:
    """Voice (and text) into a tunnel that takes all at once and passes on `rate` bits a second.

    How long each packet of voice took, what the line is said to take, and how much text got through. Who `obeys`
    gives it less then.
    """
    flow = Flow(by_peer=True)
    flow.round_trip(ROUND_TRIP)
    waiting: deque[tuple[int, tuple[str, int], float]] = deque()
    took, rates, texts = [], [], 0
    newest: Hashable = None
    credit = written = 0.0
    number = 0
    for step in range(int(seconds * 1000)):
        now = step / 1000
        credit = min(credit + rate / 8000, 1500) if waiting else 0
        while waiting and credit >= waiting[0][0]:
            size, mark, sent = waiting.popleft()
            credit -= size
            if mark[0] == "text":
                flow.heard(mark, now)
                texts += size
            else:
                newest = mark
                took.append(now - sent)
        written += offered / 8000
        if written >= PACKET:
            written -= PACKET
            if flow.may_send_voice(now):
                flow.wrote(PACKET, now, mark=("audio", step), is_voice=True)
                waiting.append((PACKET, ("audio", step), now))
        if text and flow.may_send_text(now):
            flow.wrote(1000, now, mark=("text", number))
            waiting.append((1000, ("text", number), now))
            number += 1
        if step % round(every * 1000) == 0:
            flow.heard(newest, now)
            rates.append(flow.line_rate(now))
            if obeys and (told := rates[-1]):
                offered = min(offered, 0.8 * told * PACKET / (PACKET + SEGMENT_OVERHEAD))
        if step % 2000 == 0:
            flow.round_trip(ROUND_TRIP + len(waiting) * PACKET * 8 / rate)
    return took, rates, texts


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_voice_does_not_pile_up_in_a_tunnel(rate):
    took, rates, _ = through_a_tunnel(rate, offered=60_000, seconds=20)
    assert max(took) < 1.8
    told = sorted(each for each in rates if each)
    assert told[len(told) // 2] == pytest.approx(rate * (PACKET + SEGMENT_OVERHEAD) / PACKET, rel=0.1)
    took, _, _ = through_a_tunnel(rate, offered=60_000, seconds=20, obeys=True)
    assert max(took[len(took) // 4 :]) < 0.1


@pytest.mark.parametrize("every", [0.1, 0.5, 1.0])
def test_a_tunnel_that_keeps_up_holds_nothing_back_however_seldom_the_peer_reports(every):
    took, rates, _ = through_a_tunnel(200_000, offered=50_000, seconds=20, every=every)
    assert len(took) >= 20 * 50_000 / 8 / PACKET * 0.97
    assert set(rates) == {None}


def test_text_in_a_tunnel_leaves_room_for_voice():
    took, _, texts = through_a_tunnel(512_000, offered=60_000, seconds=20, text=True)
    assert sorted(took)[len(took) * 95 // 100] < 0.3
    assert texts * 8 / 20 > (512_000 - 60_000) * 0.9


def test_a_peer_that_reports_no_more_gets_all_voice_again():
    flow = Flow(by_peer=True)
    send_voice(flow, 0.0)
    flow.heard(("audio", 0), 0.1)
    for number in range(10):
        send_voice(flow, 0.1 + number * 0.02)
    assert not flow.may_send_voice(5.0)
    for _ in range(MOST_ROUND_TRIPS + 1):
        flow.round_trip(ROUND_TRIP)
    assert flow.may_send_voice(5.0)


@pytest.mark.parametrize("mark", [("audio", 99), ("text", 3)])
def test_what_was_never_sent_acknowledges_nothing(mark):
    flow = Flow(by_peer=True)
    flow.wrote(PACKET, 0.0, mark=("audio", 3), is_voice=True)
    flow.heard(mark, 0.1)
    assert flow.unacknowledged == PACKET


steps = st.tuples(st.integers(0, 5000), st.booleans(), st.integers(0, 100_000), st.floats(0, 1))


@given(st.lists(steps, max_size=60), st.booleans())
def test_whatever_it_is_told_it_never_counts_more_than_was_written(steps, by_peer):
    flow, now, written = Flow(by_peer=by_peer), 0.0, 0
    for size, is_voice, unacknowledged, seconds in steps:
        now += seconds
        flow.wrote(size, now, mark=written, is_voice=is_voice)
        written += size
        if by_peer:
            flow.heard(unacknowledged, now)
        else:
            flow.acknowledge(unacknowledged, now)
        flow.may_send_voice(now)
        flow.may_send_text(now)
        assert 0 <= flow.unacknowledged <= written
        assert flow.age(now) >= 0
        assert (flow.line_rate(now) or 0) >= 0
    (flow.heard if by_peer else flow.acknowledge)(written if by_peer else 0, now + 1)
    flow.wrote(LEAST_TEXT - 1, now + 1, mark=written)
    assert by_peer or flow.may_send_text(now + 1)
    flow.wrote(MOST_TEXT - LEAST_TEXT + 1, now + 1, mark=written + 1)
    assert not (flow.knows and flow.may_send_text(now + 1))
