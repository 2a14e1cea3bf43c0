"""What is on its way: written and not yet acknowledged. Pure: no socket, clock or thread.

Voice is late as soon as much of it is under way, wherever it waits: in our queue, in the kernel's buffer
or in a router's. So what counts is how old the oldest piece is that has not been acknowledged.
All times are in seconds, all sizes in bytes.
"""

from collections import deque
from collections.abc import Hashable
from typing import NamedTuple

SEGMENT_OVERHEAD = 52  # bytes of IPv4 and TCP (with time stamps) around each piece
UNKNOWN_ROUND_TRIP = 0.2  # seconds, until one has been measured
VOICE_BUDGET = 0.100  # seconds beyond the smallest round trip that voice may be under way
LEAST_PIECES = 2  # of voice that may be under way in any case
BEHIND = 0.060  # seconds beyond the smallest round trip from which on the line counts as too slow
PATIENCE = 0.2  # seconds that it must have been so, or no longer so: losses look like that for a moment
MOST_PIECES = 4096  # that are kept in mind of a peer that tells nothing
TEXT_DELAY = 0.010  # seconds that text may add to the round trip, and so to the voice beside it
LEAST_TEXT = 1_000  # bytes that may be under way beside voice: with the next 33 ms at 512 kbit/s
MOST_TEXT = 262_144  # bytes: 1 Gbit/s at 2 ms, 20 Mbit/s at 100 ms
TEXT_GROWTH, TEXT_CUT = 1.25, 0.5  # as in LEDBAT (RFC 6817): up gently while delay is low, down at once when not


class _Piece(NamedTuple):
    size: int
    end: int  # offset in the stream behind it
    written: float
    mark: Hashable
    is_voice: bool


class Flow:
    """Tell it what is written and acknowledged; ask it what may follow."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque(maxlen=MOST_PIECES)
        self._knows = False
        self._written = 0
        self._acknowledged = 0
        self._smallest_round_trip: float | None = None
        self._text_budget = float(LEAST_TEXT)
        self._behind_since: float | None = None
        self._caught_up: float | None = None  # since when it is not behind any more, perhaps for a moment only
        self._behind_bytes = 0  # acknowledged since then, headers of all layers included

    def wrote(self, size: int, now: float, *, mark: Hashable = None, is_voice: bool = False) -> None:
        """A piece has been given to the line. `mark` is what `heard` will know it by."""
        self._written += size
        self._pieces.append(_Piece(size, self._written, now, mark, is_voice))

    def acknowledge(self, unacknowledged: int, now: float) -> None:
        """The far end's kernel has all but the last `unacknowledged` bytes."""
        self._knows = True
        self._acknowledge_to(self._written - unacknowledged, now)

    def heard(self, mark: Hashable, now: float) -> None:
        """The peer says that it has the piece of that mark, and so all before it."""
        known = [piece for piece in self._pieces if piece.mark == mark]
        if known:
            self._knows |= known[-1].is_voice
            self._acknowledge_to(known[-1].end, now)

    def round_trip(self, seconds: float) -> None:
        """A round trip was measured."""
        known = self._smallest_round_trip
        self._smallest_round_trip = seconds if known is None else min(known, seconds)

    @property
    def unacknowledged(self) -> int:
        return self._written - self._acknowledged

    def age(self, now: float) -> float:
        """Of the oldest piece that has not been acknowledged, in seconds."""
        return now - self._pieces[0].written if self._pieces else 0.0

    def may_send_voice(self, now: float) -> bool:
        """Whether more voice would still arrive in time. A peer that tells nothing gets it all."""
        if not self._knows:
            return True
        if sum(piece.is_voice for piece in self._pieces) < LEAST_PIECES:
            return True
        return self.age(now) < self._usual_round_trip + VOICE_BUDGET

    def may_send_text(self, now: float) -> bool:
        """Whether text would not hold up the voice behind it."""
        if not self._knows:
            return (
                sum(piece.size for piece in self._pieces if piece.mark is not None and not piece.is_voice)
                < LEAST_TEXT
            )
        return self.unacknowledged < self._text_budget and self.age(now) < self._usual_round_trip + TEXT_DELAY * 2

    def line_rate(self, now: float) -> float | None:
        """The bits a second that the line takes, if that is less than we want of it; otherwise None.

        It is, if what is under way grows old although acknowledgements come in. (If none come, that is a lost
        packet or an outage, and less voice would not help.)
        """
        since = self._behind_since
        if since is None or now - since < PATIENCE or self._has_caught_up(now):
            return None
        return self._behind_bytes * 8 / (now - since)

    @property
    def _usual_round_trip(self) -> float:
        return UNKNOWN_ROUND_TRIP if self._smallest_round_trip is None else self._smallest_round_trip

    def _acknowledge_to(self, offset: int, now: float) -> None:
        under_way = self.unacknowledged
        self._acknowledged = max(self._acknowledged, offset)
        newest: _Piece | None = None
        while self._pieces and self._pieces[0].end <= offset:
            newest = self._pieces.popleft()
            self._behind_bytes += newest.size + SEGMENT_OVERHEAD
        if newest is None:
            return
        self._adapt_text(now - newest.written, under_way)
        if self._has_caught_up(now):
            self._behind_since = None
        if self.age(now) > self._usual_round_trip + BEHIND:
            self._behind_since = now if self._behind_since is None else self._behind_since
            self._caught_up = None
        elif self._caught_up is None:
            self._caught_up = now
        if self._behind_since in (None, now):
            self._behind_bytes = 0

    def _has_caught_up(self, now: float) -> bool:
        """Not if only for a moment: on a line that is full in both directions, acknowledgements come in bursts."""
        return self._caught_up is not None and now - self._caught_up >= PATIENCE

    def _adapt_text(self, delay: float, under_way: int) -> None:
        if delay > self._usual_round_trip + TEXT_DELAY:
            self._text_budget = max(LEAST_TEXT, self._text_budget * TEXT_CUT)
        elif under_way * 2 > self._text_budget:  # it is being used
            self._text_budget = min(MOST_TEXT, self._text_budget * TEXT_GROWTH)
