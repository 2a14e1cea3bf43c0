"""How much voice a line is given: full quality, or less where the line does not keep up. Pure.

Shorter packets cost more headers than sound, so each step down takes longer packets as well as fewer
bits. Dropping is the brake, this is the cure: what a line can carry arrives on time.
"""

from typing import NamedTuple

HEADERS = 86  # bytes around each packet: 12 of ours, 22 of TLS, 52 of TCP and IPv4
CLEARLY = 0.85  # of what it is sent, a line takes less if it is too slow; otherwise the answers may be what is late
PERSISTENCE = 0.25  # seconds after which a line is too slow also if that is not clear
SHARE = 0.8  # of what the line takes is used, so that what has queued up drains quickly
SETTLING = 1.0  # seconds after a step in which what queued up before it drains: no verdict yet
FIRST_PATIENCE = 0.25  # seconds with a calm line before more is tried
NEXT_PATIENCE = 16.0  # seconds before what was too much is tried again; it doubles each time: that was heard
MOST_PATIENCE = 120.0  # seconds
RESIGNED_PATIENCE = 15.0  # seconds before more is tried on a line that is not calm, but keeps up
PROBATION = 15.0  # seconds after a step up in which a step down means that it was too much
FIRST_PROBATION = 5.0  # seconds after the beginning: 5 % too much shows after three; later it may be a squeeze


class Rung(NamedTuple):
    frame_ms: float
    bitrate: int  # bits a second, of the codec

    @property
    def line_rate(self) -> float:
        """Bits a second on the line, headers of all layers included."""
        return self.bitrate + HEADERS * 8 * 1000 / self.frame_ms


# On the line: 117, 66, 54, 37, 27, 23, 19 and 17 kbit/s.
LOWER_RUNGS = (
    *(Rung(10, 48_000), Rung(20, 32_000), Rung(20, 20_000), Rung(40, 20_000)),
    *(Rung(60, 16_000), Rung(60, 12_000), Rung(60, 8_000), Rung(60, 6_000)),
)


class Ladder:
    """`judge()` about ten times a second; it says on which rung to be."""

    def __init__(self, top: Rung) -> None:
        """`top` is what the user wants."""
        self._rungs = [top, *(rung for rung in LOWER_RUNGS if _is_below(rung, top))]
        self._at = 0
        self._changed = 0.0
        self._rose = float("-inf")
        self._probation_ends = float("inf")
        self._calm_since: float | None = None
        self._slow_since: float | None = None
        self._too_much: int | None = None  # the rung that was
        self._patience = FIRST_PATIENCE

    @property
    def rung(self) -> Rung:
        return self._rungs[self._at]

    @property
    def reduced(self) -> bool:
        return self._at > 0

    def judge(self, now: float, rate: float | None, *, calm: bool) -> Rung:
        """`rate` is what the line takes in bits a second, if that is too little, otherwise None.

        `calm` is whether the round trip is as short as it ever was.
        """
        if self._probation_ends == float("inf"):
            self._probation_ends = now + FIRST_PROBATION
        if rate is not None:
            self._calm_since = None
            self._slow_since = now if self._slow_since is None else self._slow_since
            sure = rate < self.rung.line_rate * CLEARLY or now - self._slow_since > PERSISTENCE
            if sure and now - self._changed > SETTLING and self._at < len(self._rungs) - 1:
                self._step_down(now, rate)
            return self.rung
        self._slow_since = None
        if self._at:
            self._calm_since = (now if self._calm_since is None else self._calm_since) if calm else None
            waited = now - self._changed
            calm_for = 0.0 if self._calm_since is None else now - self._calm_since
            was_too_much = self._too_much is not None and self._next_up <= self._too_much
            patience = self._patience if was_too_much else FIRST_PATIENCE
            if waited > max(RESIGNED_PATIENCE, patience) or min(calm_for, waited) > patience:
                self._step_up(now)
        elif now - self._rose > MOST_PATIENCE:
            self._patience, self._too_much = FIRST_PATIENCE, None
        return self.rung

    def _step_down(self, now: float, rate: float) -> None:
        if now < self._probation_ends:
            self._too_much = self._at
            self._patience = min(MOST_PATIENCE, max(NEXT_PATIENCE, self._patience * 2))
        fitting = (i for i, rung in enumerate(self._rungs) if rung.line_rate <= rate * SHARE)
        self._at = max(self._at + 1, next(fitting, len(self._rungs) - 1))
        self._changed = now

    @property
    def _next_up(self) -> int:
        """The top at first, as after a squeeze; step by step where that was too much before."""
        return 0 if self._too_much is None else self._at - 1

    def _step_up(self, now: float) -> None:
        self._at = self._next_up
        self._changed = self._rose = now
        self._probation_ends = now + PROBATION
        self._calm_since = None


def _is_below(rung: Rung, top: Rung) -> bool:
    return rung.line_rate < top.line_rate and rung.frame_ms >= top.frame_ms
