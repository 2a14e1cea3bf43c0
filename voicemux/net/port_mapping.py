"""Has the router at home forward a port to a listener, by UPnP, as long as the listener listens.

The only home of miniupnpc, which is an extra, by the author of the UPnP server in most routers.
"""

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

from voicemux.errors import LibraryMissing, Unreachable
from voicemux.net.address import Address, is_inside, is_number
from voicemux.threads import Threads

LEASE = 3600  # seconds after which the router forgets the mapping, also of a program that was killed
RENEWAL = LEASE / 2  # seconds between two renewals of the lease
DISCOVERY = 2000  # milliseconds that routers have to answer
OTHER_PORTS = (20_000, 60_000)  # ports to choose from if another machine has ours
TRIES = 3
CLOSE_PATIENCE = 3.0  # seconds for the router to remove the mapping
DESCRIPTION = "voicemux"


class Router(Protocol):
    """What is needed of a router. Every method waits for the network."""

    def find(self) -> None:
        """Look for a router. Raises Unreachable if there is none."""

    def map(self, outside: int, port: int) -> Address:
        """Forward the router's port `outside` to our `port`. Returns the address for others. Raises Unreachable."""

    def unmap(self, outside: int) -> None:
        """Remove the forwarding of that port. Raises Unreachable."""


class UpnpRouter:
    """A router that is found by UPnP."""

    def __init__(self) -> None:
        """Raises LibraryMissing without miniupnpc."""
        try:
            import miniupnpc
        except ImportError as error:
            raise LibraryMissing("miniupnpc", "--upnp takes the package miniupnpc") from error
        self._upnp: Any = miniupnpc.UPnP()
        self._upnp.discoverdelay = DISCOVERY

    def find(self) -> None:
        """See `Router`."""
        self._ask(self._upnp.discover)
        self._ask(self._upnp.selectigd)

    def map(self, outside: int, port: int) -> Address:
        """See `Router`."""
        own = self._upnp.lanaddr
        self._ask(self._upnp.addportmapping, outside, "TCP", own, port, DESCRIPTION, "", LEASE)
        host = str(self._ask(self._upnp.externalipaddress))
        if not is_number(host):  # a router without a connection to the internet answers (null), or nothing
            with contextlib.suppress(Unreachable):
                self.unmap(outside)
            raise Unreachable("the router opens a port by UPnP, but does not know its own address")
        return Address(host, outside)

    def unmap(self, outside: int) -> None:
        """See `Router`."""
        self._ask(self._upnp.deleteportmapping, outside, "TCP")

    @staticmethod
    def _ask(question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except Exception as error:  # the library raises nothing more precise
            raise Unreachable(f"no router here opens ports by UPnP ({error})") from error


class PortMapping:
    """Keeps a port forwarded, from `start()` to `close()`, in a thread of its own."""

    def __init__(self, port: int, router: Router, tell: Callable[[str], None]) -> None:
        """`tell` gets the result as a sentence, in that thread."""
        self.address: Address | None = None  # address at which others reach the port, once it is forwarded
        self._port = port
        self._router = router
        self._tell = tell
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._threads = Threads()

    def start(self) -> None:
        """Start the thread. Raises OutOfResources."""
        self._threads.start("upnp", self._run, daemon=True)

    def close(self) -> None:
        """Remove the mapping. Waits CLOSE_PATIENCE at most for the router."""
        self._closing.set()
        self._ended.wait(CLOSE_PATIENCE)

    def _run(self) -> None:
        try:
            self._router.find()
            self.address = address = self._map()
            if not self._closing.is_set():
                self._tell(f"the router lets callers in: {address} leads to this machine{_reach_of(address)}")
            while not self._closing.wait(RENEWAL):
                self._router.map(address.port, self._port)
        except Unreachable as error:
            self._tell(str(error))
        finally:
            self._take_back()
            self._ended.set()

    def _map(self) -> Address:
        outside, tries = self._port, TRIES
        while True:
            try:
                return self._router.map(outside, self._port)
            except Unreachable:
                tries -= 1
                if not tries or self._closing.is_set():
                    raise
                outside = random.randint(*OTHER_PORTS)

    def _take_back(self) -> None:
        address, self.address = self.address, None
        if address:
            try:
                self._router.unmap(address.port)
            except Unreachable as error:
                self._tell(f"the router keeps port {address.port} open for up to an hour: {error}")


def _reach_of(address: Address) -> str:
    """Return what to add to an address that only the network of another router reaches; "" for any other address."""
    return ", but only from the network of another router before it" if is_inside(address.host) else ""
