"""Parses and formats addresses: HOST, HOST:PORT, IPv6 and [IPv6]:PORT."""

import ipaddress
import re
from typing import NamedTuple

from voicemux.errors import AddressError

DEFAULT_PORT = 8689  # VMUX on a telephone keypad
LOWEST_USUAL_PORT = 1024  # ports below this are for administrators

OUR_SCHEMES = ("tcp", "voicemux", "vmux")  # before an address that is written like a URL
# Of other programs, often written without slashes.
OTHER_SCHEMES = ("sip", "sips", "tel", "callto", "xmpp", "udp", "http", "https", "ssh")
# A code typed in place of an address; a name server must not see it.
A_CODE = re.compile(r"\d+([-_\s]+[^\W\d_]+){2,}")

# Networks whose addresses mean something inside one network only: RFC 1918, 6598 (behind a provider's NAT), 3927,
# 4193, 4291.
_INSIDE = [
    ipaddress.ip_network(each)
    for each in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
]


class Address(NamedTuple):
    """A host, by name or IP address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """The address as a user would type it: no port if it is the default, brackets where colons need them."""
        host = self.host
        if self.port == DEFAULT_PORT:
            return host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def is_number(host: str) -> bool:
    """Whether `host` is an address itself, of IPv4 or IPv6, and not a name to be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_port(text: str, lowest: int = 1) -> int:
    """Parse a port. Raises AddressError unless `text` is a number from `lowest` to 65535."""
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:6]) <= 65535):
        raise AddressError(f"{text!r} is not a port: expected a number from {lowest} to 65535")
    return int(text)


def parse_host(text: str) -> str:
    """Parse a host. Raises AddressError if `text` cannot be the name or address of one; IPv6 may have its
    brackets."""
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or any(character.isspace() for character in host):
        raise AddressError(f"{text!r} is not a host: expected a name or an address")
    return host


def parse_address(text: str) -> Address:
    """Parse HOST, HOST:PORT, IPv6 or [IPv6]:PORT, with tcp:// before it or without. Raises AddressError if `text` is
    none of these."""
    host, port = _bare(text), None
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise AddressError(f"{text!r} is not an address: expected [IPv6]:PORT")
        port = rest[1:] if rest else None
    elif host.count(":") == 1:
        host, port = host.split(":")
    elif ":" in host and not _is_ipv6(host):
        raise AddressError(f"{text!r} is not an address: with more than one colon, expected IPv6 or [IPv6]:PORT")
    if not host or any(character.isspace() for character in host):
        raise AddressError(f"{text!r} is not an address: expected HOST or HOST:PORT, or the name of a contact")
    return Address(host, DEFAULT_PORT if port is None else parse_port(port))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)  # a zone, fe80::1%eth0, is part of it
    except ValueError:
        return False
    return True


def _bare(text: str) -> str:
    """Remove what users write around an address. Raises AddressError for what is clearly something else."""
    scheme, separator, place = text.strip().partition("://")
    if not separator:
        place = scheme
    elif scheme.lower() in OUR_SCHEMES:
        place = place.rstrip("/")
    else:
        raise AddressError(f"{text!r} is not an address: leave {scheme}:// away")
    scheme, separator, rest = place.partition(":")
    if separator and not rest.isdecimal():  # a host may be called tcp
        if scheme.lower() in OUR_SCHEMES:
            place = rest
        elif scheme.lower() in OTHER_SCHEMES:
            raise AddressError(f"{text!r} is not an address: leave {scheme}: away")
    if A_CODE.fullmatch(place):
        raise AddressError(f"{text!r} is a code, and no address: voicemux dial HOST {'-'.join(place.split())}")
    _, separator, host = place.rpartition("@")
    if separator:
        raise AddressError(f"{text!r} is not an address: there are no users here, expected {host or 'HOST'} alone")
    place, separator, rest = place.partition("/")
    if rest:
        raise AddressError(f"{text!r} is not an address: leave /{rest} away")
    return place


def ends_like_a_port(text: str) -> bool:
    """Whether an IPv6 address without brackets may have been meant as an address and a port, such as ::1:9003."""
    host, _, port = text.strip().rpartition(":")
    if "//" in host or "@" in host:
        return False
    is_port = port.isascii() and port.isdecimal() and LOWEST_USUAL_PORT <= int(port[:6]) <= 65535
    return is_port and ":" in host and "[" not in host


def lacks_zone(host: str) -> bool:
    """Whether `host` is an IPv6 link-local address without its interface, which could be on any (RFC 4007, §6)."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return address.is_link_local and address.scope_id is None


def is_inside(host: str) -> bool:
    """Whether `host` is an address that can be called only from this network (or VPN). Names are not looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _INSIDE)
