"""Decides which clients of a relay are joined, and which are refused. Pure (relay.md §6 and §8).

It knows each connection by an object of the server's, a guest, and returns what the server is to do. `now` is in
seconds, and never goes back.
"""

import hmac
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from voicemux.net.address import Address
from voicemux.relay.limits import CallRate, Limits, place_of
from voicemux.relay.messages import CallFor, Moved, Paired, Parked, Refused, RefusedCode, Reply, Request, Token, Wait

ASK_PATIENCE = 5.0  # seconds for a client's WAIT or CALL, TLS included
# Seconds for which a CALL is kept if its listener has just been joined with another caller. The listener waits again
# within a round trip, so the second caller gets BUSY from the listener instead of ABSENT from the relay.
CALL_PATIENCE = 3.0
MOST_KEPT_CALLS = 256  # calls that are kept, in all
MOST_KEPT_CALLS_OF_AN_ID = 4  # one caller must not use up the calls that are kept for all
FULL_SECONDS = 30  # seconds after which a client that found no room should try again
ABSENT_SECONDS = 1  # seconds after which a caller whose listener was absent should try again

Guest = TypeVar("Guest")


@dataclass(frozen=True)
class Tell(Generic[Guest]):
    """Send `reply` to the client; after REFUSED or MOVED, end the stream."""

    guest: Guest
    reply: Reply


@dataclass(frozen=True)
class Cut(Generic[Guest]):
    """Close the connection without sending anything."""

    guest: Guest


@dataclass(frozen=True)
class Join(Generic[Guest]):
    """Both have been sent PAIRED: pass bytes between them from now on."""

    caller: Guest
    waiting: Guest


@dataclass(frozen=True)
class Ask(Generic[Guest]):
    """Ask the cluster which other relay has a listener for one of the ids; for a WAIT, a listener of another
    owner."""

    guest: Guest
    request: Wait | CallFor


Step = Tell[Guest] | Cut[Guest] | Join[Guest] | Ask[Guest]


@dataclass
class RelayCounts:
    """Figures of a relay: counts since its start, and, with `_now`, present numbers."""

    connections: int = 0
    waits: int = 0
    calls: int = 0
    pairs: int = 0
    bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    connections_now: int = 0
    waits_now: int = 0
    paired_now: int = 0  # connections: two for each pair
    calls_kept_now: int = 0


@dataclass(eq=False)
class DeskRecord:
    """What the desk knows of one connection."""

    seen: Address
    place: str
    deadline: float  # time by which the client must have asked, or, of a kept call, be joined
    kind: str = "unasked"  # "unasked", "waits", "calls" (is kept) or "pairs"
    has_token: bool = False
    owner: bytes = b""
    ids: tuple[bytes, ...] = ()


class KeptIds:
    """Keeps ids for a few seconds for the listeners that have just been joined, which will wait for them again."""

    def __init__(self, on_end: Callable[[bytes], None] = lambda _: None) -> None:
        """`on_end` is called with each id that is not kept any more."""
        self._kept: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()  # owner and end, earliest end first
        self._on_end = on_end

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._kept

    def owner(self, id_: bytes) -> bytes:
        """Return the owner that the id is kept for; b"" if it is not kept."""
        return self._kept.get(id_, (b"", 0.0))[0]

    def is_of_another(self, id_: bytes, owner: bytes) -> bool:
        """Return whether the id is kept for another owner."""
        return id_ in self._kept and not hmac.compare_digest(self.owner(id_), owner)

    def keep(self, id_: bytes, owner: bytes, until: float) -> None:
        """Keep the id for the owner until a time, which is never earlier than that of the id before."""
        self._kept[id_] = owner, until
        self._kept.move_to_end(id_)

    def release(self, id_: bytes) -> None:
        """Keep the id no longer. An id that is not kept changes nothing."""
        if self._kept.pop(id_, None):
            self._on_end(id_)

    def release_until(self, now: float) -> None:
        """Release all ids whose time is over at `now`."""
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self.release(next(iter(self._kept)))


class Desk(Generic[Guest]):
    """The desk of one relay. Tell it what happens, and do what it returns, in order."""

    def __init__(self, limits: Limits, tokens: Collection[str] = ()) -> None:
        """With `tokens`, a client must send one of them first."""
        self._limits = limits
        self._tokens = tokens
        self._rate = CallRate(limits.calls)
        self._wait_rate = CallRate(limits.waits * limits.waits_anew)
        self._records: dict[Guest, DeskRecord] = {}
        self._waiting: dict[bytes, Guest] = {}  # the listener by each id that it waits for
        self._gone = KeptIds()
        # Connections with a deadline, the earliest first: clients that have not asked yet, and calls that are kept.
        self._unasked: OrderedDict[Guest, float] = OrderedDict()
        self._kept: OrderedDict[Guest, bytes] = OrderedDict()
        self._of_place: Counter[tuple[str, str]] = Counter()  # number of connections by kind and address
        self._farewell: Moved | Refused | None = None  # what clients are sent once the relay is closing
        self.counts = RelayCounts()

    def enter(self, guest: Guest, seen: Address, now: float) -> list[Step[Guest]]:
        """A client has connected. If the relay is full, the connection that has been silent for longest is cut."""
        record = DeskRecord(seen, place_of(seen.host), now + ASK_PATIENCE)
        self.counts.connections += 1
        steps: list[Step[Guest]] = []
        if len(self._records) >= self._limits.connections:
            silent = next(iter(self._unasked), None)
            if silent is None:
                self.counts.refused["full"] += 1
                return [Cut(guest)]
            steps.append(self._cut(silent))
        elif self._of_place["unasked", record.place] >= self._limits.unasked:
            self.counts.refused["unasked"] += 1
            return [Cut(guest)]
        self._records[guest] = record
        self._unasked[guest] = record.deadline
        self._count(record, 1)
        return steps

    def hear(self, guest: Guest, request: Request, now: float) -> list[Step[Guest]]:
        """A client has sent a request. After a refusal, its requests are ignored."""
        if (record := self._records.get(guest)) is None:
            return []
        if isinstance(request, Token):
            record.has_token = _is_one_of(request.token, self._tokens)
            return [] if record.has_token or not self._tokens else [self._refuse(guest, RefusedCode.TOKEN)]
        if self._tokens and not record.has_token:
            return [self._refuse(guest, RefusedCode.TOKEN)]
        if self._farewell:
            self.leave(guest)
            return [Tell(guest, self._farewell)]
        self._gone.release_until(now)
        del self._unasked[guest]
        if isinstance(request, Wait):
            if seconds := self._wait_rate.wait(record.place, now):
                return [self._refuse(guest, RefusedCode.LIMIT, min(math.ceil(seconds), 65_535))]
            return self._wait(guest, record, request, now)
        return self._call(guest, record, request, now)

    def leave(self, guest: Guest) -> None:
        """The connection has ended, or has been sent REFUSED or MOVED. Calling it again does nothing."""
        record = self._records.pop(guest, None)
        if record is None:
            return
        self._count(record, -1)
        self._unasked.pop(guest, None)
        self._kept.pop(guest, None)
        for each in record.ids:
            if self._waiting.get(each) is guest:
                del self._waiting[each]
                self._gone.release(each)

    @property
    def next_time(self) -> float | None:
        """The time at which something is `due`; None if nothing waits."""
        first = (next(iter(self._unasked), None), next(iter(self._kept), None))
        return min((self._records[each].deadline for each in first if each is not None), default=None)

    def due(self, now: float) -> list[Step[Guest]]:
        """Return what to do with the clients whose deadline has passed."""
        self._gone.release_until(now)
        steps: list[Step[Guest]] = []
        while (guest := next(iter(self._kept), None)) is not None and self._records[guest].deadline <= now:
            steps.append(self._expired(guest))
        while (guest := next(iter(self._unasked), None)) is not None and self._unasked[guest] <= now:
            steps.append(self._cut(guest))
        return steps

    def refuse(self, guest: Guest, refused: Refused) -> list[Step[Guest]]:
        """The client has broken the protocol."""
        self.counts.refused["protocol"] += 1
        self.leave(guest)
        return [Tell(guest, refused)]

    def close(self, seconds: int, elsewhere: Address | None = None) -> list[Step[Guest]]:
        """The relay closes: clients that are not in a pair, and those that come from now on, are sent to `elsewhere`,
        or told to come again in `seconds`."""
        self._farewell = farewell = Moved(elsewhere) if elsewhere else Refused(RefusedCode.CLOSING, seconds)
        steps: list[Step[Guest]] = []
        for guest, record in list(self._records.items()):
            if record.kind == "unasked" and not elsewhere:
                steps.append(self._cut(guest))
            elif record.kind not in ("unasked", "pairs"):
                self.leave(guest)
                steps.append(Tell(guest, farewell))
        return steps

    # --- requests

    def _wait(self, guest: Guest, record: DeskRecord, wait: Wait, now: float) -> list[Step[Guest]]:
        older: list[Guest] = []
        for each in wait.ids:
            if self._gone.is_of_another(each, wait.owner):
                return [self._refuse(guest, RefusedCode.TAKEN)]
            other = self._waiting.get(each)
            if other is not None and other not in older:
                if not hmac.compare_digest(self._records[other].owner, wait.owner):
                    return [self._refuse(guest, RefusedCode.TAKEN)]
                older.append(other)
        freed = sum(self._records[each].place == record.place for each in older)
        if self._of_place["waits", record.place] - freed >= self._limits.waits:
            return [self._refuse(guest, RefusedCode.LIMIT, FULL_SECONDS)]
        steps: list[Step[Guest]] = [self._refuse(each, RefusedCode.TAKEN) for each in older]
        self._become(record, "waits")
        record.owner, record.ids = wait.owner, wait.ids
        for each in wait.ids:
            self._waiting[each] = guest
        self.counts.waits += 1
        steps.append(Tell(guest, Parked(record.seen)))
        caller = next((each for each, wanted in self._kept.items() if wanted in wait.ids), None)
        return steps if caller is None else [*steps, *self._join(caller, guest, self._kept[caller], now)]

    def _call(self, guest: Guest, record: DeskRecord, call: CallFor, now: float) -> list[Step[Guest]]:
        self.counts.calls += 1
        if seconds := self._rate.wait(record.place, now):
            return [self._refuse(guest, RefusedCode.LIMIT, min(math.ceil(seconds), 65_535))]
        if self._of_place["pairs", record.place] >= self._limits.pairs:
            return [self._refuse(guest, RefusedCode.LIMIT, FULL_SECONDS)]
        if wanted := next((each for each in call.ids if each in self._waiting), None):
            return self._join(guest, self._waiting[wanted], wanted, now)
        return self._not_here(guest, record, call, now)

    def _not_here(self, guest: Guest, record: DeskRecord, call: CallFor, now: float) -> list[Step[Guest]]:
        """No listener waits for any of the ids: keep the call if one did a moment ago, otherwise refuse it."""
        wanted = next((each for each in call.ids if each in self._gone), None)
        of_id = sum(each == wanted for each in self._kept.values())
        if wanted is None or len(self._kept) >= MOST_KEPT_CALLS or of_id >= MOST_KEPT_CALLS_OF_AN_ID:
            return [self._refuse(guest, RefusedCode.ABSENT, ABSENT_SECONDS)]
        self._become(record, "calls")
        record.deadline = now + CALL_PATIENCE
        self._kept[guest] = wanted
        return []

    def _expired(self, guest: Guest) -> Step[Guest]:
        """Refuse a kept call whose listener has not come back."""
        return self._refuse(guest, RefusedCode.ABSENT, ABSENT_SECONDS)

    def _join(self, caller: Guest, waiting: Guest, wanted: bytes, now: float) -> list[Step[Guest]]:
        records = self._records[caller], self._records[waiting]
        for each in records[1].ids:
            if each in self._waiting:
                del self._waiting[each]
            self._gone.keep(each, records[1].owner, now + CALL_PATIENCE)
        self._kept.pop(caller, None)
        for record in records:
            self._become(record, "pairs")
        records[1].ids = ()
        self._wait_rate.give_back(records[1].place)  # the WAIT that follows a call does not count
        self.counts.pairs += 1
        told: list[Step[Guest]] = [
            Tell(guest, Paired(wanted, record.seen)) for guest, record in zip((caller, waiting), records, strict=True)
        ]
        return [*told, Join(caller, waiting)]

    # --- records

    def _become(self, record: DeskRecord, kind: str) -> None:
        self._count(record, -1)
        record.kind = kind
        self._count(record, 1)

    def _count(self, record: DeskRecord, change: int) -> None:
        key = record.kind, record.place
        self._of_place[key] += change
        if not self._of_place[key]:
            del self._of_place[key]
        counts = self.counts
        counts.connections_now += change
        counts.waits_now += change * (record.kind == "waits")
        counts.calls_kept_now += change * (record.kind == "calls")
        counts.paired_now += change * (record.kind == "pairs")

    def _refuse(self, guest: Guest, code: RefusedCode, seconds: int = 0) -> Tell[Guest]:
        self.counts.refused[code.name.lower()] += 1
        self.leave(guest)
        return Tell(guest, Refused(code, seconds))

    def _cut(self, guest: Guest) -> Cut[Guest]:
        self.counts.refused["silent"] += 1
        self.leave(guest)
        return Cut(guest)


def _is_one_of(token: str, tokens: Collection[str]) -> bool:
    """Whether `token` is one of `tokens`. It compares with all, so that the time tells nothing."""
    return sum(hmac.compare_digest(token.encode(), each.encode()) for each in tokens) > 0
