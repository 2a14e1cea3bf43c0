"""How contacts meet at a relay after their first call: under ids that change daily and that only the two can
compute."""

import datetime
from collections.abc import Callable, Collection, Iterable

from voicemux.calls.target import Target, resolve
from voicemux.calls.trust import Trust
from voicemux.errors import AddressError, SecurityError
from voicemux.protocol.messages import Method
from voicemux.relay.ids import days, id_of_contact
from voicemux.relay.places import RelayedWay, RelayPlace, parse_relay
from voicemux.relay.wire import MOST_CALLED, MOST_WAITED
from voicemux.security.entries import Contact
from voicemux.security.handshake import Peer
from voicemux.security.meetings import Meeting, Meetings


def ids_to_wait_for(
    own: str, meetings: dict[str, Meeting], contacts: Collection[str], now: datetime.datetime
) -> tuple[bytes, ...]:
    """Return the ids, of 32 bytes each, under which a listener waits for its contacts. `own` is its fingerprint,
    `contacts` has the fingerprints of the contacts that may call. If there are more than MOST_WAITED, the contacts
    whose calls are longest ago are left out."""
    waiting = bytes.fromhex(own)
    found: list[bytes] = []
    for fingerprint, meeting in reversed(meetings.items()):
        if fingerprint in contacts:
            ids = [id_of_contact(secret, waiting, day) for secret in meeting.secrets for day in days(now)]
            if len(found) + len(ids) > MOST_WAITED:
                break
            found += ids
    return tuple(found)


def ways_to_contact(
    contact: Contact, meeting: Meeting | None, usual: RelayPlace | None, token: str, now: datetime.datetime
) -> tuple[RelayedWay, ...]:
    """Return the ways to a contact through relays: that of the last relayed call with it, and the `usual` one.
    `token` is for the usual relay, or for any if there is no usual one."""
    if meeting is None:
        return ()
    waiting = bytes.fromhex(contact.fingerprint)
    ids = tuple(id_of_contact(secret, waiting, day) for secret in meeting.secrets for day in days(now))[:MOST_CALLED]
    return tuple(RelayedWay(place, ids) for place in dict.fromkeys(_relays(meeting, usual, token)))


def meant_by(
    text: str, trust: Trust | None, relay: RelayPlace | None, token: str, tell: Callable[[str], None]
) -> Target:
    """Return whom the user means to call, with all ways there, also through relays. See `resolve` for the rest.

    `tell` also gets a sentence if it cannot be read how to meet a contact at a relay.
    """

    def through(contact: Contact) -> tuple[RelayedWay, ...]:
        try:
            meeting = trust.meetings.all().get(contact.fingerprint) if trust else None
        except SecurityError as error:
            tell(f"{error}; {contact.name} cannot be called through a relay")
            return ()
        return ways_to_contact(contact, meeting, relay, token, datetime.datetime.now(datetime.UTC))

    return resolve(text, trust.known if trust else None, tell, relay, token, through)


def way_to_peer(peer: Peer, place: RelayPlace, now: datetime.datetime) -> RelayedWay:
    """Return the way through `place` to the listener of this call, which waits there for its contacts."""
    waiting = bytes.fromhex(peer.fingerprint)
    return RelayedWay(place, tuple(id_of_contact(peer.rendezvous, waiting, day) for day in days(now)))


def meets_again(peer: Peer | None) -> bool:
    """Whether the listener waits at its relay for this dialler from now on: it does for contacts, with whom it shares
    a secret."""
    return peer is not None and peer.method is not Method.OPEN and bool(peer.rendezvous)


def _relays(meeting: Meeting, usual: RelayPlace | None, token: str) -> Iterable[RelayPlace]:
    if meeting.relay:
        try:
            last = parse_relay(meeting.relay)
        except AddressError:
            last = None  # a user has edited the file
        if last:
            yield parse_relay(meeting.relay, token) if usual is None or last.address == usual.address else last
    if usual:
        yield usual


def note_meeting(meetings: Meetings, peer: Peer, relay: str) -> None:
    """Save the secret and the relay under which to meet the peer again. Both sides have said HELLO, and each knows
    the other's key. Raises SecurityError if it cannot be saved."""
    if meets_again(peer):
        meetings.note(peer.fingerprint, peer.rendezvous, relay)
