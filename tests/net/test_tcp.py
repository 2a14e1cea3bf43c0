import socket
import sys
import threading

import pytest

from tests.peers import PATIENCE, PROMPTLY, connected, sockets, stream_of
from voicemux.errors import ConnectionLost
from voicemux.net.address import Address
from voicemux.net.tcp import CONGESTION_CONTROL_SIZE, TcpStream


def test_bytes_cross_both_ways_and_are_counted():
    with connected() as (stream, peer):
        stream.write(b"there")
        peer.send(b"and back")
        assert peer.socket.recv(100) == b"there"
        assert stream.read() == b"and back"
        assert (stream.bytes_written, stream.bytes_read) == (5, 8)


def test_small_frames_leave_at_once():
    near, far = sockets()
    with near, far:
        assert not near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream_of(near)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernel_knows_the_round_trip_of_a_connection_before_anything_was_said():
    with connected() as (stream, _):
        assert 0 < (stream.min_round_trip() or 0.0) < PROMPTLY


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets one choose")
@pytest.mark.parametrize("is_long", [True, False])
def test_a_long_path_does_not_use_bbr(is_long, monkeypatch):
    monkeypatch.setattr("voicemux.net.tcp.LONG_ROUND_TRIP", 0.0 if is_long else PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        try:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        except OSError:
            pytest.skip("this system has no bbr, or does not grant it")
        stream = TcpStream(near, Address("there", 1))
        name = near.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL_SIZE)
    chosen = name.rstrip(b"\0").decode()
    assert (chosen in stream.options, chosen != "bbr") == (is_long, is_long)


def test_a_stream_need_not_be_tcp():
    near, far = socket.socketpair()
    with far:
        stream = TcpStream(near, Address("here", 1))
        stream.write(b"hi")
        assert far.recv(10) == b"hi"
        assert stream.min_round_trip() is None
        stream.close()


def test_cutting_wakes_whoever_reads():
    with connected() as (stream, peer):
        got = []
        reader = threading.Thread(target=lambda: got.append(stream.read()))
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        stream.cut()
        reader.join(PROMPTLY)
        assert got == [b""]
        assert peer.socket.recv(10) == b""
        stream.cut()


def test_cutting_wakes_whoever_writes():
    with connected(buffers=4096) as (stream, _):
        errors = []

        def write() -> None:
            with pytest.raises(ConnectionLost) as lost:
                stream.write(bytes(10_000_000))
            errors.append(str(lost.value))

        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.05)
        assert writer.is_alive()
        stream.cut()
        writer.join(PROMPTLY)
        assert errors == ["the connection broke: broken pipe"]


def test_a_silent_peer_is_a_lost_connection():
    with connected() as (stream, _):
        stream.set_timeout(0.05)
        with pytest.raises(ConnectionLost, match=r"^nothing came from the other side for 0\.05 s$"):
            stream.read()


def test_a_peer_that_takes_nothing_is_a_lost_connection():
    with connected(buffers=4096) as (stream, _):
        stream.set_timeout(0.05)
        with pytest.raises(ConnectionLost, match=r"^the other side takes nothing for 0\.05 s$"):
            stream.write(bytes(10_000_000))


def test_time_is_told_without_the_microseconds_that_were_lost_on_the_way():
    with connected() as (stream, _):
        stream.set_timeout(0.0499998)
        with pytest.raises(ConnectionLost, match=r"for 0\.05 s$"):
            stream.read()


def test_a_reset_is_a_lost_connection():
    with connected() as (stream, peer):
        peer.reset()
        with pytest.raises(ConnectionLost, match=r"^the connection broke: connection reset by peer$"):
            stream.read()
        with pytest.raises(ConnectionLost, match=r"^the connection broke: "):
            stream.write(b"anybody there?")


def test_no_system_error_escapes_a_stream_that_has_been_closed():
    with connected() as (stream, _):
        stream.close()
        for action in (stream.read, lambda: stream.write(b"x")):
            with pytest.raises(ConnectionLost, match=r"^the connection broke: bad file descriptor$"):
                action()
        stream.finish()
        stream.cut()
        stream.close()


def test_whoever_has_finished_can_still_read():
    with connected() as (stream, peer):
        stream.finish()
        assert peer.socket.recv(10) == b""
        peer.send(b"last words")
        assert stream.read() == b"last words"
        peer.finish()
        assert stream.read() == b""
