import contextlib
import errno
import os
import socket
import time

import pytest

from tests.net.places import answer, free_port, listening, needs_ipv6, resolve_to
from tests.peers import PATIENCE
from voicemux.console.remedies import hint
from voicemux.errors import Kind, Unreachable
from voicemux.net import connecting
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.listener import ListeningSockets
from voicemux.net.socket_errors import reason


@pytest.mark.parametrize("listen", [None, "0.0.0.0", "127.0.0.1", "localhost"])
def test_ipv4_reaches_the_listener(listen):
    with listening(listen) as listener:
        stream = connect(Address("127.0.0.1", listener.port))
        caller = answer(listener)
        assert caller.peer_address.host == stream.peer_address.host == "127.0.0.1"
        assert stream.peer_address.port == listener.port
        stream.write(b"hi")
        assert caller.read() == b"hi"
        stream.close()
        caller.close()


@needs_ipv6
@pytest.mark.parametrize("listen", [None, "::", "::1"])
def test_ipv6_reaches_the_listener(listen):
    with listening(listen) as listener:
        stream = connect(Address("::1", listener.port))
        caller = answer(listener)
        assert caller.peer_address.host == stream.peer_address.host == "::1"
        stream.close()
        caller.close()


@pytest.mark.parametrize("call", [lambda host: ListeningSockets(host, 0), lambda host: connect(Address(host, 1))])
@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "a..b"])
def test_a_host_that_nobody_knows_is_unreachable(call, host):
    with pytest.raises(Unreachable, match=rf"^cannot find the host {host}: [a-z]"):
        call(host)


def test_nobody_listening_is_unreachable():
    port = free_port()
    with pytest.raises(Unreachable) as refused:
        connect(Address("127.0.0.1", port))
    assert str(refused.value) == f"cannot reach 127.0.0.1 port {port}: connection refused"


def test_a_host_that_does_not_answer_is_unreachable():
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # what the kernel holds for a listener that accepts nobody
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer in time$"):
            connect(Address(*server.getsockname()), timeout=0.2)
        assert time.monotonic() - began < PATIENCE


def test_every_address_of_a_host_is_tried(monkeypatch):
    with listening("127.0.0.1") as listener:
        resolve_to(
            monkeypatch,
            (socket.AF_APPLETALK, ("127.0.0.1", 1)),  # as IPv6 is for a kernel that has none
            (socket.AF_INET, ("127.0.0.1", free_port())),
            (socket.AF_INET, ("127.0.0.1", listener.port)),
        )
        stream = connect(Address("host.example", 8690))
        answer(listener).close()
        assert stream.peer_address == ("127.0.0.1", 8690)
        stream.close()


def test_what_came_of_every_address_is_told(monkeypatch):
    port = free_port()
    resolve_to(monkeypatch, (socket.AF_INET, ("127.0.0.1", port)), (socket.AF_APPLETALK, ("elsewhere", 1)))
    words = r"^cannot reach host\.example port 1: 127\.0\.0\.1: connection refused, elsewhere: [a-z]"
    with pytest.raises(Unreachable, match=words) as refused:
        connect(Address("host.example", 1))
    assert refused.value.kind is Kind.NOBODY_LISTENS


def test_what_is_the_same_for_every_address_is_told_once(monkeypatch):
    places = [(socket.AF_INET, (f"127.0.0.{last}", free_port())) for last in (1, 2)]
    resolve_to(monkeypatch, *places)
    with pytest.raises(Unreachable, match=r"port 1: connection refused \(at 127\.0\.0\.1, 127\.0\.0\.2\)$"):
        connect(Address("host.example", 1))


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT])
@pytest.mark.parametrize(("host", "kind"), [("192.168.1.5", Kind.OTHER_NETWORK), ("203.0.113.5", None)])
def test_no_way_to_a_private_address_may_mean_that_it_is_one_of_another_network(monkeypatch, number, host, kind):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    resolve_to(monkeypatch, (socket.AF_INET, (host, 1)))
    monkeypatch.setattr(connecting, "_connect", fail)
    with pytest.raises(Unreachable) as refused:
        connect(Address(host, 1))
    assert refused.value.kind is kind


@needs_ipv6
def test_a_link_local_address_without_its_interface_is_named_as_such():
    for refused_by in (lambda: connect(Address("fe80::1", 1)), lambda: ListeningSockets("fe80::1", 0)):
        with pytest.raises(Unreachable) as refused:
            refused_by()
        assert refused.value.kind is Kind.NO_ZONE
        assert hint(refused.value).startswith("add the interface that leads there: fe80::1%eth0")


def test_a_host_without_addresses_is_unreachable(monkeypatch):
    resolve_to(monkeypatch)
    with pytest.raises(Unreachable, match="it has no address"):
        connect(Address("host.example", 1))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "it has no address"),
        (TimeoutError(), "no answer in time"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "no answer in time"),
        (OSError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError("Something Odd"), "something odd"),
    ],
)
def test_reasons_are_in_words(error, words):
    assert reason(error) == words
