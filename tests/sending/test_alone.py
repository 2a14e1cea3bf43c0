"""Whose queue it is where less cannot be sent, told from packets that find nothing of ours on the line."""

from collections.abc import Callable

import pytest

from voicemux.protocol.messages import Arrivals, Audio, Codec
from voicemux.sending.alone import ENOUGH, LEAST_WAIT, REPORTED, STUCK, Alone
from voicemux.sending.forth import Forth
from voicemux.sending.trial import Finding, Found

STEP = 0.06  # seconds: a packet of the lowest rung
ROUND_TRIP = 0.05


class Line:
    """Packets go one by one through a queue that holds some of ours, and another program's."""

    def __init__(self, theirs: Callable[[float], float], takes: float = 0.1, *, says_arrivals: bool = True) -> None:
        """`theirs` is another program's queue in seconds; `takes` is how long one packet of ours takes."""
        self.forth = Forth()
        self.alone = Alone(self.forth)
        self.now = 0.0
        self.found: list[tuple[float, Found]] = []
        self.held: list[float] = []  # when voice was held back
        self.answers = True
        self._theirs, self._takes, self._says_arrivals = theirs, takes, says_arrivals
        self._free = 0.0  # when the line has sent all of ours
        self._number = 0
        self._arriving: list[tuple[float, int, int]] = []  # when a report comes, of which packet, its transit in ms

    def go_on(self, seconds: float, *, is_stuck: bool = True) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            while self.answers and self._arriving and self._arriving[0][0] <= self.now:
                at, number, transit = self._arriving.pop(0)
                if self._says_arrivals:
                    self.forth.told(Arrivals(0, number, transit % 2**16, transit % 2**16), at)
                else:
                    self.forth.reported(number, 0.0, at)
            queue = self.forth.queue(self.now)
            if queue is not None and (found := self.alone.look(self.now, queue, is_stuck=is_stuck)):
                self.found.append((self.now, found))
            if self.alone.holds_back(self.now):
                self.held.append(self.now)
            elif len(self._arriving) < 3:  # more would be too late
                self._send()

    def _send(self) -> None:
        self._number += 1
        stamp = round(self.now * 48_000)
        self.forth.wrote(Audio(Codec.OPUS, 0, self._number, stamp, b"x"), 80, self.now)
        self._free = max(self._free, self.now) + (self._takes if self.now > 2 else 0.001)
        arrives = max(self._free, self.now + self._theirs(self.now))
        self._arriving.append((arrives + ROUND_TRIP, self._number, round((arrives - self.now) * 1000)))


def swaying(queue: float) -> Callable[[float], float]:
    """Another program's queue, from 2 s on."""
    return lambda now: queue + 0.02 * (int(now / STEP) % 5) if now > 2 else 0.0


def test_where_packets_that_go_alone_are_late_the_queue_is_another_programs() -> None:
    line = Line(swaying(0.3), takes=0.001)
    line.go_on(12)
    assert [found.what for _, found in line.found][:1] == [Finding.THEIRS]
    assert line.found[0][0] < 2 + 0.5 + STUCK + ENOUGH * (0.4 + 0.2)


def test_where_they_are_late_by_the_same_time_the_route_is_longer() -> None:
    line = Line(lambda now: 0.22 if now > 2 else 0.0, takes=0.001)
    line.go_on(12)
    assert line.found[0][1].what is Finding.NO_QUEUE
    assert line.found[0][1].queue == pytest.approx(0.22, abs=0.01)


def test_our_own_queue_has_drained_before_the_first_of_them_and_the_next_test_comes_later() -> None:
    line = Line(lambda _: 0.0, takes=0.09)
    line.go_on(14)
    assert line.found == []
    spells = [later for sooner, later in zip([0.0, *line.held], line.held, strict=False) if later - sooner > 1]
    assert len(spells) >= 2
    assert spells[1] - spells[0] >= LEAST_WAIT
    assert len(line.held) * STEP < 0.1 * line.now, "so it costs little"


def test_voice_that_is_not_dropped_is_not_held_back() -> None:
    line = Line(swaying(0.3), takes=0.001)
    line.go_on(12, is_stuck=False)
    assert (line.found, line.held) == ([], [])


def test_a_peer_that_tells_no_times_is_not_tested() -> None:
    line = Line(swaying(0.3), takes=0.001, says_arrivals=False)
    line.go_on(12)
    assert (line.found, line.held) == ([], [])


def test_voice_is_not_held_back_for_reports_that_do_not_come() -> None:
    line = Line(swaying(0.3), takes=0.001)
    line.go_on(2 + STUCK)
    while not line.held:
        line.go_on(STEP)
    began = line.now
    line.answers = False
    line.go_on(5)
    assert line.held[-1] - began < ENOUGH * (0.5 + REPORTED)
    assert not line.alone.is_on(line.now), "so text may go, too"


def test_the_rung_before_steps_down_is_remembered_for_a_minute() -> None:
    alone = Alone(Forth())
    assert alone.before(0.0, 7) == 7
    alone.stepped_down(3, 1.0)
    alone.stepped_down(5, 30.0)
    assert alone.before(40.0, 7) == 3
    assert alone.before(100.0, 7) == 7
