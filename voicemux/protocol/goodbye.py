"""The goodbye of a call (protocol.md §10): what our BYE waits for, and how long the end of the peer's stream is
awaited.

Pure: `now` is an argument, in seconds of a monotonic clock.
"""

from voicemux.protocol.messages import Bye

GOODBYE_TIMEOUT = 2.0  # seconds for our last text, and as long again for the peer's (protocol.md §10)


class Goodbye:
    """The goodbye of one side. `bye` is None until it hangs up."""

    def __init__(self, timeout: float = GOODBYE_TIMEOUT) -> None:
        """`timeout` is how many seconds each side has for its last texts."""
        self.timeout = timeout
        self.bye: Bye | None = None  # ours
        self.deadline = 0.0  # when our BYE goes although text waits
        self.is_sent = False
        self.cut_at: float | None = None  # until when the end of the peer's stream is awaited
        self.peer_is_done = False  # whether the peer acknowledges nothing any more
        self.peer_has_ended = False  # whether the peer sends nothing any more

    def say(self, bye: Bye, now: float, timeout: float) -> None:
        """Hang up with `bye`, which is sent after at most `timeout` seconds. Only the first BYE counts."""
        if self.bye is None:
            self.bye = bye
            self.deadline = now + timeout

    def await_the_end(self, now: float, patience: float | None = None) -> None:
        """Await the end of the peer's stream for `patience` seconds; by default, for the time of the last texts of
        both sides. The earliest end counts."""
        until = now + (2 * self.timeout if patience is None else patience)
        self.cut_at = until if self.cut_at is None else min(self.cut_at, until)

    def waits(self, now: float) -> bool:
        """Whether there is still time for text ahead of our BYE; also true if we have not hung up."""
        return self.bye is None or now < self.deadline
