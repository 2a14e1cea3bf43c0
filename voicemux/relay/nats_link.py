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

CONNECT_PATIENCE = 2  # seconds
RECONNECT_PAUSE = 0.5  # seconds between two tries at the same server
PING_INTERVAL = 2  # seconds: a server that hangs is left after three of them
CLOSE_PATIENCE = 2.0  # seconds


Unsubscribe = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Question:
    """What has come from another relay; `answer_to` is the subject for the answer, "" if none is expected."""

    subject: str
    data: bytes
    answer_to: str


class NatsLink:
    """From `connect()` to `close()`, in one event loop. It goes from a server that is lost to another."""

    def __init__(self, servers: Sequence[str], tell: Callable[[str], None]) -> None:
        """`tell` hears when the servers are lost, and when they are there again. Raises LibraryMissing."""
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
        """Whether a server was ever reached: what is said then waits for the next one if it is lost."""
        return self._client is not None

    async def connect(self) -> None:
        """Tries again for ever, whatever answers there."""
        while self._client is None:
            try:
                self._client = await self._connected()
            except Exception as error:  # a library's, about what answers there instead of a NATS server
                await self._on_lost(error)
                await asyncio.sleep(RECONNECT_PAUSE)
        await self._on_back()

    async def comes_back(self, patience: float) -> bool:
        """Whether a server is there, within some seconds if one was there before."""
        if self._client is None:
            return False
        try:
            await asyncio.wait_for(self._is_up.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def subscribe(self, subject: str, hear: Callable[[Question], Awaitable[None]]) -> Unsubscribe:
        """Raises ConnectionLost if the server has gone, and too much waits for the next one."""

        async def heard(message: "Msg") -> None:
            await hear(Question(message.subject, message.data, message.reply))

        assert self._client
        with _told_as_loss():
            return (await self._client.subscribe(subject, cb=heard)).unsubscribe

    async def publish(self, subject: str, data: bytes) -> None:
        """Likewise."""
        assert self._client
        with _told_as_loss():
            await self._client.publish(subject, data)

    async def request(self, subject: str, data: bytes, patience: float) -> bytes | None:
        """The first answer; None if no one has subscribed, or answers."""
        assert self._client
        try:
            with _told_as_loss():
                answer: Any = await self._client.request(subject, data, timeout=patience)
        except (ConnectionLost, TimeoutError):
            return None
        return bytes(answer.data)

    async def close(self) -> None:
        """End it."""
        self._is_over = True
        if self._client:
            with contextlib.suppress(Exception):  # a library's, at the end
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
                no_echo=True,  # or we would find what waits here
            )
        except BaseException:
            with contextlib.suppress(Exception):  # a library's, at the end
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
            said = reason(error) if isinstance(error, OSError) else str(error or "")
            why = f": {said}" if said else ""
            self._tell(f"the cluster cannot be reached, and this relay goes on alone{why}")

    async def _on_back(self) -> None:
        self._is_up.set()
        if self._has_told:
            self._has_told = False
            self._tell("the cluster is there again")


@contextlib.contextmanager
def _told_as_loss() -> Iterator[None]:
    from nats.errors import Error

    try:
        yield
    except (Error, OSError) as error:
        raise ConnectionLost(f"the cluster is lost: {error}") from error


def _make_client() -> "Client":
    """One that keeps to tls:// where a server offers no TLS: nats-py would go on without, and say the password."""
    from nats.aio.client import Client
    from nats.errors import Error

    class Careful(Client):
        async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
            server = self._current_server
            if server and server.uri.scheme == "tls" and not info.get("tls_required"):
                raise Error("nats: the server offers no TLS")
            await super()._process_info(info, initial_connection)

    return Careful()
