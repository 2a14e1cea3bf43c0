"""Finds out whose queue delays voice where less cannot be sent. Pure: no socket, clock or thread.

On the lowest rung, `Trial` has nothing lower to send. So voice is held back for a moment, until all of it has
arrived. The next packet finds nothing of ours in the queue. If such packets are late nevertheless, the queue is
another program's, or the route is longer. Times are in seconds.
"""

from voicemux.sending.forth import Forth
from voicemux.sending.trial import STILL, WAITS, Finding, Found

# Seconds by which a packet is late that is surely behind another program's packets. On the slowest line that carries
# voice, of 17 kbit/s, it takes 0.06 s itself, and two acknowledgements in front of it 0.05 s.
SURELY = 0.15
STUCK = 1.5  # seconds of a long queue and dropped voice on the lowest rung, after which it is tested
ENOUGH = 3  # packets that must be late: one or two may have been lost and retransmitted
# Seconds, besides the queue, until a packet is reported: a round trip, and 0.1 s until ARRIVALS. If it takes longer,
# the reports are late, and holding voice back for them would cost too much.
REPORTED = 0.6
REMEMBERED = 60.0  # seconds for which the rung before a step down is remembered
LEAST_WAIT, MOST_WAIT = 4.0, 60.0  # seconds from one test to the next; each one doubles them


class Alone:
    """Call `look()` ten times a second. While `holds_back()` is true, no voice is sent."""

    def __init__(self, forth: Forth) -> None:
        self.is_cheap = True  # reports are not late, for which voice is held back
        self._forth = forth
        self._stuck_since: float | None = None
        self._began: float | None = None  # when the test began that runs
        self._queue = 0.0  # seconds of queue when it began
        self._next = 0.0
        self._wait = LEAST_WAIT
        self._lowered = 0, float("-inf")  # the rung before recent steps down, and when the last of them was

    def is_on(self, now: float) -> bool:
        """Whether a test runs, so that nothing should be sent but voice."""
        return self._began is not None and now - self._began <= ENOUGH * self._most

    def holds_back(self, now: float) -> bool:
        """Whether voice must wait until all that was sent has arrived."""
        return self._forth.is_under_way and self._began is not None and not self._is_overdue(now, self._began)

    def stepped_down(self, before: int, now: float) -> None:
        """A lower rung than `before` is sent now."""
        self._lowered = min(before, self.before(now, before)), now

    def before(self, now: float, at: int) -> int:
        """Return the rung before the steps down of the last REMEMBERED seconds; `at`, the present one, if there were
        none."""
        return self._lowered[0] if now - self._lowered[1] < REMEMBERED else at

    def look(self, now: float, queue: float, *, is_stuck: bool) -> Found | None:
        """Return what is found; None while that is not known, or if the queue is ours. `is_stuck`: voice is dropped
        on the lowest rung, and whose queue it is has not been found out."""
        if self._began is not None:
            return self._look_at_a_test(now, self._began)
        may_begin = is_stuck and self.is_cheap and self._forth.tells_times
        if not may_begin or queue < SURELY:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since >= STUCK and now >= self._next:
            self._began, self._queue = now, queue
        return None

    def _look_at_a_test(self, now: float, began: float) -> Found | None:
        late = self._forth.moments.alone_since(began)
        is_still = not late or (min(late) >= WAITS and max(late) - min(late) < STILL)
        may_be_theirs = not late or min(late) >= SURELY
        is_known = len(late) >= ENOUGH
        if is_known or self._is_overdue(now, began) or not (is_still or may_be_theirs):
            self._began = self._stuck_since = None
            self._next, self._wait = now + self._wait, min(MOST_WAIT, self._wait * 2)
        if is_known and (is_still or may_be_theirs):
            return Found(Finding.NO_QUEUE if is_still else Finding.THEIRS, min(late))
        return None

    @property
    def _most(self) -> float:
        """Seconds until a packet is reported, at most."""
        return self._queue + REPORTED

    def _is_overdue(self, now: float, began: float) -> bool:
        return not self.is_on(now) or now - max(began, self._forth.newest_at) > self._most
