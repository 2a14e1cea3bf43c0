"""Limits how many codes may be tried, so that hitting one takes years, while a friend still gets a try. Pure.

Wrong guesses do not end a code: otherwise an attacker could keep friends out by guessing. Instead, one token bucket
limits the tries of all diallers together, at a rate that depends on the number of possible codes; docs/security.md
has the arithmetic. `now` is in seconds of a monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Sequence

from voicemux.security.code import codes_like
from voicemux.security.networks import Network

YEARS = 12  # years that hitting a code takes on average, by trying without a pause
SECONDS = 365.25 * 86400  # seconds of a year
MOST_RATE = 10.0  # tries a second, however long codes are: a try costs 7 ms, so this is 7 % of a core
BURST_ODDS = 5000  # all tries that may come at once hit a code with a chance of 1 in 5000
LEAST_BURST, MOST_BURST = 3, 400  # tries; a friend may mistype twice
FRESH = 3  # tries of a network within MEMORY, from which on it counts as guessing
# Share of the burst that is kept for networks that do not guess, so that a guesser does not use up a friend's tries.
KEPT = 0.25
MEMORY = 3600.0  # seconds for which a network's tries are counted
MOST_NETWORKS = 4096  # networks whose tries are remembered: about 800 kB


class Guesses:
    """A limit for all diallers of one listener. Call `may_try()` before each exchange, and `right()` after each one
    whose code was right."""

    def __init__(self, code: str, words: int, *, number_is_known: bool = False) -> None:
        """`code` was chosen by a person; if it is "", codes of `words` words are made at random. `number_is_known` is
        whether others can find out the number that codes begin with, as at a relay."""
        self.words = words
        codes = codes_like(code, words, number_is_known=number_is_known)
        self.rate = min(MOST_RATE, codes / 2 / (YEARS * SECONDS))  # tries a second; on average, half of all codes hit
        self.burst = min(max(LEAST_BURST, codes // BURST_ODDS), MOST_BURST)  # tries at once
        self._left = float(self.burst)
        self._looked: float | None = None
        # Per network: tries, and the time since which they are counted.
        self._tries: OrderedDict[Network, tuple[int, float]] = OrderedDict()

    def may_try(self, networks: Sequence[Network], now: float) -> bool:
        """Count a try. Returns whether a dialler in these networks (the widest first) may try a code now. The try
        counts as wrong until `right` is called."""
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
        """Take back the last try from these networks: its code was right, or a contact mistyped it."""
        self._left = min(self.burst, self._left + 1)
        network = networks[0]
        tries, since = self._tries.get(network, (1, 0.0))
        self._tries[network] = (max(0, tries - 1), since)
