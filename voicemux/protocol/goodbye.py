"""The goodbye of a call (protocol.md §10): for what our BYE waits, and how long the peer's last words are awaited.

Pure: `now` is an argument, in seconds on a clock that never goes back.
"""

from voicemux.protocol.messages import Bye

GOODBYE_TIMEOUT = 2.0  # seconds for our last text, and as long again for the peer's (protocol.md §10)


class Goodbye:
    """Of one side. It has not been said as long as `bye` is None."""

    def __init__(self, timeout: float = GOODBYE_TIMEOUT) -> None:
        """`timeout` is the seconds for the last text of each side."""
        self.timeout = timeout
        self.bye: Bye | None = None  # ours
        self.deadline = 0.0  # our BYE waits for text until then
        self.is_sent = False
        self.cut_at: float | None = None  # the end of the peer's stream is awaited until then
        self.peer_is_done = False  # it acknowledges nothing any more
        self.peer_has_ended = False  # it says nothing any more

    def say(self, bye: Bye, now: float, timeout: float) -> None:
        """Our BYE is to go, after at most `timeout` seconds. Only the first counts."""
        if self.bye is None:
            self.bye = bye
            self.deadline = now + timeout

    def await_the_end(self, now: float, patience: float | None = None) -> None:
        """The peer's stream is to end within `patience` seconds, by default those for the last texts of both sides.
        The earliest end counts."""
        until = now + (2 * self.timeout if patience is None else patience)
        self.cut_at = until if self.cut_at is None else min(self.cut_at, until)

    def waits(self, now: float) -> bool:
        """Whether there is still time for text ahead of our BYE; also true if we have not hung up."""
        return self.bye is None or now < self.deadline
