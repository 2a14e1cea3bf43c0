"""Dials again for a call that has lost its line, or may have: in a thread of its own, as `Survival` wants it.

The listener must be the one of the call: its key is looked at before anything is said. Up to our HELLO, a connection
has said nothing about the call, and may be given up; with it, the connection takes the place of the one before.
"""

import threading
import time

from voicemux.calls.bond import Bond
from voicemux.calls.lines import Lines
from voicemux.calls.offers import Offers
from voicemux.calls.parts import Parts
from voicemux.calls.survival import LineState
from voicemux.calls.whereabouts import Whereabouts
from voicemux.errors import (
    CallRefused,
    ConnectionLost,
    Kind,
    RemoteProtocolError,
    SecurityError,
    Unreachable,
    VoicemuxError,
)
from voicemux.events import Notice
from voicemux.net.greeting import Greeting, part
from voicemux.net.stream import Stream
from voicemux.protocol.connection import State
from voicemux.protocol.messages import Bye, ByeCode, Hello, Method
from voicemux.security.handshake import Dialler
from voicemux.security.identity import fingerprint_of

LIMIT = 10.0  # seconds for one connection to take over: a line of 1 s round trip needs 5
OFFER_LIMIT = 5.0  # seconds likewise for a better one: meanwhile no other is dialled
WAIT = 1.0  # seconds between two looks at whether to dial, if nothing wakes the thread
LAST_MOMENT = 1.0  # seconds that a connection which is about to take over has for our goodbye


class _ElsewhereError(SecurityError):
    """Another listener than that of the call answers there."""


class Redialling:
    """`run` is the body of the thread; `stop` ends it."""

    def __init__(self, bond: Bond, parts: Parts, lines: Lines, first: Stream) -> None:
        """`first` is the connection with which the call begins."""
        self._bond = bond
        self._lines = lines
        self._survival, self._changed = parts.survival, parts.changed
        self.whereabouts = Whereabouts(bond, first)
        self._name = parts.name
        self._is_stopped = False
        self._stream: Stream | None = None  # that is being greeted
        self._has_said_hello = False
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._has_told = False  # the user, that another listener answers
        self._post = parts.hears.post
        self._dials = 0  # since the line was up
        self.offers = Offers(parts.changed)
        self._moves = False  # an offer is being greeted

    def run(self) -> None:
        """Dial when another connection is wanted, until the call ends."""
        while self._wait():
            try:
                self._dial_or_move()
            finally:
                with self._changed:
                    self._stream, self._has_said_hello = None, False
                self._is_idle.set()

    def stop(self) -> None:
        """End `run`. A connection that is about to take over gets a moment for the goodbye."""
        with self._changed:
            self._is_stopped = True
            has_said_hello = self._has_said_hello
            self._changed.notify_all()
        if has_said_hello:
            self._is_idle.wait(LAST_MOMENT)
        with self._changed:
            if self._stream:
                self._stream.cut()
        self.offers.close()

    def hurry(self) -> None:
        """The way may be another one now: what is under way by the old one is given up."""
        with self._changed:
            if self._stream:
                self._stream.cut()

    # --- when

    def _wait(self) -> bool:
        """Wait until it is time to dial. False if that time will not come."""
        with self._changed:
            while not self._is_stopped and self._survival.state is not LineState.OVER:
                if not self._survival.wants_dial:
                    self._dials = 0
                left = self._survival.dial_in(time.monotonic())
                if self.offers:
                    self._is_idle.clear()
                    return True
                if left is not None and left <= 0:
                    self._survival.dials(time.monotonic())
                    self._dials += 1
                    self._is_idle.clear()
                    return True
                self._changed.wait(WAIT if left is None else min(left, WAIT))
            return False

    def _is_wanted(self) -> bool:
        with self._changed:
            return self._survival.wants_dial and not self._is_stopped

    # --- one connection

    def _dial_or_move(self) -> None:
        offered = self.offers.take()
        self._moves = offered is not None
        if offered:
            self._take(offered)
            if self._is_wanted():  # it was none, and the line is lost or may be
                self.offers.drop()
        else:
            self._dial()

    def _dial(self) -> None:
        try:
            if stream := self._reach():
                self._take(stream)
            elif self._is_wanted():
                self._failed(unreachable=True)
        except Unreachable as error:  # a relay is not asked more often than others are
            self._failed(unreachable=not self._bond.relay and error.kind is not Kind.NOBODY_LISTENS)
        except VoicemuxError:  # of a relay: its connection broke, or it is none
            self._failed()
        except OSError:  # no descriptor or thread is left: there may be later
            self._failed()

    def _reach(self) -> Stream | None:
        """A connection; None if none is wanted any more. What went through a proxy goes through it again."""
        return self.whereabouts.reach(self._is_wanted, self._dials)

    def _take(self, stream: Stream) -> None:
        """Greet the listener, and have the call go on there."""
        with self._changed:
            if self._is_stopped:
                stream.close()
                return
            self._stream = stream
        greeting = Greeting(stream, limit=OFFER_LIMIT if self._moves else LIMIT)
        try:
            self._greet(greeting)
            last_text = self._commit()
            if last_text is None:  # the line is back, or the call ends
                greeting.stream.close()
                return
            answer = greeting.introduce(self._bond.hello(last_text), _ignore, self._name)
            if answer.session != self._bond.session or answer.last_text is None:
                raise CallRefused(f"{self._name} does not remember the call")
            self._go_on(greeting, answer)
        except _ElsewhereError as error:
            greeting.stream.close()
            if not self._moves:
                self.whereabouts.is_not_at(stream)
            if not (self._has_told or self._moves):
                self._has_told = True
                self._post(Notice(f"{error}; nothing was said there, and it is tried again"))
            self._failed()
        except (ConnectionLost, Unreachable):
            greeting.stream.close()
            self._failed()
        except (CallRefused, SecurityError, RemoteProtocolError) as error:
            self._refused(greeting, error)
        except BaseException:
            greeting.stream.close()
            raise

    def _greet(self, greeting: Greeting) -> None:
        """Up to both sides knowing who the other is. Nothing is said to another listener than that of the call."""
        bond = self._bond
        if bond.peer is None or bond.identity is None:
            greeting.open()
            return
        certificate = greeting.secure()
        if fingerprint_of(certificate) != bond.peer.fingerprint:
            raise _ElsewhereError(f"another key answers where {self._name} was")
        dialler = Dialler(bond.identity, certificate, Method.KNOWN)
        greeting.open()
        greeting.authenticate(dialler)

    def _commit(self) -> int | None:
        with self._changed:
            if self._is_stopped:
                return None
            self._has_said_hello = True  # or is about to
        last_text = self._lines.commit(moves=self._moves)
        if last_text is None:
            with self._changed:
                self._has_said_hello = False
        else:
            self.offers.drop()  # they are older: the listener would take them for overtaken
        return last_text

    def _go_on(self, greeting: Greeting, answer: Hello) -> None:
        stream = greeting.stream
        with self._changed:
            self._stream = None  # the call's, from now on
        if not self._lines.take_over(stream, greeting.sending, greeting.receiving, answer):
            part(stream, greeting.sending, Bye())  # hung up in this very moment
            return
        if not self._moves:  # no other port leads there
            self.whereabouts.is_at(stream)

    def _refused(self, greeting: Greeting, error: VoicemuxError) -> None:
        """The listener of the call does not take it, or what answers is none."""
        has_answered = greeting.receiving.greeted and (self._bond.peer is None or greeting.stream.is_secure)
        is_lost = greeting.bye is not None and greeting.bye.code == ByeCode.TIMEOUT
        is_final = has_answered and error.kind is not Kind.SILENCE and not is_lost
        if self._has_said_hello and greeting.sending.state is State.OPEN:
            bye = Bye(error.code, str(error)) if isinstance(error, RemoteProtocolError) else Bye()
            part(greeting.stream, greeting.sending, bye)
        greeting.stream.close()
        may_go_on = self._moves and not self._has_said_hello  # through the relay
        if may_go_on or not (is_final and self._lines.closing.give_up(error)):
            self._failed()

    def _failed(self, *, unreachable: bool = False) -> None:
        if self._moves and not self._has_said_hello:
            return
        with self._changed:
            self._survival.dial_failed(time.monotonic(), unreachable=unreachable)


def _ignore() -> None:
    pass
