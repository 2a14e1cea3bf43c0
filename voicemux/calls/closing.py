"""How a call ends: what is sent and awaited, and from when on nothing more is read."""

import threading
from collections.abc import Callable

from voicemux.calls.carrier import Carrier
from voicemux.calls.ending import Reason
from voicemux.calls.parts import Parts
from voicemux.errors import VoicemuxError
from voicemux.protocol.messages import Bye, Pong, TextAck

NAP = 1.0  # seconds of one wait for an end that another thread brings about; then the caller looks again


class Closing:
    """Any thread may use it; only the methods `await_...` wait, and take a limit."""

    def __init__(self, parts: Parts, current: Callable[[], Carrier | None], on_over: Callable[[], None]) -> None:
        """`current` gives the connection that carries the call, or None; it does not change while `parts.changed` is
        held.

        `on_over` is called once, when the peer's stream has ended on the last connection; it must not wait.
        """
        self.over = threading.Event()  # nothing will be read any more
        self._parts = parts
        self._changed = parts.changed
        self._current = current
        self._on_over = on_over
        self._is_over = False  # set before `over`: the end is reported once

    def hang_up(self, reason: Reason, bye: Bye, timeout: float, patience: float | None = None) -> None:
        """End the call for `reason`, unless it has ended: queue `bye`, with `timeout` as of `Writer.finish`. With a
        `patience`, the peer no longer uses this connection: the end of its stream is awaited for that many seconds
        only."""
        with self._changed:
            if not self._parts.ending.begin(reason):
                return
            self._parts.survival.end()
            if carrier := self._current():
                carrier.writer.finish(bye, timeout, peer_is_done=patience is not None, patience=patience)
            self._changed.notify_all()
        if not carrier:
            self.finish()

    def say_goodbye(self, timeout: float) -> None:
        """Send our BYE if it has not been sent: the other side may have ended the call. `timeout` is as of
        `Writer.finish`."""
        if carrier := self._current():
            carrier.writer.finish(Bye(), timeout, peer_is_done=self.over.is_set())

    def await_the_goodbye(self, timeout: float) -> None:
        """Wait until our BYE is written, and then until the peer's stream has ended, each for at most `timeout`
        seconds."""
        if carrier := self._current():
            carrier.writer.wait_until_finished(timeout)
        self.over.wait(timeout)

    def await_the_end(self, seconds: float) -> bool:
        """Wait at most `seconds` for the end of the peer's stream, as `Carrier.await_the_end` does; True once it has
        ended. Without a connection, another thread brings the end about. Only for a call that is ending: no other
        connection will carry it."""
        carrier = self._current()
        return carrier.await_the_end(seconds, self.over) if carrier else self.over.wait(min(seconds, NAP))

    def give_up(self, error: VoicemuxError) -> bool:
        """The dialler cannot get another connection: end the call with `error` if none carries it. Returns whether
        that ended it."""
        with self._changed:
            if self._current():
                return False
            self._parts.ending.by_error(error)
            self._parts.survival.end()
        self.finish()
        return True

    def cannot_return(self) -> None:
        """This side will accept no other connection: from now on the call ends with the one that it has."""
        with self._changed:
            self._parts.survival.grace = 0.0

    def abandon(self) -> None:
        """Cut the connection: no BYE is sent, and nothing is awaited."""
        with self._changed:
            self._parts.survival.end()
            self._changed.notify_all()
            carrier = self._current()
        if carrier:
            carrier.cut()
        else:
            self._parts.ending.begin(Reason("us", ""))
            self.finish()

    def finish(self) -> None:
        """Note that nothing more comes from the peer on any connection. Calling it again does nothing."""
        parts = self._parts
        with self._changed:
            if self._is_over:
                return
            self._is_over = True
            parts.survival.end()
            carrier, now = self._current(), parts.clock()
            rest = carrier.writer.feedback.peer_ended() if carrier else parts.conversation.peer_ended(now)
            self._changed.notify_all()
        for each in rest:
            if not isinstance(each, TextAck | Pong):  # an answer, for which there is no connection
                parts.hears.happened(each)
        self._on_over()
        parts.texts.end()
        self.over.set()
