"""Finds out whom the user wants to call, a contact by its name or an address, and by which ways."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from voicemux.errors import AddressError, SecurityError
from voicemux.net.address import Address, parse_address, parse_port
from voicemux.net.ways import Proxied, Proxy, parse_unix
from voicemux.relay.places import AnyWay, RelayedWay, RelayPlace, parse_relayed
from voicemux.security.directory import Directory
from voicemux.security.entries import Contact
from voicemux.security.names import passes_for_address


@dataclass(frozen=True)
class Target:
    """Whom the user wants to call. Get one from `resolve`."""

    text: str  # what was typed
    ways: tuple[AnyWay, ...]  # at least one; they are tried in turn
    # The contact whose key must answer; None: the user named an address, not a contact.
    contact: Contact | None = None
    known: Directory | None = None  # the contacts, as they are read for this call; None in a plain call
    code: str = ""  # the code that was typed as part of the target

    def through(self, proxy: Proxy | None) -> "Target":
        """Return the same target through `proxy`, if there is one; its relays, too. Raises AddressError for a Unix
        socket."""
        if proxy is None:
            return self
        ways: list[AnyWay] = []
        for way in self.ways:
            if isinstance(way, RelayedWay):
                ways.append(replace(way, relay=replace(way.relay, proxy=proxy)))
            elif isinstance(way, Address):
                ways.append(Proxied(way, proxy))
        if not ways:
            raise AddressError("a Unix socket is not called through a proxy: leave the proxy away")
        return replace(self, ways=tuple(ways))

    def hidden(self) -> "Target":
        """Return the same target through relays only, so that the peer does not learn our address. Raises
        AddressError if no relay leads there."""
        ways = tuple(way for way in self.ways if isinstance(way, RelayedWay))
        if not ways:
            raise AddressError(f"no relay is known through which to reach {self.text}: leave --relay-only away")
        return replace(self, ways=ways)


def resolve(
    text: str,
    known: Directory | None,
    tell: Callable[[str], None] = lambda _: None,
    relay: RelayPlace | None = None,
    token: str = "",
    through: Callable[[Contact], Iterable[RelayedWay]] = lambda _: (),
) -> Target:
    """Find out whom the user means by `text`, and the ways there.

    `text` is the name of a contact; NAME:PORT, for that port of the contact's hosts; an address; unix:PATH, for a
    socket of this machine; CODE@RELAY, for the listener that waits at that relay with that code; or CODE alone, for
    one that waits at the user's own `relay`.

    Without `known`, as in a plain call, only addresses and sockets can be meant. `token` is for the relay of the
    user, or for any if there is none. `through` returns the ways to a contact through relays. `tell` gets a sentence
    about each address of the contact that cannot be used.

    Raises AddressError; SecurityError if no address of the contact is known, or the contacts cannot be read.
    """
    if unix := parse_unix(text):
        return Target(text, (unix,), None, known)
    if relayed := parse_relayed(text, relay, token):
        way, code = relayed
        if known is None:
            raise AddressError("a call through a relay is encrypted: leave --unencrypted away")
        return Target(text, (way,), None, known, code)
    contact, port = _meant(text, known) if known else (None, None)
    if contact is None:
        return Target(text, (parse_address(text),), None, known)
    relayed_ways = () if port else tuple(through(contact))
    direct = _ways_to(contact, port, tell) if contact.addresses or not relayed_ways else ()
    return Target(text, (*direct, *relayed_ways), contact, known)


def _meant(text: str, known: Directory) -> tuple[Contact | None, int | None]:
    """Return the contact that the user means, or None, and the port if one was typed. What looks like an address is
    taken as one."""
    if not passes_for_address(text):
        return known.named(text), None
    name, colon, port = text.strip().rpartition(":")
    if colon and port.isascii() and port.isdigit() and not passes_for_address(name):
        return known.named(name), parse_port(port)
    return None, None


def _ways_to(contact: Contact, port: int | None, tell: Callable[[str], None]) -> list[Address]:
    if not contact.addresses:
        raise SecurityError(
            f"no address of {contact.name} is known: dial the address, the key will be recognised "
            f"(or: voicemux contacts address {shlex.quote(contact.name)} add HOST)"
        )
    ways: list[Address] = []
    unfit: list[AddressError] = []  # users may edit the contacts file
    for each in contact.addresses:
        try:
            ways.append(parse_address(each))
        except AddressError as error:
            unfit.append(error)
    if not ways:
        raise AddressError(f"an address of {contact.name} cannot be used: {unfit[0]}")
    for why in unfit:
        tell(f"an address of {contact.name} cannot be used: {why}")
    return list(dict.fromkeys(Address(each.host, port or each.port) for each in ways))
