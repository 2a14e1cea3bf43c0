"""The texts of a call, which outlive its connections: any thread sends one, and each is kept until the peer
acknowledges it."""

import threading
import time
from collections.abc import Callable

from voicemux.protocol.conversation import Conversation, Happening
from voicemux.sending.schedule import SentCounts
from voicemux.sending.writer import Writer

NAP = 0.5  # seconds of one wait, after which the line is looked at again


class Texts:
    """The texts of one call. Any thread may use it; only the methods `wait_...` wait, and they have a limit."""

    def __init__(
        self,
        conversation: Conversation,
        changed: threading.Condition,
        counts: SentCounts,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_in_doubt: Callable[[], bool] = lambda: False,
    ) -> None:
        """`changed` guards the conversation, and is notified whenever the peer has acknowledged something.

        `is_in_doubt` returns whether another connection is wanted, because the current one brings nothing.
        """
        self._conversation = conversation
        self._changed = changed
        self._counts = counts
        self._clock = clock
        self._is_in_doubt = is_in_doubt
        self._writer: Writer | None = None
        self._is_over = False

    def carry_by(self, writer: Writer | None) -> None:
        """Use this writer from now on; None: there is no connection, and texts wait. Call it with `changed` held."""
        self._writer = writer

    def end(self) -> None:
        """Wake the threads that wait: nothing will be acknowledged any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def say(self, text: str, mark: str = "") -> bool:
        """Queue `text` to be sent. Returns False if no text is taken any more. Raises LocalProtocolError if it is not
        valid Unicode."""
        with self._changed:
            if self._is_over:
                return False
            if self._writer:
                return self._writer.send_text(text, mark)
            is_said = self._conversation.say(text, mark)
            self._counts.texts += is_said
            return is_said

    def taken(self) -> list[Happening]:
        """The user has been shown the oldest complete text: acknowledge it. Returns what follows from that."""
        with self._changed:
            if self._writer:
                return self._writer.feedback.taken()
            self._conversation.taken(self._clock())  # the next connection's HELLO acknowledges it
            return []

    def wait_for_room(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for room. Returns whether another text may be sent."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over or not self._conversation.is_full, timeout)

    def wait_for_delivery(self, timeout: float) -> bool:
        """Wait until all text is acknowledged, at most `timeout` seconds without progress. Returns whether it is.

        Time without a connection, or with a suspect one, does not count: `Survival` limits that.
        """
        conversation, left = self._conversation, timeout
        with self._changed:
            before, since = conversation.frames_undelivered, self._clock()
            while before and not self._is_over:
                self._changed.wait(min(NAP, left) if self._writer else NAP)
                now = self._clock()
                if conversation.frames_undelivered < before:
                    before, left = conversation.frames_undelivered, timeout
                elif self._writer and not self._is_in_doubt():
                    left -= now - since
                    if left <= 0:
                        return False
                since = now
            return not conversation.frames_undelivered

    @property
    def undelivered(self) -> list[tuple[str, str]]:
        """Texts that the peer has not acknowledged in full, oldest first, as pairs of mark and remaining text."""
        with self._changed:
            return self._conversation.undelivered

    @property
    def waiting(self) -> int:
        """How many texts the peer has not acknowledged in full."""
        with self._changed:
            return len(self._conversation.undelivered)

    @property
    def received(self) -> int:
        """How many texts have come."""
        return self._conversation.texts_received
