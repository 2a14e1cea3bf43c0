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
# Bits a second on the line at first, if more is wanted: more only if that does no harm. With a rung more, of 58, a
# line of 64 kbit/s is 15 ms later in a simulation: it has REPORTs, PINGs and acknowledgements to carry, too.
FIRST_RATE = 56_000
KNOWN_PATIENCE = 0.25  # seconds with a calm line before what it carried before is tried again
RESIGNED_PATIENCE = 15.0  # seconds before that is tried on a line that is not calm, but keeps up
NEW_PATIENCE = 0.5  # seconds before more than that is tried, on a line that is calm and roomy
NEXT_PATIENCE = 30.0  # seconds before it is tried in any case, or what was too much is tried again
MOST_PATIENCE = 120.0  # seconds: what is too much again and again is tried ever more seldom, because it is heard
PROBATION = 15.0  # seconds after a step up in which a step down means that it was too much
SHORT_PROBATION = 5.0  # seconds, of what a good line is given for the first time: later it may be a squeeze


class Rung(NamedTuple):
    frame_ms: float
    bitrate: int  # bits a second, of the codec

    @property
    def line_rate(self) -> float:
        """Bits a second on the line, headers of all layers included."""
        return self.bitrate + HEADERS * 8 * 1000 / self.frame_ms


# On the line: 133, 98, 66, 58, 54, 50, 33, 23, 19 and 17 kbit/s.
LOWER_RUNGS = (
    *(Rung(10, 64_000), Rung(20, 64_000), Rung(20, 32_000), Rung(20, 24_000), Rung(20, 20_000), Rung(20, 16_000)),
    *(Rung(40, 16_000), Rung(60, 12_000), Rung(60, 8_000), Rung(60, 6_000)),
)


class Ladder:
    """`judge()` about ten times a second; it says on which rung to be."""

    def __init__(self, top: Rung) -> None:
        """`top` is what the user wants."""
        self._rungs = [top, *(rung for rung in LOWER_RUNGS if _is_below(rung, top))]
        modest = (i for i, rung in enumerate(self._rungs) if rung.line_rate <= FIRST_RATE)
        self._at = next(modest, 0)
        self._best = len(self._rungs)  # the highest rung that the line has carried
        self._changed = self._rose = float("-inf")
        self._began: float | None = None
        self._probation_ends = float("inf")
        self._good_since: float | None = None
        self._slow_since: float | None = None
        self._too_much: int | None = None  # the rung that was
        self._patience = NEXT_PATIENCE  # with that one

    @property
    def rung(self) -> Rung:
        return self._rungs[self._at]

    @property
    def eager(self) -> bool:
        """Whether the line is to get what it carried before, as soon as it is calm."""
        return self._at > 0 and self._was_carried and not self._was_too_much

    def judge(self, now: float, rate: float | None, *, calm: bool, roomy: bool) -> Rung:
        """`rate` is what the line takes in bits a second, if that is too little, otherwise None.

        `calm` is whether the round trip is as short as it ever was, `roomy` whether voice takes it no longer than
        an empty packet.
        """
        if self._began is None:
            self._began = now
            self._probation_ends = now + SHORT_PROBATION
        if now >= self._probation_ends:
            self._best = min(self._best, self._at)
        if rate is not None:
            self._good_since = None
            self._slow_since = now if self._slow_since is None else self._slow_since
            sure = rate < self.rung.line_rate * CLEARLY or now - self._slow_since > PERSISTENCE
            if sure and now - self._changed > SETTLING and self._at < len(self._rungs) - 1:
                self._step_down(now, rate)
            return self.rung
        self._slow_since = None
        if self._at:
            is_good = calm and (roomy or self._was_carried)
            self._good_since = (now if self._good_since is None else self._good_since) if is_good else None
            waited = now - max(self._changed, self._began)
            good_for = 0.0 if self._good_since is None else now - self._good_since
            patience, most_patience = self._patiences
            if waited > most_patience or min(good_for, waited) > patience:
                self._step_up(now, SHORT_PROBATION if is_good and not self._was_carried else PROBATION)
        elif now - self._rose > MOST_PATIENCE:
            self._too_much = None
        return self.rung

    def _step_down(self, now: float, rate: float) -> None:
        if now < self._probation_ends:
            again = self._too_much is not None
            self._patience = min(MOST_PATIENCE, self._patience * 2) if again else NEXT_PATIENCE
            self._too_much = self._at
            self._best = len(self._rungs)
        fitting = (i for i, rung in enumerate(self._rungs) if rung.line_rate <= rate * SHARE)
        self._at = max(self._at + 1, next(fitting, len(self._rungs) - 1))
        self._changed = now

    @property
    def _next_up(self) -> int:
        """What the line has carried before, as after a squeeze; otherwise step by step."""
        return self._best if self._best < self._at else self._at - 1

    @property
    def _was_carried(self) -> bool:
        """Whether the line has carried what is next up."""
        return self._next_up >= self._best

    @property
    def _was_too_much(self) -> bool:
        """Whether the line could not take what is next up."""
        return self._too_much is not None and self._next_up <= self._too_much

    @property
    def _patiences(self) -> tuple[float, float]:
        """The seconds after which more is tried if the line has been good for so long, and if it has not."""
        if self._was_too_much:
            return self._patience, self._patience
        return (KNOWN_PATIENCE, RESIGNED_PATIENCE) if self._was_carried else (NEW_PATIENCE, NEXT_PATIENCE)

    def _step_up(self, now: float, probation: float) -> None:
        self._at = self._next_up
        self._changed = self._rose = now
        self._probation_ends = now + probation
        self._good_since = None


def _is_below(rung: Rung, top: Rung) -> bool:
    return rung.line_rate < top.line_rate and rung.frame_ms >= top.frame_ms and rung.bitrate <= top.bitrate
