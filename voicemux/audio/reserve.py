"""Chooses how much a loudspeaker keeps in reserve, by its gaps. No sound, no clock: times are arguments, in
seconds."""

from collections import deque

TERM = 10.0  # seconds without a gap after which the reserve becomes smaller
LONGEST_TERM = 80.0  # seconds of that at most, after a smaller reserve has proved too small
OFTEN = 3  # gaps within OFTEN_WITHIN after which longer blocks are worth their delay
OFTEN_WITHIN = 10.0  # seconds
CALM = 4.0  # seconds without a gap after which blocks become short again
LONGEST_CALM = 60.0  # seconds of that at most, if longer blocks were wanted again SOON
SOON = 60.0  # seconds after which wanting longer blocks again counts as a new case


class Reserve:
    """The reserve of one loudspeaker: blocks that may still wait when more is asked for. A gap adds one; a TERM
    without a gap removes one."""

    def __init__(self, most: int, forgiven: bool, least: int = 0) -> None:
        """The reserve has `least` to `most` blocks, at first `least`. If the first gap in a term is `forgiven`, it
        changes nothing."""
        self.blocks = self._least = least
        self.most = most
        self._forgiven = forgiven
        self._changed_at = float("-inf")  # when the reserve last changed, or a gap came
        self._term = TERM
        self._shrunk_at: float | None = None  # when it last became smaller, if there was no gap since

    @property
    def is_full(self) -> bool:
        """Whether the reserve has its maximum."""
        return self.blocks >= self.most

    def gap(self, now: float) -> None:
        """A gap came, or nearly did: one block more."""
        if not self._forgiven or now - self._changed_at < TERM:
            self.blocks += 1
        self.blocks = min(self.most, self.blocks)
        self._changed_at = now
        if self._shrunk_at is not None:
            was_too_small = now - self._shrunk_at < TERM
            self._term = min(LONGEST_TERM, 2 * self._term) if was_too_small else TERM
            self._shrunk_at = None

    def look(self, now: float) -> None:
        """Remove a block if it is time. Call it often."""
        self.blocks = min(self.most, self.blocks)
        if self.blocks > self._least and now - self._changed_at > self._term:
            self.blocks -= 1
            self._changed_at = self._shrunk_at = now


class Outages:
    """Decides when longer blocks are worth their delay, because no reserve helps, and when blocks may be short
    again."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=OFTEN)
        self._calm = CALM
        self._given_back_at = float("-inf")

    def outage(self, now: float) -> None:
        """Short blocks had a gap, or would have had one."""
        self._times.append(now)

    def are_frequent(self, now: float) -> bool:
        """Whether longer blocks are worth their delay."""
        return len(self._times) == OFTEN and now - self._times[0] < OFTEN_WITHIN

    def are_over(self, now: float) -> bool:
        """Whether short blocks may be tried again."""
        return not self._times or now - self._times[-1] > self._calm

    def lengthened(self, now: float) -> None:
        """Blocks are longer from now on. If that happens again soon, they stay longer for twice the time."""
        again = now - self._given_back_at < SOON
        self._calm = min(LONGEST_CALM, 2 * self._calm) if again else CALM

    def given_back(self, now: float) -> None:
        """Blocks are short again."""
        self._given_back_at = now
        self._times.clear()
