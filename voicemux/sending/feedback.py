"""What the peer says comes to the `Schedule` and its `Conversation` through here, by any thread, under their lock."""

import threading
from collections.abc import Callable

from voicemux.protocol.conversation import Happening
from voicemux.protocol.messages import Arrivals, Audio, Message, Report
from voicemux.sending.back import Journey
from voicemux.sending.schedule import Schedule


class Feedback:
    """Tell it what comes in; ask it how long the peer's voice travels. Nothing here waits."""

    def __init__(
        self,
        schedule: Schedule,
        changed: threading.Condition,
        clock: Callable[[], float],
    ) -> None:
        """`changed` guards `schedule`, and is notified where more may go."""
        self._schedule, self._congestion = schedule, schedule.congestion
        self._changed = changed
        self._clock = clock

    def received(self, message: Message) -> list[Happening]:
        """See `Conversation.received`; replies are sent. Raises RemoteProtocolError as that does.

        Where another connection has the conversation, the message is dropped."""
        with self._changed:
            if self._schedule.is_retired:
                return []
            happenings = self._schedule.received(message, self._clock())
            self._changed.notify_all()
            return happenings

    def taken(self) -> list[Happening]:
        """The oldest text that has completed has been shown: the peer is told."""
        with self._changed:
            now = self._clock()
            happenings = self._schedule.reply(self._schedule.conversation.taken(now), now)
            self._changed.notify_all()
            return happenings

    def peer_ended(self) -> list[Happening]:
        """See `Conversation.peer_ended`."""
        with self._changed:
            now = self._clock()
            happenings = self._schedule.reply(self._schedule.conversation.peer_ended(now), now)
            self._changed.notify_all()
            return happenings

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
