"""Does what `dial` and `listen` do: call a listener, or serve callers one after the other.

The main thread owns everything: it dials, listens, and holds the call. The keyboard's thread handles what the user
types.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from voicemux.app.announcing import publish
from voicemux.app.answering import Answering
from voicemux.app.departure import Departure
from voicemux.app.handler import CommandHandler
from voicemux.app.held import Held
from voicemux.app.holding import Holding, Outcome
from voicemux.app.invitation import Inviter
from voicemux.app.notices import Notices
from voicemux.app.settings import Settings
from voicemux.app.sound import Sound
from voicemux.calls.establishing import answer, establish, own_hello, receive
from voicemux.calls.introduction import is_known, name_caller
from voicemux.calls.rendezvous import meant_by
from voicemux.calls.target import Target
from voicemux.calls.trust import Trust
from voicemux.calls.waiting import wait_at
from voicemux.console.plain import Console
from voicemux.errors import (
    ConnectionLost,
    OutOfResources,
)
from voicemux.events import (
    Calling,
    CallRinging,
    Listening,
    NewCode,
    Notice,
    TurnedAway,
)
from voicemux.net.address import is_inside
from voicemux.net.caller import Caller
from voicemux.net.listener import ListeningSockets
from voicemux.net.local_listeners import StdioListener
from voicemux.net.reception import Reception
from voicemux.net.refusals import Refusal
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Hello
from voicemux.trace.facts import Trace
from voicemux.trace.frames import watch


class Session:
    """One run of the program: a console, and at most one call at a time."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        departure: Departure,
        *,
        reads_input: bool = True,
        trace: Trace | None = None,
    ) -> None:
        """`reads_input` is False if standard input is not for typing. `trace` gets facts of every call."""
        self._settings = settings
        self._console = console
        self._departure = departure
        self._notices = Notices(console)
        self._trust = Trust(settings.security) if settings.security else None
        self._invitation = Inviter(console)
        self._held = Held(reads_input=reads_input)
        self._sound = Sound(settings, self._notices.once, trace)
        self._trace = trace
        self._handler = CommandHandler(
            settings,
            console,
            departure,
            self._trust,
            self._invitation,
            self._held,
            self._notices,
            reads_input=reads_input,
        )
        self._holding = Holding(
            settings,
            console,
            departure,
            self._trust,
            self._sound,
            self._held,
            self._notices,
            self._handler.start,
            trace,
        )

    # --- the two commands, in the main thread ------------------------------------------------------

    def dial(
        self,
        target: str,
        ask_code: Callable[[str], str] = lambda _: "",
        interrupting: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> Outcome:
        """Call an address or a contact, and hold the call. Raises VoicemuxError if there is no call.

        `ask_code` is asked for the code of an unknown listener, before the console reads what is typed.
        `interrupting` surrounds waits that only a KeyboardInterrupt can end.
        """
        with interrupting():
            self._sound.check()
        self._check_contacts()
        with self._sound.of_a_call():
            with interrupting():
                met = establish(
                    _meant(target, self._trust, self._settings, self._notices.once),
                    self._trust,
                    self._hello,
                    lambda address: self._console.show(Calling(address)),
                    lambda address: self._console.show(CallRinging("", address)),
                    ask_code,
                    patience=self._settings.silence_timeout,
                    tell=self._notices.once,
                    watch=self._watch,
                    grace=self._settings.grace,
                    paths=not self._settings.relay_only,
                )
            return self._holding.hold(met)

    def listen(self, listen: Callable[[], ListeningSockets], *, once: bool) -> Outcome:
        """Serve one caller after the other; only the first if `once`. Raises VoicemuxError if it cannot listen."""
        self._sound.check()
        self._check_contacts()
        listener = listen()
        self._posts = wait_at(self._settings.waiting_place, listener, self._trust, self._notices.once)
        addresses, places = listener.addresses(), listener.places()
        reception, admission = receive(
            listener,
            self._trust,
            self._on_turned_away,
            partial(self._on_code, places),
            self._notices.once,
            self._on_replaced,
            hides=self._settings.relay_only,
        )
        answering = self._handler.answering = Answering(
            reception,
            self._settings.ring.asks,
            self._console.show,
            self._console.ring,
            lambda caller: name_caller(caller, self._trust, self._notices.once),
            lambda caller: is_known(caller, self._notices.once),
            self._handler.start,
        )
        announcement = None
        try:
            code = admission.code if admission else ""
            self._invitation.begin(self._dials(places, code), once=once)
            reception.start()  # before callers are invited: it fails if no thread is left
            self._console.show(Listening(listener.port, addresses, self._dials(places, code), code))
            if self._trust and not (self._posts or self._trust.known.all()):
                _warn_of_routers(addresses, listener.port, self._notices.once)
            if isinstance(listener, StdioListener):
                listener.open(lambda: reception.calls.interrupt(ConnectionLost("the caller went without a call")))
            if self._console.eager:
                self._handler.start()
            announcement = publish(self._settings.ring, listener, reception.sessions, self._notices.once)
            with self._departure.waking(lambda: reception.calls.interrupt(_Leave())):
                while True:
                    caller, outcome = None, Outcome()
                    try:
                        caller = answering.next_caller()
                        outcome = self._take(caller, reception)
                    except OutOfResources as error:
                        self._notices.once(f"{error}; that call was not answered")
                    has_no_reader = self._sound.broken and self._sound.is_piped
                    calls_again = caller and reception.calls.replacement_of(caller)
                    if self._departure.why or has_no_reader or (once and outcome.ended and not calls_again):
                        return outcome
                    if caller:
                        reception.calls.free(caller)
        except _Leave:
            return Outcome()
        finally:
            self._handler.answering = None
            if announcement:
                announcement.close()
            reception.close()
            self._invitation.close()

    def _dials(self, places: list[str], code: str) -> list[str]:
        """Return the commands that callers may type."""
        security = self._settings.security
        option = "--unencrypted " if security is None else "--open " if security.is_open and not code else ""
        direct = [f"voicemux dial {option}{place} {code}".rstrip() for place in places]
        return [*(self._posts.dials(code, option) if self._posts else ()), *direct]

    def _on_code(self, places: list[str], code: str, why: str) -> None:
        self._invitation.changed(NewCode(code, why, self._dials(places, code)))

    def _take(self, caller: Caller, reception: Reception) -> Outcome:
        """Take a call. Sound is opened only now."""
        self._watch(caller.sending, caller.receiving)
        with self._sound.of_a_call():
            try:
                with self._departure.waking(_nothing, caller.stream.cut):
                    met = answer(caller, self._hello_to_caller, reception.sessions, self._settings.grace)
            except ConnectionLost as error:
                self._console.show(Notice(f"the caller has gone: {error}"))
                return Outcome()
            self._invitation.call_begins()
            try:
                return self._holding.hold(met, lambda: reception.calls.replacement_of(caller) is not None)
            finally:
                self._invitation.call_ended()
                if met.bond:
                    reception.sessions.forget(met.bond.session)

    def _hello_to_caller(self) -> Hello:
        hello = self._hello()
        if self._departure.why:
            raise _Leave
        return hello

    # --- shared --------------------------------------------------------------------------------------------

    def _watch(self, sending: Sending, receiving: Receiving) -> None:
        """Tell the trace, if there is one, of each frame from now on."""
        if self._trace:
            watch(sending, receiving, self._trace)

    def _on_replaced(self, _: Caller) -> None:
        """The caller has called again. The reception calls this."""
        if call := self._held.call:  # before the call runs, `hold` asks for it
            call.replace()

    def _on_turned_away(self, refusal: Refusal) -> None:
        """A caller was not answered. The reception calls this."""
        answering = self._handler.answering
        if answering and refusal.name and refusal.why == "busy":
            answering.miss(refusal.name, refusal.address, "busy", relay=refusal.relay)
        else:
            self._console.show(TurnedAway(**vars(refusal)))

    def _hello(self) -> Hello:
        """Return our HELLO, after opening the sound of this call, which decides what can be played."""
        return own_hello(self._settings.name, self._sound.open())

    def _check_contacts(self) -> None:
        """Tell the user which contacts cannot be used."""
        if self._trust and (passed_over := self._trust.known.passed_over()):
            self._notices.once(passed_over)


def _meant(text: str, trust: Trust | None, settings: Settings, tell: Callable[[str], None]) -> Target:
    """Return whom the user means to call, with the ways there."""
    target = meant_by(text, trust, settings.relay, settings.relay_token, tell).through(settings.proxy)
    return target.hidden() if settings.relay_only else target


def _warn_of_routers(addresses: list[str], port: int, tell: Callable[[str], None]) -> None:
    """Tell the user if the address for callers works in one network only."""
    if any(map(is_inside, addresses[:1])):
        tell(
            f"{addresses[0]} works inside your own network only: from elsewhere it takes a VPN, a tunnel, or "
            f"a router that forwards port {port} to this machine, and the router's address"
        )


def _nothing() -> None:
    pass


class _Leave(Exception):
    """The user leaves a listener that is in no call."""
