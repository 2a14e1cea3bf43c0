"""Chooses shorter packets than usual while the line has headroom and no queue. Pure: no socket, clock or thread.

A packet delays voice by its own length, so shorter ones are heard sooner. But they cost more headers, so they become
long again as soon as a queue appears. Times are in seconds.
"""

from voicemux.sending.rungs import Rungs

FIRST_PATIENCE = 1.0  # seconds of headroom without a queue before packets become shorter
PATIENCE_GROWTH = 3.0  # factor of the patience after shorter packets have caused a queue
MOST_PATIENCE = 120.0  # seconds of patience at most
PROVEN = 30.0  # seconds with short packets and no queue, after which the patience is FIRST_PATIENCE again
UNREST = 1.0  # seconds with a queue after which packets become long again; PINGs come four times a second then


class Brisk:
    """Chooses the length of packets. Call `look()` ten times a second, after everything else that changes the
    rung."""

    def __init__(self) -> None:
        self._patience: dict[int, float] = {}  # by rung; FIRST_PATIENCE if missing
        self._at: int | None = None  # the rung at the last look
        self._changed = self._good_since = 0.0
        self._restless_since: float | None = None

    def look(self, rungs: Rungs, now: float, *, calm: bool, roomy: bool) -> None:
        """Judge the line at `now`. `calm`: there is no queue, since PINGs take no longer than the shortest ever.
        `roomy`: there is headroom, since PINGs take no longer beside voice than without."""
        if rungs.at != self._at:
            if self._at is not None and self._at < min(rungs.at, rungs.usual):  # the line was too slow for it
                self._give_up(self._at)
            self._at, self._changed = rungs.at, now
        if not (calm and roomy):
            self._good_since = now
        if calm:
            self._restless_since = None
        elif self._restless_since is None:
            self._restless_since = now
        if rungs.at < rungs.usual:
            self._watch(rungs, now)
        if 0 < rungs.at <= rungs.usual:
            patience = self._patience.get(rungs.at - 1, FIRST_PATIENCE)
            if now - max(self._good_since, self._changed) >= patience:
                self._go(rungs, rungs.at - 1, now)
        rungs.is_doubtful = rungs.at < rungs.usual and self._restless_since is not None

    def _watch(self, rungs: Rungs, now: float) -> None:
        if now - self._changed > PROVEN:
            self._patience.pop(rungs.at, None)
        if self._restless_since is not None and now - self._restless_since >= UNREST:
            self._give_up(rungs.at)
            self._go(rungs, rungs.usual, now)

    def _give_up(self, at: int) -> None:
        self._patience[at] = min(MOST_PATIENCE, self._patience.get(at, FIRST_PATIENCE) * PATIENCE_GROWTH)

    def _go(self, rungs: Rungs, at: int, now: float) -> None:
        rungs.go(at, now)
        self._at, self._changed = at, now
