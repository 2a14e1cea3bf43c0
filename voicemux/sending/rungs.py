"""The bitrate ladder as the modules that choose a rung see it. `audio.capture.ladder` implements it; this package
does not import that one."""

from typing import Protocol

# Bits a second on the line, headers included, of voice that does no harm on a line without room for it: 32 kbit/s in
# packets of 20 ms. If only 24 kbit/s are left of the line, what such voice has in flight makes 0.4 s of queue, which
# drains in 2 s.
MODEST = 66_400


class Step(Protocol):
    """One rung: a bit rate and a length of packets."""

    @property
    def frame_ms(self) -> float: ...

    @property
    def line_rate(self) -> float:
        """Bits a second, headers of all layers included."""


class Rungs(Protocol):
    """The rungs, from the highest bit rate, at index 0, to the lowest."""

    changed: float  # when the rung was last changed, in seconds
    usual: int  # index of the rung for a line that keeps up; those above are for a line with headroom and no queue
    is_unasked: bool  # the user has not asked for the rungs above `usual`: only an ample line gets them
    is_doubtful: bool  # whether PINGs should come more often, to know soon how the line is
    least_frame_ms: float  # least length of packets in milliseconds, if that is more than the rung's
    most_rate: float  # most bits a second on the line, if that is less than the rung's

    @property
    def at(self) -> int: ...

    @property
    def rung(self) -> Step: ...

    @property
    def lowest(self) -> int: ...

    @property
    def next_up(self) -> int:
        """Index of the rung to try next: the highest that the line has carried, or else the next higher one."""

    @property
    def was_carried(self) -> bool:
        """Whether the line has carried `next_up` before."""

    def line_rate_at(self, at: int) -> float: ...

    def fitting(self, rate: float) -> int:
        """Return the index of the highest rung with a `line_rate` of at most `rate`; the lowest if there is none."""

    def go(self, at: int, now: float) -> None: ...

    def begin_again(self) -> None:
        """Begin on another connection, of whose line nothing is known."""

    def has_carried(self) -> None:
        """Note that the line has carried the present rung."""
