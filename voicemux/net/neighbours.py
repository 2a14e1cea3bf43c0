"""Listeners of the local network, by multicast DNS (RFC 6762, 6763): one announces itself, another program finds it.

What is announced names only what the user has named: no login name, no name of the machine, no key.
"""

import ipaddress
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zeroconf import Error, IPVersion, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from voicemux.errors import Unreachable
from voicemux.net.address import Address
from voicemux.net.socket_errors import reason
from voicemux.threads import Threads

SERVICE = "_voicemux._tcp.local."
NAMELESS = "voicemux"  # what is announced for a user who gives no name
MOST_FOUND = 100  # listeners: a network that says more is not believed
MOST_NAME = 50  # bytes of 63 in a label (RFC 1035): it may get a number behind it
MOST_ADDRESSES = 8  # of one listener


@dataclass(frozen=True)
class Neighbour:
    """A listener that was found. Its name is a stranger's words."""

    name: str
    places: tuple[Address, ...]  # where it says that it can be reached, IPv4 first; at least one


class Announcement:
    """Announces a listener from now to `close()`, in a thread of its own."""

    def __init__(
        self,
        name: str,
        port: int,
        hosts: Iterable[str],
        on_announced: Callable[[str], None],
        on_failure: Callable[[Unreachable], None],
    ) -> None:
        """`hosts` are IP addresses. One of the callbacks is called, in that thread: with the name that it got, which
        has a number behind it if it was taken, or with why it cannot be announced. Raises OutOfResources."""
        self._name = _label(name) or NAMELESS
        self._port = port
        self._hosts = list(hosts)
        self._on_announced = on_announced
        self._on_failure = on_failure
        self._closing = threading.Event()
        self._threads = Threads()
        self._threads.start("announcement", self._run)

    def close(self) -> None:
        """Take it back. Takes a second at most."""
        self._closing.set()
        self._threads.join()

    def _run(self) -> None:
        try:
            with Zeroconf() as network:
                info = ServiceInfo(
                    SERVICE,
                    f"{self._name}.{SERVICE}",
                    port=self._port,
                    server=f"voicemux-{secrets.token_hex(4)}.local.",
                    parsed_addresses=self._hosts,
                )
                network.register_service(info, allow_name_change=True)
                self._on_announced(info.name.removesuffix(f".{SERVICE}"))
                self._closing.wait()
        except (OSError, Error) as error:
            why = reason(error) if isinstance(error, OSError) else type(error).__name__
            self._on_failure(Unreachable(f"the listener cannot be announced on this network: {why}"))


def find_neighbours(seconds: float) -> list[Neighbour]:
    """Listen to the network for that long. Raises Unreachable if that cannot be."""
    names: dict[str, None] = {}

    def on_change(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        elif len(names) < MOST_FOUND:
            names[name] = None

    try:
        with Zeroconf() as network:
            browser = ServiceBrowser(network, SERVICE, handlers=[on_change])
            try:
                time.sleep(seconds)
            finally:
                browser.cancel()
            return [neighbour for name in list(names) if (neighbour := _neighbour(network, name))]
    except (OSError, Error) as error:
        why = reason(error) if isinstance(error, OSError) else type(error).__name__
        raise Unreachable(f"this network cannot be asked for listeners: {why}") from error


def _neighbour(network: Zeroconf, name: str) -> Neighbour | None:
    """None if it has not said where it is, or nothing that makes sense."""
    info = ServiceInfo(SERVICE, name)
    info.load_from_cache(network)
    found = [*info.parsed_scoped_addresses(IPVersion.V4Only), *info.parsed_scoped_addresses(IPVersion.V6Only)]
    hosts = [host for host in dict.fromkeys(found) if _is_elsewhere(host)][:MOST_ADDRESSES]
    if not (hosts and info.port):
        return None
    return Neighbour(name.removesuffix(f".{SERVICE}"), tuple(Address(host, info.port) for host in hosts))


def _is_elsewhere(host: str) -> bool:
    """Whether that is another machine's address: at a loopback address, a key that is not the neighbour's may be
    expected."""
    address = ipaddress.ip_address(host.split("%")[0])
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _label(name: str) -> str:
    """What may be a label of DNS, as far as there is room for it."""
    shown = "".join(character if character.isprintable() else " " for character in name).strip()
    return shown.encode()[:MOST_NAME].decode(errors="ignore").strip()
