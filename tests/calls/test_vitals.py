import time
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest

from tests.peers import PATIENCE, wait_until
from voicemux.calls.vitals import (
    CALM,
    MOST_PINGS,
    PING_EARLY,
    PING_INTERVAL,
    PINGS_AT_FIRST,
    QUICK_PING_INTERVAL,
    Vitals,
)
from voicemux.calls.voice import Transmitter
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Ping, Pong
from voicemux.sending.schedule import SentCounts


def vitals_with(transmitter: SimpleNamespace, empty: float | None = None) -> Vitals:
    """`empty` is the seconds that an empty packet takes, there and back."""
    stream = SimpleNamespace(bytes_written=0, bytes_read=0, timeout=PATIENCE, min_round_trip=lambda: empty)
    return Vitals(cast("Stream", stream), SentCounts(), cast("Transmitter", transmitter), None)


@pytest.fixture
def vitals() -> Vitals:
    return vitals_with(SimpleNamespace(eager=False))


def ping(vitals: Vitals, now: float) -> Ping:
    assert vitals.look(now)
    return vitals.ping()


def test_pings_are_frequent_at_first_and_then_rare(vitals):
    now = [number / 100 for number in range(2000)]
    pings = [at for at in now if vitals.look(at)]
    gaps = [after - before for before, after in pairwise(pings)]
    quick = PINGS_AT_FIRST - 1
    assert gaps[:quick] == pytest.approx([QUICK_PING_INTERVAL] * quick, abs=0.011)
    assert gaps[quick + 1 :] == pytest.approx([PING_INTERVAL - PING_EARLY] * len(gaps[quick + 1 :]), abs=0.011)


def test_as_soon_as_the_line_gets_less_voice_pings_are_frequent_again():
    transmitter = SimpleNamespace(eager=False)
    vitals = vitals_with(transmitter)
    last = [number / 10 for number in range(100) if vitals.look(number / 10)][-1]
    assert not vitals.look(last + 2 * QUICK_PING_INTERVAL)
    transmitter.eager = True
    assert vitals.look(last + 2 * QUICK_PING_INTERVAL)


def test_a_round_trip_is_from_ping_to_pong_and_counts_once(vitals):
    data = ping(vitals, 0).data
    time.sleep(0.02)
    seconds = vitals.answered(Pong(data))
    assert seconds is not None
    assert 0.02 <= seconds < PATIENCE
    assert vitals.answered(Pong(data)) is None
    assert vitals.answered(Pong(bytes(8))) is None


def test_a_line_is_calm_once_a_round_trip_has_been_as_short_as_ever(vitals):
    assert not vitals.calm
    vitals.answered(Pong(ping(vitals, 0).data))
    assert vitals.calm


def test_a_line_on_which_a_ping_waits_is_not_calm_whatever_the_one_before_was(vitals):
    vitals.answered(Pong(ping(vitals, 0).data))
    late = ping(vitals, 10)
    wait_until(lambda: not vitals.calm)
    vitals.answered(Pong(late.data))
    assert not vitals.calm
    vitals.answered(Pong(ping(vitals, 20).data))
    assert vitals.calm


@pytest.mark.parametrize(("empty", "is_roomy"), [(0.001, False), (2 * CALM, True), (None, True)])
def test_a_line_is_roomy_if_an_empty_packet_takes_it_as_long(empty, is_roomy):
    vitals = vitals_with(SimpleNamespace(eager=False), empty)
    assert not vitals.roomy
    data = ping(vitals, 0).data
    time.sleep(2 * CALM)
    vitals.answered(Pong(data))
    assert vitals.calm
    assert vitals.roomy == is_roomy


def test_the_answer_to_the_newest_of_several_pings_answers_them_all(vitals):
    pings = [ping(vitals, number * 10) for number in range(3)]
    assert vitals.answered(Pong(pings[-1].data)) is not None
    assert vitals.answered(Pong(pings[0].data)) is None
    time.sleep(2 * CALM)
    assert vitals.calm


def test_a_peer_that_never_answers_costs_no_memory(vitals):
    pings = [ping(vitals, number * 10) for number in range(3 * MOST_PINGS)]
    assert vitals.answered(Pong(pings[0].data)) is None
    assert vitals.answered(Pong(pings[-1].data)) is not None
