import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.playhead import Playhead

MS = RATE // 1000  # frames


class Card:
    """One that takes a block at a time, at a rate that is a little wrong, and nothing while it is paused."""

    def __init__(self, ppm: float = 0.0, period: int = BLOCK_SAMPLES) -> None:
        self.head = Playhead(RATE, period)
        self.period = period
        self.rate = RATE * (1 + ppm * 1e-6)
        self.now = 1000.0
        self.taken = self.written = 0
        self.paused = 0.0
        self._began = self.now

    def write(self, frames: int) -> None:
        self.written += frames
        self.head.wrote(frames)

    def look(self, after: float) -> float:
        """Seconds later, look. How wrong the playhead is then, in milliseconds."""
        self.now += after
        due = int((self.now - self._began - self.paused) * self.rate / self.period) * self.period
        self.taken = min(self.written, due)
        self.head.saw(self.written - self.taken, self.now)
        true = self.written - (self.now - self._began - self.paused) * self.rate
        return (self.head.left(self.now) - true) / MS


@given(
    st.floats(-200, 200),
    st.lists(st.floats(0.0004, 0.015), min_size=100, max_size=300),
    st.sampled_from([BLOCK_SAMPLES, 2 * BLOCK_SAMPLES]),
)
def test_it_is_never_further_off_than_a_period_and_soon_much_nearer(
    ppm: float, pauses: list[float], period: int
) -> None:
    card = Card(ppm, period)
    card.write(RATE * 10)
    errors = [card.look(pause) for pause in pauses]
    assert all(-0.1 <= error <= period / MS + 0.1 for error in errors)
    # What is left is known from the corners of the steps, one of which has been seen from near enough.
    nearest = min((sum(pauses[: i + 1]) * card.rate) % period for i in range(len(pauses))) / MS
    assert errors[-1] <= nearest + 1.0 * sum(pauses) + 0.1


def test_between_two_looks_the_clock_tells() -> None:
    card = Card()
    card.write(960)
    assert card.look(0.0) == pytest.approx(0.0, abs=0.01)
    assert card.head.left(card.now + 0.003) == pytest.approx(960 - 3 * MS)
    assert card.head.left(card.now + 0.021) == pytest.approx(-MS)
    card.head.wrote(480)
    assert card.head.left(card.now + 0.021) == pytest.approx(9 * MS)


def test_a_card_that_has_paused_holds_what_it_has_told() -> None:
    card = Card()
    card.write(RATE)
    for _ in range(40):
        card.look(0.0051)
    card.paused += 0.3
    card.now += 0.3
    for _ in range(40):
        error = card.look(0.0051)
    assert error == pytest.approx(0.0, abs=0.6)


def test_a_card_that_took_more_than_it_should_have_is_believed() -> None:
    head = Playhead(RATE, BLOCK_SAMPLES)
    head.wrote(2400)
    head.saw(2400, 1.0)
    head.saw(0, 1.001)  # a server that slept catches up
    assert head.left(1.001) == pytest.approx(0)
    assert Playhead(RATE, BLOCK_SAMPLES).left(5.0) == 0
