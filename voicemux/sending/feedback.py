"""What the peer says comes back to the `Schedule` through here, by any thread, under the writer's lock."""

import threading
from collections.abc import Callable

from voicemux.protocol.messages import Arrivals, Audio, Report
from voicemux.sending.back import Journey
from voicemux.sending.schedule import Schedule


class Feedback:
    """Tell it what comes in; ask it how long the peer's voice travels. Nothing here waits."""

    def __init__(
        self,
        schedule: Schedule,
        changed: threading.Condition,
        on_delivered: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """`changed` guards `schedule`, and is notified where more may go. `on_delivered` gets the mark of each text
        that has one, once acknowledged, in the thread that says so: it must not wait."""
        self._schedule, self._congestion = schedule, schedule.congestion
        self._changed = changed
        self._on_delivered = on_delivered
        self._clock = clock

    def on_text_ack(self, number: int) -> None:
        """The peer has received the TEXT frames up to `number`. Raises RemoteProtocolError if that was never sent."""
        with self._changed:
            delivered = self._schedule.acknowledge(number, self._clock())
            self._changed.notify_all()
            for mark in delivered:
                self._on_delivered(mark)

    def on_report(self, report: Report) -> None:
        """The peer has said what it has received of our voice."""
        with self._changed:
            self._congestion.on_report(report, self._clock())
            self._changed.notify_all()

    def on_arrivals(self, arrivals: Arrivals) -> None:
        """The peer has said when, by its clock, our voice has come."""
        with self._changed:
            self._congestion.on_arrivals(arrivals, self._clock())
            self._changed.notify_all()

    def on_audio(self, audio: Audio) -> None:
        """The peer's voice has come."""
        with self._changed:
            self._congestion.on_audio(audio, self._clock())

    def on_round_trip(self, seconds: float) -> None:
        """A PONG has come so long after its PING was made."""
        with self._changed:
            self._congestion.on_round_trip(seconds, self._clock())

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer says when our voice comes: it need not say much else then."""
        return self._congestion.tells_arrivals

    def peer_on_its_way(self) -> Journey | None:
        """How long the peer's voice travels to us now; None while none comes, or if that cannot be told."""
        with self._changed:
            return self._congestion.peer_on_its_way(self._clock())
