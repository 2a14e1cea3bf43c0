"""A relay's connection to the NATS servers of its cluster. The only home of nats-py, which is an extra."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicemux.errors import ConnectionLost, LibraryMissing
from voicemux.net.socket_errors import reason

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

CONNECT_PATIENCE = 2  # seconds to connect to a NATS server
RECONNECT_PAUSE = 0.5  # seconds between two tries at the same server
PING_INTERVAL = 2  # seconds between PINGs: a server that misses three of them is left
CLOSE_PATIENCE = 2.0  # seconds to close the connection to NATS


Unsubscribe = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Question:
    """A message from another relay. `answer_to` is the subject for the answer; "" if no answer is expected."""

    subject: str
    data: bytes
    answer_to: str


class NatsLink:
    """The connection to one of the NATS servers, from `connect()` to `close()`, in one event loop. If that server is
    lost, the link connects to the next."""

    def __init__(self, servers: Sequence[str], tell: Callable[[str], None]) -> None:
        """`servers` are URLs. `tell` gets a sentence when no server can be reached, and when one is back. Raises
        LibraryMissing without nats-py."""
        try:
            import nats  # noqa: F401
        except ImportError as error:
            raise LibraryMissing("nats-py", "--cluster takes the package nats-py") from error
        self._servers = list(servers)
        self._tell = tell
        self._client: Client | None = None
        self._is_up = asyncio.Event()
        self._has_told = False
        self._is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether a server was ever reached. From then on, messages wait for the next server while none is
        connected."""
        return self._client is not None

    async def connect(self) -> None:
        """Connect to a server. Tries again until one is reached, whatever the library raises."""
        while self._client is None:
            try:
                self._client = await self._connected()
            except Exception as error:  # the library raises anything if what answers is not a NATS server
                await self._on_lost(error)
                await asyncio.sleep(RECONNECT_PAUSE)
        await self._on_back()

    async def comes_back(self, patience: float) -> bool:
        """Wait up to `patience` seconds for a server. Return whether one is connected; False at once if none was ever
        reached."""
        if self._client is None:
            return False
        try:
            await asyncio.wait_for(self._is_up.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def subscribe(self, subject: str, hear: Callable[[Question], Awaitable[None]]) -> Unsubscribe:
        """Call `hear` with each message to the subject. Return the function that ends the subscription. Raises
        ConnectionLost if the server is lost, and too much is queued for the next one."""

        async def heard(message: "Msg") -> None:
            await hear(Question(message.subject, message.data, message.reply))

        assert self._client
        with _told_as_loss():
            return (await self._client.subscribe(subject, cb=heard)).unsubscribe

    async def publish(self, subject: str, data: bytes) -> None:
        """Send `data` to all relays that have subscribed to the subject. Raises ConnectionLost if the server is lost,
        and too much is queued for the next one."""
        assert self._client
        with _told_as_loss():
            await self._client.publish(subject, data)

    async def request(self, subject: str, data: bytes, patience: float) -> bytes | None:
        """Send `data` to the subject and return the first answer; None if no relay has subscribed, if none answers
        within `patience` seconds, or if the server is lost."""
        assert self._client
        try:
            with _told_as_loss():
                answer: Any = await self._client.request(subject, data, timeout=patience)
        except (ConnectionLost, TimeoutError):
            return None
        return bytes(answer.data)

    async def close(self) -> None:
        """Close the connection."""
        self._is_over = True
        if self._client:
            with contextlib.suppress(Exception):  # nothing that the library raises now matters any more
                await asyncio.wait_for(self._client.close(), CLOSE_PATIENCE)

    async def _connected(self) -> "Client":
        client = _make_client()
        try:
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
        except BaseException:
            with contextlib.suppress(Exception):  # the error that counts is the one that is raised below
                await client.close()
            raise
        return client

    async def _on_error(self, error: Exception) -> None:
        if not self._is_up.is_set():
            await self._on_lost(error)

    async def _on_lost(self, error: Exception | None = None) -> None:
        self._is_up.clear()
        if not self._has_told and not self._is_over:
            self._has_told = True
            said = loss_in_words(error) if error else ""
            why = f": {said}" if said else ""
            self._tell(f"the cluster cannot be reached, and this relay goes on alone{why}")

    async def _on_back(self) -> None:
        self._is_up.set()
        if self._has_told:
            self._has_told = False
            self._tell("the cluster is there again")


@contextlib.contextmanager
def _told_as_loss() -> Iterator[None]:
    """Raise ConnectionLost in place of the errors of the library and of its socket."""
    from nats.errors import Error

    try:
        yield
    except (Error, OSError) as error:
        raise ConnectionLost(f"the cluster is lost: {loss_in_words(error)}") from error


def loss_in_words(error: Exception) -> str:
    """Return why a server of the cluster cannot be reached, without numbers of the system."""
    if not isinstance(error, OSError):
        return str(error)
    # asyncio joins the errors of several addresses to one text, with their numbers.
    is_joined = error.errno is None and not isinstance(error, TimeoutError)
    return "none of its addresses can be reached" if is_joined else reason(error)


def _make_client() -> "Client":
    """Return a client that refuses a tls:// server without TLS: nats-py would go on without TLS, and send the
    password in the clear."""
    from nats.aio.client import Client
    from nats.errors import Error

    class Careful(Client):
        async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
            server = self._current_server
            if server and server.uri.scheme == "tls" and not info.get("tls_required"):
                raise Error("nats: the server offers no TLS")
            await super()._process_info(info, initial_connection)

    return Careful()
