"""Dials again for a call whose connection is lost or suspect, in a thread of its own, when `Survival` says so.

The listener must be the one of the call, so its key is compared before anything is said. Before our HELLO, a new
connection has said nothing about the call, and may be given up. With our HELLO, it takes the place of the old one.
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

LIMIT = 10.0  # seconds for a new connection to take over: with a round trip of 1 s, it needs 5
OFFER_LIMIT = 5.0  # seconds for a direct connection to take over: no other one is dialled meanwhile
WAIT = 1.0  # seconds between two looks at whether to dial, if nothing wakes the thread
LAST_MOMENT = 1.0  # seconds that `stop` leaves a connection which is about to take over, to send BYE


class _ElsewhereError(SecurityError):
    """A listener with another key answers there."""


class Redialling:
    """Dials again for one call. A thread runs `run`; `stop` ends it."""

    def __init__(self, bond: Bond, parts: Parts, lines: Lines, first: Stream) -> None:
        """`first` is the connection with which the call begins."""
        self._bond = bond
        self._lines = lines
        self._survival, self._changed = parts.survival, parts.changed
        self.whereabouts = Whereabouts(bond, first)
        self._name = parts.name
        self._is_stopped = False
        self._stream: Stream | None = None  # the connection that is being greeted, if any
        self._has_said_hello = False
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._has_told = False  # the user has been told that another listener answers
        self._post = parts.hears.post
        self._dials = 0  # dials since the call last had a connection
        self.offers = Offers(parts.changed)
        self._moves = False  # the connection that is being greeted came from `offers`

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
        """End `run`. A connection that is about to take over has LAST_MOMENT seconds to send BYE."""
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
        """Cut the connection that is being made: our network has changed, so it may lead nowhere."""
        with self._changed:
            if self._stream:
                self._stream.cut()

    # --- when

    def _wait(self) -> bool:
        """Wait until it is time to dial, or a connection is offered. Returns False if the call ends."""
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
            if self._is_wanted():  # the offer was of no use, and the call needs a connection: dial
                self.offers.drop()
        else:
            self._dial()

    def _dial(self) -> None:
        try:
            if stream := self._reach():
                self._take(stream)
            elif self._is_wanted():
                self._failed(unreachable=True)
        except Unreachable as error:  # UNREACHABLE_DELAY is too short for a relay, which others use
            self._failed(unreachable=not self._bond.relay and error.kind is not Kind.NOBODY_LISTENS)
        except VoicemuxError:  # the connection to the relay broke, or what answered is not a relay
            self._failed()
        except OSError:  # no descriptor or thread is left; one may be free later
            self._failed()

    def _reach(self) -> Stream | None:
        """Connect to the listener; None if no connection is wanted any more."""
        return self.whereabouts.reach(self._is_wanted, self._dials)

    def _take(self, stream: Stream) -> None:
        """Greet the listener on `stream`, and let the call go on there."""
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
        """Authenticate on the new connection, if the call is encrypted. Nothing is said to a listener with another
        key."""
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
            self._has_said_hello = True  # set before it is sent
        last_text = self._lines.commit(moves=self._moves)
        if last_text is None:
            with self._changed:
                self._has_said_hello = False
        else:
            self.offers.drop()  # the other offers are older, and the listener would refuse them
        return last_text

    def _go_on(self, greeting: Greeting, answer: Hello) -> None:
        stream = greeting.stream
        with self._changed:
            self._stream = None  # it belongs to the call from now on
        if not self._lines.take_over(stream, greeting.sending, greeting.receiving, answer):
            part(stream, greeting.sending, Bye())  # the call has just ended
            return
        if not self._moves:  # after a move, the port is one that only this connection can use
            self.whereabouts.is_at(stream)

    def _refused(self, greeting: Greeting, error: VoicemuxError) -> None:
        """The listener of the call has refused the connection, or what answered is not a listener. The call ends if
        that is final."""
        has_answered = greeting.receiving.greeted and (self._bond.peer is None or greeting.stream.is_secure)
        is_lost = greeting.bye is not None and greeting.bye.code == ByeCode.TIMEOUT
        is_final = has_answered and error.kind is not Kind.SILENCE and not is_lost
        if self._has_said_hello and greeting.sending.state is State.OPEN:
            bye = Bye(error.code, str(error)) if isinstance(error, RemoteProtocolError) else Bye()
            part(greeting.stream, greeting.sending, bye)
        greeting.stream.close()
        may_go_on = self._moves and not self._has_said_hello  # the relayed connection still carries the call
        if may_go_on or not (is_final and self._lines.closing.give_up(error)):
            self._failed()

    def _failed(self, *, unreachable: bool = False) -> None:
        if self._moves and not self._has_said_hello:
            return
        with self._changed:
            self._survival.dial_failed(time.monotonic(), unreachable=unreachable)


def _ignore() -> None:
    pass
