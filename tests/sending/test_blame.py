"""Whose queue it is, told from what is sent after a step down."""

from collections.abc import Callable

import pytest

from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.protocol.messages import Arrivals, Audio, Codec
from voicemux.sending.blame import FORGOTTEN, Blame, Whose
from voicemux.sending.forth import Forth
from voicemux.sending.trial import ACKNOWLEDGEMENTS, SETTLING, SURELY_NOT_OURS

TOP = Rung(20, 32_000)
LOOK = 0.1  # seconds


class Line:
    """What is sent goes through a queue, of ours or of somebody else's, and is told of at once."""

    def __init__(self, rate: float = 1e9) -> None:
        self.ladder = Ladder(TOP)
        self.ladder.go(0, -10.0)
        self.forth = Forth()
        self.blame = Blame(self.forth)
        self.now = 0.0
        self.rate = rate  # bits a second that the line takes
        self.queue = 0.0  # seconds, of ours
        self.theirs: Callable[[float], float] = lambda now: 0.0
        self.states: list[Whose] = []
        self.is_paused = False
        self._number = 0

    def go_on(self, seconds: float, slow: float | None = None) -> None:
        """`slow` is what the line is said to take."""
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            sent = 0.0 if self.is_paused else self.ladder.rung.line_rate
            self.queue = max(0.0, self.queue + LOOK * ((sent + ACKNOWLEDGEMENTS / 2) / self.rate - 1))
            late = self.queue + self.theirs(self.now)
            self._number += 1
            stamp = round(self.now * 48_000)
            audio = Audio(Codec.OPUS, 0, self._number, stamp, b"" if self.is_paused else b"x")
            self.forth.wrote(audio, round(sent * LOOK / 8) - 52, self.now)
            transit = round(late * 1000) % 2**16
            self.forth.told(Arrivals(0, self._number, transit, transit), self.now + 0.02)
            self.blame.look(self.ladder, self.now + 0.02, slow)
            self.states.append(self.blame.state)


def test_where_there_is_no_queue_nothing_is_anybodys_fault() -> None:
    line = Line()
    line.go_on(10)
    assert set(line.states) == {Whose.CLEAR}
    assert line.ladder.rung == TOP


def test_a_queue_that_drains_when_less_is_sent_is_ours_and_most_of_what_the_line_takes_is_used() -> None:
    line = Line()
    line.go_on(3)
    line.rate = 40_000
    line.go_on(0.4)
    line.go_on(0.1, slow=40_000)
    assert line.states[-1] is Whose.TESTING
    assert line.ladder.rung.line_rate < 20_000
    line.go_on(5)
    assert Whose.THEIRS not in line.states
    assert line.states[-1] is Whose.CLEAR
    assert 20_000 < line.ladder.rung.line_rate < 40_000


@pytest.mark.parametrize("sway", [0.05, 0.2])
def test_a_queue_that_stays_is_theirs_and_what_was_sent_before_is_sent_again(sway: float) -> None:
    line = Line()
    line.go_on(3)
    line.theirs = lambda now: 0.5 + sway * (round(now * 10) % 5) / 4
    line.go_on(0.5)
    line.go_on(0.1, slow=50_000)
    assert line.states[-1] is Whose.TESTING
    line.go_on(SETTLING + 1.5)
    assert line.states[-1] is Whose.THEIRS
    assert line.ladder.rung == TOP
    line.go_on(20, slow=30_000)
    assert line.ladder.rung == TOP, "nothing is gained by sending less"
    line.theirs = lambda now: 0.0
    line.go_on(2)
    assert line.states[-1] is Whose.CLEAR


def test_a_queue_that_never_moves_is_none_but_a_longer_route() -> None:
    line = Line()
    line.go_on(3)
    line.theirs = lambda now: 0.15
    line.go_on(0.5)
    line.go_on(0.1, slow=50_000)
    line.go_on(SETTLING + 1)
    assert line.states[-1] is Whose.CLEAR
    assert line.ladder.rung == TOP
    assert line.forth.lateness.risen == pytest.approx(0.15, abs=0.002)


def test_a_queue_that_stands_though_all_gets_through_is_looked_into() -> None:
    line = Line()
    line.go_on(3)
    line.theirs = lambda now: 0.2 + 0.015 * (round(now * 10) % 3)
    line.go_on(6)
    assert Whose.TESTING in line.states
    assert line.states[-1] is Whose.THEIRS
    assert line.ladder.rung == TOP


def test_what_is_theirs_and_grows_beyond_all_measure_is_doubted() -> None:
    line = Line()
    line.go_on(3)
    line.theirs = lambda now: 0.5 + 0.03 * (round(now * 10) % 3)
    line.go_on(0.5)
    line.go_on(0.1, slow=50_000)
    line.go_on(8)
    assert line.states[-1] is Whose.THEIRS
    line.states.clear()
    line.rate = 30_000  # and it is slow, too
    rates = []
    for _ in range(100):
        line.go_on(LOOK)
        rates.append(line.ladder.rung.line_rate)
    assert Whose.TESTING in line.states
    assert min(rates) < 30_000


def test_voice_that_is_dropped_beside_a_queue_that_cannot_be_ours_needs_no_step_to_be_tested() -> None:
    line = Line()
    line.ladder.go(line.ladder.lowest, -10.0)
    line.go_on(3)
    line.theirs = lambda now: SURELY_NOT_OURS + 0.1 + 0.03 * (round(now * 10) % 3)
    line.go_on(0.6)
    line.blame.dropped(line.now)
    line.go_on(SETTLING + 1.5)
    assert line.states[-1] is Whose.THEIRS


def test_a_long_queue_may_be_ours_if_the_way_back_has_excused_voice_in_flight() -> None:
    line = Line()
    line.ladder.go(line.ladder.lowest, -10.0)
    line.go_on(3)
    line.theirs = lambda now: 1.0 + 0.03 * (round(now * 10) % 3)
    line.blame.reach.excuse(TOP.line_rate * 0.6, line.now)
    line.go_on(0.6)
    line.blame.dropped(line.now)
    line.go_on(SETTLING + 1.5)
    assert Whose.THEIRS not in line.states


def test_a_peer_that_says_nothing_is_stepped_down_for_at_most_once_a_second_or_so() -> None:
    ladder, blame = Ladder(TOP), Blame(Forth())
    ladder.go(0, -10.0)
    where = []
    for look in range(50):
        blame.look(ladder, look * LOOK, 60_000 if look < 25 else None)
        where.append(ladder.at)
    assert len(set(where)) <= 2.5 / SETTLING + 2
    assert blame.state is Whose.CLEAR


def test_one_that_says_nothing_any_more_is_judged_by_nothing() -> None:
    line = Line()
    line.go_on(3)
    line.theirs = lambda now: 0.5 + 0.03 * (round(now * 10) % 3)
    line.go_on(0.5)
    line.go_on(3, slow=50_000)
    assert line.states[-1] is Whose.THEIRS
    line.blame.look(line.ladder, line.now + FORGOTTEN + 1, None)
    assert line.blame.state is Whose.CLEAR


@pytest.mark.parametrize("sway", [0.05, 0.2])
def test_what_stays_while_we_pause_is_theirs_and_less_need_not_be_sent_to_find_that_out(sway: float) -> None:
    line = Line()
    line.go_on(3)
    line.is_paused = True
    line.theirs = lambda now: 0.3 + sway * (round(now * 10) % 5) / 4
    line.go_on(SETTLING + 0.5)
    line.is_paused = False
    line.go_on(1)
    assert line.states[-1] is Whose.THEIRS
    assert Whose.TESTING not in line.states
    assert line.ladder.rung == TOP


def test_what_drains_while_we_pause_is_not_theirs_and_a_longer_route_is_no_queue() -> None:
    line = Line(rate=60_000)
    line.go_on(1)
    line.is_paused = True
    line.go_on(4)
    assert Whose.THEIRS not in line.states
    assert line.states[-1] is Whose.CLEAR
    line.theirs = lambda now: 0.15
    line.go_on(SETTLING + 1)
    assert line.states[-1] is Whose.CLEAR
    assert line.forth.lateness.risen == pytest.approx(0.15, abs=0.002)
