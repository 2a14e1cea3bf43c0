"""How to get to a listener: its address, or that and a proxy. Pure; `net.proxies` goes there.

A way has `str(way)`, for the user and the contacts file, and the listener's `host`.
"""

import re
import shlex
from dataclasses import dataclass

from voicemux.errors import AddressError, Unreachable
from voicemux.net.address import Address, parse_address

SOCKS_PORT = 1080  # RFC 1928


@dataclass(frozen=True)
class SocksProxy:
    """A SOCKS5 proxy (RFC 1928), with a user name and password (RFC 1929) or without. It resolves all host names."""

    address: Address
    user: str = ""
    password: str = ""


@dataclass(frozen=True)
class ProxyCommand:
    """A command whose standard input and output are the connection, as in OpenSSH's ProxyCommand."""

    text: str

    def to(self, address: Address) -> str:
        """The command for that address: %h is its host, %p its port, %% a percent sign.

        Raises Unreachable for a host that the command would take for an option.
        """
        if address.host.startswith("-"):
            raise Unreachable(f"{address.host} is not a host: it begins like an option of a command")
        tokens = {"%h": shlex.quote(address.host), "%p": str(address.port), "%%": "%"}
        return re.sub("%[hp%]", lambda token: tokens[token[0]], self.text)


Proxy = SocksProxy | ProxyCommand


@dataclass(frozen=True)
class Proxied:
    """The way to an address through a proxy."""

    address: Address
    proxy: Proxy

    @property
    def host(self) -> str:
        """The listener's."""
        return self.address.host

    def __str__(self) -> str:
        return str(self.address)


Way = Address | Proxied


def parse_socks(text: str) -> SocksProxy:
    """[USER:PASSWORD@]HOST[:PORT]. Raises AddressError."""
    userinfo, at, place = text.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if at and not (colon and user):
        raise AddressError("a proxy is given as [USER:PASSWORD@]HOST[:PORT]")
    has_port = re.search(r"(^[^:]*|\]):\d+$", place)
    address = parse_address(place)  # never shown whole: it may hold a password
    return SocksProxy(address if has_port else Address(address.host, SOCKS_PORT), user, password)
