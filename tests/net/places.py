"""Where to listen and what to connect to on this machine."""

import contextlib
import select
import socket
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE
from voicemux.net.listener import ListeningSockets, accept
from voicemux.net.tcp import TcpStream


def has(host: str) -> bool:
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def resolve_to(monkeypatch, *places: tuple[int, tuple[object, ...]]) -> None:
    found = [(family, socket.SOCK_STREAM, 0, "", place) for family, place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


needs_ipv6 = pytest.mark.skipif(not has("::1"), reason="this machine has no IPv6")


@contextlib.contextmanager
def listening(host: str | None, port: int = 0) -> Iterator[ListeningSockets]:
    listener = ListeningSockets(host, port)
    try:
        yield listener
    finally:
        listener.close()


def answer(listener: ListeningSockets) -> TcpStream:
    ready, _, _ = select.select(listener.sockets, [], [], PATIENCE)
    stream = accept(ready[0])
    assert isinstance(stream, TcpStream)
    return stream
