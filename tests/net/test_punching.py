"""Two ends connect to each other at once, with real sockets."""

import socket

import pytest

from tests.net.places import answer
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.listener import ListeningSockets
from voicemux.net.punching import elsewhere, own_end, punch
from voicemux.net.tcp import TcpStream

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="Windows shares no ports")


def test_a_connection_comes_from_the_port_of_the_one_to_the_relay():
    relay, peer = ListeningSockets("127.0.0.1", 0), ListeningSockets("127.0.0.1", 0)
    stream = connect(Address("127.0.0.1", relay.port))
    own = own_end(stream)
    assert own
    found: list[TcpStream] = []
    for each in punch(own, [Address("127.0.0.1", peer.port)], lambda: not found):
        found.append(each)
    far = answer(peer)
    assert far.peer_address == own
    found[0].write(b"hello")
    assert far.read() == b"hello"
    for each in (*found, far, stream):
        each.close()
    relay.close()
    peer.close()


def test_it_ends_when_it_is_not_wanted_any_more_and_leaves_nothing_behind():
    relay = ListeningSockets("127.0.0.1", 0)
    stream = connect(Address("127.0.0.1", relay.port))
    own = own_end(stream)
    assert own
    looks = iter([True] * 3 + [False])
    assert list(punch(own, [Address("127.0.0.1", 1)], lambda: next(looks))) == []
    stream.close()
    relay.close()


def test_addresses_of_this_machine_are_left_out():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # sends nothing: it says which address of ours leads there
        ours = probe.getsockname()[0]
    theirs = [Address("198.51.100.1", 2000), Address("2001:db8::1", 2000)]
    assert elsewhere([Address(ours, 2000), theirs[0], Address("127.0.0.1", 2000), theirs[1]]) == theirs


def test_what_is_no_tcp_connection_has_no_end_to_share():
    near, far = socket.socketpair()
    with near, far:
        assert own_end(TcpStream(near, Address("x", 1))) is None
