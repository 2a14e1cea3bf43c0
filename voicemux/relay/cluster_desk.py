"""The desk of a relay in a cluster. Pure, as `desk`.

It asks the other relays before it lets a listener wait, and before it answers that no listener waits.
"""

from collections.abc import Collection
from typing import Generic, TypeVar

from voicemux.net.address import Address
from voicemux.relay.desk import ABSENT_SECONDS, Ask, Desk, DeskRecord, KeptIds, Step, Tell
from voicemux.relay.limits import Limits
from voicemux.relay.messages import CallFor, Moved, RefusedCode, Wait

Guest = TypeVar("Guest")


class ClusterDesk(Desk[Guest]):
    """A `Desk` that also returns `Ask`. Give each answer to `answered`, and tell the other relays what `take_changes`
    returns."""

    def __init__(self, limits: Limits, tokens: Collection[str] = ()) -> None:
        """`limits` and `tokens` are as of `Desk`."""
        super().__init__(limits, tokens)
        self._asked: dict[Guest, Wait | CallFor] = {}
        self._waiting = self._noted = _Noted[Guest]()
        self._gone = KeptIds(self._noted.note)

    def answered(self, guest: Guest, place: Address | None, now: float) -> list[Step[Guest]]:
        """Return what to do after the answer to an `Ask`. `place` is the relay that has such a listener; None if none
        has, or if none can be asked."""
        request, record = self._asked.pop(guest, None), self._records.get(guest)
        if request is None or record is None:
            return []
        if self._farewell:
            self.leave(guest)
            return [Tell(guest, self._farewell)]
        if isinstance(request, Wait):
            if place:
                return [self._refuse(guest, RefusedCode.TAKEN)]
            return super()._wait(guest, record, request, now)
        if place:
            self.leave(guest)
            return [Tell(guest, Moved(place))]
        # A listener may have come meanwhile.
        if wanted := next((each for each in request.ids if each in self._waiting), None):
            return self._join(guest, self._waiting[wanted], wanted, now)
        if record.kind == "calls":  # the call was kept, and its listener has not come back
            return [self._refuse(guest, RefusedCode.ABSENT, ABSENT_SECONDS)]
        return super()._not_here(guest, record, request, now)

    def give_up(self, id_: bytes, owner: bytes) -> list[Step[Guest]]:
        """Refuse the listener of that owner, which now waits for the id at another relay."""
        if self._gone.owner(id_) == owner:
            self._gone.release(id_)
        guest = self._waiting.get(id_)
        if guest is None or self._records[guest].owner != owner:
            return []
        return [self._refuse(guest, RefusedCode.TAKEN)]

    def take_changes(self) -> dict[bytes, bytes]:
        """Return what has changed since the last call: by id, the owner of the listener that has begun to wait; b""
        if none waits any more. For CALL_PATIENCE after its listener was joined, an id still has its owner."""
        return {each: self._owner_of(each) for each in self._noted.take_changed()}

    def _owner_of(self, id_: bytes) -> bytes:
        """Return the owner of the listener that waits for the id, or was joined a moment ago; b"" if none."""
        guest = self._waiting.get(id_)
        return self._gone.owner(id_) if guest is None else self._records[guest].owner

    def leave(self, guest: Guest) -> None:
        """Forget the client, as `Desk.leave` does, and its question."""
        super().leave(guest)
        self._asked.pop(guest, None)

    def _wait(self, guest: Guest, record: DeskRecord, wait: Wait, now: float) -> list[Step[Guest]]:
        return self._ask(guest, wait)

    def _not_here(self, guest: Guest, record: DeskRecord, call: CallFor, now: float) -> list[Step[Guest]]:
        return self._ask(guest, call)

    def _expired(self, guest: Guest) -> Step[Guest]:
        (step,) = self._ask(guest, CallFor((self._kept.pop(guest),)))
        return step

    def _ask(self, guest: Guest, request: Wait | CallFor) -> list[Step[Guest]]:
        self._asked[guest] = request
        return [Ask(guest, request)]


class _Noted(dict[bytes, Guest], Generic[Guest]):
    """A dict that notes which keys have changed. A relay has thousands, and few change at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: set[bytes] = set()

    def take_changed(self) -> set[bytes]:
        """Return the keys that have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def note(self, key: bytes) -> None:
        """Note a key as changed whose value is kept elsewhere."""
        self._changed.add(key)

    def __setitem__(self, key: bytes, guest: Guest) -> None:
        self._changed.add(key)
        super().__setitem__(key, guest)

    def __delitem__(self, key: bytes) -> None:
        self._changed.add(key)
        super().__delitem__(key)
