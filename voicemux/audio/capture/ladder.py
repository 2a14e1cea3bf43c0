"""How much voice a line is given: full quality, or less where the line does not keep up. Pure.

Shorter packets cost more headers than sound, so each step down takes longer packets as well as fewer
bits. Dropping is the brake, this is the cure: what a line can carry arrives on time. When to change is decided in
`net.course`.
"""

from collections.abc import Sequence
from typing import NamedTuple

HEADERS = 86  # bytes around each packet: 12 of ours, 22 of TLS, 52 of TCP and IPv4
FIRST_RATE = 60_000  # bits a second on the line at first, if more is wanted: more only if that does no harm


class Rung(NamedTuple):
    frame_ms: float
    bitrate: int  # bits a second, of the codec

    @property
    def line_rate(self) -> float:
        """Bits a second on the line, headers of all layers included."""
        return self.bitrate + HEADERS * 8 * 1000 / self.frame_ms


# On the line: 133, 98, 66, 54, 37, 27, 23, 19 and 17 kbit/s.
LOWER_RUNGS = (
    *(Rung(10, 64_000), Rung(20, 64_000), Rung(20, 32_000), Rung(20, 20_000), Rung(40, 20_000)),
    *(Rung(60, 16_000), Rung(60, 12_000), Rung(60, 8_000), Rung(60, 6_000)),
)


class Ladder:
    """Which rungs there are, on which we are, and what the line has carried. `net.course` says when to change."""

    def __init__(self, usual: Rung, brisk: Sequence[Rung] = (), *, at_once: bool = False) -> None:
        """`usual` is what a line gets that keeps up; `brisk` are shorter packets for one that is calm, too, the
        longest first: with the shortest of them it begins if `at_once`."""
        self._rungs = [*reversed(brisk), usual, *(rung for rung in LOWER_RUNGS if _is_below(rung, usual))]
        self.usual = len(brisk)
        modest = (i for i, rung in enumerate(self._rungs) if rung.line_rate <= FIRST_RATE)
        self._modest = next(modest, self.usual)
        self._at = 0 if at_once else self._modest
        self.is_doubtful = False  # whether it matters to know soon how the line is
        self._best = len(self._rungs)  # the highest rung that the line has carried
        self.changed = float("-inf")  # when that was, in seconds
        self.least_frame_ms = 0.0  # whatever the rung is
        self.most_rate = float("inf")  # bits a second on the line, whatever the rung is

    @property
    def at(self) -> int:
        return self._at

    @property
    def rung(self) -> Rung:
        rung = self._rungs[max(self._at, self.fitting(self.most_rate))]
        return rung._replace(frame_ms=self.least_frame_ms) if rung.frame_ms < self.least_frame_ms else rung

    @property
    def lowest(self) -> int:
        return len(self._rungs) - 1

    @property
    def next_up(self) -> int:
        """What the line has carried before, as after a squeeze; otherwise the next step."""
        return self._best if self.was_carried else max(0, self._at - 1)

    @property
    def was_carried(self) -> bool:
        """Whether the line has carried what is next up."""
        return self._best < self._at

    @property
    def eager(self) -> bool:
        """Whether it matters to know soon how the line is: it is to get what it carried before as soon as it is calm,
        or has what is for calm lines only."""
        return self.is_doubtful or (self._at > self.usual and self.was_carried)

    def line_rate_at(self, at: int) -> float:
        """Bits a second of a rung, headers included."""
        return self._rungs[at].line_rate

    def fitting(self, rate: float) -> int:
        """The best rung that takes at most `rate` bits a second, or the lowest."""
        return next((i for i, rung in enumerate(self._rungs) if rung.line_rate <= rate), self.lowest)

    def go(self, at: int, now: float) -> None:
        """Change to that rung, at the time `now`."""
        self._at = at
        self.changed = now

    def begin_again(self) -> None:
        """There is another line, of which nothing is known."""
        self._at, self._best = self._modest, len(self._rungs)
        self.is_doubtful = False
        self.changed = float("-inf")
        self.least_frame_ms, self.most_rate = 0.0, float("inf")

    def has_carried(self) -> None:
        """The line has carried what is sent now."""
        self._best = min(self._best, max(self._at, self.usual))


def _is_below(rung: Rung, top: Rung) -> bool:
    return rung.line_rate < top.line_rate and rung.frame_ms >= top.frame_ms and rung.bitrate <= top.bitrate
