"""Connects to a contact directly and through a relay at the same time: the first connection on which the contact's
certificate appears wins.

Nothing but TLS is sent on any connection before that, and nothing more on those that lose. A connection that is still
being made when the race is over is closed by its thread once it stands.
"""

import contextlib
import queue
import threading

from voicemux.errors import SecurityError, VoicemuxError
from voicemux.net.greeting import Greeting
from voicemux.relay.places import AnyWay, RelayedWay
from voicemux.relay.relayed import stream_to
from voicemux.security.entries import Contact
from voicemux.security.identity import fingerprint_of
from voicemux.threads import Threads, take

HEAD_START = 0.25  # seconds that the direct ways have before relays are tried: RFC 8305, §5


class Race:
    """One race. Call `run()` once."""

    def __init__(self, contact: Contact, ways: tuple[AnyWay, ...], patience: float) -> None:
        """`patience` is as of `Greeting`."""
        self._contact = contact
        self._ways = ways
        self._patience = patience
        self._results: queue.SimpleQueue[tuple[AnyWay, Greeting] | BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_over = False
        self._direct_failed = threading.Event()
        self.failures: list[VoicemuxError] = []  # so far

    @staticmethod
    def is_for(ways: tuple[AnyWay, ...]) -> bool:
        """Whether there are direct and relayed ways, so that there is something to race."""
        return len({isinstance(each, RelayedWay) for each in ways}) == 2

    def run(self) -> tuple[AnyWay, Greeting] | None:
        """Race, and return the way that won with its greeting, in which TLS is up; None if all have failed, see
        `failures`.

        Raises OutOfResources, or the exception of a bug in a thread.
        """
        threads = Threads(self._results.put)
        threads.start("direct", self._go_directly, daemon=True)
        threads.start("relayed", self._go_through_relays, daemon=True)
        going = 2
        try:
            while going:
                result = take(self._results)
                match result:
                    case None:
                        going -= 1
                    case VoicemuxError():
                        self.failures.append(result)
                    case BaseException():
                        raise result
                    case way, greeting:
                        return way, greeting
        finally:
            self._end()
        return None

    def _go_directly(self) -> None:
        self._go([each for each in self._ways if not isinstance(each, RelayedWay)])
        self._direct_failed.set()

    def _go_through_relays(self) -> None:
        self._direct_failed.wait(HEAD_START)
        self._go([each for each in self._ways if isinstance(each, RelayedWay)])

    def _go(self, ways: list[AnyWay]) -> None:
        for way in ways:
            if self._is_over:
                break
            try:
                self._try(way)
            except VoicemuxError as error:
                self._results.put(error)
        self._results.put(None)

    def _try(self, way: AnyWay) -> None:
        greeting = Greeting(stream_to(way), self._patience)
        try:
            if fingerprint_of(greeting.secure()) != self._contact.fingerprint:
                raise SecurityError(
                    f"another key answers at {way}, not that of {self._contact.name}: nothing was said there"
                )
        except BaseException:
            greeting.stream.close()
            raise
        with self._lock:
            is_first, self._is_over = not self._is_over, True
            if is_first:
                self._results.put((way, greeting))
        if not is_first:
            greeting.stream.close()

    def _end(self) -> None:
        """Let no other connection win. One that won but was not taken, because the user gave up, is closed."""
        with self._lock:
            self._is_over = True
        with contextlib.suppress(queue.Empty):
            while True:
                if isinstance(result := self._results.get_nowait(), tuple):
                    result[1].stream.close()
