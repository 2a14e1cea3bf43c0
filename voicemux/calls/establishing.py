"""From a target, or from a caller, to a call that can begin: the same steps for people and for programs.

Only this module takes a connection from the first byte to both HELLOs. `target` says where to call, `trust` judges
the peer.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from voicemux import __version__
from voicemux.calls.bond import Bond, accepted, agreed, offered
from voicemux.calls.introduction import Introduced, Tell, known_as, met_by, missed
from voicemux.calls.racing import Race
from voicemux.calls.rendezvous import meets_again
from voicemux.calls.target import Target
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
from voicemux.net.address import ends_like_a_port
from voicemux.net.caller import Caller
from voicemux.net.greeting import Greeting, Watcher, part, unwatched
from voicemux.net.listener import ListeningSockets
from voicemux.net.reception import Reception
from voicemux.net.refusals import Refusal
from voicemux.net.sessions import Sessions
from voicemux.protocol.connection import Receiving, State
from voicemux.protocol.messages import Bye, ByeCode, Codec, Hello, Method, Ringing
from voicemux.protocol.wire import MAX_NAME
from voicemux.relay.places import AnyWay, RelayedWay, RelayPlace, remembered
from voicemux.relay.relayed import stream_to
from voicemux.security.admission import Admission
from voicemux.security.handshake import Peer
from voicemux.security.names import passes_for_address


def own_hello(name: str, playable: tuple[int, ...]) -> Hello:
    """Return our HELLO. The name is cut to MAX_NAME bytes of UTF-8; `playable` are the codecs that we can play."""
    short = name.encode(errors="replace")[:MAX_NAME].decode(errors="ignore")
    channels = 2 if Codec.PCM_STEREO in playable else 0
    return Hello(short, f"voicemux/{__version__}", playable, channels=channels)


# --- of a dialler


def establish(
    target: Target,
    trust: Trust | None,
    hello: Callable[[], Hello],
    on_calling: Tell = lambda _: None,
    on_ringing: Tell = lambda _: None,
    ask_code: Callable[[str], str] = lambda _: "",
    patience: float = 0.0,
    tell: Tell = lambda _: None,
    watch: Watcher = unwatched,
    grace: int = 0,
    *,
    paths: bool = False,
) -> Introduced:
    """Call the target, by its ways in turn; without `trust`, the call is plain. Raises VoicemuxError; then a peer
    that has answered is sent BYE.

    `hello` makes our HELLO once it is known who answers. `on_calling` and `on_ringing` get the address of each way
    that is tried, and of the one that rings. `ask_code` gets the address of an unknown listener, and returns the code
    that the user types, or ""; there is no connection meanwhile. `patience` is for how many seconds to wait for the
    first bytes, if that is more than usual. `tell` gets what the user should know of ways that failed. `watch` is as
    of `Greeting`. `grace` is for how many seconds the call goes on without a connection. `paths`: a call through a
    relay may become direct.
    """
    if target.code and trust:
        trust.use_code(target.code)
    failures: list[VoicemuxError] = []
    ways, raced = target.ways, None
    if target.contact and trust and Race.is_for(ways):
        on_calling(str(ways[0]))
        race = Race(target.contact, ways, patience)
        won = race.run()
        failures = race.failures
        for each in failures if won else ():
            if isinstance(each, SecurityError):
                tell(str(each))
        ways, raced = ((won[0],), won[1]) if won else ((), None)
    for way in ways:
        attempt = _Attempt(target, way, trust, hello, on_ringing, patience, watch, grace, raced, paths=paths)
        if way is not target.ways[0] or not raced:
            on_calling(str(way))
        try:
            return attempt.make(ask_code)
        except VoicemuxError as error:
            if attempt.is_there:
                raise
            failures.append(error)
            if isinstance(error, SecurityError) and way is not ways[-1]:
                tell(f"another key answers at {way}, not that of {target.text}: nothing was said there")
    if len(failures) == 1:
        raise _explained(failures[0], target.text)
    changed = next((each for each in failures if isinstance(each, SecurityError)), None)
    raise changed or Unreachable(
        f"{target.text} is at none of the known addresses: {'; '.join(map(str, failures))}", kind=failures[0].kind
    )


def greet(greeting: Greeting, target: Target, way: AnyWay, trust: Trust, *, by_code: bool = False) -> Peer:
    """Do the dialler's part until each side knows who the other is, and return the peer. `by_code` is as of
    `Trust.judge`.

    Raises SecurityError if the listener is not the one that was meant, or does not let us in. If `trust` finds that
    nothing may be said to it, nothing but TLS has been sent.
    """
    certificate = greeting.stream.peer_certificate if greeting.stream.is_secure else greeting.secure()
    dialler = trust.judge(target, way, certificate, by_code=by_code)
    greeting.open()
    return greeting.authenticate(dialler)


class _CodeNeeded(Exception):
    """We know the listener's key, but it does not know ours: a new connection is needed, in which the code
    authenticates us."""


class _Attempt:
    """The dialling of a target by one way."""

    def __init__(
        self,
        target: Target,
        way: AnyWay,
        trust: Trust | None,
        hello: Callable[[], Hello],
        on_ringing: Tell,
        patience: float,
        watch: Watcher,
        grace: int,
        raced: Greeting | None = None,
        *,
        paths: bool = False,
    ) -> None:
        """`raced` is the connection that won a `Race`, with TLS up and its key checked; None: make one."""
        self.is_there = False  # the listener that was meant has answered, so no other way is tried
        self._target = target
        self._way = way
        self._trust = trust
        self._hello = hello
        self._on_ringing = on_ringing
        self._patience = patience
        self._watch = watch
        self._grace = grace
        self._raced = raced
        self._paths = paths

    def make(self, ask_code: Callable[[str], str]) -> Introduced:
        """Call by what is known of the listener. If that does not do, call once more by a code, in a new
        connection."""
        try:
            return self._call()
        except _CodeNeeded:
            return self._call(by_code=True)
        except SecurityError as error:
            asks = self._trust and error.kind is Kind.UNKNOWN_LISTENER
            if not (self._trust and asks and (code := ask_code(str(self._way)))):
                raise
            self._trust.use_code(code)
            return self._call()

    def _call(self, *, by_code: bool = False) -> Introduced:
        """Try it in one connection. Raises _CodeNeeded if a second one, by the code, may succeed."""
        target, where = self._target, str(self._way)
        greeting, self._raced = self._raced or Greeting(stream_to(self._way), self._patience, self._watch), None
        if greeting.stream.is_secure:
            self._watch(greeting.sending, greeting.receiving)
        peer = None
        try:
            if self._trust:
                peer = self._greet(greeting, self._trust, by_code=by_code)
            else:
                greeting.open()
            known = known_as(peer, target.known, _ignore) if peer else None
            who = quoted_name(known.name) if known else "the other side"
            grace = self._grace if self._relay is None or meets_again(peer) else 0
            own = offered(self._hello(), grace)
            own = replace(own, paths=self._paths and greeting.stream.seen is not None and bool(own.session))
            theirs = greeting.introduce(own, lambda: self._on_ringing(where), who)
        except BaseException as error:
            self.is_there = greeting.receiving.greeted
            if peer:
                self._keep(peer)
            if bye := _farewell(error, greeting.receiving):
                part(greeting.stream, greeting.sending, bye)
            greeting.stream.close()
            raise
        return Introduced(
            greeting.stream,
            greeting.sending,
            greeting.receiving,
            theirs,
            peer,
            remembered(self._way),
            is_caller=False,
            known=target.known,
            bond=self._bond(own, theirs, peer),
        )

    def _bond(self, own: Hello, theirs: Hello, peer: Peer | None) -> Bond | None:
        if not (grace := agreed(own, theirs)):
            return None
        identity = self._trust.identity if self._trust else None
        ways = [each for each in (self._way, *self._target.ways) if not isinstance(each, RelayedWay)]
        own = replace(own, paths=own.paths and theirs.paths)
        return Bond(own, grace, peer, tuple(ways), self._relay, identity)

    @property
    def _relay(self) -> RelayPlace | None:
        return self._way.relay if isinstance(self._way, RelayedWay) else None

    def _greet(self, greeting: Greeting, trust: Trust, *, by_code: bool) -> Peer:
        try:
            return greet(greeting, self._target, self._way, trust, by_code=by_code)
        except SecurityError as error:
            if error.kind is Kind.UNKNOWN_CALLER and trust.has_code and not by_code:
                raise _CodeNeeded from error
            raise

    def _keep(self, peer: Peer) -> None:
        """Save the listener as a contact if it has confirmed our code, though there is no call (protocol.md §12): the
        code may be used up by now.

        The listener has not said its name, so the contact is named after its host until it does.
        """
        trust, known = self._trust, self._target.known
        if trust and peer.method is Method.CODE and not (trust.is_self(peer) or known_as(peer, known, _ignore)):
            with contextlib.suppress(SecurityError):  # the error that prevented the call is the one to report
                trust.remember(peer, "", remembered(self._way), known, host=self._way.host)


def _explained(error: VoicemuxError, text: str) -> VoicemuxError:
    """Return an error that explains better what is wrong with the `text` that the user typed, or else the same
    error."""
    if error.kind is Kind.NO_SUCH_HOST and not passes_for_address(text.split(":")[0]):
        return Unreachable(f"{text} is not a contact, and not a host: {error}", kind=Kind.NO_SUCH_CONTACT)
    if isinstance(error, Unreachable) and ends_like_a_port(text):
        return Unreachable(str(error), kind=Kind.BARE_PORT)
    return error


def _farewell(error: BaseException, receiving: Receiving) -> Bye | None:
    """Return the BYE that tells the peer why there will be no call; None if the peer cannot be told."""
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


# --- of a listener


def receive(
    listener: ListeningSockets,
    trust: Trust | None,
    on_turned_away: Callable[[Refusal], None],
    on_code: Callable[[str, str], None],
    tell: Tell,
    on_replaced: Callable[[Caller], None],
    *,
    hides: bool = False,
) -> tuple[Reception, Admission | None]:
    """Make the reception for callers, which is not started yet, and the `Admission` that decides whom it lets in.
    Without `trust`, that is None: anybody may call, plain.

    The callbacks are passed to both. `tell` gets what else the user should know. `hides`: callers are not told at
    which addresses we may be reached. Raises SecurityError; the listener is closed then.
    """
    try:
        admission = trust.admission(on_code, tell) if trust else None
    except SecurityError:
        listener.close()
        raise
    identity = trust.identity.path if trust else None

    def on_missed(caller: Caller) -> str:
        return missed(caller, trust, tell)

    reception = Reception(
        listener, on_turned_away, admission, identity, on_missed=on_missed, on_replaced=on_replaced, hides=hides
    )
    if admission:
        admission.has_call = reception.sessions.has
    return reception, admission


def answer(
    caller: Caller,
    hello: Callable[[], Hello],
    sessions: Sessions | None = None,
    grace: int = 0,
) -> Introduced:
    """Take the call: send RINGING, then the HELLO that `hello` makes, which may take some time. Raises ConnectionLost
    if the caller has gone.

    `sessions` keeps the call for `grace` seconds without a connection, if the caller wants that, too. The holder of
    the call forgets it there at the end (`Sessions.forget`).
    """
    stream, sending = caller.stream, caller.sending
    own = Hello()
    try:
        stream.write(sending.encode(Ringing()))
        may_move = bool(sessions and sessions.let_in and caller.stream.seen and caller.peer)
        own = accepted(hello(), caller.hello, grace, paths=may_move)
        if own.session and not (sessions and sessions.expect(caller)):
            own = replace(own, session=b"", grace=0, paths=False)
        stream.write(sending.encode(own))
    except BaseException:
        if sessions:
            sessions.forget(own.session)
        stream.close()
        raise
    grace_of_both = agreed(own, caller.hello)
    bond = Bond(own, grace_of_both, caller.peer, sessions=sessions) if grace_of_both else None
    return replace(met_by(caller), bond=bond)
