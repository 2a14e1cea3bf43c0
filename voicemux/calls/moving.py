"""Moves a call from a relay to a direct connection, where the routers of both sides allow that (protocol.md §17.8).

Each side says where it may be reached; in rounds, both try to connect to each other. What comes about
is handed on: at the session's dialler to who resumes on it, at its listener to who greets callers.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from voicemux.calls.carrier import Carrier
from voicemux.calls.lines import Lines
from voicemux.calls.parts import Parts
from voicemux.net.address import Address
from voicemux.net.paths import Rounds, own_paths
from voicemux.net.punching import own_end, punch
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Paths

LOOK_AGAIN = 0.05  # seconds between two looks at whether the round trip is known
WAIT = 5.0  # seconds between two looks, if nothing wakes the thread


class Moving:
    """`run` is the body of a thread, until `stop`; `look` is the timer's, `hear` the demultiplexer's."""

    def __init__(
        self,
        parts: Parts,
        lines: Lines,
        take: Callable[[Stream], None],
        port: int = 0,
        mapped: Callable[[], Address | None] = lambda: None,
    ) -> None:
        """`take` gets each connection that comes about, and must not wait. `port` is the one at which this side
        listens; 0 if it does not. `mapped` is where its router lets callers in."""
        self._lines = lines
        self._round_trip = parts.vitals.known_round_trip
        self._take = take
        self._port, self._mapped = port, mapped
        self._woken = threading.Condition()  # guards what follows; nothing is called with it that waits
        self._rounds = Rounds(dials=parts.dials)
        self._carrier: Carrier | None = None  # the last that was looked at
        self._own: Address | None = None  # our end of it, if it goes through a relay
        self._said = Paths()
        self._is_stopped = False

    def look(self) -> None:
        """See which connection carries the call now, and say on a new one through a relay where this side is."""
        with self._woken:
            carrier = self._lines.current
            if carrier is self._carrier:
                return
            self._carrier, self._own, self._said = carrier, None, Paths()
            self._rounds.leave()
            seen = carrier.stream.seen if carrier else None
            if carrier and seen and (own := own_end(carrier.stream)):
                self._own, self._said = own, Paths(own_paths(own, seen, self._port, self._mapped()))
                self._rounds.begin(seen, time.monotonic())
                if self._said.paths:
                    carrier.writer.send(self._said)
            self._woken.notify_all()

    def hear(self, carrier: Carrier, paths: Paths) -> None:
        """The peer has said that on this connection."""
        self.look()
        with self._woken:
            if carrier is self._carrier and self._own:
                self._rounds.hear(paths, time.monotonic())
                self._woken.notify_all()

    def run(self) -> None:
        """Have a round whenever it is time."""
        while found := self._next_round():
            own, carrier, addresses = found
            for stream in punch(own, addresses, partial(self._goes_on, carrier)):
                self._take(stream)
            with self._woken:
                self._rounds.finish(time.monotonic())

    def stop(self) -> None:
        """End `run`."""
        with self._woken:
            self._is_stopped = True
            self._woken.notify_all()

    def _next_round(self) -> tuple[Address, Carrier, tuple[Address, ...]] | None:
        """Wait for it: our end, of which connection that is, and what to try. None if there will be none."""
        with self._woken:
            while not self._is_stopped:
                now = time.monotonic()
                round_trip = self._round_trip()
                if self._carrier and self._rounds.says_now(now, round_trip):
                    self._carrier.writer.send(Paths(self._said.paths, now=True))
                addresses = self._rounds.start(now)
                if addresses is not None and self._own and self._carrier:
                    return self._own, self._carrier, addresses
                wait = self._rounds.wait(now)
                self._woken.wait(WAIT if wait is None else max(wait, 0.0 if round_trip else LOOK_AGAIN))
        return None

    def _goes_on(self, carrier: Carrier) -> bool:
        """Whether the round does that has begun for this connection."""
        return not self._is_stopped and self._lines.current is carrier
