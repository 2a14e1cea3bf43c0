from types import SimpleNamespace
from typing import cast

import pytest

from tests.peers import PATIENCE
from voicemux.calls.vitals import CALM, MOST_PINGS, Vitals
from voicemux.calls.voice import VoiceSender
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Pong
from voicemux.sending.schedule import SentCounts


class Clock:
    """Time, which passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def vitals_with(transmitter: SimpleNamespace, clock: Clock, empty: float | None = None) -> Vitals:
    """`empty` is the seconds that an empty packet takes, there and back."""
    stream = SimpleNamespace(bytes_written=0, bytes_read=0, timeout=PATIENCE, min_round_trip=lambda: empty)
    return Vitals(cast("Stream", stream), SentCounts(), cast("VoiceSender", transmitter), None, clock)


@pytest.fixture
def vitals(clock: Clock) -> Vitals:
    return vitals_with(SimpleNamespace(eager=False), clock)


def test_a_round_trip_is_from_ping_to_pong_and_counts_once(vitals, clock):
    data = vitals.ping().data
    clock.now += 0.02
    assert vitals.answered(Pong(data)) == pytest.approx(0.02)
    clock.now += 0.02
    assert vitals.answered(Pong(data)) is None
    assert vitals.answered(Pong(bytes(8))) is None


def test_a_line_is_calm_once_a_round_trip_has_been_as_short_as_ever(vitals):
    assert not vitals.calm
    vitals.answered(Pong(vitals.ping().data))
    assert vitals.calm


def test_a_line_on_which_a_ping_waits_is_not_calm_whatever_the_one_before_was(vitals, clock):
    vitals.answered(Pong(vitals.ping().data))
    late = vitals.ping()
    assert vitals.calm
    clock.now += 2 * CALM
    assert not vitals.calm
    vitals.answered(Pong(late.data))
    assert not vitals.calm
    vitals.answered(Pong(vitals.ping().data))
    assert vitals.calm


@pytest.mark.parametrize(("empty", "is_roomy"), [(0.001, False), (2 * CALM, True), (None, True)])
def test_a_line_is_roomy_if_an_empty_packet_takes_it_as_long(clock, empty, is_roomy):
    vitals = vitals_with(SimpleNamespace(eager=False), clock, empty)
    assert not vitals.roomy
    data = vitals.ping().data
    clock.now += 2 * CALM
    vitals.answered(Pong(data))
    assert vitals.calm
    assert vitals.roomy == is_roomy


def test_the_answer_to_the_newest_of_several_pings_answers_them_all(vitals, clock):
    pings = [vitals.ping() for _ in range(3)]
    assert vitals.answered(Pong(pings[-1].data)) is not None
    assert vitals.answered(Pong(pings[0].data)) is None
    clock.now += 2 * CALM
    assert vitals.calm


def test_a_peer_that_never_answers_costs_no_memory(vitals):
    pings = [vitals.ping() for _ in range(3 * MOST_PINGS)]
    assert vitals.answered(Pong(pings[0].data)) is None
    assert vitals.answered(Pong(pings[-1].data)) is not None
