import pytest

from voicemux.audio.echo.trust import LEAST_LEFT, FilterTrust
from voicemux.audio.resample import FULL_SCALE

BANDS = 40.0  # in which the echo is heard
LOUD = 480 * 10 ** (-30 / 10) * FULL_SCALE**2  # energy of a block


def judged(made: FilterTrust, blocks: int, left: float, likeness: float = 0.0) -> FilterTrust:
    """`left` is the energy of what is left, against that of the estimate."""
    for _ in range(blocks):
        made.compare(likeness * BANDS, BANDS)
        made.judge(LOUD, left * LOUD)
    return made


def test_at_first_nothing_is_subtracted() -> None:
    assert FilterTrust().share == 0
    assert judged(FilterTrust(), 300, left=1.0).share == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("left", "share"), [(0.01, 1 - LEAST_LEFT), (0.25, 0.5), (1.0, 0.0)])
def test_the_better_the_estimate_the_more_of_it_is_subtracted(left: float, share: float) -> None:
    """A room that is as loud all the time is no echo."""
    made = FilterTrust()
    for _ in range(10):
        made.judge(0, 1e-4 * LOUD)
    assert judged(made, 50, left).share == pytest.approx(share, abs=0.03)


def test_it_comes_gradually() -> None:
    made, before = judged(FilterTrust(), 10, left=0.001), 0.0
    for _ in range(40):
        share = judged(made, 1, left=0.001).share
        assert share - before <= 0.25
        before = share


def test_a_near_voice_of_three_seconds_takes_little_of_it() -> None:
    made = judged(FilterTrust(), 100, left=0.001)
    assert judged(made, 300, left=30.0).share > 0.6


def test_an_estimate_of_an_echo_that_is_not_there_is_given_up_at_once_and_lost_after_half_a_second() -> None:
    made = judged(FilterTrust(), 100, left=0.001)
    assert judged(made, 10, left=2.0, likeness=-1.0).share == 0
    assert not made.is_lost
    assert judged(made, 40, left=2.0, likeness=-1.0).is_lost


def test_one_moment_of_harm_is_forgiven() -> None:
    made = judged(FilterTrust(), 100, left=0.001)
    judged(made, 1, left=2.0, likeness=-3.0)
    assert made.share == 0
    assert judged(made, 60, left=2.0).share == pytest.approx(1 - LEAST_LEFT, abs=0.1)
