import contextlib
import select
import socket

import pytest

from tests.net.places import answer, listening, needs_ipv6, resolve_to
from tests.peers import PATIENCE, wait_until
from voicemux.errors import Unreachable
from voicemux.net import listener as listener_module
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.listener import ListeningSockets, Wake, accept, local_addresses


def test_nobody_there_to_be_accepted_is_no_error():
    with listening("127.0.0.1") as listener:
        assert accept(listener.sockets[0]) is None


def test_a_port_that_is_in_use_cannot_be_had_again():
    with listening(None) as listener, pytest.raises(Unreachable) as refused:
        ListeningSockets(None, listener.port)
    assert str(refused.value) == f"cannot listen on port {listener.port}: address already in use"


def test_a_port_can_be_had_again_after_a_call():
    with listening("127.0.0.1") as listener:
        stream = connect(Address("127.0.0.1", listener.port))
        answer(listener).close()
        stream.close()
    with listening("127.0.0.1", listener.port):
        pass


def test_a_host_that_is_not_here_cannot_be_listened_on():
    with pytest.raises(Unreachable) as refused:
        ListeningSockets("203.0.113.1", 0)
    assert str(refused.value) == "cannot listen on 203.0.113.1 port 0: cannot assign requested address"


def test_a_host_is_listened_on_at_every_address_that_is_here(monkeypatch):
    resolve_to(
        monkeypatch,
        (socket.AF_INET6, ("2001:db8::1", 0, 0, 0)),  # a machine without IPv6 may still have it in its hosts file
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_INET, ("127.0.0.2", 0)),
    )
    with listening("localhost") as listener:
        assert [each.getsockname() for each in listener.sockets] == [
            ("127.0.0.1", listener.port),
            ("127.0.0.2", listener.port),
        ]


WHERE = {  # what is listened on, and which families reach it
    None: {4, 6},
    "*": {4, 6},
    "0.0.0.0": {4},
    "0": {4},
    "::": {6},
    "0:0:0:0:0:0:0:0": {6},
}


@needs_ipv6
@pytest.mark.parametrize("host", WHERE)
def test_only_addresses_that_accept_are_announced(monkeypatch, host):
    found = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
    monkeypatch.setattr(
        listener_module, "local_addresses", lambda families: [found[each] for each in found if each in families]
    )
    with contextlib.closing(ListeningSockets(host, 0)) as listener:
        addresses = listener.addresses()
        assert {6 if ":" in each else 4 for each in addresses} == WHERE[host]
        for each in addresses:
            connect(Address(each, listener.port)).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_that_was_chosen_is_announced_as_it_is(host):
    with contextlib.closing(ListeningSockets(host, 0)) as listener:
        assert listener.addresses() == [host]


@needs_ipv6
def test_a_machine_without_a_network_announces_itself(monkeypatch):
    monkeypatch.setattr(listener_module, "local_addresses", lambda families: [])
    for host, announced in ((None, "localhost"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")):
        with contextlib.closing(ListeningSockets(host, 0)) as listener:
            assert listener.addresses() == [announced]
            connect(Address(announced, listener.port)).close()


def test_the_addresses_of_this_machine_can_be_listened_on():
    for host in local_addresses():
        with listening(host):
            pass


def test_a_wake_can_be_waited_for_and_stays_awake():
    wake = Wake()
    assert select.select([wake], [], [], 0)[0] == []
    wake.set()
    wake.set()
    assert select.select([wake], [], [], PATIENCE)[0] == [wake]
    assert select.select([wake], [], [], 0)[0] == [wake]
    wake.close()


def test_a_listener_gives_every_socket_back():
    listener = ListeningSockets(None, 0)
    listener.close()
    wait_until(lambda: all(each.fileno() == -1 for each in listener.sockets))
    assert accept(listener.sockets[0]) is None
