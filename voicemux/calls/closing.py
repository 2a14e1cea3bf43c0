"""How a call ends: who may end it, what is said and awaited then, and from when on nothing more comes."""

import threading
from collections.abc import Callable

from voicemux.calls.carrier import Carrier
from voicemux.calls.ending import Reason
from voicemux.calls.parts import Parts
from voicemux.errors import VoicemuxError
from voicemux.protocol.messages import Bye, Pong, TextAck

NAP = 1.0  # seconds at a time for which an end is awaited that another thread brings about


class Closing:
    """Any thread may use it; only the methods `await_...` wait, and take a limit."""

    def __init__(self, parts: Parts, current: Callable[[], Carrier | None], on_over: Callable[[], None]) -> None:
        """`current` gives the connection that carries the call, or None; it does not change while `parts.changed` is
        held.

        `on_over` is called once, when the last word of the peer has been read; it must not wait.
        """
        self.over = threading.Event()  # nothing will be read any more
        self._parts = parts
        self._changed = parts.changed
        self._current = current
        self._on_over = on_over
        self._is_over = False  # or about to be

    def hang_up(self, reason: Reason, bye: Bye, timeout: float, patience: float | None = None) -> None:
        """End the call, if it has not ended; `timeout` is as of `Writer.finish`. With a `patience` the peer no longer
        uses that connection, and its end is awaited for that many seconds."""
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
        """Say ours, if it is owed: the other side may have ended the call."""
        if carrier := self._current():
            carrier.writer.finish(Bye(), timeout, peer_is_done=self.over.is_set())

    def await_the_goodbye(self, timeout: float) -> None:
        """Wait until ours is out and the peer's has come, for at most `timeout` seconds each."""
        if carrier := self._current():
            carrier.writer.wait_until_finished(timeout)
        self.over.wait(timeout)

    def await_the_end(self, seconds: float) -> bool:
        """See `Carrier.await_the_end`: there will be no other connection."""
        carrier = self._current()
        return carrier.await_the_end(seconds, self.over) if carrier else self.over.wait(min(seconds, NAP))

    def give_up(self, error: VoicemuxError) -> bool:
        """No other connection can be had: the call ends, if there is none. Whether it does."""
        with self._changed:
            if self._current():
                return False
            self._parts.ending.by_error(error)
            self._parts.survival.end()
        self.finish()
        return True

    def cannot_return(self) -> None:
        """This side takes no other connection from now on: the call ends with its line."""
        with self._changed:
            self._parts.survival.grace = 0.0

    def abandon(self) -> None:
        """Break off: no goodbye, no waiting."""
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
        """Take note, once, that nothing more comes from the peer on any connection."""
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
            if not isinstance(each, TextAck | Pong):  # there is nowhere to say it
                parts.hears.happened(each)
        self._on_over()
        parts.texts.end()
        self.over.set()
