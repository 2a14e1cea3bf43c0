"""Limits how much is in flight, that is, written and not yet received. Pure: no socket, clock or thread.

A completed write does not mean delivered: kernels and routers hold seconds of voice. So voice and text wait in the
`Schedule`, where they can be dropped or overtaken, while enough is in flight.

What is written is acknowledged twice: by the kernel at the far end of our TCP connection, soon and exactly; and by
the peer, which is behind that kernel if the connection ends in a tunnel. The methods have the names of aioquic's
`QuicCongestionControl`: tell it each event as it happens, then ask what may be sent. `now` is in seconds, and never
goes back.
"""

from voicemux.protocol.messages import Arrivals, Audio, Message, Report, Text
from voicemux.sending.back import Journey
from voicemux.sending.course import Course
from voicemux.sending.flow import Flow, Obstacle
from voicemux.sending.rungs import Rungs
from voicemux.trace.facts import LineSeen

# The connection ends in a tunnel if a PING takes longer than the kernel's round trip by this factor and these
# seconds. PINGs travel behind voice, and a program, which may have to wait for the CPU, answers them.
TUNNEL_FACTOR, TUNNEL_MORE = 1.5, 0.015


class CongestionControl:
    """What one side knows of the network path, from what comes back on it."""

    def __init__(self) -> None:
        self._by_kernel = Flow()  # bytes that the far end's kernel has not acknowledged, if our kernel tells
        self._by_peer = Flow(by_peer=True)  # bytes that the peer has not acknowledged
        self._course = Course(self._by_kernel, self._by_peer)
        self._last_round_trip: float | None = None

    # --- what has happened

    def on_sent(self, message: Message, size: int, now: float) -> None:
        """`message` was written, with what travelled with it: `size` bytes in all."""
        for flow in self._counting:
            flow.wrote(size, now, mark=_mark(message), is_voice=isinstance(message, Audio))
        if isinstance(message, Audio):
            self._course.wrote(message, size, now)

    def on_audio_dropped(self, now: float) -> None:
        """A packet of our voice was too old to be sent."""
        self._course.dropped(now)

    def on_kernel_ack(self, bytes_in_flight: int, now: float) -> None:
        """The far end's kernel has acknowledged all but the last `bytes_in_flight` that were written."""
        self._by_kernel.acknowledge(bytes_in_flight, now)

    def on_unsent(self, size: int) -> None:
        """TCP's window holds back `size` of the bytes that were written."""
        self._by_kernel.backlog = size

    def on_kernel_round_trip(self, seconds: float) -> None:
        """The kernel has measured a round trip."""
        self._by_kernel.round_trip(seconds)

    def on_round_trip(self, seconds: float, now: float) -> None:
        """A PONG has come, `seconds` after its PING was made."""
        self._last_round_trip = seconds
        self._by_kernel.round_trip(seconds)
        self._by_peer.round_trip(seconds)
        self._course.round_trip(seconds, now)

    def on_text_ack(self, number: int, now: float) -> None:
        """The peer has received the TEXT frames up to that id."""
        self._by_peer.heard(("text", number), now)

    def on_report(self, report: Report, now: float) -> None:
        """The peer has said what it has received of our voice."""
        self._by_peer.heard(("audio", report.sequence), now)
        self._course.reported(report, now)

    def on_arrivals(self, arrivals: Arrivals, now: float) -> None:
        """The peer has told when our voice arrived, by its own clock."""
        self._by_peer.heard(("audio", arrivals.sequence), now)
        self._course.told(arrivals, now)

    def on_audio(self, audio: Audio, now: float) -> None:
        """The peer's voice has come."""
        self._course.heard(audio, now)

    # --- what may be sent

    def may_send_audio(self, now: float) -> bool:
        """Whether another packet of voice would still arrive in time."""
        return self.obstacle(now) is None

    def obstacle(self, now: float) -> Obstacle | None:
        """Why another packet of voice may not go now; None if it may."""
        if self._course.holds_back(now):
            return Obstacle.TEST
        return next((why for flow in self._limiting if (why := flow.obstacle(now))), None)

    def may_send_text(self, now: float) -> bool:
        """Whether another frame of text may go without making the voice behind it late."""
        return not self._course.is_tested_alone(now) and all(flow.may_send_text(now) for flow in self._limiting)

    def padding(self, message: Message, now: float) -> bytes:
        """Return padding to write with `message`, to try whether the path carries more voice; none for a packet
        without sound."""
        return self._course.padding(now) if isinstance(message, Audio) and message.data else b""

    def judge(self, rungs: Rungs, now: float, *, calm: bool, roomy: bool) -> None:
        """Choose the rung with as much voice as the network path carries. See `Course.judge`."""
        self._course.judge(rungs, now, calm=calm, roomy=roomy)

    # --- what is known

    @property
    def state(self) -> str:
        """Whose queue delays our voice, and whether more is being tried: for traces and tests."""
        return self._course.state

    def seen(self, rungs: Rungs, now: float) -> LineSeen:
        """What is known of the network path, for a trace."""
        kernel, late = self._by_kernel, self._course.peer_on_its_way(now)
        return LineSeen(
            state=self.state,
            frame_ms=rungs.rung.frame_ms,
            kbit=rungs.rung.line_rate / 1000,
            rung=rungs.at,
            round_trip_ms=_milliseconds(self._last_round_trip),
            least_round_trip_ms=_milliseconds(kernel.smallest_round_trip),
            queue_ms=_milliseconds(self._course.queue(now)),
            peer_late_ms=_milliseconds(late.more if late else None),
            in_flight=kernel.unacknowledged if kernel.knows else self._by_peer.unacknowledged,
            unsent=kernel.backlog,
            excused_ms=kernel.excused * 1000,
            budget_ms=kernel.budget * 1000,
        )

    @property
    def bbr_starves(self) -> bool:
        """Whether BBR's window is too small for voice, so that another congestion control should be used from now
        on."""
        return self._course.bbr_starves

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer has sent ARRIVALS."""
        return self._course.tells_arrivals

    @property
    def has_news(self) -> bool:
        """Whether `arrivals` has something to say that the peer has not been told."""
        return self._course.has_news

    def arrivals(self) -> Arrivals | None:
        """Return ARRIVALS, which tell the peer when its voice came; None if there is nothing new."""
        return self._course.arrivals()

    def peer_on_its_way(self, now: float) -> Journey | None:
        """Return how long the peer's voice takes to reach us; None while none comes, or if that is not known."""
        return self._course.peer_on_its_way(now)

    def oldest_in_flight(self, now: float) -> float:
        """Return the age in seconds of the oldest bytes that the far end's kernel has not acknowledged; 0 if there
        are none."""
        return self._by_kernel.age(now)

    @property
    def _counting(self) -> tuple[Flow, ...]:
        """The flows that are told all that is written: only the peer's if the kernel tells nothing."""
        return (self._by_kernel, self._by_peer) if self._by_kernel.knows else (self._by_peer,)

    @property
    def _limiting(self) -> tuple[Flow, ...]:
        """The flows whose limits hold for voice and text."""
        kernel, peer = self._by_kernel.smallest_round_trip, self._by_peer.smallest_round_trip
        if not self._by_kernel.knows or self._course.is_tunnelled or kernel is None or peer is None:
            return self._counting
        ends_at_peer = peer < kernel * TUNNEL_FACTOR + TUNNEL_MORE
        return (self._by_kernel,) if ends_at_peer else self._counting


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _mark(message: Message) -> tuple[str, int] | None:
    """Return the mark by which a REPORT, ARRIVALS or TEXT_ACK of the peer refers to `message`."""
    match message:
        case Audio():
            return "audio", message.sequence
        case Text():
            return "text", message.id
        case _:
            return None
