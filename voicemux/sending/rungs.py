"""What may be sent, in steps, as those who decide about it see it: `audio.ladder` has it, which this package does
not know."""

from typing import Protocol

# Bits a second on the line of voice that does no harm on a line without room for it: 32 kbit/s in packets of 20 ms.
# Of that, what may be under way when a line of 24 kbit/s is all that is left is 0.4 s of queue, and drains in two.
MODEST = 66_400


class Step(Protocol):
    """How much voice is sent."""

    @property
    def frame_ms(self) -> float: ...

    @property
    def line_rate(self) -> float:
        """Bits a second, headers of all layers included."""


class Rungs(Protocol):
    """The steps, the most at 0."""

    changed: float  # when, in seconds
    usual: int  # what a line gets that keeps up; what is above is for one that is roomy and calm
    is_doubtful: bool  # whether it matters to know soon how the line is
    least_frame_ms: float  # of a packet, if more than the rung's own
    most_rate: float  # bits a second on the line, if less than the rung's own

    @property
    def at(self) -> int: ...

    @property
    def rung(self) -> Step: ...

    @property
    def lowest(self) -> int: ...

    @property
    def next_up(self) -> int:
        """What to try next: what the line has carried before, or one step."""

    @property
    def was_carried(self) -> bool:
        """Whether the line has carried that."""

    def line_rate_at(self, at: int) -> float: ...

    def fitting(self, rate: float) -> int:
        """The best whose `line_rate` is at most that, or the lowest."""

    def go(self, at: int, now: float) -> None: ...

    def begin_again(self) -> None:
        """There is another line, of which nothing is known."""

    def has_carried(self) -> None:
        """The line has carried what is sent now."""
