"""Parses what a user types to name a relay, or a listener at a relay, into ways to connect. Pure."""

import re
from dataclasses import dataclass, field, replace

from voicemux.errors import AddressError
from voicemux.net.address import Address, parse_address
from voicemux.net.ways import Proxied, Proxy, UnixPath, Way
from voicemux.relay.ids import id_of_number

RELAY_PORT = 8690  # of a relay without TLS, if no port is given (relay.md)
TLS_PORT = 443  # of a relay with TLS, if no port is given
TLS_SCHEME = "tls://"
# A number, alone or followed by words, as a code is written.
NUMBERED = re.compile(r"(?P<number>\d{1,9})(?:[-_\s]+[^\W\d_]+)*")


@dataclass(frozen=True)
class RelayPlace:
    """A relay. `token` is for a private relay, "" for none; `proxy` is the proxy to it."""

    address: Address
    is_tls: bool = False
    token: str = field(default="", repr=False)
    proxy: Proxy | None = field(default=None, repr=False)

    @property
    def way(self) -> Address | Proxied:
        """The way to the relay itself."""
        return Proxied(self.address, self.proxy) if self.proxy else self.address

    def __str__(self) -> str:
        """The relay as a user would type it."""
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        usual = TLS_PORT if self.is_tls else RELAY_PORT
        port = "" if self.address.port == usual else f":{self.address.port}"
        return f"{TLS_SCHEME if self.is_tls else ''}{host}{port}"


@dataclass(frozen=True)
class RelayedWay:
    """The way to a listener that waits at a relay for one of these ids."""

    relay: RelayPlace
    ids: tuple[bytes, ...] = field(repr=False)
    number: str = ""  # the number of a code; "": the ids are a contact's

    def __str__(self) -> str:
        return f"{self.number}@{self.relay}" if self.number else f"the relay {self.relay}"

    @property
    def host(self) -> str:
        """The host of the relay."""
        return self.relay.address.host


AnyWay = Way | RelayedWay  # to a listener


def remembered(way: AnyWay) -> str:
    """Return the way as it is saved in the contacts file; "" for ways that are not saved: relays and Unix sockets."""
    return "" if isinstance(way, RelayedWay | UnixPath) else str(way)


def parse_relay(text: str, token: str = "") -> RelayPlace:
    """Parse HOST, HOST:PORT or [IPv6]:PORT, with tls:// before it for TLS. Raises AddressError if `text` is none of
    these."""
    place = text.strip()
    is_tls = place.lower().startswith(TLS_SCHEME)
    place = place[len(TLS_SCHEME) :].rstrip("/") if is_tls else place
    if "@" in place:
        raise AddressError(f"{text!r} is not a relay: expected HOST or HOST:PORT")
    address = parse_address(place)
    if not _has_port(place):
        address = Address(address.host, TLS_PORT if is_tls else RELAY_PORT)
    return RelayPlace(address, is_tls, token)


def parse_relayed(text: str, usual: RelayPlace | None = None, token: str = "") -> tuple[RelayedWay, str] | None:
    """Parse CODE@RELAY, or CODE alone for the `usual` relay. Returns the way and the code, which is "" if only a
    number was typed; None if `text` is neither.

    `token` is for the usual relay, or for any if there is no usual one. Raises AddressError if what follows the @ is
    not a relay.
    """
    code, at, place = text.strip().rpartition("@")
    code = (code if at else text).strip()
    if not (found := NUMBERED.fullmatch(code)) or not (at or (usual and code != found["number"])):
        return None
    number = "".join(str(int(digit)) for digit in found["number"])
    relay = parse_relay(place) if at else usual
    assert relay
    if usual is None or relay.address == usual.address:
        relay = replace(relay, token=token)
    return RelayedWay(relay, (id_of_number(number),), number), "" if code == found["number"] else code


def _has_port(place: str) -> bool:
    """Whether an address that `parse_address` has accepted names a port."""
    if place.startswith("["):
        return not place.endswith("]")
    return place.removeprefix("tcp://").count(":") == 1
