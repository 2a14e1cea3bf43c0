"""Decides whether a call outlives its connection: when the connection is suspect or lost, when to dial again, when to
give up.

Pure: no socket, thread or clock. `now` is an argument, in seconds on a monotonic clock; randomness is an argument,
too.

The line is UP until no byte has come for some seconds (SUSPECT), or the connection breaks (DOWN). A byte on a suspect
line brings it back UP. The dialler dials meanwhile, at the delays of LiveKit's clients (`DefaultReconnectPolicy.ts`).
A connection that is dialled beside a suspect one takes over at `commit`: from then on, nothing that the old one
brings counts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

SUSPICION = 4.0  # seconds without a byte after which the line is suspect: PINGs come every 2 (protocol.md §9)
# Seconds for which the line has been suspect without a byte when the user is told: most doubts end sooner.
TOLD_AFTER = 1.0
MARGIN = 0.5  # seconds for which a call is kept beyond its grace: a last byte may have come since the last look
# Seconds between two looks after which this program itself was stopped, and cannot judge the peer's silence.
STALL = 1.0
LONG_STALL = 2.0  # seconds between two looks after which the network may have changed meanwhile
# Seconds before the n-th dial after the one before has failed; later dials use the last.
DELAYS = (0.0, 0.3, 1.2, 2.7, 4.8, 7.0)
# Seconds of random delay at most, from the third dial on, so that the two ends of a relayed call do not dial in step.
CHANCE = 1.0
UNREACHABLE_DELAY = 0.5  # seconds before the next dial if there was no route, so that nothing was sent
SPARES = 8  # dials beside a suspect line in a MINUTE: a line that stalls now and then must not cause more
MINUTE = 60.0  # seconds
BURST, BURST_SECONDS = 10, 20.0  # at most 10 resumes in 20 seconds


class LineState(Enum):
    """What is known of the connection."""

    UP = auto()
    SUSPECT = auto()
    DOWN = auto()
    OVER = auto()
    """The call is ending or has ended: nothing is dialled any more."""


class Turn(Enum):
    """What has changed for the user."""

    INTERRUPTED = auto()
    RESUMED = auto()
    OVER = auto()
    """The connection was not replaced within the grace."""
    MOVED = auto()
    """The call has left its relay, and goes on directly; nothing was interrupted."""


@dataclass(frozen=True)
class News:
    """A `Turn`, and for how many seconds no byte had come before it."""

    turn: Turn
    seconds: float


class Survival:
    """The state of one call's line. One thread at a time may use it."""

    def __init__(
        self, grace: float, now: float, *, suspicion: float = SUSPICION, chance: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`grace` is for how many seconds both sides keep the call without a connection; 0: the call ends with its
        connection.

        `suspicion` is after how many seconds without a byte the line is suspect; `chance` returns random numbers from
        0 to 1.
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
        self._is_told = False  # the user has been told of this interruption
        self._is_moving = False  # the call is moving from a working connection to a better one
        self._failures = 0  # dials that have failed since the line was last UP
        self._dial_at = now
        self._spares: deque[float] = deque(maxlen=SPARES)  # times of the last dials beside a suspect line
        self._resumes: deque[float] = deque(maxlen=BURST)

    # --- what happens to the line

    def look(self, now: float, bytes_read: int | None, *, has_changed: bool = False) -> News | None:
        """Judge the line at `now`, and return what to tell the user. `bytes_read` is how many bytes the connection
        has brought so far; None: there is no connection.

        `has_changed`: an address of this machine has come or gone, or the machine has slept. Time in which this
        program was stopped does not count as silence.
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
        """The connection broke. Returns what to tell the user."""
        if self.state in (LineState.OVER, LineState.DOWN):
            return None
        if self.state is LineState.UP:
            self._dial_anew(now)
        self.state = LineState.DOWN
        return self._interrupted(now)

    def end(self) -> None:
        """The call ends: nothing is dialled any more, and no connection takes over."""
        self.state = LineState.OVER

    # --- new connections

    @property
    def may_survive(self) -> bool:
        """Whether the call goes on if its connection is lost."""
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
        """Note that a dial begins."""
        if self.state is LineState.SUSPECT:
            self._spares.append(now)

    def dial_failed(self, now: float, *, unreachable: bool = False) -> None:
        """A dial has failed. `unreachable`: there was no route to the peer."""
        if unreachable:
            self._dial_at = now + UNREACHABLE_DELAY
            return
        self._failures += 1
        delay = DELAYS[min(self._failures, len(DELAYS) - 1)]
        self._dial_at = now + delay + (self._chance() * CHANCE if self._failures > 1 else 0.0)

    def commit(self, now: float, *, moves: bool = False) -> tuple[bool, News | None]:
        """A new connection is about to take over. Returns whether it may, and what to tell the user; if it may, the
        old one counts as lost.

        `moves`: it is a better one, and may replace one that works.
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
        """A new connection has taken over, in whatever state the line was. Returns what to tell the user. `moves`: it
        is a better one."""
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
