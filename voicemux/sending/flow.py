"""What is in flight: written and not yet acknowledged. Pure: no socket, clock or thread.

Voice is late as soon as much of it is in flight, wherever it waits: in the kernel's buffer or in a router's. So the
age of the oldest unacknowledged piece counts. Acknowledgements come from two sources. The kernel at the far end of
our TCP connection acknowledges soon and exactly. The peer, which is behind that kernel if the connection ends in a
tunnel, acknowledges with messages that it sends in any case. All times are in seconds, all sizes in bytes.
"""

from collections import deque
from collections.abc import Hashable
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import NamedTuple

SEGMENT_OVERHEAD = 52  # bytes of IPv4 and TCP headers (with timestamps) for each write
UNKNOWN_ROUND_TRIP = 0.2  # seconds assumed until a round trip has been measured
VOICE_BUDGET = 0.100  # seconds beyond the smallest round trip that voice may be in flight
# Bytes that may wait for TCP's window before voice is held back: one full segment. Where the window counts segments,
# each should be full, and it is if a full one waits.
MOST_BACKLOG = 1448
MOMENT = 0.5  # seconds of the newest acknowledgements, which tell how long they take now
MOST_DELAYS = 200  # acknowledgements that are remembered
MAX_AUDIO_WAIT = 0.120  # seconds that voice waits here before it is dropped: it would be too late at the far end
LEAST_PIECES = 2  # packets of voice that may be in flight in any case
BEHIND = 0.060  # seconds beyond the smallest round trip from which on there is a queue
# Seconds for which the line must be too slow, or no longer so: a single loss looks the same for a moment.
PATIENCE = 0.2
ANSWER_WAIT = 0.1  # seconds that a peer may hold back an acknowledgement, to send it with other messages
UNKNOWN_INTERVAL = 1.0  # seconds assumed between two REPORTs of the peer until known (protocol.md §5.7)
MOST_ROUND_TRIPS = 4  # answered PINGs without a REPORT, after which the peer counts as one that sends none (any more)
MOST_ANSWERS = 8  # newest reports from which their interval is estimated
MOST_PIECES = 4096  # writes that are remembered while the peer acknowledges nothing
TEXT_DELAY = 0.010  # seconds that text may add to the round trip, and so to the delay of voice beside it
# Bytes of text that may always be in flight beside voice: with the next frame, 33 ms at 512 kbit/s.
LEAST_TEXT = 1_000
MOST_TEXT = 262_144  # bytes of text in flight at most: what 1 Gbit/s carries in 2 ms, or 20 Mbit/s in 100 ms
TEXT_GROWTH, TEXT_CUT = 1.25, 0.5  # as in LEDBAT (RFC 6817): up slowly while delay is low, else down at once


class Obstacle(StrEnum):
    """Why voice is held back."""

    BACKLOG = "backlog"  # TCP's window holds back bytes in our own kernel
    MUCH = "much"  # `most_voice` is in flight, as much as a line that suddenly becomes slow could drain
    TEST = "test"  # all that was sent must arrive first, to find out whose queue delays voice
    AGE = "age"  # the oldest bytes in flight are too old
    RATE = "rate"  # at the rate at which the peer acknowledges, it would arrive too late


class _Piece(NamedTuple):
    size: int
    end: int  # offset of its end in the stream, in bytes
    written: float
    mark: Hashable
    is_voice: bool


class Flow:
    """The bytes in flight, as one source (kernel or peer) acknowledges them. Tell it what is written and
    acknowledged; ask it what may follow."""

    def __init__(self, *, by_peer: bool = False) -> None:
        """`by_peer`: the peer acknowledges; otherwise, the kernel does."""
        self._by_peer = by_peer
        # Times of the newest acknowledgements: the kernel's, or the peer's of voice.
        self._answered: deque[float] = deque(maxlen=MOST_ANSWERS)
        self._last_heard: Hashable = None  # mark of the newest voice that the peer has acknowledged
        self._round_trips_since = 0
        self._last_delay = 0.0  # seconds that the newest acknowledgement took
        # Of each acknowledgement: when it came, and the seconds that it took.
        self.delays: deque[tuple[float, float]] = deque(maxlen=MOST_DELAYS)
        self.excused = 0.0  # seconds that acknowledgements take longer for reasons other than our voice (`Course`)
        self.budget = VOICE_BUDGET  # seconds beyond round trip and excuse that voice may be in flight
        self.most_voice = float("inf")  # bytes of voice that may be in flight, headers of all layers included
        self.is_crowded = False  # another program's queue is on the line: text would make it longer
        self.backlog = 0  # bytes that TCP's window holds back, where the kernel tells
        self._pieces: deque[_Piece] = deque(maxlen=MOST_PIECES)
        self.knows = False  # whether acknowledgements come
        self._written = 0
        self._acknowledged = 0
        self._smallest_round_trip: float | None = None
        self._text_budget = float(LEAST_TEXT)
        self._behind_since: float | None = None
        self._caught_up: float | None = None  # time since which the line has kept up, perhaps for a moment only
        self._behind_bytes = 0  # acknowledged since `_behind_since`, headers of all layers included

    def wrote(self, size: int, now: float, *, mark: Hashable = None, is_voice: bool = False) -> None:
        """`size` bytes were written. `heard` will refer to them by `mark`."""
        self._written += size
        if self._by_peer and mark is None:
            return  # the peer does not acknowledge this
        self._pieces.append(_Piece(size, self._written, now, mark, is_voice))

    def acknowledge(self, unacknowledged: int, now: float) -> None:
        """The far end's kernel has all but the last `unacknowledged` bytes."""
        self.knows = True
        offset = self._written - unacknowledged
        if offset > self._acknowledged:
            self._has_answered(now)
        self._acknowledge_to(offset, now)

    def heard(self, mark: Hashable, now: float) -> None:
        """The peer has acknowledged the bytes with that mark, and so all before them."""
        known = [piece for piece in self._pieces if piece.mark == mark]
        if known or mark == self._last_heard:
            self._round_trips_since = 0
        if known:
            if known[-1].is_voice:
                self.knows = True
                self._has_answered(now)
                self._last_heard = mark
            self._acknowledge_to(known[-1].end, now)

    def round_trip(self, seconds: float) -> None:
        """A round trip of that many seconds was measured."""
        known = self._smallest_round_trip
        self._smallest_round_trip = seconds if known is None else min(known, seconds)
        self._round_trips_since += 1
        if self._by_peer and self._round_trips_since > MOST_ROUND_TRIPS:
            self.knows = False
            self._pieces.clear()

    @property
    def unacknowledged(self) -> int:
        """Bytes in flight."""
        return self._written - self._acknowledged

    @property
    def smallest_round_trip(self) -> float | None:
        """Seconds of the shortest round trip so far; None before the first."""
        return self._smallest_round_trip

    def latest_delay(self, now: float) -> float | None:
        """Return the longest time in seconds that an acknowledgement within the last MOMENT took; None before the
        first."""
        recent = [delay for at, delay in self.delays if now - at <= MOMENT]
        return max(recent) if recent else (self.delays[-1][1] if self.delays else None)

    def age(self, now: float) -> float:
        """Return the age in seconds of the oldest bytes in flight; 0 if there are none."""
        return now - self._pieces[0].written if self._pieces else 0.0

    def may_send_voice(self, now: float) -> bool:
        """Whether more voice would still arrive in time. Always true before the first acknowledgement."""
        return self.obstacle(now) is None

    def obstacle(self, now: float) -> Obstacle | None:
        """Why voice may not be sent now; None if it may."""
        if not self.knows or sum(piece.is_voice for piece in self._pieces) < LEAST_PIECES:
            return None
        if self.backlog > MOST_BACKLOG:
            return Obstacle.BACKLOG
        if self._voice_under_way > self.most_voice:
            return Obstacle.MUCH
        limit = self.usual_delay + self.budget
        if self._by_peer:
            limit += self._answer_interval
        if self.age(now) >= limit:
            return Obstacle.AGE
        rate = self.line_rate(now) if self._by_peer else None  # the peer's reports are too rare to judge by age alone
        return Obstacle.RATE if rate is not None and self._size_under_way * 8 >= limit * rate else None

    def may_send_text(self, now: float) -> bool:
        """Whether text may be sent without delaying the voice behind it."""
        if not self.knows:
            return not any(piece.is_voice for piece in self._pieces) or self._text_under_way < LEAST_TEXT
        delay = self._last_delay if self._by_peer and self._pieces else self.age(now)
        return self._text_under_way < self._text_budget and delay < self.usual_delay + TEXT_DELAY * 2

    def line_rate(self, now: float) -> float | None:
        """Return what the line takes, in bits a second, if that is less than we send; otherwise None.

        It takes less if bytes in flight grow old although acknowledgements come in. (If none come, a packet was lost
        or there is an outage, and sending less would not help.)
        """
        since = self._behind_since
        if since is None or self._has_caught_up(now) or self._behind_until(now) - since < PATIENCE:
            return None
        return self._behind_bytes * 8 / (now - since)

    @property
    def _text_under_way(self) -> int:
        """Bytes of text in flight; of text and voice together if the kernel acknowledges, which does not tell them
        apart."""
        if self._by_peer:
            return sum(piece.size for piece in self._pieces if not piece.is_voice)
        return self.unacknowledged

    @property
    def _size_under_way(self) -> int:
        """Bytes in flight, headers of all layers included."""
        return sum(piece.size + SEGMENT_OVERHEAD for piece in self._pieces)

    @property
    def _voice_under_way(self) -> int:
        """Bytes of voice in flight, headers of all layers included."""
        return sum(piece.size + SEGMENT_OVERHEAD for piece in self._pieces if piece.is_voice)

    @property
    def usual_delay(self) -> float:
        """Seconds until bytes are acknowledged, at most, without a queue of ours."""
        known = UNKNOWN_ROUND_TRIP if self._smallest_round_trip is None else self._smallest_round_trip
        return known + self.excused + (ANSWER_WAIT if self._by_peer else 0.0)

    @property
    def _answer_interval(self) -> float:
        """Seconds until the peer's next report, at most: some peers send one every 0.1 s, some every second."""
        intervals = [later - sooner for sooner, later in pairwise(self._answered)]
        return 2 * median(intervals) if intervals else UNKNOWN_INTERVAL

    def _has_answered(self, now: float) -> None:
        silence = now - self._answered[-1] if self._answered else 0.0
        if silence > PATIENCE and silence > self._answer_interval:
            self._behind_since = None  # the time before such a silence does not count after it
        self._answered.append(now)

    def _acknowledge_to(self, offset: int, now: float) -> None:
        under_way = self._text_under_way
        self._acknowledged = max(self._acknowledged, offset)
        newest: _Piece | None = None
        while self._pieces and self._pieces[0].end <= offset:
            newest = self._pieces.popleft()
            self._behind_bytes += newest.size + SEGMENT_OVERHEAD
        if newest is None:
            return
        self._last_delay = now - newest.written
        self.delays.append((now, self._last_delay))
        self._adapt_text(self._last_delay, under_way)
        if self._has_caught_up(now):
            self._behind_since = None
        if self.age(now) > self.usual_delay + BEHIND:
            self._behind_since = now if self._behind_since is None else self._behind_since
            self._caught_up = None
        elif self._caught_up is None:
            self._caught_up = now
        if self._behind_since in (None, now):
            self._behind_bytes = 0

    def _has_caught_up(self, now: float) -> bool:
        """Whether the line has kept up for PATIENCE. A moment is not enough: if both directions are full,
        acknowledgements come in bursts."""
        return now - self._behind_until(now) >= PATIENCE

    def _behind_until(self, now: float) -> float:
        return now if self._caught_up is None else self._caught_up

    def _adapt_text(self, delay: float, under_way: int) -> None:
        if delay > self.usual_delay + TEXT_DELAY or self.is_crowded:
            self._text_budget = max(LEAST_TEXT, self._text_budget * TEXT_CUT)
        elif under_way * 2 > self._text_budget:  # the budget is being used
            # The peer's acknowledgements are late, so a larger step would do harm before it shows.
            more = under_way - self._text_under_way if self._by_peer else self._text_budget * (TEXT_GROWTH - 1)
            self._text_budget = min(MOST_TEXT, self._text_budget + more)
