"""Lets the relays behind one name find each other's listeners, over NATS.

For each id for which a listener waits at a relay, or is about to wait, that relay subscribes to one subject. Another
relay that looks for the id sends a request to that subject; if no relay has subscribed, the NATS server answers so at
once. Voice does not pass through NATS.
"""

import asyncio
import contextlib
import queue
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from voicemux.errors import ConnectionLost
from voicemux.net.address import Address
from voicemux.relay.claims import Claims, IdClaim, Standing
from voicemux.relay.messages import CallFor, Wait
from voicemux.relay.nats_link import RECONNECT_PAUSE, NatsLink, Question, Unsubscribe
from voicemux.threads import Threads, drain

SUBJECT = "voicemux.relay."  # before an id in hexadecimal
ANSWER_PATIENCE = 2.0  # seconds for another relay's answer, which takes a millisecond unless its machine is stopped
BACK_PATIENCE = 1.0  # seconds to wait for a NATS server after the last one was lost: another takes over in less
# Seconds until an id that no relay has is looked for once more: its listener may be moving to another relay, or its
# relay to another NATS server.
AGAIN = 0.3
# Seconds that a claim lasts once the other relays have been asked: by then, the relay's thread has let the listener
# wait, or has refused it.
CLAIM_PATIENCE = 2.0
MOST_HOST = 255  # bytes, as in MOVED


@dataclass(frozen=True)
class ClusterAnswer:
    """The answer to `Cluster.ask`: the relay at which such a listener waits, or None. For a WAIT, `place` is this
    relay itself if a listener of another owner gets one of the ids, but does not wait yet."""

    key: Hashable
    place: Address | None


@dataclass(frozen=True)
class TakenOver:
    """A listener that waits here now waits for the same id at another relay, too."""

    id: bytes
    owner: bytes


class Cluster:
    """The other relays, from `start()` to `close()`. Without a NATS server, each question is answered None."""

    def __init__(self, servers: Sequence[str], here: Address, tell: Callable[[str], None]) -> None:
        """`here` is where clients reach this relay and none of the others. `tell` gets a sentence, in the cluster's
        thread, when the cluster is lost and when it is back. Raises LibraryMissing without nats-py."""
        self._link = NatsLink(servers, tell)
        self._here = here
        self._wake: Callable[[], None] = lambda: None
        self._came: queue.SimpleQueue[ClusterAnswer | TakenOver] = queue.SimpleQueue()
        self._claims = Claims()  # used only in the loop's thread, like all down to `_tasks`
        self._subscriptions: dict[bytes, Unsubscribe] = {}
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._untold: set[bytes] = set()  # ids whose subscription may not match `_claims` yet
        self._unannounced: set[bytes] = set()  # ids whose new owner has not been published yet
        self._subscribing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._threads = Threads()

    # --- for the relay's thread

    def start(self, wake: Callable[[], None]) -> None:
        """Start the thread. `wake` is called, in the cluster's thread, when there is something to `take`. Raises
        OutOfResources."""
        self._wake = wake
        self._threads.start("cluster", self._run)

    def ask(self, key: Hashable, request: Wait | CallFor) -> None:
        """Ask which relay has a listener for one of the ids; for a WAIT, a listener of another owner. `take` has the
        answer, with this `key`, within a few seconds."""
        self._loop.call_soon_threadsafe(lambda: self._begin(self._answer(key, request)))

    def tell_others(self, changes: dict[bytes, bytes]) -> None:
        """Tell the relays for which ids listeners have begun to wait here, by owner; b"" if none waits any more."""
        if changes:
            self._loop.call_soon_threadsafe(self._note, changes)

    def take(self) -> "Iterator[ClusterAnswer | TakenOver]":
        """Return what has come since the last call."""
        return drain(self._came)

    def close(self) -> None:
        """Close the connection to NATS, and end the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._threads.join()

    # --- in the thread of the loop

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self._loop.close()

    async def _live(self) -> None:
        tasks = [asyncio.create_task(each) for each in (self._connect(), self._subscribe_all())]
        await self._stop.wait()
        tasks += self._tasks
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close()

    async def _connect(self) -> None:
        await self._link.connect()
        self._changed.set()

    # --- who waits here

    def _note(self, changes: dict[bytes, bytes]) -> None:
        for id_, owner in changes.items():
            self._claims.note(id_, owner)
            self._untold.add(id_)
            self._unannounced.add(id_)
        self._changed.set()

    async def _subscribe_all(self) -> None:
        """Subscribe and unsubscribe, so that the subscriptions match `_claims`."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._link.has_begun and self._untold:
                id_ = self._untold.pop()
                try:
                    async with self._subscribing:
                        await self._subscribe(id_)
                except ConnectionLost:  # try again with the next server
                    self._untold.add(id_)
                    await asyncio.sleep(RECONNECT_PAUSE)

    async def _subscribe(self, id_: bytes) -> None:
        """Subscribe to the id, or unsubscribe, as `_claims` has it. Publish the owner of a listener that has begun to
        wait."""
        subject = SUBJECT + id_.hex()
        if self._claims.is_wanted(id_) and id_ not in self._subscriptions:
            self._subscriptions[id_] = await self._link.subscribe(subject, self._on_request)
        elif not self._claims.is_wanted(id_) and (unsubscribe := self._subscriptions.pop(id_, None)):
            await unsubscribe()
        if id_ in self._unannounced:
            self._unannounced.remove(id_)
            if owner := self._claims.owner(id_):
                # If the relay where this owner waited before could not be asked, it learns of the move now.
                await self._link.publish(subject, owner)

    async def _on_request(self, question: Question) -> None:
        """Another relay looks for the id: for a CALL, or, with the owner as data, for a WAIT."""
        id_ = bytes.fromhex(question.subject.removeprefix(SUBJECT))
        heard = self._claims.hear(id_, question.data)
        if heard is Standing.MOVED:
            self._came.put(TakenOver(id_, question.data))
            self._wake()
        if not question.answer_to:
            return
        if heard is Standing.FREE:  # the first answer counts, and another relay may have the id
            self._begin(self._respond_later(question))
        else:
            here = f"{self._here.port} {self._here.host}" if heard is Standing.OURS else ""
            await self._link.publish(question.answer_to, here.encode())

    async def _respond_later(self, question: Question) -> None:
        """Answer that this relay does not have the id, after any relay that has it: without an answer, the asking
        relay would wait for ANSWER_PATIENCE."""
        await asyncio.sleep(AGAIN)
        with contextlib.suppress(ConnectionLost):
            await self._link.publish(question.answer_to, b"")

    # --- who waits elsewhere

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, key: Hashable, request: Wait | CallFor) -> None:
        place: Address | None = None
        try:
            place = await self._find(request)
        finally:  # whatever the library raises, the client gets an answer
            self._came.put(ClusterAnswer(key, place))
            self._wake()

    async def _find(self, request: Wait | CallFor) -> Address | None:
        if not await self._link.comes_back(BACK_PATIENCE):
            return None
        if isinstance(request, Wait):
            return await self._find_rival(request)
        found = await self._look_for_all(request.ids)
        if found is None:
            await asyncio.sleep(AGAIN)
            found = await self._look_for_all(request.ids)
        return found

    async def _find_rival(self, wait: Wait) -> Address | None:
        """Return the relay at which a listener of another owner has one of the ids; this relay if such a listener
        gets one; None if the listener of `wait` may wait."""
        claim = self._claims.begin(wait.owner, wait.ids)
        try:
            async with self._subscribing:
                for each in wait.ids:
                    await self._subscribe(each)
            place = await self._look_for_all(wait.ids, wait.owner)
            return place or (None if claim.decide() else self._here)
        finally:
            # The claim keeps the ids for the listener until `_note` says that it waits.
            self._loop.call_later(CLAIM_PATIENCE if claim.is_decided else 0.0, self._end_claim, claim)

    def _end_claim(self, claim: IdClaim) -> None:
        self._claims.end(claim)
        self._untold.update(claim.ids)
        self._changed.set()

    async def _look_for_all(self, ids: Iterable[bytes], owner: bytes = b"") -> Address | None:
        """Return the first relay that has a listener for one of the ids; None if none has."""
        found = await asyncio.gather(*(self._look_for(each, owner) for each in ids))
        return next((each for each in found if each), None)

    async def _look_for(self, id_: bytes, owner: bytes) -> Address | None:
        """Return the relay that has a listener for the id; None if no other has."""
        answer = await self._link.request(SUBJECT + id_.hex(), owner, ANSWER_PATIENCE)
        place = _read_place(answer or b"")
        return None if place == self._here else place


def _read_place(data: bytes) -> Address | None:
    """Return the address in an answer, "PORT HOST" in UTF-8; None if it holds none."""
    port, _, host = data.decode(errors="replace").partition(" ")
    is_place = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536 and host.isprintable()
    return Address(host, int(port)) if is_place and 0 < len(host.encode()) <= MOST_HOST else None
