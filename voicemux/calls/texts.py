"""The texts of a call, whatever connection carries them: said by any thread, kept until they are acknowledged."""

import threading
import time
from collections.abc import Callable

from voicemux.protocol.conversation import Conversation, Happening
from voicemux.sending.schedule import SentCounts
from voicemux.sending.writer import Writer

NAP = 0.5  # seconds between two looks at whether there is a line


class Texts:
    """Any thread may use it; only the methods `wait_...` wait, and take a limit."""

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

        `is_in_doubt` is whether another line is wanted, because the one that there is brings nothing.
        """
        self._conversation = conversation
        self._changed = changed
        self._counts = counts
        self._clock = clock
        self._is_in_doubt = is_in_doubt
        self._writer: Writer | None = None
        self._is_over = False

    def carry_by(self, writer: Writer | None) -> None:
        """From now on, this is who writes; None: there is no line, and texts wait. With `changed` held."""
        self._writer = writer

    def end(self) -> None:
        """Nothing will be acknowledged any more: wake those who wait."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def say(self, text: str, mark: str = "") -> bool:
        """Have `text` sent. False if no text is taken any more. Raises LocalProtocolError if it is not Unicode."""
        with self._changed:
            if self._is_over:
                return False
            if self._writer:
                return self._writer.send_text(text, mark)
            is_said = self._conversation.say(text, mark)
            self._counts.texts += is_said
            return is_said

    def taken(self) -> list[Happening]:
        """The oldest text that has completed has been shown."""
        with self._changed:
            if self._writer:
                return self._writer.feedback.taken()
            self._conversation.taken(self._clock())  # the peer hears of it on another line
            return []

    def wait_for_room(self, timeout: float) -> bool:
        """Whether another text may be said, after waiting for it at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over or not self._conversation.is_full, timeout)

    def wait_for_delivery(self, timeout: float) -> bool:
        """Whether all text has been acknowledged, after waiting at most `timeout` seconds without progress.

        Time without a line, or with one that is in doubt, does not count: how long the call goes on then has a limit
        of its own.
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
        """Texts that the peer has not acknowledged, or the rest of them, the oldest first, each behind its mark."""
        with self._changed:
            return self._conversation.undelivered

    @property
    def waiting(self) -> int:
        """How many that are."""
        with self._changed:
            return len(self._conversation.undelivered)

    @property
    def received(self) -> int:
        """How many have come."""
        return self._conversation.texts_received
