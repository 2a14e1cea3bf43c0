"""From a place to call to a call that can begin: the same steps for people and for programs."""

import contextlib
from collections.abc import Callable

from voicemux.calls.introduction import Introduced, Tell, known_as
from voicemux.calls.trust import Trust
from voicemux.console.quoting import quoted_name
from voicemux.errors import (
    CallRefused,
    ConnectionLost,
    Kind,
    RemoteProtocolError,
    SecurityError,
    Unreachable,
    VoicemuxError,
)
from voicemux.net.address import Address, ends_like_a_port, parse_address
from voicemux.net.connecting import connect
from voicemux.net.greeting import Greeting, part
from voicemux.protocol.connection import Receiving, State
from voicemux.protocol.messages import Bye, ByeCode, Hello, Method
from voicemux.security.handshake import Peer
from voicemux.security.names import passes_for_address


def reach(
    target: str,
    trust: Trust | None,
    hello: Callable[[], Hello],
    on_calling: Tell = lambda _: None,
    on_ringing: Tell = lambda _: None,
    ask_code: Callable[[str], str] = lambda _: "",
    patience: float = 0.0,
    tell: Tell = lambda _: None,
) -> Introduced:
    """Call an address, or a contact at its addresses in turn; plain without `trust`.

    Raises VoicemuxError; the peer hears a goodbye then.

    `hello` is asked for ours once it is known who is there. `on_calling` and `on_ringing` hear the address once.
    `ask_code` is asked for the code of an unknown listener at that address, while there is no connection to it;
    "" if there is none. `patience` is how many seconds to wait for the first words, if that is more than usual.
    `tell` hears what the user should know of addresses that were called in vain.
    """
    addresses = trust.addresses_of(target, tell) if trust else [parse_address(target)]
    failures: list[VoicemuxError] = []
    for address in addresses:
        caller = _Dialler(target, address, trust, hello, on_ringing, patience)
        on_calling(str(address))
        try:
            return _reach(caller, trust, ask_code)
        except VoicemuxError as error:
            if caller.is_there:
                raise
            failures.append(error)
            if isinstance(error, SecurityError) and address is not addresses[-1]:
                tell(f"another key answers at {address}, not that of {target}: nothing was said there")
    if len(failures) == 1:
        raise _explained(failures[0], target)
    changed = next((each for each in failures if isinstance(each, SecurityError)), None)
    raise changed or Unreachable(
        f"{target} is at none of the known addresses: {'; '.join(map(str, failures))}", kind=failures[0].kind
    )


def _explained(error: VoicemuxError, target: str) -> VoicemuxError:
    """The error, or what is more to the point, by what was typed."""
    if error.kind is Kind.NO_SUCH_HOST and not passes_for_address(target.split(":")[0]):
        return Unreachable(f"{target} is not a contact, and not a host: {error}", kind=Kind.NO_SUCH_CONTACT)
    if isinstance(error, Unreachable) and ends_like_a_port(target):
        return Unreachable(str(error), kind=Kind.BARE_PORT)
    return error


def _reach(caller: "_Dialler", trust: Trust | None, ask_code: Callable[[str], str]) -> Introduced:
    """By what is known; otherwise by a code, in a connection of its own."""
    try:
        return caller.call()
    except _CodeNeeded:
        return caller.call(by_code=True)
    except SecurityError as error:
        if not (trust and error.kind is Kind.UNKNOWN_LISTENER and (code := ask_code(str(caller.address)))):
            raise
        trust.use_code(code)
        return caller.call()


class _CodeNeeded(Exception):
    """The listener's key is known, ours is unknown to it: a code speaks for us, in a new connection."""


class _Dialler:
    """Who is called, and with what."""

    def __init__(
        self,
        target: str,
        address: Address,
        trust: Trust | None,
        hello: Callable[[], Hello],
        on_ringing: Tell,
        patience: float,
    ) -> None:
        self.address = address
        self.is_there = False  # whoever is meant has answered: there is nobody else to call
        self._target = target
        self._trust = trust
        self._hello = hello
        self._on_ringing = on_ringing
        self._patience = patience

    def call(self, *, by_code: bool = False) -> Introduced:
        """One connection. Raises _CodeNeeded if another one by code may do better."""
        address = str(self.address)
        greeting = Greeting(connect(self.address), self._patience)
        peer = None
        try:
            if self._trust:
                peer = self._greet(self._trust, greeting, by_code=by_code)
            else:
                greeting.open()
            known = known_as(peer, self._trust, _ignore) if self._trust and peer else None
            who = quoted_name(known.name) if known else "the other side"
            theirs = greeting.introduce(self._hello(), lambda: self._on_ringing(address), who)
        except BaseException as error:
            self.is_there = greeting.receiving.greeted
            if peer:
                self._keep(peer)
            if bye := _farewell(error, greeting.receiving):
                part(greeting.stream, greeting.sending, bye)
            greeting.stream.close()
            raise
        return Introduced(
            greeting.stream, greeting.sending, greeting.receiving, theirs, peer, address, is_caller=False
        )

    def _keep(self, peer: Peer) -> None:
        """Without a call, too, a code that was confirmed makes a contact (protocol.md §12): it may be used up by now.

        The listener has not said its name: it is called by where it was called, until it does.
        """
        trust = self._trust
        if trust and peer.method is Method.CODE and not (trust.is_self(peer) or known_as(peer, trust, _ignore)):
            with contextlib.suppress(SecurityError):  # why there is no call matters more
                trust.remember(peer, "", str(self.address), host=self.address.host)

    def _greet(self, trust: Trust, greeting: Greeting, *, by_code: bool) -> Peer:
        try:
            return trust.greet(greeting, self._target, self.address, by_code=by_code)
        except SecurityError as error:
            if error.kind is Kind.UNKNOWN_CALLER and trust.has_code and not by_code:
                raise _CodeNeeded from error
            raise


def _farewell(error: BaseException, receiving: Receiving) -> Bye | None:
    """What the other side is told of why there will be no call."""
    greeted, has_left = receiving.greeted, receiving.state is State.DONE
    match error:
        case SecurityError(kind=Kind.MAN_IN_THE_MIDDLE) if greeted and not has_left:  # it does not know the code
            return Bye(ByeCode.WRONG_CODE)
        case CallRefused(kind=Kind.SILENCE) | ConnectionLost(kind=Kind.SILENCE) if greeted:
            return Bye(ByeCode.TIMEOUT)
        case CallRefused() | SecurityError() | KeyboardInterrupt() | _CodeNeeded() if greeted:
            return Bye()
        case RemoteProtocolError() if greeted or error.code == ByeCode.VERSION:
            return Bye(error.code, str(error))
        case _:
            return None


def _ignore(_: str) -> None:
    pass
