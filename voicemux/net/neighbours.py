"""Announces listeners on the local network, and finds them, by multicast DNS (RFC 6762, 6763).

An announcement contains only the name that the user has chosen: no login name, no name of the machine, no key.
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
NAMELESS = "voicemux"  # the name that is announced for a user who has chosen none
MOST_FOUND = 100  # listeners that are kept; more are not believed
MOST_NAME = 50  # bytes of a name; a DNS label has 63 (RFC 1035), and a number may be appended
MOST_ADDRESSES = 8  # addresses that are kept of one listener


@dataclass(frozen=True)
class Neighbour:
    """A listener that was found. A stranger has chosen its name."""

    name: str
    places: tuple[Address, ...]  # addresses that it names, IPv4 first; at least one


class Announcement:
    """Announces a listener until `close()`, in a thread of its own."""

    def __init__(
        self,
        name: str,
        port: int,
        hosts: Iterable[str],
        on_announced: Callable[[str], None],
        on_failure: Callable[[Unreachable], None],
    ) -> None:
        """Start to announce. `hosts` are IP addresses. In the new thread, either `on_announced` gets the name, with a
        number appended if it was taken, or `on_failure` gets the reason. Raises OutOfResources."""
        self._name = _label(name) or NAMELESS
        self._port = port
        self._hosts = list(hosts)
        self._on_announced = on_announced
        self._on_failure = on_failure
        self._closing = threading.Event()
        self._threads = Threads()
        self._threads.start("announcement", self._run)

    def close(self) -> None:
        """Withdraw the announcement. Takes a second at most."""
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
    """Search for `seconds`, and return the listeners found. Raises Unreachable if the network cannot be searched."""
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
    """Return the listener of that name; None if it has not told its addresses, or they make no sense."""
    info = ServiceInfo(SERVICE, name)
    info.load_from_cache(network)
    found = [*info.parsed_scoped_addresses(IPVersion.V4Only), *info.parsed_scoped_addresses(IPVersion.V6Only)]
    hosts = [host for host in dict.fromkeys(found) if _is_elsewhere(host)][:MOST_ADDRESSES]
    if not (hosts and info.port):
        return None
    return Neighbour(name.removesuffix(f".{SERVICE}"), tuple(Address(host, info.port) for host in hosts))


def _is_elsewhere(host: str) -> bool:
    """Whether `host` can be another machine's address. At a loopback address, a tunnel may end, so a listener with
    another key would be accepted there."""
    address = ipaddress.ip_address(host.split("%")[0])
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _label(name: str) -> str:
    """Return `name` as a DNS label: printable, and cut to MOST_NAME bytes."""
    shown = "".join(character if character.isprintable() else " " for character in name).strip()
    return shown.encode()[:MOST_NAME].decode(errors="ignore").strip()
