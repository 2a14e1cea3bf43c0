"""How much a loudspeaker keeps in reserve, by what ran dry. No sound, no clock: times are given, in seconds."""

from collections import deque

TERM = 10.0  # seconds without a gap after which the reserve becomes smaller
LONGEST_TERM = 80.0  # seconds of that where the smaller reserve was too small
OFTEN = 3  # gaps, after which longer blocks are worth their delay, if they come
OFTEN_WITHIN = 10.0  # seconds
CALM = 4.0  # seconds without a gap after which longer blocks are given back
LONGEST_CALM = 60.0  # seconds of that where they were wanted again soon
SOON = 60.0  # seconds


class Reserve:
    """Of blocks that may still wait when more is asked for; one more for a gap, one less after a while without."""

    def __init__(self, most: int, forgiven: bool, least: int = 0) -> None:
        """Of `least` to `most` blocks, first `least`. If the first gap in a term is `forgiven`, nothing changes."""
        self.blocks = self._least = least
        self.most = most
        self._forgiven = forgiven
        self._changed_at = float("-inf")  # or the last gap
        self._term = TERM
        self._shrunk_at: float | None = None  # if there was no gap since

    @property
    def is_full(self) -> bool:
        """Whether another gap would make it no larger."""
        return self.blocks >= self.most

    def gap(self, now: float) -> None:
        """Something ran dry, or nearly: one block more."""
        if not self._forgiven or now - self._changed_at < TERM:
            self.blocks += 1
        self.blocks = min(self.most, self.blocks)
        self._changed_at = now
        if self._shrunk_at is not None:
            was_too_small = now - self._shrunk_at < TERM
            self._term = min(LONGEST_TERM, 2 * self._term) if was_too_small else TERM
            self._shrunk_at = None

    def look(self, now: float) -> None:
        """To be called often: one block less, if it is time."""
        self.blocks = min(self.most, self.blocks)
        if self.blocks > self._least and now - self._changed_at > self._term:
            self.blocks -= 1
            self._changed_at = self._shrunk_at = now


class Outages:
    """When longer blocks are worth their delay: where no reserve helps. They are given back after a calm while."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=OFTEN)
        self._calm = CALM
        self._given_back_at = float("-inf")

    def outage(self, now: float) -> None:
        """Short blocks ran dry, or would have."""
        self._times.append(now)

    def are_frequent(self, now: float) -> bool:
        """Whether longer blocks are worth their delay."""
        return len(self._times) == OFTEN and now - self._times[0] < OFTEN_WITHIN

    def are_over(self, now: float) -> bool:
        """Whether short blocks may be tried again."""
        return not self._times or now - self._times[-1] > self._calm

    def lengthened(self, now: float) -> None:
        """Blocks are longer from now on. The sooner that comes again, the longer they stay so."""
        again = now - self._given_back_at < SOON
        self._calm = min(LONGEST_CALM, 2 * self._calm) if again else CALM

    def given_back(self, now: float) -> None:
        """Blocks are short again."""
        self._given_back_at = now
        self._times.clear()
