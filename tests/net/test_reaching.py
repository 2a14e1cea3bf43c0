"""Connections for a call that has lost its line: to whichever place answers, and by ways that nothing can wake."""

import itertools
import socket

import pytest

from voicemux.errors import Kind, Unreachable
from voicemux.net.address import Address
from voicemux.net.connecting import look_up, reach
from voicemux.net.proxies import connect_by
from voicemux.net.reaching import reach_by
from voicemux.net.ways import Proxied, ProxyCommand


def test_the_place_that_answers_is_reached_and_one_that_refuses_does_no_harm():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        port, refusing = server.getsockname()[1], closed.getsockname()[1]
        closed.close()
        places = [place for each in (refusing, port) for place in look_up(Address("127.0.0.1", each), passive=False)]
        stream = reach(places, lambda: True)
        assert stream
        assert stream.peer_address == Address("127.0.0.1", port)
        stream.close()


def test_where_all_refuse_there_is_no_way():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable) as failed:
        reach(look_up(Address("127.0.0.1", port), passive=False), lambda: True)
    assert failed.value.kind is Kind.NOBODY_LISTENS
    with pytest.raises(Unreachable):
        reach([], lambda: True)


def test_it_knocks_until_it_is_told_to_stop():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        place = full.getsockname()
        kept = [socket.socket() for _ in range(4)]
        for each in kept:  # what does not fit into the queue is not answered
            each.setblocking(False)
            each.connect_ex(place)
        looks = itertools.count()
        assert reach([(socket.AF_INET, place)], lambda: next(looks) < 15) is None
        for each in kept:
            each.close()


def test_a_way_through_a_command_is_gone_and_given_up_when_it_is_not_wanted():
    way = Proxied(Address("there", 8689), ProxyCommand("cat"))
    stream = reach_by(way, lambda: True, connect_by)
    assert stream
    stream.write(b"echo")
    assert stream.read() == b"echo"
    stream.finish()
    stream.close()
    assert reach_by(way, lambda: False, connect_by) is None
    with pytest.raises(Unreachable):
        reach_by(Proxied(Address("-there", 8689), ProxyCommand("cat %h")), lambda: True, connect_by)
