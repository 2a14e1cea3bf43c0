"""Judges listeners and callers by keys, contacts and codes. It does not touch a connection."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from voicemux.calls.target import Target
from voicemux.errors import Kind, SecurityError
from voicemux.protocol.messages import Method
from voicemux.relay.places import AnyWay
from voicemux.security.admission import Admission
from voicemux.security.code import USUAL_WORDS, number_of, tidy
from voicemux.security.contacts import Contacts, is_this_machine
from voicemux.security.directory import Directory
from voicemux.security.entries import Contact
from voicemux.security.handshake import Dialler, Peer
from voicemux.security.identity import fingerprint_of, load_identity
from voicemux.security.meetings import Meetings
from voicemux.security.volumes import Volumes


@dataclass(frozen=True)
class Security:
    """What the user chose. `code` is the code that a dialler was told, or that a listener shall use."""

    folder: Path
    code: str = ""
    # For a listener: unknown callers may call, and the user is asked. For a dialler: an unknown listener needs no
    # code.
    is_open: bool = False
    words: int = USUAL_WORDS  # words in each code that a listener makes; 0: it makes none
    allowed: tuple[str, ...] = ()  # names of the only contacts that a listener answers
    own_name: str = ""  # our name, which peers see; no contact gets it
    # The public number with which codes begin when a listener waits at a relay; "": each code begins with a secret
    # number.
    number: str = ""

    def __post_init__(self) -> None:
        """Check the choices. Raises ValueError if they contradict each other."""
        if self.is_open and self.allowed:
            raise ValueError("open and allow contradict each other: anybody may call, or only some contacts")


class Trust:
    """Our key, our contacts and what the user chose."""

    def __init__(self, security: Security) -> None:
        """Read or make the key, and read the contacts. Raises SecurityError if one of them, or the code, cannot be
        used."""
        if security.code:
            tidy(security.code)  # refuse what cannot be a code before the call, not in it
        self._security = security
        self.contacts = Contacts(security.folder)
        # The contacts as they are at the start, for the one call of a dialler. A listener reads them anew for each
        # caller.
        self.known = self.contacts.directory()
        self.known.all()  # find a damaged file now, not when a peer calls
        self.identity = load_identity(security.folder)
        self.meetings = Meetings(security.folder)
        self.volumes = Volumes(security.folder)

    def judge(self, target: Target, way: AnyWay, certificate: bytes, *, by_code: bool = False) -> Dialler:
        """Return the dialler's half of the authentication with the listener of that certificate, to whom nothing has
        been said yet.

        `by_code`: authenticate by the code though we know the listener's key, because it does not know ours. Raises
        SecurityError if the listener is not the one that was meant, or if its key is unknown and there is neither a
        code nor the user's consent (Kind.UNKNOWN_LISTENER): then nothing may be said to it.
        """
        assert target.known
        fingerprint = fingerprint_of(certificate)
        contact = target.known.with_fingerprint(fingerprint)
        self._check_key(target, target.known, way, fingerprint, contact)
        method = self._method(way, is_known=contact is not None and not by_code)
        return Dialler(self.identity, certificate, method, self._security.code)

    def _method(self, way: AnyWay, *, is_known: bool) -> Method:
        """Return how the listener is authenticated: by its known key, otherwise by a code, otherwise by words, if the
        user allows that. Only this method decides whether anything is sent to an unknown peer."""
        if is_known:
            return Method.KNOWN
        if self._security.code:
            return Method.CODE
        if self._security.is_open:
            return Method.OPEN
        raise SecurityError(
            f"you do not know who answers at {way}: the first call needs a code", kind=Kind.UNKNOWN_LISTENER
        )

    @property
    def has_code(self) -> bool:
        """Whether the user has given a code."""
        return bool(self._security.code)

    def use_code(self, code: str) -> None:
        """Use this code, which the user has typed. Raises SecurityError if the text cannot be a code."""
        self._security = replace(self._security, code=tidy(code))

    def use_number(self, number: str) -> None:
        """Let codes begin with this number, under which the listener waits at a relay."""
        self._security = replace(self._security, number=number)

    @property
    def wants_number(self) -> bool:
        """Whether a listener takes calls from people who are not contacts yet."""
        chosen = self._security
        return chosen.is_open or bool(chosen.code) or (not chosen.allowed and chosen.words > 0)

    def callers(self) -> set[str]:
        """The fingerprints of the contacts that may call. Raises SecurityError if the contacts cannot be read."""
        allowed = {contact.fingerprint for name in self._security.allowed if (contact := self.known.named(name))}
        return allowed or {contact.fingerprint for contact in self.contacts.directory().all()}

    @property
    def chosen_number(self) -> str:
        """The number at the beginning of the code that the user chose; "" if the user chose none."""
        return number_of(self._security.code) if self._security.code else ""

    @staticmethod
    def _check_key(target: Target, known: Directory, way: AnyWay, fingerprint: str, contact: Contact | None) -> None:
        """Raise SecurityError if another key answers than the one that was meant. At an address, any contact may
        answer; under a contact's name, only that contact."""
        meant = target.contact
        # Tunnels to many peers may end on this machine.
        if not meant and not contact and not is_this_machine(way.host):
            meant = known.at(str(way))
        if meant and meant.fingerprint != fingerprint:
            raise SecurityError(
                f"the key of {meant.name} at {way} has changed, from {_short(meant.fingerprint)} to "
                f"{_short(fingerprint)}: somebody may be in the middle, or {meant.name} has a new key. "
                f"Nothing was said. Ask {meant.name}; if it is so: "
                f"voicemux contacts forget {shlex.quote(meant.name)}, and call with a new code"
            )

    def admission(self, on_code: Callable[[str, str], None], on_guessing: Callable[[str], None]) -> Admission:
        """Return what decides which callers a listener admits. Raises SecurityError for a bad code, or if no contact
        has a name that `allow` has."""
        chosen = self._security
        allowed = []
        for name in chosen.allowed:
            if not (contact := self.known.named(name)):
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
            number=chosen.number,
        )

    def is_self(self, peer: Peer) -> bool:
        """Whether the peer has our own key."""
        return peer.fingerprint == self.identity.fingerprint

    def remember(self, peer: Peer, name: str, address: str, known: Directory | None, *, host: str = "") -> Contact:
        """Save the peer's key as a contact named `name`, or `host` if there is no name yet. Returns the contact.

        `known` are the contacts as this call read them. Raises SecurityError if the file cannot be written.
        """
        how = {Method.CODE: "code", Method.KNOWN: "key", Method.OPEN: "words"}[peer.method]
        taken = [self._security.own_name]
        return self.contacts.remember(name, peer.fingerprint, address, how, taken, host=host, known=known)


def _short(fingerprint: str) -> str:
    return f"{fingerprint[:16]}..."
