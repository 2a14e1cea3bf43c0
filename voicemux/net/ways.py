"""The ways to a listener: its address, an address with a proxy, or a Unix socket. Pure; `net.proxies` connects by
them.

`str(way)` is for the user and the contacts file; `way.host` is the listener's host.
"""

import re
import shlex
from dataclasses import dataclass

from voicemux.errors import AddressError, Unreachable
from voicemux.net.address import Address, parse_address

SOCKS_PORT = 1080  # RFC 1928
UNIX_SCHEME = "unix:"


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
        """Return the command for that address: %h is its host, %p its port, %% a percent sign.

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
        """The listener's host."""
        return self.address.host

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True)
class UnixPath:
    """The way to a listener on this machine, by the Unix socket at a path."""

    path: str

    @property
    def host(self) -> str:
        """The loopback address: this machine."""
        return "127.0.0.1"

    def __str__(self) -> str:
        return f"{UNIX_SCHEME}{self.path}"


Way = Address | Proxied | UnixPath


def parse_unix(text: str) -> UnixPath | None:
    """Parse unix:PATH; None if `text` does not begin so. Raises AddressError if the path is missing."""
    if not text.startswith(UNIX_SCHEME):
        return None
    if not (path := text.removeprefix(UNIX_SCHEME)):
        raise AddressError("a Unix socket is given as unix:PATH")
    return UnixPath(path)


def parse_socks(text: str) -> SocksProxy:
    """Parse [USER:PASSWORD@]HOST[:PORT]. Raises AddressError."""
    userinfo, at, place = text.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if at and not (colon and user):
        raise AddressError("a proxy is given as [USER:PASSWORD@]HOST[:PORT]")
    has_port = re.search(r"(^[^:]*|\]):\d+$", place)
    address = parse_address(place)  # errors must not show `text`, which may hold a password
    return SocksProxy(address if has_port else Address(address.host, SOCKS_PORT), user, password)
