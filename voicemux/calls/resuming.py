"""How a call gets another connection: the dialler dials again, the listener keeps the session until the dialler comes
back."""

from voicemux.calls.bond import Bond
from voicemux.calls.lines import Lines
from voicemux.calls.moving import Moving
from voicemux.calls.parts import Parts
from voicemux.calls.redialling import Redialling
from voicemux.net.caller import Caller
from voicemux.net.listener import addresses_towards
from voicemux.net.stream import Stream
from voicemux.net.surroundings import Surroundings
from voicemux.net.visitor import VISITOR_PATIENCE
from voicemux.threads import Threads


class Resuming:
    """Gets one call another connection. Without a `Bond`, it does nothing."""

    def __init__(self, bond: Bond | None, parts: Parts, lines: Lines, first: Stream) -> None:
        """`first` is the connection with which the call begins."""
        self._bond = bond
        self._lines = lines
        self._redialling: Redialling | None = None
        self._surroundings: Surroundings | None = None
        self._moving: Moving | None = None
        sessions = bond.sessions if bond else None
        if bond and parts.dials:
            self._redialling = redialling = Redialling(bond, parts, lines, first)
            self._surroundings = Surroundings(lambda: addresses_towards(redialling.whereabouts.reached.host))
            if bond.uses_paths:
                self._moving = Moving(parts, lines, redialling.offers.put)
        elif bond and bond.uses_paths and sessions and sessions.let_in:
            self._moving = Moving(parts, lines, sessions.let_in, sessions.port, sessions.mapped)
        if self._moving:
            lines.on_paths = self._moving.hear

    def start(self, threads: Threads) -> None:
        """Let the call outlive its connection from now on. Raises OutOfResources."""
        if self._redialling:
            threads.start("redial", self._redialling.run)
        elif self._bond and self._bond.sessions:
            lines = self._lines
            self._bond.sessions.keep(
                self._bond.session, self._resume, lines.closing.cannot_return, lambda: lines.current is not None
            )
        if self._moving:
            threads.start("move", self._moving.run)

    def line_has_changed(self, now: float) -> bool:
        """Whether our network has changed, so that the way to the peer may be another one. The timer asks."""
        if self._moving:
            self._moving.look()
        if not (self._surroundings and self._surroundings.have_changed(now)):
            return False
        if self._redialling:
            self._redialling.hurry()
        return True

    def end(self) -> None:
        """Forget the session: the call is over."""
        if self._bond and self._bond.sessions:
            self._bond.sessions.forget(self._bond.session)

    def stop(self) -> None:
        """End the threads. A connection that is about to take over has a moment to send BYE."""
        self.end()
        if self._moving:
            self._moving.stop()
        if self._redialling:
            self._redialling.stop()

    def _resume(self, caller: Caller) -> bool:
        """Let the call go on with `caller`, whose HELLO resumes the session. Returns False if the call is over.

        Raises RemoteProtocolError if the HELLO's `last_text` is impossible; then nothing has changed.
        """
        bond, stream = self._bond, caller.stream
        assert bond

        def say_hello(last_text: int) -> None:
            stream.set_timeout(VISITOR_PATIENCE)
            stream.write(caller.sending.encode(bond.hello(last_text)))

        return self._lines.take_over(stream, caller.sending, caller.receiving, caller.hello, say_hello)
