"""The bitrate ladder: full quality, or less if the line does not keep up. Pure.

Shorter packets cost more headers than sound, so each step down takes longer packets as well as fewer bits. Dropping
packets only relieves a line; a lower rung is what lets all voice arrive on time. `sending.course` decides when to
change.
"""

from collections.abc import Sequence
from typing import NamedTuple

HEADERS = 86  # bytes around each packet: 12 of ours, 22 of TLS, 52 of TCP and IPv4
FIRST_RATE = 60_000  # bits a second on the line at first; more is sent only once the line has shown that it takes it


class Rung(NamedTuple):
    """One step of the ladder: the length of packets in milliseconds, and the codec's bit rate."""

    frame_ms: float
    bitrate: int  # bits a second, of the codec

    @property
    def line_rate(self) -> float:
        """Bits a second on the line, headers of all layers included."""
        return self.bitrate + HEADERS * 8 * 1000 / self.frame_ms


# Their rates on the line: 133, 98, 66, 54, 37, 27, 23, 19 and 17 kbit/s.
LOWER_RUNGS = (
    *(Rung(10, 64_000), Rung(20, 64_000), Rung(20, 32_000), Rung(20, 20_000), Rung(40, 20_000)),
    *(Rung(60, 16_000), Rung(60, 12_000), Rung(60, 8_000), Rung(60, 6_000)),
)


class Ladder:
    """The rungs, the present one, and the highest that the line has carried. `sending.course` decides when to
    change."""

    def __init__(
        self, usual: Rung, brisk: Sequence[Rung] = (), *, at_once: bool = False, is_unasked: bool = False
    ) -> None:
        """`usual` is the rung for a line that keeps up. `brisk` are rungs with shorter packets, for a line without a
        queue, the longest first; if `at_once`, the ladder begins with the shortest of them. `is_unasked` is as of
        `Rungs`."""
        self._rungs = [*reversed(brisk), usual, *(rung for rung in LOWER_RUNGS if _is_below(rung, usual))]
        self.usual = len(brisk)
        self.is_unasked = is_unasked
        modest = (i for i, rung in enumerate(self._rungs) if rung.line_rate <= FIRST_RATE)
        self._modest = next(modest, self.usual)
        self._at = 0 if at_once else self._modest
        self.is_doubtful = False  # whether PINGs should come more often, to know soon how the line is
        self._best = len(self._rungs)  # the highest rung that the line has carried
        self.changed = float("-inf")  # when the rung was last changed, in seconds
        self.least_frame_ms = 0.0  # milliseconds in a packet at least, whatever the rung is
        self.most_rate = float("inf")  # bits a second on the line at most, whatever the rung is

    @property
    def at(self) -> int:
        """Index of the present rung."""
        return self._at

    @property
    def rung(self) -> Rung:
        """The present rung, within `most_rate` and `least_frame_ms`."""
        rung = self._rungs[max(self._at, self.fitting(self.most_rate))]
        return rung._replace(frame_ms=self.least_frame_ms) if rung.frame_ms < self.least_frame_ms else rung

    @property
    def lowest(self) -> int:
        """Index of the lowest rung."""
        return len(self._rungs) - 1

    @property
    def next_up(self) -> int:
        """Index of the rung to try next: the highest that the line has carried, as before a squeeze, or else the next
        higher one."""
        return self._best if self.was_carried else max(0, self._at - 1)

    @property
    def was_carried(self) -> bool:
        """Whether the line has carried `next_up` before."""
        return self._best < self._at

    @property
    def eager(self) -> bool:
        """Whether the state of the line should be known soon: a rung that it has carried is to be tried as soon as
        there is no queue, or it has a rung that is only for lines without a queue."""
        return self.is_doubtful or (self._at > self.usual and self.was_carried)

    def line_rate_at(self, at: int) -> float:
        """Return the bits a second of a rung on the line, headers included."""
        return self._rungs[at].line_rate

    def fitting(self, rate: float) -> int:
        """Return the index of the highest rung that takes at most `rate` bits a second on the line; the lowest if
        there is none."""
        return next((i for i, rung in enumerate(self._rungs) if rung.line_rate <= rate), self.lowest)

    def go(self, at: int, now: float) -> None:
        """Change to that rung, at the time `now`."""
        self._at = at
        self.changed = now

    def begin_again(self) -> None:
        """Begin on another connection, of whose line nothing is known."""
        self._at, self._best = self._modest, len(self._rungs)
        self.is_doubtful = False
        self.changed = float("-inf")
        self.least_frame_ms, self.most_rate = 0.0, float("inf")

    def has_carried(self) -> None:
        """Note that the line has carried the present rung."""
        self._best = min(self._best, max(self._at, self.usual))


def _is_below(rung: Rung, top: Rung) -> bool:
    return rung.line_rate < top.line_rate and rung.frame_ms >= top.frame_ms and rung.bitrate <= top.bitrate
