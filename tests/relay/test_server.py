"""A relay with real connections."""

import contextlib
import socket
import threading
import time
from typing import Any

import pytest

from tests.peers import wait_until
from tests.relay.running import GENEROUS, PATIENCE, Client, pair, refusal, relay, waiting
from voicemux.net.address import Address
from voicemux.relay.ids import id_of_number
from voicemux.relay.limits import Limits
from voicemux.relay.messages import CallFor, Moved, Paired, RefusedCode
from voicemux.relay.pace import Rate
from voicemux.relay.wire import PREFACE

ID = id_of_number("4711")


def test_bytes_pass_as_they_are_and_half_closed() -> None:
    data = bytes(range(256)) * 800
    with relay() as (server, place), pair(place, ID) as (dialler, listener):
        listener.socket.sendall(b"from the listener")
        assert dialler.read(17) == b"from the listener"
        sending = threading.Thread(target=lambda: (dialler.socket.sendall(data), dialler.socket.shutdown(1)))
        sending.start()
        assert listener.read(len(data)) == data
        sending.join()
        assert listener.ends()
        listener.socket.sendall(b"still here")  # the other direction goes on
        assert dialler.read(10) == b"still here"
        listener.socket.shutdown(socket.SHUT_WR)
        assert dialler.ends()
        wait_until(lambda: server.is_empty)
        assert server.counts.bytes == len(data) + 27


def test_what_a_dialler_says_behind_its_call_reaches_the_listener() -> None:
    with (
        relay() as (_, place),
        waiting(place, ID) as listener,
        Client(place, CallFor((ID,)), b"ClientHello") as dialler,
    ):
        assert isinstance(listener.hear(), Paired)
        assert listener.read(11) == b"ClientHello"
        assert isinstance(dialler.hear(), Paired)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\5hello", b"VMUX/1\r\n", bytes(20)])
def test_a_stranger_hears_nothing(first: bytes) -> None:
    with relay() as (_, place), socket.create_connection(place.address, timeout=PATIENCE) as stranger:
        stranger.sendall(first)
        with contextlib.suppress(ConnectionError):
            assert stranger.recv(100) == b""


def test_another_version_is_told() -> None:
    with relay() as (_, place), socket.create_connection(place.address, timeout=PATIENCE) as stranger:
        stranger.sendall(b"VMXR/9\r\n")
        told = b""
        while part := stranger.recv(100):
            told += part
        assert told.startswith(PREFACE + b"\0")
        assert told[8 + 2] == 19
        assert told[8 + 4 : 8 + 6] == bytes([0, RefusedCode.VERSION])


def test_when_one_breaks_the_other_gets_what_was_said_before() -> None:
    with relay() as (server, place), pair(place, ID) as (dialler, listener):
        dialler.socket.sendall(b"last words")
        dialler.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert listener.read(10) == b"last words"
        dialler.socket.close()  # with RST
        assert listener.ends()
        listener.socket.close()
        wait_until(lambda: server.is_empty)


def test_a_slow_reader_stops_the_sender() -> None:
    """What the sender gets rid of fits into the kernels' buffers on the way, and one chunk in the relay."""
    with relay(rate=Rate(1e9, 1e9)) as (_, place), pair(place, ID) as (dialler, listener):
        dialler.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        dialler.socket.settimeout(0.7)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 20_000_000:
                sent += dialler.socket.send(bytes(16_384))
        assert 16_384 < sent < 3_000_000
        dialler.socket.shutdown(socket.SHUT_WR)
        assert len(listener.read(sent + 1)) == sent


def test_a_pair_that_is_too_fast_is_read_later() -> None:
    with relay(rate=Rate(50_000.0, 20_000.0)) as (_, place), pair(place, ID) as (dialler, listener):
        start = time.monotonic()
        sending = threading.Thread(target=lambda: dialler.socket.sendall(bytes(70_000)))
        sending.start()
        assert len(listener.read(70_000)) == 70_000
        sending.join()
        assert time.monotonic() - start >= 0.8  # 50,000 bytes beyond the burst take a second, less the last chunk


def test_a_pair_that_says_nothing_is_ended() -> None:
    with relay(idle=0.3) as (server, place), pair(place, ID) as (dialler, listener):
        assert dialler.ends()
        assert listener.ends()
        assert server.counts.refused["idle"] == 1


def test_a_thousand_waits_and_a_flood_of_calls_leave_no_one_out() -> None:
    limits = Limits(connections=400, unasked=64, waits=300, calls=20, pairs=10)
    with relay(limits) as (server, place), contextlib.ExitStack() as all_of_them:
        for number in range(250):
            all_of_them.enter_context(waiting(place, id_of_number(str(number)), owner=number.to_bytes(16)))
        found = []
        for number in range(1000, 1040):
            with Client(place, CallFor((id_of_number(str(number)),))) as eve:
                found.append(refusal(eve))
        assert set(found[:20]) == {RefusedCode.ABSENT}
        assert RefusedCode.LIMIT in found[20:]
        assert server.counts.waits_now == 250
    assert server.is_empty


def test_one_byte_at_a_time_is_enough_and_silence_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.relay.desk.ASK_PATIENCE", 0.4)
    with relay() as (_, place), socket.create_connection(place.address, timeout=PATIENCE) as silent:
        silent.sendall(PREFACE[:3])
        assert silent.recv(1) == b""


def test_the_same_owner_takes_its_number_over_with_a_new_connection() -> None:
    with relay() as (_, place), waiting(place, ID) as old, waiting(place, ID) as new:
        assert refusal(old) == RefusedCode.TAKEN
        with Client(place, CallFor((ID,))):
            assert isinstance(new.hear(), Paired)
        with Client(place, CallFor((ID,))) as late, waiting(place, ID) as again:
            assert isinstance(late.hear(), Paired)
            assert isinstance(again.hear(), Paired)


@pytest.mark.parametrize("elsewhere", [None, Address("other.example.org", 8690)])
def test_a_relay_that_ends_moves_people_on(elsewhere: Address | None) -> None:
    with relay() as (server, place), pair(place, ID) as (dialler, listener), waiting(place, b"x" * 32) as other:
        server.drain(7, elsewhere)
        reply: Any = other.hear()
        assert reply == Moved(elsewhere) if elsewhere else (reply.code, reply.seconds) == (RefusedCode.CLOSING, 7)
        if elsewhere:
            with Client(place, CallFor((ID,))) as late:
                assert late.hear() == Moved(elsewhere)
        else:  # the port is free for the next relay
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(place.address, timeout=PATIENCE)
        dialler.socket.sendall(b"the call goes on")
        assert listener.read(16) == b"the call goes on"


def test_a_private_relay() -> None:
    with relay(tokens=("sesame",)) as (_, place):
        with Client(place, CallFor((ID,))) as eve:
            assert refusal(eve) == RefusedCode.TOKEN
        with Client(place, CallFor((ID,)), token="wrong") as eve:
            assert refusal(eve) == RefusedCode.TOKEN
        with Client(place, CallFor((ID,)), token="sesame") as bob:
            assert refusal(bob) == RefusedCode.ABSENT


def test_half_closing_at_every_moment_leaves_nothing_behind() -> None:
    with relay() as (server, place):
        for order in range(6):
            with pair(place, ID) as (dialler, listener):
                ends = [dialler.socket, listener.socket][:: 1 if order % 2 else -1]
                if order < 2:
                    ends[0].shutdown(socket.SHUT_WR), ends[1].shutdown(socket.SHUT_WR)
                elif order < 4:
                    ends[0].sendall(b"x" * 1000), ends[0].close()
                else:
                    ends[0].shutdown(socket.SHUT_WR), ends[1].close()
        with Client(place, CallFor((b"n" * 32,)), b"x" * 16_000) as eager:
            eager.socket.close()
        wait_until(lambda: server.is_empty)
        assert server.counts.connections_now == 0


def test_who_has_been_refused_and_stays_has_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.relay.legs.LEAVE_PATIENCE", 1000.0)
    monkeypatch.setattr("voicemux.relay.legs.MOST_LEAVING", 3)
    with relay() as (_, place), contextlib.ExitStack() as all_of_them:
        refused = [all_of_them.enter_context(Client(place, CallFor((ID,)))) for _ in range(8)]
        assert {refusal(each) for each in refused} == {RefusedCode.ABSENT}
        closed = [each.socket for each in refused]
        for each in closed:
            each.setblocking(False)
        # A word to a connection that is closed breaks it; the others are read.
        wait_until(lambda: sum(is_broken(each) for each in closed) == 5)


def is_broken(connection: socket.socket) -> bool:
    try:
        connection.send(b"x")
    except ConnectionError:
        return True
    return False


def test_a_dialler_that_says_too_much_too_early_is_refused() -> None:
    with relay(GENEROUS) as (_, place), waiting(place, ID), Client(place, CallFor((ID,))) as first:
        assert isinstance(first.hear(), Paired)
        with Client(place, CallFor((ID,)), bytes(20_000)) as greedy:
            assert refusal(greedy) == RefusedCode.PROTOCOL
