"""Whether a call outlives its line: what is known of the line, when it is dialled again, and when it is given up.

Pure: no socket, thread or clock. `now` is an argument, in seconds on a clock that never goes back; so is chance.

A line is up until it brings nothing for some seconds (suspect) or breaks (down). A byte of a suspect line brings it
up again. The dialler dials meanwhile, at the delays of LiveKit's clients (`DefaultReconnectPolicy.ts`). A connection
that is dialled beside a suspect line takes over at `commit`: from then on the old one brings nothing any more.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

SUSPICION = 4.0  # seconds without a byte: PINGs come every 2 (protocol.md §9)
TOLD_AFTER = 1.0  # seconds of doubt without a byte after which the user is told: most doubts end sooner
MARGIN = 0.5  # seconds for which a call is kept beyond its grace: a last byte may have come since the last look
STALL = 1.0  # seconds between two looks after which this program itself was stopped, and knows nothing of the peer
LONG_STALL = 2.0  # seconds after which the line may have changed meanwhile
DELAYS = (0.0, 0.3, 1.2, 2.7, 4.8, 7.0)  # seconds before each dial, after the one before has failed; then the last
CHANCE = 1.0  # seconds at most that are added to all delays but the first two: two ends of a relay do not keep step
UNREACHABLE_DELAY = 0.5  # seconds, where not a byte was sent, because there was no way to go
SPARES = 8  # dials beside a suspect line in a MINUTE: a line that stalls now and then costs no more
MINUTE = 60.0  # seconds
BURST, BURST_SECONDS = 10, 20.0  # resumes at most in that many seconds


class LineState(Enum):
    """What is known of the line."""

    UP = auto()
    SUSPECT = auto()
    DOWN = auto()
    OVER = auto()
    """The call ends, or has ended: nothing is dialled any more."""


class Turn(Enum):
    """What the user is told."""

    INTERRUPTED = auto()
    RESUMED = auto()
    OVER = auto()
    """The grace is over."""
    MOVED = auto()
    """The call has left its relay, and goes on directly; nothing was interrupted."""


@dataclass(frozen=True)
class News:
    """A `Turn`, and for how many seconds nothing had come by then."""

    turn: Turn
    seconds: float


class Survival:
    """Of one call. One thread at a time may use it."""

    def __init__(
        self, grace: float, now: float, *, suspicion: float = SUSPICION, chance: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`grace` is the seconds for which both sides keep the call without a line; 0: it ends with its line.

        `suspicion` is after how many seconds without a byte the line is suspect; `chance` gives 0 to 1.
        """
        self.grace = grace
        self.state = LineState.UP
        self.interruptions = 0
        self._suspicion = suspicion
        self._chance = chance
        self._looked_at = now
        self._bytes = 0
        self._heard_at = now  # when the last byte came
        self._doubted_at = now
        self._is_told = False  # of this interruption
        self._is_moving = False  # a line that was well is being left for a better one
        self._failures = 0  # dials that have failed since the line was up
        self._dial_at = now
        self._spares: deque[float] = deque(maxlen=SPARES)  # when there was a dial beside a suspect line
        self._resumes: deque[float] = deque(maxlen=BURST)

    # --- what happens to the line

    def look(self, now: float, bytes_read: int | None, *, has_changed: bool = False) -> News | None:
        """Some time has passed. `bytes_read` is what the connection has brought so far, None if there is none.

        `has_changed`: an own address has come or gone, or this machine has slept. Time in which the program was
        stopped does not count.
        """
        gap = now - self._looked_at
        self._looked_at = now
        if gap > STALL:
            self._heard_at += gap
            self._doubted_at += gap
            self._dial_at = min(self._dial_at, now)
        if self.state is LineState.OVER:
            return None
        if self.state is LineState.DOWN:
            if has_changed or gap > LONG_STALL:
                self._dial_anew(now)
            if now >= self._heard_at + self.grace + MARGIN:
                self.state = LineState.OVER
                return News(Turn.OVER, now - self._heard_at)
            return self._interrupted(now) if self._is_moving and now >= self._doubted_at + TOLD_AFTER else None
        if bytes_read is not None and bytes_read != self._bytes:
            self._bytes = bytes_read
            return self._heard(now) or self._doubt(now, has_changed or gap > LONG_STALL)
        return self._doubt(now, has_changed or gap > LONG_STALL)

    def broke(self, now: float) -> News | None:
        """The connection is lost; there is no other."""
        if self.state in (LineState.OVER, LineState.DOWN):
            return None
        if self.state is LineState.UP:
            self._dial_anew(now)
        self.state = LineState.DOWN
        return self._interrupted(now)

    def end(self) -> None:
        """The call ends: nothing is dialled any more, and no line takes the place of the one there is."""
        self.state = LineState.OVER

    # --- the connections that are to take its place

    @property
    def may_survive(self) -> bool:
        """Whether the call goes on if its line is lost."""
        return self.grace > 0 and self.state is not LineState.OVER

    @property
    def wants_dial(self) -> bool:
        """Whether another connection is wanted."""
        return self.state in (LineState.SUSPECT, LineState.DOWN)

    def dial_in(self, now: float) -> float | None:
        """Seconds until the next dial; None if none is wanted."""
        if not self.wants_dial:
            return None
        due = self._dial_at
        if self.state is LineState.SUSPECT and len(self._spares) == SPARES:
            due = max(due, self._spares[0] + MINUTE)
        if len(self._resumes) == BURST:
            due = max(due, self._resumes[0] + BURST_SECONDS)
        return max(0.0, due - now)

    def dials(self, now: float) -> None:
        """A dial begins."""
        if self.state is LineState.SUSPECT:
            self._spares.append(now)

    def dial_failed(self, now: float, *, unreachable: bool = False) -> None:
        """It has failed. `unreachable`: there was no way to go."""
        if unreachable:
            self._dial_at = now + UNREACHABLE_DELAY
            return
        self._failures += 1
        delay = DELAYS[min(self._failures, len(DELAYS) - 1)]
        self._dial_at = now + delay + (self._chance() * CHANCE if self._failures > 1 else 0.0)

    def commit(self, now: float, *, moves: bool = False) -> tuple[bool, News | None]:
        """A new connection is about to take over: whether it may, and what to tell. If so, the old one is lost.

        `moves`: it is better, and may take over from one that is well.
        """
        if self.state is LineState.UP and moves:
            self.state, self._is_moving, self._doubted_at = LineState.DOWN, True, now
            self._dial_anew(now)
            return True, None
        if not self.wants_dial:
            return False, None
        self.state = LineState.DOWN
        return True, self._interrupted(now)

    def resumed(self, now: float, *, moves: bool = False) -> list[News]:
        """A new connection has taken over, whatever the state was; `moves`: it is better. What to tell."""
        has_moved = not self._is_told and (self._is_moving or (moves and self.state is LineState.UP))
        interrupted, seconds = None if has_moved else self._interrupted(now), now - self._heard_at
        self._resumes.append(now)
        self._bytes = 0
        self._up(now)
        if has_moved:
            return [News(Turn.MOVED, seconds)]
        return [*([interrupted] if interrupted else []), News(Turn.RESUMED, seconds)]

    # --- inside

    def _heard(self, now: float) -> News | None:
        was_told, seconds = self._is_told, now - self._heard_at
        self._up(now)
        return News(Turn.RESUMED, seconds) if was_told else None

    def _up(self, now: float) -> None:
        self.state, self._heard_at = LineState.UP, now
        self._is_told = self._is_moving = False

    def _doubt(self, now: float, has_changed: bool) -> News | None:
        if self.grace <= 0:
            return None
        is_silent = now >= self._heard_at + self._suspicion
        if has_changed or (is_silent and self.state is LineState.UP):
            if self.state is LineState.UP:
                self._doubted_at = now
            self.state = LineState.SUSPECT
            self._dial_anew(now)
        if self.state is LineState.SUSPECT and (is_silent or now >= self._doubted_at + TOLD_AFTER):
            return self._interrupted(now)
        return None

    def _dial_anew(self, now: float) -> None:
        self._failures, self._dial_at = 0, now

    def _interrupted(self, now: float) -> News | None:
        if self._is_told:
            return None
        self._is_told = True
        self.interruptions += 1
        return News(Turn.INTERRUPTED, now - self._heard_at)
