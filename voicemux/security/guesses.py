"""How many codes may be tried: few enough that none is hit within years, and always one more for a friend. Pure.

No code ends because it was guessed at: then an attacker could keep friends out by guessing. Instead, tries are paced,
all together, by how many codes there are; docs/security.md has the arithmetic. `now` is in seconds of a clock that
only goes forward.
"""

from collections import OrderedDict
from collections.abc import Sequence

from voicemux.security.code import codes_like
from voicemux.security.networks import Network

YEARS = 12  # that it takes on average to hit a code by trying without a pause
SECONDS = 365.25 * 86400  # of a year
MOST_RATE = 10.0  # tries a second, of however long codes: each costs 7 ms, so that is 7 % of a core
BURST_ODDS = 5000  # one in this number: the chance of hitting a code with all tries that may come at once
LEAST_BURST, MOST_BURST = 3, 400  # tries; a friend may mistype twice
FRESH = 3  # tries that a network may have, lately, and still count as one that does not guess
KEPT = 0.25  # of the burst is for networks that do not guess
MEMORY = 3600.0  # seconds for which tries of a network count
MOST_NETWORKS = 4096  # that are kept in mind: some 800 kB


class Guesses:
    """Ask `may_try()` before each exchange; tell it of those that were `right()`."""

    def __init__(self, code: str, words: int) -> None:
        """`code` was chosen by a person; if it is "", codes of `words` words are made at random."""
        self.words = words
        codes = codes_like(code, words)
        self.rate = min(MOST_RATE, codes / 2 / (YEARS * SECONDS))  # tries a second; half of all codes hit, on average
        self.burst = min(max(LEAST_BURST, codes // BURST_ODDS), MOST_BURST)  # tries at once
        self._left = float(self.burst)
        self._looked: float | None = None
        self._tries: OrderedDict[Network, tuple[int, float]] = OrderedDict()  # and since when they are counted

    def may_try(self, networks: Sequence[Network], now: float) -> bool:
        """Whether a caller from these networks, the widest first, may try a code now. It counts as wrong."""
        if self._looked is not None:
            self._left = min(self.burst, self._left + (now - self._looked) * self.rate)
        self._looked = now
        network = networks[0]
        tries, since = self._tries.get(network, (0, now))
        if now - since >= MEMORY:
            tries, since = 0, now
        kept = self.burst * KEPT if tries >= FRESH else 0.0
        if self._left - kept < 1:
            return False
        self._left -= 1
        self._tries[network] = (tries + 1, since)
        self._tries.move_to_end(network)
        if len(self._tries) > MOST_NETWORKS:
            self._tries.popitem(last=False)
        return True

    def right(self, networks: Sequence[Network]) -> None:
        """The last try from there was right, or came from a contact: it does not count."""
        self._left = min(self.burst, self._left + 1)
        network = networks[0]
        tries, since = self._tries.get(network, (1, 0.0))
        self._tries[network] = (max(0, tries - 1), since)
