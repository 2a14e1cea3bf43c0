"""What the user is told of callers that were not answered: a few lines a minute, and totals for the rest. Pure.

The reasons are ours, from a short list: a stranger's words are never shown, and how much it sends makes no
difference. `now` is in seconds, and never goes back.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.security.networks import Network, networks_of

WINDOW = 60.0  # seconds of a window, in which the lines are limited
LINES = 6  # refusals told one by one in a window: enough for friends who mistype a code or call a busy listener
SUMMARIES = 3  # lines for the rest of a window, one for each of the most frequent reasons
# Pairs of reason and network that are counted separately: strangers choose how many networks there are.
MOST_KINDS = 256
ELSEWHERE = "other addresses"


@dataclass(frozen=True)
class Refusal:
    """`times` callers from `address` were not answered: a host or a network, or another place, see `Stream`. `why`
    is in our words."""

    address: str
    why: str
    times: int = 1
    name: str = ""  # name of the contact that called, if it was one
    relay: str = ""  # relay that it came through, whose address is then `address`


class Refusals:
    """Limits how many refusals are told. Call `add()` for each, and tell the user what `add()` and `due()` return."""

    def __init__(self) -> None:
        self._opened: float | None = None  # when the present window was opened, by the first refusal in it
        self._lines = LINES  # lines that are left in the window
        self._untold: Counter[tuple[str, Network]] = Counter()

    def add(self, refusal: Refusal, now: float) -> list[Refusal]:
        """Add a refusal, and return the refusals to tell now."""
        told = self.due(now)
        if self._opened is None:
            self._opened = now
        if self._lines:
            self._lines -= 1
            return [*told, refusal]
        kind = (refusal.why, f"the relay {refusal.relay}" if refusal.relay else networks_of(refusal.address)[0])
        if kind not in self._untold and len(self._untold) >= MOST_KINDS:
            kind = (refusal.why, ELSEWHERE)
        self._untold[kind] += refusal.times
        return told

    @property
    def next_time(self) -> float | None:
        """The time at which something is `due()`; None if nothing waits."""
        return None if self._opened is None else self._opened + WINDOW

    def due(self, now: float) -> list[Refusal]:
        """Return the totals of a window that is over. After a window with too many refusals, the next has fewer
        single lines."""
        if self._opened is None or now < self._opened + WINDOW:
            return []
        untold, self._untold = self._untold, Counter()
        self._lines = 1 if untold else LINES
        self._opened = now if untold else None  # after a window without refusals, all is as at first
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
    """Counts refusals of known callers and of strangers separately, so that strangers cannot hide those of known
    callers."""

    def __init__(self, tell: Callable[[Refusal], None]) -> None:
        self._tell = tell
        self._by_known = {False: Refusals(), True: Refusals()}

    def add(self, refusal: Refusal, now: float, *, is_known: bool) -> None:
        """A caller was not answered; `is_known` is whether it is a contact or knows the code."""
        for each in self._by_known[is_known].add(refusal, now):
            self._tell(each)

    def tell_due(self, now: float) -> None:
        """Tell what has been counted in windows that are over."""
        for refusals in self._by_known.values():
            for each in refusals.due(now):
                self._tell(each)

    @property
    def next_times(self) -> list[float]:
        """The times at which something is due."""
        return [each.next_time for each in self._by_known.values() if each.next_time is not None]
