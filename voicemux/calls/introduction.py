"""From a caller to a call that can begin, and what the peer is called: the same steps for people and for programs.

How a place to call gets there is in `dialling`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicemux import __version__
from voicemux.calls.trust import Trust
from voicemux.errors import SecurityError
from voicemux.net.address import DEFAULT_PORT, Address
from voicemux.net.caller import Caller
from voicemux.net.listener import Listener
from voicemux.net.reception import Reception
from voicemux.net.refusals import Refusal
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Hello, Method, Ringing
from voicemux.protocol.wire import MAX_NAME
from voicemux.security.admission import Admission
from voicemux.security.contacts import is_loopback
from voicemux.security.entries import Contact
from voicemux.security.handshake import Peer
from voicemux.security.names import tame

Tell = Callable[[str], None]  # hears what went wrong, while the call goes on


@dataclass(frozen=True)
class Introduced:
    """Both sides have said HELLO, and `hello` is theirs. The stream belongs to whoever holds the call."""

    stream: Stream
    sending: Sending
    receiving: Receiving
    hello: Hello
    peer: Peer | None  # None in a plain call
    address: str  # where to call them; of a caller, a guess, "" for none
    is_caller: bool

    @property
    def security(self) -> str:
        """As in `events.Connected`."""
        return self.peer.method.name.lower() if self.peer else "plain"

    @property
    def words(self) -> list[str]:
        """To compare, if nothing else speaks for the peer."""
        return list(self.peer.words) if self.peer and self.peer.method is Method.OPEN else []


def own_hello(name: str, playable: tuple[int, ...]) -> Hello:
    """Ours; the name as far as there is room for it."""
    short = name.encode(errors="replace")[:MAX_NAME].decode(errors="ignore")
    return Hello(short, f"voicemux/{__version__}", playable)


def receive(
    listener: Listener,
    trust: Trust | None,
    on_turned_away: Callable[[Refusal], None],
    on_code: Callable[[str, str], None],
    tell: Tell,
    on_replaced: Callable[[Caller], None],
) -> tuple[Reception, Admission | None]:
    """A reception for callers, not started yet, and who is let in; None: anybody may call, plain.

    Raises SecurityError; the listener is closed then. The callbacks are those of both; `tell` hears what the user
    should know besides.
    """
    try:
        admission = trust.admission(on_code, tell) if trust else None
    except SecurityError:
        listener.close()
        raise
    identity = trust.identity.path if trust else None

    def on_missed(caller: Caller) -> str:
        return missed(caller, trust, tell)

    reception = Reception(listener, on_turned_away, admission, identity, on_missed=on_missed, on_replaced=on_replaced)
    return reception, admission


def missed(caller: Caller, trust: Trust | None, tell: Tell) -> str:
    """Who has called in vain, if it is somebody we know. By a code they become known: then a name is enough later."""
    if not (trust and caller.peer):
        return ""
    if caller.peer.method is Method.CODE:
        return remember(_met(caller), trust, tell)
    known = known_as(caller.peer, trust, tell)
    return known.name if known else ""


def answer(caller: Caller, hello: Callable[[], Hello]) -> Introduced:
    """Take the call. `hello` makes ours, and may take some time. Raises ConnectionLost if the caller has gone."""
    stream, sending = caller.stream, caller.sending
    try:
        stream.write(sending.encode(Ringing()))
        stream.write(sending.encode(hello()))
    except BaseException:
        stream.close()
        raise
    return _met(caller)


def _met(caller: Caller) -> Introduced:
    host = caller.host
    guess = "" if is_loopback(host) else str(Address(host, DEFAULT_PORT))  # there, a tunnel ends
    return Introduced(
        caller.stream, caller.sending, caller.receiving, caller.hello, caller.peer, guess, is_caller=True
    )


@dataclass(frozen=True)
class Named:
    """What a peer is called here. The name of a contact, or its own, made harmless, or its host: never empty."""

    name: str
    claims: str = ""  # what a contact calls itself, if that is something else
    is_known: bool = False  # and will be known again by its key


def name_caller(caller: Caller, trust: Trust | None, tell: Tell) -> Named:
    """What a caller is called from the first ring on. Who knows the code is remembered by now."""
    return name_of(_met(caller), trust, tell)


def is_known(caller: Caller, trust: Trust | None, tell: Tell) -> bool:
    """Whether that is a contact, or has proved that it knows the code."""
    if trust is None or caller.peer is None:
        return False
    return caller.peer.method is not Method.OPEN or known_as(caller.peer, trust, tell) is not None


def name_of(met: Introduced, trust: Trust | None, tell: Tell) -> Named:
    """What the peer is called from here on. Who is authenticated is known by that name, and remembered."""
    host, own = met.stream.peer_address.host, tame(met.hello.name)
    if not (trust and met.peer):
        return Named(own or host)
    is_self = trust.is_self(met.peer)
    if is_self:
        tell("that is yourself: the other side has your own key")
    by_key = met.peer.method is not Method.OPEN and not is_self
    known = _remember(met, trust, tell) if by_key else known_as(met.peer, trust, tell)
    if known:
        return Named(known.name, own if own != known.name else "", is_known=True)
    return Named(trust.name_of_unknown(met.hello.name) or host)


def remember(met: Introduced, trust: Trust, tell: Tell) -> str:
    """The name under which the peer is known from now on; empty if that cannot be."""
    known = _remember(met, trust, tell)
    return known.name if known else ""


def _remember(met: Introduced, trust: Trust, tell: Tell) -> Contact | None:
    assert met.peer
    known = known_as(met.peer, trust, tell)
    if trust.is_self(met.peer):
        tell("your own key makes no contact")
        return known
    if known and met.is_caller and not known.unnamed:
        return known
    address = "" if known and met.is_caller else met.address  # where a caller can be called back is only guessed
    try:
        return trust.remember(met.peer, met.hello.name, address)
    except SecurityError as error:
        tell(f"{error}; the call goes on, but is not remembered")
        return known


def known_as(peer: Peer, trust: Trust, tell: Tell) -> Contact | None:
    """The contact with that key; None if there is none, or the contacts cannot be read."""
    try:
        return trust.contacts.with_fingerprint(peer.fingerprint)
    except SecurityError as error:
        tell(str(error))
        return None
