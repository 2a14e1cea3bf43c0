"""What a trace is told: facts, as one frozen dataclass for each kind. Pure: no file, clock or thread.

A part that has something to tell is given a `Trace`, or None: then it does not even make the fact. docs/trace.md has
every field. Times are in milliseconds, and no fact holds what a user has written, said, or is called.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicemux.protocol.frames import Frame
from voicemux.protocol.messages import Message


@dataclass(frozen=True, slots=True)
class FramePassed:
    """A frame was `sent` or `received`. `message` is what it means: None if its tag is unknown, or its payload wrong.

    `trace.frames` says what of it is written.
    """

    way: str
    frame: Frame
    message: Message | None


@dataclass(frozen=True, slots=True)
class CallBegan:
    """Both sides have said HELLO. `sends` is the codec of our voice, "" if we send none."""

    security: str  # as in the event `connected`
    agent: str  # what the peer calls its program
    sends: str
    plays: bool


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over, by "us", "them" or "error". `kind` is what went wrong, if that is known."""

    by: str
    kind: str
    undelivered: int  # texts


@dataclass(frozen=True, slots=True)
class Chosen:
    """The schedule has released a packet of "voice" or a frame of "text" for sending; `waited_ms` is how long it
    waited.

    `number` is the sequence number of the packet, or the id of the text.
    """

    what: str
    number: int
    waited_ms: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """The schedule has dropped a packet of voice. `why` is what it has waited for: as in `HeldBack`, or "turn"."""

    number: int
    waited_ms: float
    why: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """From now on "voice" or "text" waits. `why` is an `Obstacle` of `sending.flow`, or "voice" if voice goes
    first."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class LineSeen:
    """Measurements of the line, and the rung of the ladder that voice uses because of them. None: not known."""

    state: str  # whose queue it is (`sending.blame`), and whether more is being tried
    frame_ms: float  # of a packet on this rung
    kbit: float  # that our voice takes of the line on this rung, headers of all layers included
    rung: int  # 0 is the highest
    round_trip_ms: float | None  # of the last PING
    least_round_trip_ms: float | None  # the shortest that is known to the peer's kernel
    queue_ms: float | None  # how much later our voice arrives than at best
    peer_late_ms: float | None  # how much later the peer's voice arrives here than at best
    in_flight: int  # bytes that were written, and that the peer's kernel has not acknowledged
    unsent: int  # bytes of those that our kernel holds back
    excused_ms: float  # that acknowledgements may be late without our doing
    budget_ms: float  # how much later still acknowledgements may be, beyond `excused_ms`


@dataclass(frozen=True, slots=True)
class Played:
    """A packet was decoded, to be played. `delay_ms` is its playout delay, `target_ms` what that is to be."""

    source: int
    number: int
    ms: float  # how long it was, without what was cut off
    missed_ms: float  # cut off its beginning: that time was over
    delay_ms: float
    target_ms: float
    buffered_ms: float  # what waits behind it


@dataclass(frozen=True, slots=True)
class Stretched:
    """What was played was made shorter, or, if `ms` is positive, longer. `quiet`: while nothing was said in it."""

    source: int
    ms: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """For `ms`, there was no packet to play, and the time was filled: "concealed" (packet loss concealment), "faded"
    (with noise after long loss) or "paused" (the peer is silent). The fact comes when that is over."""

    source: int
    how: str
    ms: float


@dataclass(frozen=True, slots=True)
class NotPlayed:
    """A packet came too "late", was one of too "many", or could not be decoded ("undecodable")."""

    source: int
    number: int
    why: str


Fact = (
    FramePassed
    | CallBegan
    | CallEnded
    | Chosen
    | Dropped
    | HeldBack
    | LineSeen
    | Played
    | Stretched
    | Filled
    | NotPlayed
)
Trace = Callable[[Fact], None]  # may be called in any thread; neither waits nor raises
