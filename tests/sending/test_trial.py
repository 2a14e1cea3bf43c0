"""How long a queue of our own can be. `test_blame` has whose it is."""

import pytest

from voicemux.sending.trial import EXCUSED_SLOTS, LEAST_RATE, SURELY_NOT_OURS, Reach


def test_a_queue_of_ours_is_short_as_long_as_nothing_excuses_voice_in_flight() -> None:
    reach = Reach()
    for look in range(100):
        reach.excuse(0.0, look / 10)
    assert reach.seconds(20_000) == SURELY_NOT_OURS


@pytest.mark.parametrize("rate", [40_000, LEAST_RATE])
def test_what_was_excused_may_all_have_become_a_queue_of_ours(rate: float) -> None:
    reach = Reach()
    for look, bits in enumerate((0, 20_000, 60_000, 10_000)):
        reach.excuse(bits, look / 10)
    assert reach.seconds(rate) == SURELY_NOT_OURS + 60_000 / rate


def test_a_line_that_seems_to_carry_nothing_carries_the_least_voice_at_least() -> None:
    reach = Reach()
    reach.excuse(LEAST_RATE, 0.0)
    assert reach.seconds(0.0) == SURELY_NOT_OURS + 1.0


def test_it_is_forgotten_when_the_last_report_of_such_a_queue_has_come() -> None:
    reach = Reach()
    reach.excuse(60_000, 0.0)
    for look in range(1, 10 * EXCUSED_SLOTS):
        reach.excuse(0.0, look / 10)
    assert reach.seconds(30_000) == SURELY_NOT_OURS + 2.0
    reach.excuse(0.0, float(EXCUSED_SLOTS))
    assert reach.seconds(30_000) == SURELY_NOT_OURS
