"""Finds out which queue delays voice: ours, or another program's. Pure: no socket, clock or thread.

The length of a queue does not tell whose it is. An experiment does: send less, once, and look at the packets sent
after that. Our own queue drains by as much as we send less than the line takes. Another program's queue does not
drain.

    CLEAR ---- a queue ----> UNSURE --- voice does not get through, or waits for long ---> TESTING (send less)
      ^                        |                                                              |
      +------- it is gone -----+                                                              |
      +------- it is gone -------------- OURS <-------------- it drains ----------------------+
      +------- gone for 1 s ------------ THEIRS <------------ it does not drain --------------+
      +------- the route is longer <------------------------- it stands still ----------------+

A pause in our voice (DTX) is such a test, too: we send only marks, so our own queue has drained after SETTLING. A
queue that is left is another program's; a delay that stands still is a longer route. On the lowest rung, where less
cannot be sent, `Alone` finds it out.

Times are in seconds, rates in bits a second.
"""

from enum import Enum

from voicemux.sending.alone import Alone
from voicemux.sending.flow import BEHIND
from voicemux.sending.forth import Forth
from voicemux.sending.rungs import MODEST, Rungs
from voicemux.sending.trial import (
    ACKNOWLEDGEMENTS,
    MOMENT,
    SETTLING,
    WAITS,
    Finding,
    Found,
    Reach,
    Trial,
    found_in_a_pause,
)


class Whose(Enum):
    """What is known of the queue that delays our voice."""

    CLEAR = "clear"  # no queue
    UNSURE = "unsure"
    TESTING = "testing"
    OURS = "ours"
    THEIRS = "theirs"


SHARE = 0.8  # share of what the line takes that is used, so that a queue of ours drains within some seconds
# Share of what the line takes that is used in a test: together with acknowledgements, that drains at least 0.2 s of
# queue a second.
DEEP_SHARE = 0.65
STANDING_LONG = 1.0  # seconds for which a queue must stand, on a line that delivers all, before a test begins
LEVEL = 0.08  # seconds a second by which a queue may grow and still count as standing
RECENTLY = 1.0  # seconds after a dropped packet in which voice counts as lossy
# Seconds without a REPORT or ARRIVALS after which nothing is known: TCP's retransmissions take less.
FORGOTTEN = 10.0
GONE = 1.0  # seconds without a queue after which another program's is over: TCP pauses for less after a loss
# Seconds by which a queue must exceed its longest so far to be tested again, because it may be ours after all: a
# router's queue does not grow without limit.
GROWTH = 0.25
DELIVERED_SPAN = 1.5  # seconds over which the rate that the line takes is measured
LEAST_IMMUNITY, MOST_IMMUNITY = 4.0, 60.0  # seconds without another test after one that found another program's queue


class Blame:
    """Decides whose queue it is. Call `look()` ten times a second: it steps down, and takes back a step that did not
    help."""

    def __init__(self, forth: Forth) -> None:
        self.state = Whose.CLEAR
        self._forth = forth
        self.alone = Alone(forth)
        self.reach = Reach()
        self._trial: Trial | None = None
        self._before: int | None = None  # rung before the first step down
        self._standing_since: float | None = None
        self._calm_since: float | None = None
        self._longest = 0.0  # longest queue of another program, in seconds
        self._immune_until = float("-inf")
        self._immunity = LEAST_IMMUNITY
        self.much_at = float("-inf")  # when more than MODEST was last sent
        self._dropped = float("-inf")  # when voice was last dropped

    def dropped(self, now: float) -> None:
        """A packet of our voice was dropped before it was sent."""
        self._dropped = now

    def is_losing(self, now: float) -> bool:
        """Whether voice was dropped within the last RECENTLY seconds."""
        return now - self._dropped < RECENTLY

    @property
    def before(self) -> int | None:
        """The rung at which another program's queue appeared; None if none did. Voice need not stay below it."""
        return self._before

    def look(self, rungs: Rungs, now: float, rate: float | None) -> None:
        """Judge the queue at `now`. `rate` is what the line takes, in bits a second, if that is less than what is
        sent; otherwise None."""
        if rungs.rung.line_rate > MODEST:
            self.much_at = now
        queue = self._forth.queue(now)
        if queue is None:
            newest = self._forth.moments.newest
            if newest is None or now - newest.told > FORGOTTEN:
                self._become(Whose.CLEAR, now)
            if rate is not None:
                self._step_down(rungs, now, rate, None)
            return
        is_known = self.state in (Whose.THEIRS, Whose.TESTING)
        is_stuck = not is_known and rungs.at >= rungs.lowest and self.is_losing(now)
        if self.state is not Whose.THEIRS and (found := found_in_a_pause(self._forth)):
            self._before = rungs.at if self._before is None else self._before
            self._find_it_another(rungs, now, found)
        elif found := self.alone.look(now, queue, is_stuck=is_stuck):
            self._before = self.alone.before(now, rungs.at) if found.what is Finding.THEIRS else None
            self._find_it_another(rungs, now, found)
        match self.state:
            case Whose.THEIRS:
                self._look_at_theirs(rungs, now, queue)
            case Whose.TESTING:
                self._look_at_a_test(rungs, now, queue)
            case _:
                self._look_for_one(rungs, now, queue, rate)

    # --- no other program's queue, as far as is known

    def _look_for_one(self, rungs: Rungs, now: float, queue: float, rate: float | None) -> None:
        if queue < BEHIND:
            self._become(Whose.CLEAR, now)
            self._longest = 0.0
        elif self.state is Whose.CLEAR:
            self._become(Whose.UNSURE, now)
        if rate is not None:
            self._step_down(rungs, now, rate, queue)
        elif self._forth.paused_since is not None:
            self._standing_since = None  # a pause is a test by itself
        elif queue > self.reach.seconds(self._delivered(now)) and self.is_losing(now):
            self._begin_test(rungs, now, rungs.at, self._delivered(now), was_whole=False)
        elif self._stands_for_long(now, queue):
            delivered = self._delivered(now) or rungs.rung.line_rate
            before = rungs.at
            rungs.go(max(rungs.at, _below(rungs, delivered * DEEP_SHARE - ACKNOWLEDGEMENTS)), now)
            self._begin_test(rungs, now, before, delivered, was_whole=True)

    def stands(self, now: float) -> bool:
        """Whether all voice is delivered, and the queue does not grow."""
        slope = self._forth.moments.slope(now, MOMENT)
        return not self.is_losing(now) and slope is not None and slope < LEVEL

    def _stands_for_long(self, now: float, queue: float) -> bool:
        """Whether all voice has been delivered late for STANDING_LONG, while the queue did not grow."""
        if queue < WAITS or self.state is not Whose.UNSURE or not self.stands(now):
            self._standing_since = None
            return False
        self._standing_since = now if self._standing_since is None else self._standing_since
        return now - self._standing_since >= STANDING_LONG

    def _step_down(self, rungs: Rungs, now: float, rate: float, queue: float | None) -> None:
        if now - rungs.changed <= SETTLING:
            return
        before = rungs.at
        at = _below(rungs, rate * SHARE if queue is None else rate * DEEP_SHARE - ACKNOWLEDGEMENTS)
        if at > before:
            rungs.go(at, now)
            if queue is not None:
                # The longer ago, the more of it arrived before the line became slow.
                lately = (self._forth.delivered_rate(now, span) for span in (MOMENT, DELIVERED_SPAN))
                self._begin_test(rungs, now, before, min(rate, *(each or rate for each in lately)), was_whole=False)

    def _delivered(self, now: float) -> float:
        return self._forth.delivered_rate(now, DELIVERED_SPAN) or 0.0

    # --- a test: less is sent

    def _begin_test(self, rungs: Rungs, now: float, before: int, delivered: float, *, was_whole: bool) -> None:
        before = max(before, rungs.usual)
        self._before = before if self._before is None else min(before, self._before)
        self.alone.stepped_down(self._before, now)
        was_much, rate = now - self.much_at < DELIVERED_SPAN, rungs.rung.line_rate
        self._trial = Trial(self._forth, self.reach, now, rate, delivered, was_whole=was_whole, was_much=was_much)
        self._become(Whose.TESTING, now)

    @property
    def is_harmless(self) -> bool:
        """Whether voice may go on at full budget during a test."""
        return self._trial is not None and self._trial.is_harmless

    def _look_at_a_test(self, rungs: Rungs, now: float, queue: float) -> None:
        assert self._trial
        found = self._trial.look(now, queue)
        if found is None:
            return
        if found.what is Finding.OURS:
            self._find_it_ours(rungs, now, found.queue, self._trial.line_rate)
        else:
            self._find_it_another(rungs, now, found)

    def _find_it_another(self, rungs: Rungs, now: float, found: Found) -> None:
        """The delay is not caused by our own queue."""
        if found.what is Finding.THEIRS:
            self._find_it_theirs(rungs, now, found.queue)
        else:
            self._find_it_no_queue(rungs, now, found.queue)

    def _find_it_ours(self, rungs: Rungs, now: float, queue: float, line_rate: float) -> None:
        """The queue drains, so it was ours. Use SHARE of what the line took meanwhile."""
        at = rungs.fitting(line_rate * SHARE)
        self._become(Whose.CLEAR if queue < BEHIND else Whose.OURS, now)
        self._before = None
        if at < rungs.at:
            rungs.go(at, now)

    def _find_it_no_queue(self, rungs: Rungs, now: float, late: float) -> None:
        """The delay stands still, so the route is longer. A queue would move, above all our own when we send less."""
        self._forth.lateness.rise(late, now)
        self._forth.moments.forget()
        self._become(Whose.CLEAR, now)
        self._go_back(rungs, now)
        self._before = None

    def _go_back(self, rungs: Rungs, now: float) -> None:
        """Go back to the rung before the first step down."""
        if self._before is not None and self._before < rungs.at:
            rungs.go(self._before, now)

    def _find_it_theirs(self, rungs: Rungs, now: float, queue: float) -> None:
        """The queue is another program's. Sending less does not help."""
        self._become(Whose.THEIRS, now)
        self._longest = max(self._longest, queue)
        self._immune_until = now + self._immunity
        self._immunity = min(MOST_IMMUNITY, self._immunity * 2)
        self._go_back(rungs, now)

    # --- another program's queue

    def _look_at_theirs(self, rungs: Rungs, now: float, queue: float) -> None:
        if queue < BEHIND:
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since > GONE:
                self._become(Whose.CLEAR, now)
                self._before = None
            return
        self._calm_since = None
        slope = self._forth.moments.slope(now, MOMENT)
        # After a loss, all later packets are late, too: that is not growth.
        grows = slope is not None and slope > LEVEL
        if not grows or rungs.at >= rungs.lowest:
            return
        if now <= self._immune_until:
            self._longest = max(self._longest, queue)
        elif queue > self._longest + GROWTH:
            delivered = self._delivered(now) or rungs.rung.line_rate
            before = rungs.at
            rungs.go(_below(rungs, delivered * DEEP_SHARE - ACKNOWLEDGEMENTS), now)
            self._begin_test(rungs, now, before, delivered, was_whole=False)

    def _become(self, state: Whose, now: float) -> None:
        if state is not self.state:
            self.state = state
            self._standing_since = self._calm_since = None
        self._forth.lateness.keeps_longer = state is Whose.THEIRS
        if state is not Whose.TESTING:
            self._trial = None


def _below(rungs: Rungs, rate: float) -> int:
    return min(rungs.lowest, max(rungs.at + 1, rungs.fitting(rate)))
