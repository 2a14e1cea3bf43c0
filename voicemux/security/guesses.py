"""Limits how many codes may be tried: hitting one takes years, and a friend still gets a try. Pure.

Wrong guesses do not end a code: otherwise an attacker who guesses could keep friends out. Instead, one token bucket
limits the tries of all diallers together, at a rate that depends on the number of possible codes; docs/security.md
has the arithmetic. `now` is in seconds, of a clock that only goes forward.
"""

from collections import OrderedDict
from collections.abc import Sequence

from voicemux.security.code import codes_like
from voicemux.security.networks import Network

YEARS = 12  # that hitting a code takes on average, by trying without a pause
SECONDS = 365.25 * 86400  # of a year
MOST_RATE = 10.0  # tries a second, however long codes are: a try costs 7 ms, so this is 7 % of a core
BURST_ODDS = 5000  # all tries that may come at once hit a code with a chance of 1 in 5000
LEAST_BURST, MOST_BURST = 3, 400  # tries; a friend may mistype twice
FRESH = 3  # tries within MEMORY from which on a network counts as one that guesses
KEPT = 0.25  # share of the burst that is kept for networks that do not guess
MEMORY = 3600.0  # seconds for which a network's tries are counted
MOST_NETWORKS = 4096  # whose tries are remembered: about 800 kB


class Guesses:
    """Ask `may_try()` before each exchange, and call `right()` after each one whose code was right."""

    def __init__(self, code: str, words: int, *, number_is_known: bool = False) -> None:
        """`code` was chosen by a person; if it is "", codes of `words` words are made at random.

        `number_is_known` is as of `codes_like`.
        """
        self.words = words
        codes = codes_like(code, words, number_is_known=number_is_known)
        self.rate = min(MOST_RATE, codes / 2 / (YEARS * SECONDS))  # tries a second; on average, half of all codes hit
        self.burst = min(max(LEAST_BURST, codes // BURST_ODDS), MOST_BURST)  # tries at once
        self._left = float(self.burst)
        self._looked: float | None = None
        self._tries: OrderedDict[Network, tuple[int, float]] = OrderedDict()  # tries, counted since when

    def may_try(self, networks: Sequence[Network], now: float) -> bool:
        """Whether a dialler in these networks, the widest first, may try a code now. The try counts as wrong."""
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
        """The last try from these networks was right, or a contact's: it does not count."""
        self._left = min(self.burst, self._left + 1)
        network = networks[0]
        tries, since = self._tries.get(network, (1, 0.0))
        self._tries[network] = (max(0, tries - 1), since)
