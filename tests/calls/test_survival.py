"""Whether a call outlives its line. No clock: time is a number."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicemux.calls.survival import (
    BURST,
    BURST_SECONDS,
    CHANCE,
    DELAYS,
    MINUTE,
    SPARES,
    STALL,
    SUSPICION,
    UNREACHABLE_DELAY,
    LineState,
    News,
    Survival,
    Turn,
)

GRACE = 60.0
LOOK = 0.1  # seconds between two looks


class Line:
    """A survival, and the clock that looks at it."""

    def __init__(self, grace: float = GRACE) -> None:
        self.now = 1000.0
        self.bytes: int | None = 0
        self.survival = Survival(grace, self.now, chance=lambda: 0.5)
        self.told: list[News] = []

    def tell(self, *news: News | None) -> None:
        self.told += [each for each in news if each]

    def wait(self, seconds: float, *, bytes_come: bool = False, has_changed: bool = False) -> None:
        until = self.now + seconds
        while self.now < until - 1e-6:
            self.now += LOOK
            if bytes_come and self.bytes is not None:
                self.bytes += 1
            self.tell(self.survival.look(self.now, self.bytes, has_changed=has_changed))
            has_changed = False

    @property
    def turns(self) -> list[Turn]:
        return [each.turn for each in self.told]


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_line_that_is_well_may_be_left_for_a_better_one_and_nobody_is_told_of_a_loss(line):
    line.wait(1, bytes_come=True)
    assert line.survival.commit(line.now) == (False, None)
    assert line.survival.commit(line.now, moves=True) == (True, None)
    line.bytes = None
    line.wait(0.3)
    line.tell(*line.survival.resumed(line.now))
    assert line.turns == [Turn.MOVED]
    assert (line.survival.state, line.survival.interruptions) == (LineState.UP, 0)


def test_a_listener_that_is_left_for_a_better_line_is_told_the_same(line):
    line.wait(1, bytes_come=True)
    line.tell(*line.survival.resumed(line.now, moves=True))
    assert line.turns == [Turn.MOVED]


def test_a_better_line_that_does_not_answer_is_a_loss_like_any_other(line):
    line.survival.commit(line.now, moves=True)
    line.bytes = None
    line.wait(2)
    assert line.turns == [Turn.INTERRUPTED]
    assert line.survival.dial_in(line.now) == 0.0
    line.tell(*line.survival.resumed(line.now))
    assert line.turns == [Turn.INTERRUPTED, Turn.RESUMED]


def test_a_line_that_was_suspect_is_back_by_a_better_one(line):
    line.wait(SUSPICION + 1)
    line.tell(*line.survival.resumed(line.now, moves=True))
    assert line.turns == [Turn.INTERRUPTED, Turn.RESUMED]


def test_a_line_that_brings_bytes_is_up_for_ever(line):
    line.wait(100, bytes_come=True)
    assert (line.survival.state, line.told) == (LineState.UP, [])
    assert line.survival.dial_in(line.now) is None


def test_a_silent_line_is_suspect_and_a_byte_of_it_brings_it_back(line):
    line.wait(1, bytes_come=True)
    line.wait(SUSPICION - 0.3)
    assert line.survival.state is LineState.UP
    line.wait(1)
    assert line.survival.state is LineState.SUSPECT
    assert line.survival.dial_in(line.now) == 0
    line.wait(2)
    line.wait(LOOK, bytes_come=True)
    assert line.survival.state is LineState.UP
    assert line.turns == [Turn.INTERRUPTED, Turn.RESUMED]
    assert [each.seconds for each in line.told] == pytest.approx([SUSPICION, SUSPICION + 2.8], abs=0.2)
    assert line.survival.commit(line.now) == (False, None)


def test_a_line_that_breaks_is_dialled_at_once_and_then_ever_more_seldom(line):
    line.wait(1, bytes_come=True)
    line.tell(line.survival.broke(line.now))
    line.bytes = None
    waits = []
    for _ in range(8):
        waits.append(line.survival.dial_in(line.now))
        line.wait(waits[-1])
        line.survival.dials(line.now)
        line.survival.dial_failed(line.now)
    usual = [*DELAYS, DELAYS[-1], DELAYS[-1]]
    assert waits == pytest.approx([each + (CHANCE / 2 if i > 1 else 0) for i, each in enumerate(usual)], abs=LOOK)
    assert line.turns == [Turn.INTERRUPTED]


def test_where_there_is_no_way_the_next_dial_is_soon_and_a_new_address_makes_it_at_once(line):
    line.tell(line.survival.broke(line.now))
    line.bytes = None
    line.survival.dial_failed(line.now, unreachable=True)
    assert line.survival.dial_in(line.now) == UNREACHABLE_DELAY
    for _ in range(4):
        line.survival.dial_failed(line.now)
    assert line.survival.dial_in(line.now) > 4
    line.wait(LOOK, has_changed=True)
    assert line.survival.dial_in(line.now) == 0


def test_a_call_is_over_after_the_grace(line):
    line.wait(1, bytes_come=True)
    line.tell(line.survival.broke(line.now))
    line.bytes = None
    line.wait(GRACE - 0.5)
    assert line.survival.may_survive
    line.wait(1.5)
    assert line.turns == [Turn.INTERRUPTED, Turn.OVER]
    assert not line.survival.may_survive
    assert line.survival.dial_in(line.now) is None


def test_a_new_connection_takes_over_and_counts_once(line):
    line.wait(1, bytes_come=True)
    line.tell(line.survival.broke(line.now))
    line.bytes = None
    line.wait(2)
    assert line.survival.commit(line.now) == (True, None)
    line.tell(*line.survival.resumed(line.now))
    assert line.turns == [Turn.INTERRUPTED, Turn.RESUMED]
    assert line.survival.interruptions == 1
    line.bytes = 0
    line.wait(SUSPICION - 0.5)
    assert line.survival.state is LineState.UP


def test_a_line_that_is_replaced_while_it_was_up_is_told_as_an_interruption(line):
    line.wait(1, bytes_come=True)
    line.tell(*line.survival.resumed(line.now))
    assert line.turns == [Turn.INTERRUPTED, Turn.RESUMED]


def test_a_new_address_makes_the_line_suspect_and_is_not_told_if_the_line_is_there(line):
    line.wait(1, bytes_come=True)
    line.wait(LOOK, has_changed=True)
    assert line.survival.state is LineState.SUSPECT
    assert line.survival.dial_in(line.now) == 0
    line.wait(0.5, bytes_come=True)
    assert (line.survival.state, line.told) == (LineState.UP, [])


def test_time_in_which_the_program_was_stopped_does_not_count(line):
    line.wait(1, bytes_come=True)
    line.tell(line.survival.broke(line.now))
    line.bytes = None
    line.now += 10 * GRACE
    line.wait(GRACE - 1)
    assert Turn.OVER not in line.turns
    line.wait(3)
    assert Turn.OVER in line.turns


def test_after_a_long_stop_the_line_is_suspect_at_once(line):
    line.wait(1, bytes_come=True)
    line.now += 30
    line.wait(LOOK)
    assert line.survival.state is LineState.SUSPECT
    assert line.told == []


def test_spare_dials_are_bounded(line):
    dials = 0
    for _ in range(20):
        line.wait(SUSPICION + 0.5)
        if line.survival.dial_in(line.now) == 0:
            line.survival.dials(line.now)
            dials += 1
        line.wait(LOOK, bytes_come=True)
    assert dials <= SPARES * (20 * (SUSPICION + 0.6) / MINUTE + 1)


def test_resumes_are_bounded(line):
    for _ in range(BURST):
        line.tell(line.survival.broke(line.now))
        line.tell(*line.survival.resumed(line.now))
    line.tell(line.survival.broke(line.now))
    assert line.survival.dial_in(line.now) == pytest.approx(BURST_SECONDS)


def test_without_a_grace_nothing_is_suspected():
    line = Line(0)
    line.wait(100)
    assert (line.survival.state, line.told) == (LineState.UP, [])
    assert not line.survival.may_survive


class Surviving(RuleBasedStateMachine):
    """Whatever happens to the line, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.survival = self.line.survival
        self.heard_at = self.line.now  # a byte, or a stop of the program, moves it
        self.is_ended = False

    @rule(seconds=st.floats(0.1, 10), bytes_come=st.booleans(), has_changed=st.booleans())
    def wait(self, seconds: float, bytes_come: bool, has_changed: bool) -> None:
        self.line.wait(seconds, bytes_come=bytes_come, has_changed=has_changed)
        if bytes_come and self.line.bytes is not None:
            self.heard_at = self.line.now

    @rule(seconds=st.floats(STALL + 0.2, 100))
    def stop(self, seconds: float) -> None:
        self.line.now += seconds
        self.heard_at += seconds
        self.line.wait(LOOK)
        self.heard_at += LOOK

    @rule()
    def break_off(self) -> None:
        self.line.tell(self.survival.broke(self.line.now))
        self.line.bytes = None

    @precondition(lambda self: self.survival.dial_in(self.line.now) is not None)
    @rule(outcome=st.sampled_from(["unreachable", "refused", "commits", "resumes", "resumes"]))
    def dial(self, outcome: str) -> None:
        left = self.survival.dial_in(self.line.now)
        assert left is not None
        assert left >= 0
        if left:
            return
        self.survival.dials(self.line.now)
        if outcome in ("unreachable", "refused"):
            self.survival.dial_failed(self.line.now, unreachable=outcome == "unreachable")
            return
        may_go, news = self.survival.commit(self.line.now)
        assert may_go
        self.line.tell(news)
        self.line.bytes = None
        if outcome == "resumes":
            self.take_over()
        else:
            self.survival.dial_failed(self.line.now)

    @precondition(lambda self: self.survival.may_survive)
    @rule()
    def take_over(self) -> None:
        """A listener's: in any state."""
        self.line.tell(*self.survival.resumed(self.line.now))
        self.line.bytes = 0
        self.heard_at = self.line.now
        assert self.survival.state is LineState.UP

    @rule(roll=st.integers(0, 30))
    def end(self, roll: int) -> None:
        if roll == 0:
            self.survival.end()
            self.is_ended = True

    @invariant()
    def interruptions_and_returns_take_turns(self) -> None:
        turns = [turn for turn in self.line.turns if turn is not Turn.OVER]
        assert turns == [Turn.INTERRUPTED, Turn.RESUMED] * (len(turns) // 2) + [Turn.INTERRUPTED] * (len(turns) % 2)
        assert self.survival.interruptions == turns.count(Turn.INTERRUPTED)
        assert self.line.turns.count(Turn.OVER) <= 1

    @invariant()
    def no_call_is_down_for_ever(self) -> None:
        if self.survival.state is LineState.DOWN:
            assert self.line.now <= self.heard_at + GRACE + 2

    @invariant()
    def nothing_is_dialled_when_it_is_up_or_over(self) -> None:
        wanted = self.survival.state in (LineState.SUSPECT, LineState.DOWN)
        assert (self.survival.dial_in(self.line.now) is not None) == wanted

    @invariant()
    def no_wait_for_a_dial_is_longer_than_a_minute(self) -> None:
        assert (self.survival.dial_in(self.line.now) or 0) <= MINUTE

    @invariant()
    def what_has_ended_stays_so(self) -> None:
        assert not self.is_ended or self.survival.state is LineState.OVER


TestSurviving = Surviving.TestCase
TestSurviving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
