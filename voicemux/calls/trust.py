"""Who is called and who calls: keys, contacts and codes put to use for a session."""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from voicemux.errors import AddressError, Kind, SecurityError
from voicemux.net.address import Address, parse_address, parse_port
from voicemux.net.greeting import Greeting
from voicemux.protocol.messages import Method
from voicemux.security.admission import Admission
from voicemux.security.code import USUAL_WORDS, tidy
from voicemux.security.contacts import Contacts, is_loopback
from voicemux.security.entries import Contact
from voicemux.security.handshake import Dialler, Peer
from voicemux.security.identity import fingerprint_of, load_identity
from voicemux.security.names import marked, passes_for_address, tame


@dataclass(frozen=True)
class Security:
    """What the user chose. `code` is what a dialler was told, or what a listener wants as its code."""

    folder: Path
    code: str = ""
    # A listener: somebody unknown may call, and is asked about. A dialler: somebody unknown is called without a code.
    is_open: bool = False
    words: int = USUAL_WORDS  # of the codes that a listener makes; 0: it makes none
    allowed: tuple[str, ...] = ()  # names of the only contacts that a listener answers
    own_name: str = ""  # what others see; no contact is called that

    def __post_init__(self) -> None:
        """Raises ValueError for what contradicts itself."""
        if self.is_open and self.allowed:
            raise ValueError("open and allow contradict each other: anybody may call, or only some contacts")


class Trust:
    """Our key and whom we know."""

    def __init__(self, security: Security) -> None:
        """Makes the key at first use. Raises SecurityError if it, the contacts or the code cannot be used."""
        if security.code:
            tidy(security.code)  # what is no code is better found before anybody is called
        self._security = security
        self.contacts = Contacts(security.folder)
        self.contacts.all()  # what is damaged is better found before anybody calls
        self.identity = load_identity(security.folder)

    def addresses_of(self, target: str, tell: Callable[[str], None] = lambda _: None) -> list[Address]:
        """Where to call, in turn: the addresses of a contact of that name, or what was typed.

        NAME:PORT is that port of the contact's hosts. `tell` hears of what is written down and is no address. Raises
        AddressError; SecurityError if no address is known.
        """
        contact, port = self._meant(target)
        if contact is None:
            return [parse_address(target)]
        if not contact.addresses:
            raise SecurityError(
                f"no address of {contact.name} is known: dial the address, the key will be recognised "
                f"(or: voicemux contacts address {shlex.quote(contact.name)} add HOST)"
            )
        known: list[Address] = []
        unfit: list[AddressError] = []  # people can write the file
        for each in contact.addresses:
            try:
                known.append(parse_address(each))
            except AddressError as error:
                unfit.append(error)
        if not known:
            raise AddressError(f"an address of {contact.name} cannot be used: {unfit[0]}")
        for why in unfit:
            tell(f"an address of {contact.name} cannot be used: {why}")
        return list(dict.fromkeys(Address(each.host, port or each.port) for each in known))

    def _meant(self, target: str) -> tuple[Contact | None, int | None]:
        """The contact whom the user means, and the port if one was typed. What looks like an address is one."""
        if not passes_for_address(target):
            return self.contacts.named(target), None
        name, colon, port = target.strip().rpartition(":")
        if colon and port.isascii() and port.isdigit() and not passes_for_address(name):
            return self.contacts.named(name), parse_port(port)
        return None, None

    def greet(self, greeting: Greeting, target: str, address: Address, *, by_code: bool = False) -> Peer:
        """The dialler's part, up to both sides knowing who the other is.

        `by_code` is whether a code speaks for us though we know the listener's key: it has said that it does not know
        ours. Raises SecurityError if the listener is not who was meant, or lets us not in; it has been sent nothing
        if its key is unknown and nothing speaks for it (Kind.UNKNOWN_LISTENER).
        """
        certificate = greeting.secure()
        fingerprint = fingerprint_of(certificate)
        contact = self.contacts.with_fingerprint(fingerprint)
        self._check_key(target, address, fingerprint, contact)
        method = self._method(address, is_known=contact is not None and not by_code)
        greeting.open()
        return greeting.authenticate(Dialler(self.identity, certificate, method, self._security.code))

    def _method(self, address: Address, *, is_known: bool) -> Method:
        """What speaks for a listener: its key, or else a code, or else the user, who wants it so. This is the only
        place that decides whether anything is sent to somebody unknown."""
        if is_known:
            return Method.KNOWN
        if self._security.code:
            return Method.CODE
        if self._security.is_open:
            return Method.OPEN
        raise SecurityError(
            f"you do not know who answers at {address}: the first call needs a code", kind=Kind.UNKNOWN_LISTENER
        )

    @property
    def has_code(self) -> bool:
        return bool(self._security.code)

    def use_code(self, code: str) -> None:
        """What the user has been told meanwhile. Raises SecurityError if it is none."""
        self._security = replace(self._security, code=tidy(code))

    def _check_key(self, target: str, address: Address, fingerprint: str, contact: Contact | None) -> None:
        """Of an address, who is there may change, if it is somebody we know as well; of a name, never."""
        meant, _ = self._meant(target)
        if not meant and not contact and not is_loopback(address.host):  # there, tunnels lead to many people
            meant = self.contacts.at(str(address))
        if meant and meant.fingerprint != fingerprint:
            raise SecurityError(
                f"the key of {meant.name} at {address} has changed, from {_short(meant.fingerprint)} to "
                f"{_short(fingerprint)}: somebody may be in the middle, or {meant.name} has a new key. "
                f"Nothing was said. Ask {meant.name}; if it is so: "
                f"voicemux contacts forget {shlex.quote(meant.name)}, and call with a new code"
            )

    def admission(self, on_code: Callable[[str, str], None], on_guessing: Callable[[str], None]) -> Admission:
        """The listener's part. Raises SecurityError for a bad code, or a name to be allowed that is no contact's."""
        chosen = self._security
        allowed = []
        for name in chosen.allowed:
            if not (contact := self.contacts.named(name)):
                raise SecurityError(f"{name} is not a contact, so it cannot be allowed")
            allowed.append(contact.fingerprint)
        return Admission(
            self.identity,
            self.contacts,
            on_code,
            code=chosen.code,
            words=0 if chosen.is_open or chosen.allowed else chosen.words,
            is_open=chosen.is_open,
            allowed=allowed,
            on_guessing=on_guessing,
        )

    def name_of_unknown(self, claimed: str) -> str:
        """What somebody unknown is called, by what it calls itself: it looks like no contact's name."""
        with contextlib.suppress(SecurityError):
            return marked(claimed, [contact.name for contact in self.contacts.all()])
        return tame(claimed)

    def is_self(self, peer: Peer) -> bool:
        """Whether the peer has our own key."""
        return peer.fingerprint == self.identity.fingerprint

    def remember(self, peer: Peer, name: str, address: str, *, host: str = "") -> Contact:
        """Know that key from now on; by the `host` if there is no `name` yet.

        Raises SecurityError if that cannot be written down.
        """
        how = {Method.CODE: "code", Method.KNOWN: "key", Method.OPEN: "words"}[peer.method]
        taken = [self._security.own_name]
        return self.contacts.remember(name, peer.fingerprint, address, how, taken, host=host)


def _short(fingerprint: str) -> str:
    return f"{fingerprint[:16]}..."
