"""Where a dialler looks for the listener of a call that has lost its connection."""

import contextlib
import datetime
import time
from collections.abc import Callable
from functools import partial

from voicemux.calls.bond import Bond
from voicemux.calls.rendezvous import way_to_peer
from voicemux.errors import VoicemuxError
from voicemux.net.address import Address, is_number
from voicemux.net.connecting import Place, look_up, reach
from voicemux.net.proxies import connect_by
from voicemux.net.reaching import reach_by
from voicemux.net.stream import Stream
from voicemux.net.ways import Proxied, UnixPath
from voicemux.relay.places import RelayedWay
from voicemux.relay.relayed import reach_relayed
from voicemux.threads import within

REACH_LIMIT = 5.0  # seconds for an address to answer; after that, names are looked up again
LOOK_UP_LIMIT = 2.0  # seconds for a name server, which may be unreachable for the same reason as the peer


class Whereabouts:
    """The addresses of one call's listener. One thread uses it."""

    def __init__(self, bond: Bond, first: Stream) -> None:
        """`first` is the connection with which the call begins."""
        self._bond = bond
        self.reached = first.peer_address  # the address at which the listener, or its relay, was reached last
        self._is_direct = not first.relay
        self._strangers: set[Address] = set()  # addresses at which another listener has answered

    def is_at(self, stream: Stream) -> None:
        """Note that the listener was reached by this connection."""
        self.reached, self._is_direct = stream.peer_address, not stream.relay

    def is_not_at(self, stream: Stream) -> None:
        """Note that something else has answered there, such as a hotel's login page or a router that starts. Its
        address is tried again once all others have failed."""
        if not stream.relay:
            self._strangers.add(stream.peer_address)
            if not self._places(1):
                self._strangers.clear()

    def reach(self, goes_on: Callable[[], bool], dials: int) -> Stream | None:
        """Connect to the listener; None if `goes_on` says that no connection is wanted any more. A call that went
        through a proxy uses the proxy again. `dials` counts the dials since the connection was lost. Raises
        VoicemuxError."""
        proxied = [way for way in self._bond.ways if isinstance(way, Proxied | UnixPath)]
        places: list[Place] = [] if proxied else self._places(dials)
        until = time.monotonic() + REACH_LIMIT
        if (relayed := self._relayed()) and (dials % 2 or not (places or proxied)):
            return reach_by(relayed, goes_on, reach_relayed)
        if proxied:
            return reach_by(proxied[dials % len(proxied)], goes_on, connect_by)
        return reach(places, lambda: goes_on() and time.monotonic() < until)

    def _relayed(self) -> RelayedWay | None:
        bond = self._bond
        if not (bond.relay and bond.peer):
            return None
        return way_to_peer(bond.peer, bond.relay, datetime.datetime.now(datetime.UTC))

    def _places(self, dials: int) -> list[Place]:
        """Return the addresses to try: where the listener was reached last, then all that are known. Names are looked
        up only from the second dial on."""
        ways = [self.reached] if self._is_direct else []
        for way in self._bond.ways:
            if isinstance(way, Address) and (is_number(way.host) or dials > 1):
                ways.append(way)
        found: list[Place] = []
        for way in dict.fromkeys(ways):
            with contextlib.suppress(VoicemuxError, TimeoutError):
                if is_number(way.host):
                    found += look_up(way, passive=False)
                else:
                    found += within(LOOK_UP_LIMIT, "lookup", partial(look_up, way, passive=False))
        return [each for each in dict.fromkeys(found) if Address(str(each[1][0]), each[1][1]) not in self._strangers]
