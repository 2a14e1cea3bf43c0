"""A relay that runs, and clients of it that say byte for byte what a test wants."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.relay.approach import Approach
from voicemux.relay.limits import Limits
from voicemux.relay.messages import CallFor, Paired, Parked, Refused, RelayMessage, Wait
from voicemux.relay.places import RelayPlace
from voicemux.relay.server import RelayServer

PATIENCE = 20.0  # seconds for anything on a busy machine
GENEROUS = Limits(connections=400, unasked=100, waits=100, calls=10_000, pairs=200)


@contextlib.contextmanager
def relay(
    limits: Limits = GENEROUS, port: int = 0, host: str = "127.0.0.1", **options: Any
) -> Iterator[tuple[RelayServer, RelayPlace]]:
    """One, and where it is."""
    listener = ListeningSockets(host, port)
    server = RelayServer([listener], limits, **options)
    server.start()
    try:
        yield server, RelayPlace(Address(host, listener.port))
    finally:
        server.close()
    assert server.failure is None


class Client:
    """A connection to a relay."""

    def __init__(self, place: RelayPlace, request: Wait | CallFor, ahead: bytes = b"", token: str = "") -> None:
        self.socket = socket.create_connection((place.address.host, place.address.port), timeout=PATIENCE)
        self.approach = Approach(request, token)
        self._heard: list[RelayMessage] = []
        self.socket.sendall(self.approach.opening() + ahead)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hear(self) -> RelayMessage:
        """The relay's next word."""
        while not self._heard:
            data = self.socket.recv(65_536)
            if not data:
                self.approach.receive_end()
            self._heard += self.approach.receive(data)
        return self._heard.pop(0)

    def read(self, size: int) -> bytes:
        """So many bytes of the peer."""
        data, self.approach.rest = self.approach.rest, b""
        while len(data) < size and (part := self.socket.recv(65_536)):
            data += part
        return data

    def ends(self) -> bool:
        """Whether nothing more comes."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def waiting(place: RelayPlace, *ids: bytes, owner: bytes = b"o" * 16, **more: Any) -> Client:
    """A listener, once it waits."""
    client = Client(place, Wait(owner, ids), **more)
    assert isinstance(client.hear(), Parked)
    return client


@contextlib.contextmanager
def pair(place: RelayPlace, id_: bytes) -> Iterator[tuple[Client, Client]]:
    """A dialler and a listener who have been joined."""
    with waiting(place, id_, owner=id_[:16]) as listener, Client(place, CallFor((id_,))) as dialler:
        assert isinstance(dialler.hear(), Paired)
        assert isinstance(listener.hear(), Paired)
        yield dialler, listener


def refusal(client: Client) -> int:
    """The code with which it is refused."""
    reply = client.hear()
    assert isinstance(reply, Refused), reply
    return reply.code
