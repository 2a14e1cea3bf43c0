"""Gives callers a place for a call: which callers the owner of a listener has, and which wait for a call to end.

A listener holds at most `capacity` calls at once. A caller has a place from the moment it is handed to the owner
until the owner frees it, also while the call rings. No socket here.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.net.caller import Caller, is_same
from voicemux.threads import drain, take


@dataclass(frozen=True)
class Offered:
    """The result of an offer. The caller has a free place; or it waits for the place of `displaces`; or all are
    taken."""

    is_busy: bool = False  # all places are taken
    displaces: Caller | None = None
    drops: Caller | None = None  # a caller that had waited for the same place, and gets none


@dataclass(eq=False)
class _Place:
    current: Caller
    next: Caller | None = None  # the caller that gets the place once `current` has left it
    # Says which callers may become `next`, besides one with the same key.
    yields_to: Callable[[Caller], bool] | None = None

    def is_of(self, caller: Caller) -> bool:
        """Whether the same key already has the place, by an earlier call, or waits for it."""
        return is_same(caller, self.current) or (self.next is not None and is_same(caller, self.next))


class Switchboard:
    """The places of one listener. The reception's thread calls `offer`, the owner `next_caller`, any thread the
    rest."""

    def __init__(
        self, capacity: int = 1, gives_way: Callable[[Caller, Caller], bool] = lambda current, caller: False
    ) -> None:
        """`capacity` is how many calls there may be at once. If no place is free, `gives_way` says whether an
        answered call makes room for a new caller; it is called with a lock held, and must not wait."""
        self._capacity = capacity
        self._gives_way = gives_way
        self._lock = threading.Lock()
        self._places: dict[int, _Place] = {}  # by the id of the current caller
        # Callers that have a place, for the owner to take.
        self._callers: queue.SimpleQueue[Caller | BaseException] = queue.SimpleQueue()

    # --- for the owner

    def next_caller(self) -> Caller:
        """Wait for a caller that may be answered, and return it. It keeps its place until `free`. Raises what
        `interrupt` was given."""
        caller = take(self._callers)
        if isinstance(caller, BaseException):
            raise caller
        return caller

    def free(self, caller: Caller) -> None:
        """The call has ended, or was not answered: free its place for another caller. Calling it again does
        nothing."""
        with self._lock:
            place = self._places.pop(caller.id, None)
            if place and place.next:
                self._seat(place.next)

    def yield_to(self, caller: Caller, whom: Callable[[Caller], bool] | None) -> None:
        """Until `caller` is answered, let callers for which `whom` returns True take its place, as if it had called
        again. This counts only if no other place is free. None: only a caller with the same key."""
        with self._lock:
            if place := self._places.get(caller.id):
                place.yields_to = whom

    def replacement_of(self, caller: Caller) -> Caller | None:
        """Return the caller that takes the place of `caller` and waits for `free`, or None."""
        with self._lock:
            place = self._places.get(caller.id)
            return place.next if place else None

    @property
    def taken(self) -> int:
        """How many places are taken."""
        with self._lock:
            return len(self._places)

    def interrupt(self, error: BaseException) -> None:
        """Make `next_caller` raise `error`. May be called in a signal handler."""
        self._callers.put(error)

    def check(self) -> None:
        """Raise what `interrupt` was given, unless `next_caller` has raised it already."""
        waiting = list(drain(self._callers))
        error = next((each for each in waiting if isinstance(each, BaseException)), None)
        for each in waiting:
            if each is not error:
                self._callers.put(each)
        if error:
            raise error

    # --- for the reception

    def offer(self, caller: Caller, detach: Callable[[], None]) -> Offered:
        """Give the caller a place, or let it wait for one that it may take over.

        `detach` is called before the owner can get the caller, unless all places are taken. It must not wait.
        """
        with self._lock:
            asked = [(place, place.yields_to) for place in self._places.values() if place.yields_to]
        # Outside the lock: it may read files.
        preferred = [place for place, yields_to in asked if yields_to(caller)]
        with self._lock:
            place = next((each for each in self._places.values() if each.is_of(caller)), None)
            if place is None and len(self._places) < self._capacity:
                detach()
                self._seat(caller)
                return Offered()
            if place is None:
                may_yield = [each for each in self._places.values() if each.next is None]
                place = next((each for each in may_yield if each.yields_to and each in preferred), None)
                place = place or next((each for each in may_yield if self._gives_way(each.current, caller)), None)
            if place is None:
                return Offered(is_busy=True)
            detach()
            dropped, place.next = place.next, caller
            return Offered(displaces=place.current, drops=dropped)

    def close(self) -> None:
        """Close the streams of all callers that the owner has not taken. Call it when no more offers come."""
        with self._lock:
            waiting = [place.next for place in self._places.values() if place.next]
        for caller in waiting:
            caller.stream.close()
        for each in drain(self._callers):
            if isinstance(each, Caller):
                each.stream.close()

    def _seat(self, caller: Caller) -> None:
        self._places[caller.id] = _Place(caller)
        self._callers.put(caller)
