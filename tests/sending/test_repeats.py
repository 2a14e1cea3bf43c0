"""Whether TCP has to retransmit voice so often that longer packets are worth it."""

from voicemux.sending.repeats import NO_MORE, OFTEN, Repeats

ROUND_TRIP = 0.3


def stopped(*times: float, round_trip: float = ROUND_TRIP, spread: float = ROUND_TRIP) -> Repeats:
    repeats = Repeats()
    for time in times:
        for more in (0.0, 0.1, 0.2):  # the packets behind a loss are told of in more than one ARRIVALS
            repeats.saw(spread - more, round_trip, time + more)
    return repeats


def test_one_loss_is_not_often_nor_are_two_far_apart() -> None:
    assert not stopped(5.0).are_frequent(5.5)
    assert not stopped(5.0, 5.0 + OFTEN + 1).are_frequent(6.0 + OFTEN)


def test_two_within_seconds_are_until_none_have_come_for_long() -> None:
    repeats = stopped(5.0, 9.0)
    assert repeats.are_frequent(9.5)
    repeats.saw(ROUND_TRIP, ROUND_TRIP, 30.0)
    assert repeats.are_frequent(30.0 + NO_MORE - 1)
    assert not repeats.are_frequent(30.0 + NO_MORE + 1)


def test_where_the_round_trip_is_short_or_packets_are_only_a_little_late_nothing_is_often() -> None:
    assert not stopped(5.0, 6.0, 7.0, round_trip=0.1).are_frequent(7.5)
    assert not stopped(5.0, 6.0, 7.0, spread=ROUND_TRIP / 2).are_frequent(7.5)
