"""What the listener's user hears of those who were not answered: some lines a minute, and numbers for the rest. Pure.

The words are ours, and chosen from a few: what a stranger says is not among them, and how much it says makes no
difference. `now` is in seconds, of a clock that only goes forward.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.security.networks import Network, networks_of

WINDOW = 60.0  # seconds
LINES = 6  # told one by one in a window: enough for friends who mistype a code or call a busy listener
SUMMARIES = 3  # lines for the rest of a window, one for each of the most frequent reasons
MOST_KINDS = 256  # (reason, network) that are counted apart: strangers choose how many networks there are
ELSEWHERE = "other addresses"


@dataclass(frozen=True)
class Refusal:
    """`times` callers from `address`, a host or a network, were not answered, and `why`, in our words."""

    address: str
    why: str
    times: int = 1
    name: str = ""  # of the contact who called, if it was one


class Refusals:
    """`add()` each, and tell what it and `due()` return."""

    def __init__(self) -> None:
        self._opened: float | None = None  # when the window did, in which something was added
        self._lines = LINES  # that are left in it
        self._untold: Counter[tuple[str, Network]] = Counter()

    def add(self, refusal: Refusal, now: float) -> list[Refusal]:
        """What is to be told now."""
        told = self.due(now)
        if self._opened is None:
            self._opened = now
        if self._lines:
            self._lines -= 1
            return [*told, refusal]
        kind = (refusal.why, networks_of(refusal.address)[0])
        if kind not in self._untold and len(self._untold) >= MOST_KINDS:
            kind = (refusal.why, ELSEWHERE)
        self._untold[kind] += refusal.times
        return told

    @property
    def next_time(self) -> float | None:
        """When something is `due()`; None if nothing waits."""
        return None if self._opened is None else self._opened + WINDOW

    def due(self, now: float) -> list[Refusal]:
        """What has been counted in a window that is over. After one with too many, there are fewer single lines."""
        if self._opened is None or now < self._opened + WINDOW:
            return []
        untold, self._untold = self._untold, Counter()
        self._lines = 1 if untold else LINES
        self._opened = now if untold else None  # a whole quiet window makes it as it was
        return _summed_up(untold)


def _summed_up(untold: Counter[tuple[str, Network]]) -> list[Refusal]:
    reasons: Counter[str] = Counter()
    for (why, _), times in untold.items():
        reasons[why] += times
    lines = []
    for why, times in reasons.most_common(SUMMARIES):
        networks = Counter({network: number for (each, network), number in untold.items() if each == why})
        (most, _), *others = networks.most_common()
        lines.append(Refusal(f"{most} and other addresses" if others and most != ELSEWHERE else most, why, times))
    if rest := sum(times for _, times in reasons.most_common()[SUMMARIES:]):
        lines.append(Refusal(ELSEWHERE, "for other reasons", rest))
    return lines


class RefusalBook:
    """`Refusals` of people whom we know, and of strangers, apart: those must not go under in these."""

    def __init__(self, tell: Callable[[Refusal], None]) -> None:
        self._tell = tell
        self._by_known = {False: Refusals(), True: Refusals()}

    def add(self, refusal: Refusal, now: float, *, is_known: bool) -> None:
        """One was not answered."""
        for each in self._by_known[is_known].add(refusal, now):
            self._tell(each)

    def tell_due(self, now: float) -> None:
        """Tell what has been counted in windows that are over."""
        for refusals in self._by_known.values():
            for each in refusals.due(now):
                self._tell(each)

    @property
    def next_times(self) -> list[float]:
        """When something is due."""
        return [each.next_time for each in self._by_known.values() if each.next_time is not None]
