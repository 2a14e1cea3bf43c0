"""Lets the relays behind one name find each other's listeners, over NATS. The only home of nats-py, which is an
extra.

For each id for which a listener waits at a relay, that relay subscribes to one subject. Another relay that looks for
the id sends a request to that subject; if no relay has subscribed, the NATS server answers so at once. Voice does not
pass through NATS.
"""

import asyncio
import queue
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicemux.errors import LibraryMissing
from voicemux.net.address import Address
from voicemux.net.socket_errors import reason
from voicemux.relay.messages import CallFor, Wait
from voicemux.threads import Threads, drain

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

SUBJECT = "voicemux.relay."  # before an id in hexadecimal
ANSWER_PATIENCE = 2.0  # seconds for another relay's answer, which takes a millisecond unless its machine is stopped
BACK_PATIENCE = 1.0  # seconds to wait for a NATS server after the last one was lost: another takes over in less
# Seconds until an id that no relay has is looked for once more: its listener may be moving to another relay, or its
# relay to another NATS server.
AGAIN = 0.3
CONNECT_PATIENCE = 2  # seconds to connect to a NATS server
RECONNECT_PAUSE = 0.5  # seconds between two tries at the same server
PING_INTERVAL = 2  # seconds between PINGs: a server that misses three of them is left
CLOSE_PATIENCE = 2.0  # seconds to close the connection to NATS
MOST_HOST = 255  # bytes, as in MOVED


@dataclass(frozen=True)
class ClusterAnswer:
    """The answer to `Cluster.ask`: the relay at which such a listener waits, or None."""

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
        try:
            import nats  # noqa: F401
        except ImportError as error:
            raise LibraryMissing("nats-py", "--cluster takes the package nats-py") from error
        self._servers = list(servers)
        self._here = here
        self._tell = tell
        self._wake: Callable[[], None] = lambda: None
        self._came: queue.SimpleQueue[ClusterAnswer | TakenOver] = queue.SimpleQueue()
        self._owners: dict[bytes, bytes] = {}  # by id, of the listeners that wait here; of the loop's thread
        self._subscriptions: dict[bytes, Subscription] = {}
        self._client: Client | None = None
        self._is_up = asyncio.Event()
        self._has_told = False
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._untold: set[bytes] = set()  # ids whose subscription does not match `_owners` yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._threads = Threads()

    # --- for the relay's thread

    def start(self, wake: Callable[[], None]) -> None:
        """Start. `wake` is called, in any thread, when there is something to `take`. Raises OutOfResources."""
        self._wake = wake
        self._threads.start("cluster", self._run)

    def ask(self, key: Hashable, request: Wait | CallFor) -> None:
        """Ask which relay has a listener for one of the ids; for a WAIT, a listener of another owner. `take` has the
        answer, with this `key`, within a few seconds."""
        self._loop.call_soon_threadsafe(self._begin, key, request)

    def tell_others(self, changes: dict[bytes, bytes]) -> None:
        """Tell the relays for which ids listeners have begun to wait here, by owner; b"" if none waits any more."""
        if changes:
            self._loop.call_soon_threadsafe(self._note, changes)

    def take(self) -> "Iterator[ClusterAnswer | TakenOver]":
        """Return what has come since the last call."""
        return drain(self._came)

    def close(self) -> None:
        """End the thread."""
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
        if self._client:
            try:
                await asyncio.wait_for(self._client.close(), CLOSE_PATIENCE)
            except Exception:  # a library's, at the end
                self._client = None

    async def _connect(self) -> None:
        """Connect to NATS. It goes on trying, and what it raises is not a bug of ours."""
        from nats.aio.client import Client

        client = Client()
        await client.connect(
            self._servers,
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_back,
            name="voicemux relay",
            connect_timeout=CONNECT_PATIENCE,
            reconnect_time_wait=RECONNECT_PAUSE,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL,
            no_echo=True,  # otherwise we would find the listeners that wait here
        )
        self._client = client
        await self._on_back()
        self._changed.set()

    async def _on_error(self, error: Exception) -> None:
        if not self._is_up.is_set():
            await self._on_lost(error)

    async def _on_lost(self, error: Exception | None = None) -> None:
        self._is_up.clear()
        if not self._has_told and not self._stop.is_set():
            self._has_told = True
            said = reason(error) if isinstance(error, OSError) else str(error or "")
            why = f": {said}" if said else ""
            self._tell(f"the cluster cannot be reached, and this relay goes on alone{why}")

    async def _on_back(self) -> None:
        self._is_up.set()
        if self._has_told:
            self._has_told = False
            self._tell("the cluster is there again")

    # --- who waits here

    def _note(self, changes: dict[bytes, bytes]) -> None:
        for id_, owner in changes.items():
            if owner:
                self._owners[id_] = owner
            else:
                self._owners.pop(id_, None)
            self._untold.add(id_)
        self._changed.set()

    async def _subscribe_all(self) -> None:
        """Subscribe and unsubscribe, so that the subscriptions match `_owners`."""
        from nats.errors import Error

        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._client and self._untold:
                id_ = self._untold.pop()
                try:
                    await self._subscribe(self._client, id_)
                except (Error, OSError):  # the server is lost, and too much is queued for the next one
                    self._untold.add(id_)
                    await asyncio.sleep(RECONNECT_PAUSE)

    async def _subscribe(self, client: "Client", id_: bytes) -> None:
        """Subscribe to the id, or unsubscribe, as `_owners` has it."""
        if id_ in self._owners and id_ not in self._subscriptions:
            subject = SUBJECT + id_.hex()
            self._subscriptions[id_] = await client.subscribe(subject, cb=self._on_request)
            # If the relay where this owner waited before could not be asked, it learns of the move now.
            await client.publish(subject, self._owners[id_])
        elif id_ not in self._owners and (subscription := self._subscriptions.pop(id_, None)):
            await subscription.unsubscribe()

    async def _on_request(self, message: "Msg") -> None:
        """Another relay looks for the id: for a CALL, or, with the owner as data, for a WAIT."""
        id_ = bytes.fromhex(message.subject.removeprefix(SUBJECT))
        owner, answer = self._owners.get(id_), b""
        if owner == message.data:
            self._came.put(TakenOver(id_, owner))
            self._wake()
        elif owner:
            answer = f"{self._here.port} {self._here.host}".encode()
        if message.reply:
            await message.respond(answer)

    # --- who waits elsewhere

    def _begin(self, key: Hashable, request: Wait | CallFor) -> None:
        task = self._loop.create_task(self._answer(key, request))
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
        if self._client is None:
            return None
        if not self._is_up.is_set():
            try:
                await asyncio.wait_for(self._is_up.wait(), BACK_PATIENCE)
            except TimeoutError:
                return None
        owner = request.owner if isinstance(request, Wait) else b""
        found = await asyncio.gather(*(self._look_for(self._client, each, owner) for each in request.ids))
        if not owner and not any(found):
            await asyncio.sleep(AGAIN)
            found = await asyncio.gather(*(self._look_for(self._client, each, owner) for each in request.ids))
        return next((each for each in found if each), None)

    async def _look_for(self, client: "Client", id_: bytes, owner: bytes) -> Address | None:
        from nats.errors import Error

        try:
            reply: Any = await client.request(SUBJECT + id_.hex(), owner, timeout=ANSWER_PATIENCE)
        except (Error, TimeoutError, OSError):  # for example because no relay has subscribed
            return None
        place = _read_place(reply.data)
        return None if place == self._here else place


def _read_place(data: bytes) -> Address | None:
    port, _, host = data.decode(errors="replace").partition(" ")
    is_place = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536 and host.isprintable()
    return Address(host, int(port)) if is_place and 0 < len(host.encode()) <= MOST_HOST else None
