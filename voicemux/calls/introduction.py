"""Who the peer is, and what it is called here, once both sides have said HELLO. `establishing` leads there."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from voicemux.calls.bond import Bond
from voicemux.calls.rendezvous import note_meeting
from voicemux.calls.trust import Trust
from voicemux.errors import SecurityError
from voicemux.net.address import DEFAULT_PORT, Address
from voicemux.net.caller import Caller
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Hello, Method
from voicemux.security.contacts import is_this_machine
from voicemux.security.directory import Directory
from voicemux.security.entries import Contact
from voicemux.security.handshake import Peer
from voicemux.security.names import marked, tame

Tell = Callable[[str], None]  # gets a sentence for the user on what went wrong, while the call goes on


@dataclass(frozen=True)
class Introduced:
    """A connection on which both sides have said HELLO; `hello` is the peer's. The stream belongs to the holder of
    the call."""

    stream: Stream
    sending: Sending
    receiving: Receiving
    hello: Hello
    peer: Peer | None  # None in a plain call
    address: str  # HOST:PORT under which to call the peer; a guess if it is the caller; "": not known
    is_caller: bool
    known: Directory | None  # the contacts, as they were read for this call; None in a plain call
    bond: Bond | None = None  # by which the call outlives its line; None: it does not

    @property
    def security(self) -> str:
        """As in `events.Connected`."""
        return self.peer.method.name.lower() if self.peer else "plain"

    @property
    def words(self) -> list[str]:
        """The words for both users to compare, if nothing else authenticates the peer; otherwise empty."""
        return list(self.peer.words) if self.peer and self.peer.method is Method.OPEN else []


def missed(caller: Caller, trust: Trust | None, tell: Tell) -> str:
    """Return the name of a caller who was not answered if it is a contact, otherwise "". A caller who knew the code
    becomes a contact."""
    if not (trust and caller.peer):
        return ""
    if caller.peer.method is Method.CODE:
        known = _remember(met_by(caller), trust, tell)
    else:
        known = known_as(caller.peer, caller.known, tell)
    return known.name if known else ""


def met_by(caller: Caller) -> Introduced:
    """Return what a caller has said of itself. The address at which it can be called back is a guess."""
    # The host is then that of a relay, or the end of a tunnel, not the caller's.
    is_elsewhere = caller.stream.relay or is_this_machine(caller.host)
    guess = "" if is_elsewhere else str(Address(caller.host, DEFAULT_PORT))
    return Introduced(
        caller.stream,
        caller.sending,
        caller.receiving,
        caller.hello,
        caller.peer,
        guess,
        is_caller=True,
        known=caller.known,
    )


@dataclass(frozen=True)
class Named:
    """What a peer is called here: the name of the contact, or the name that it gives itself, made harmless, or
    where it is (`Stream.place`). Never empty."""

    name: str
    claims: str = ""  # the name that a contact gives itself, if it differs from `name`
    is_known: bool = False  # it is a contact, and recognised by its key


def name_caller(caller: Caller, trust: Trust | None, tell: Tell) -> Named:
    """Return what a caller is called from the first ring on. A caller who knew the code becomes a contact first."""
    return name_peer(met_by(caller), trust, tell)


def is_known(caller: Caller, tell: Tell) -> bool:
    """Whether the caller is a contact, or has proved that it knows the code."""
    if caller.peer is None:
        return False
    return caller.peer.method is not Method.OPEN or known_as(caller.peer, caller.known, tell) is not None


def name_peer(met: Introduced, trust: Trust | None, tell: Tell) -> Named:
    """Return what the peer is called from now on. If its key or a code authenticates it, it is saved as a contact."""
    place, own = met.stream.place, tame(met.hello.name)
    if not (trust and met.peer):
        return Named(own or place)
    is_self = trust.is_self(met.peer)
    if is_self:
        tell("that is yourself: the other side has your own key")
    by_key = met.peer.method is not Method.OPEN and not is_self
    known = _remember(met, trust, tell) if by_key else known_as(met.peer, met.known, tell)
    if known:
        if by_key:
            _note(met, trust, tell)
        return Named(known.name, own if own != known.name else "", is_known=True)
    return Named(_name_of_unknown(met) or place)


def _note(met: Introduced, trust: Trust, tell: Tell) -> None:
    """Save what is needed to meet this contact at a relay."""
    assert met.peer
    try:
        note_meeting(trust.meetings, met.peer, met.stream.relay)
    except SecurityError as error:
        if met.stream.relay:  # else the user has nothing to do with relays
            tell(f"{error}; the call goes on, but is of no help for the next one through a relay")


def _name_of_unknown(met: Introduced) -> str:
    """Return the name that the peer gives itself, changed if it looks like a contact's name."""
    if met.known:
        with contextlib.suppress(SecurityError):
            return marked(met.hello.name, [contact.name for contact in met.known.all()])
    return tame(met.hello.name)


def remember(met: Introduced, trust: Trust, tell: Tell) -> str:
    """Save the peer as a contact, and return its name; "" if that failed.

    The user asks for this in the middle of a call, so the contacts are read anew.
    """
    known = _remember(replace(met, known=trust.contacts.directory()), trust, tell)
    return known.name if known else ""


def _remember(met: Introduced, trust: Trust, tell: Tell) -> Contact | None:
    assert met.peer
    known = known_as(met.peer, met.known, tell)
    if trust.is_self(met.peer):
        tell("your own key makes no contact")
        return known
    if known and met.is_caller and not known.unnamed:
        return known
    address = "" if known and met.is_caller else met.address  # where a caller can be called back is only guessed
    try:
        return trust.remember(met.peer, met.hello.name, address, met.known)
    except SecurityError as error:
        tell(f"{error}; the call goes on, but is not remembered")
        return known


def known_as(peer: Peer, known: Directory | None, tell: Tell) -> Contact | None:
    """Return the contact with the peer's key; None if there is none, or if the contacts cannot be read."""
    try:
        return known.with_fingerprint(peer.fingerprint) if known else None
    except SecurityError as error:
        tell(str(error))
        return None
