"""The relay under test, as the cases know it."""

import secrets
from collections.abc import Callable

from voicemux.conform.record import Talk
from voicemux.conform.relay_link import RelayLink
from voicemux.conform.verdict import RELAY, Case
from voicemux.relay.messages import CallFor, Paired, Parked, Token, Wait
from voicemux.relay.places import RelayPlace
from voicemux.relay.relayed import connect_to_relay
from voicemux.relay.wire import ID_SIZE, OWNER_SIZE


class RelaySubject:
    """The relay under test. `connect` makes a connection on which nothing was sent; `wait`, `call` and `pair` make
    usual ones."""

    role = RELAY
    is_encrypted = False  # the cases make no call
    was_busy = False

    def __init__(self, place: RelayPlace) -> None:
        self.place = place
        self._links: list[RelayLink] = []

    def connect(self) -> RelayLink:
        """Connect to the relay. Raises Unreachable if that fails."""
        link = RelayLink(connect_to_relay(self.place))
        self._links.append(link)
        return link

    @property
    def token(self) -> tuple[Token, ...]:
        """Return the messages to send before WAIT and CALL: a TOKEN if there is one."""
        return (Token(self.place.token),) if self.place.token else ()

    def wait(self, *ids: bytes, owner: bytes = b"") -> RelayLink:
        """Return the connection of a listener that waits."""
        link = self.connect()
        link.say(*self.token, Wait(owner or new_owner(), ids))
        link.expect(Parked)
        return link

    def call(self, *ids: bytes, behind: bytes = b"") -> RelayLink:
        """Return the connection of a dialler that has sent CALL, and has no answer yet."""
        link = self.connect()
        link.say(*self.token, CallFor(ids), behind=behind)
        return link

    def pair(self) -> tuple[RelayLink, RelayLink]:
        """Return the connections of a dialler and a listener that the relay has joined."""
        meant = new_id()
        listener = self.wait(meant)
        dialler = self.call(meant)
        dialler.expect(Paired)
        listener.expect(Paired)
        return dialler, listener

    def said(self) -> tuple[Talk, ...]:
        """Return the records of all connections of this case."""
        return tuple(link.record.talk() for link in self._links)

    def close_all(self) -> None:
        while self._links:
            self._links.pop().close()


def new_id() -> bytes:
    """Return a random id, for which no other program waits."""
    return secrets.token_bytes(ID_SIZE)


def new_owner() -> bytes:
    return secrets.token_bytes(OWNER_SIZE)


RELAY_CASES: list[Case] = []


def relay_case(
    section: int, *, slow: bool = False
) -> Callable[[Callable[[RelaySubject], None]], Callable[[RelaySubject], None]]:
    """Enters a function among the cases of relays, under its own name."""

    def enter(body: Callable[[RelaySubject], None]) -> Callable[[RelaySubject], None]:
        RELAY_CASES.append(Case(body.__name__.replace("_", "-"), section, (RELAY,), body, False, slow))
        return body

    return enter
