"""Moves a call from a relay to a direct connection, where the routers of both sides allow that (protocol.md §17.8).

Each side says where it may be reached; then both try, in rounds, to connect to each other at the same time. A
connection that succeeds is passed on: the session's dialler to its redial thread, the listener to its reception.
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
from voicemux.net.punching import elsewhere, own_end, punch
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Paths

LOOK_AGAIN = 0.05  # seconds between two looks at whether the round trip is known
WAIT = 5.0  # seconds of one wait, if nothing wakes the thread


class Moving:
    """Tries to make a relayed call direct. A thread runs `run` until `stop`; the timer calls `look`, the
    demultiplexer `hear`."""

    def __init__(
        self,
        parts: Parts,
        lines: Lines,
        take: Callable[[Stream], None],
        port: int = 0,
        mapped: Callable[[], Address | None] = lambda: None,
    ) -> None:
        """`take` gets each direct connection, and must not wait. `port` is the TCP port on which this side listens;
        0: none. `mapped` returns the address that the router forwards to it, or None."""
        self._lines = lines
        self._round_trip = parts.vitals.known_round_trip
        self._take = take
        self._port, self._mapped = port, mapped
        self._woken = threading.Condition()  # guards what follows; with it held, nothing is called that may wait
        self._rounds = Rounds(dials=parts.dials)
        self._carrier: Carrier | None = None  # the connection at the last look
        self._own: Address | None = None  # our address on it, if it goes through a relay
        self._said = Paths()
        self._is_stopped = False

    def look(self) -> None:
        """Note which connection carries the call now; on a new one through a relay, send PATHS."""
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
        """The peer has sent `paths` on this connection."""
        self.look()
        with self._woken:
            if carrier is self._carrier and self._own:
                self._rounds.hear(paths, time.monotonic())
                self._woken.notify_all()

    def run(self) -> None:
        """Run each round when it is due."""
        while found := self._next_round():
            own, carrier, addresses = found
            for stream in punch(own, elsewhere(addresses), partial(self._goes_on, carrier)):
                self._take(stream)
            with self._woken:
                self._rounds.finish(time.monotonic())

    def stop(self) -> None:
        """End `run`."""
        with self._woken:
            self._is_stopped = True
            self._woken.notify_all()

    def _next_round(self) -> tuple[Address, Carrier, tuple[Address, ...]] | None:
        """Wait for the next round. Returns our address, the connection that it is an address of, and the peer's
        addresses to try; None if there will be no more rounds."""
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
        """Whether a round that began on this connection may go on."""
        return not self._is_stopped and self._lines.current is carrier
