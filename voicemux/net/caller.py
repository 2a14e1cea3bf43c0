"""A caller: a peer who has sent HELLO to a listener and waits for the listener's HELLO."""

from dataclasses import dataclass

from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Hello
from voicemux.security.directory import Directory
from voicemux.security.handshake import Peer


@dataclass(frozen=True)
class Caller:
    """One caller. `known` are the contacts as they were read for this call; `peer` and `known` are None in a plain
    call.

    `id` tells the callers of one listener apart; it grows in the order in which their connections were accepted.
    """

    stream: Stream
    sending: Sending
    receiving: Receiving
    hello: Hello
    peer: Peer | None = None
    known: Directory | None = None
    id: int = 0

    @property
    def host(self) -> str:
        """The IP address that the call comes from; a loopback address if it has none."""
        return self.stream.peer_address.host

    @property
    def place(self) -> str:
        """Where the call comes from, for users; see `Stream`."""
        return self.stream.place


def is_same(caller: Caller, other: Caller) -> bool:
    """Whether both calls were made with the same key, which each caller has proved to possess."""
    return caller.peer is not None and other.peer is not None and caller.peer.fingerprint == other.peer.fingerprint
