"""Passes what the peer sends to the `Schedule` and its `Conversation`, from any thread, with their lock held."""

import threading
from collections.abc import Callable

from voicemux.protocol.conversation import Happening
from voicemux.protocol.messages import Arrivals, Audio, Message, Report
from voicemux.sending.back import Journey
from voicemux.sending.schedule import Schedule


class Feedback:
    """The receiving end of the writer. Tell it what comes in. No method waits."""

    def __init__(
        self,
        schedule: Schedule,
        changed: threading.Condition,
        clock: Callable[[], float],
    ) -> None:
        """`changed` guards `schedule`, and is notified when more may be sent."""
        self._schedule, self._congestion = schedule, schedule.congestion
        self._changed = changed
        self._clock = clock

    def received(self, message: Message) -> list[Happening]:
        """The peer has sent `message`: queue the replies, and return the rest of what `Conversation.received` does.
        Raises RemoteProtocolError as that does.

        The message is dropped if another connection has the conversation.
        """
        with self._changed:
            if self._schedule.is_retired:
                return []
            happenings = self._schedule.received(message, self._clock())
            self._changed.notify_all()
            return happenings

    def taken(self) -> list[Happening]:
        """The user has been shown the oldest complete text: tell the peer. Returns what follows from that."""
        with self._changed:
            now = self._clock()
            happenings = self._schedule.reply(self._schedule.conversation.taken(now), now)
            self._changed.notify_all()
            return happenings

    def peer_ended(self) -> list[Happening]:
        """The peer's stream has ended: queue the replies, and return the rest of what `Conversation.peer_ended`
        does."""
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
        """The peer has told when our voice arrived, by its own clock."""
        with self._changed:
            self._congestion.on_arrivals(arrivals, self._clock())
            self._changed.notify_all()

    def on_audio(self, audio: Audio) -> None:
        """The peer's voice has come."""
        with self._changed:
            self._congestion.on_audio(audio, self._clock())

    def on_round_trip(self, seconds: float) -> None:
        """A PONG has come, `seconds` after its PING was made."""
        with self._changed:
            self._congestion.on_round_trip(seconds, self._clock())

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer has sent ARRIVALS: such a peer uses ours, too, and needs few REPORTs."""
        return self._congestion.tells_arrivals

    def peer_on_its_way(self) -> Journey | None:
        """Return how long the peer's voice takes to reach us now; None while none comes, or if that is not known."""
        with self._changed:
            return self._congestion.peer_on_its_way(self._clock())
