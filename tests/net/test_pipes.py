"""Two pipes as a stream."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE
from voicemux.errors import ConnectionLost, Kind
from voicemux.net.address import Address
from voicemux.net.pipes import PipeStream
from voicemux.net.stream import receive_within

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be waited for on Windows")
PEER = Address("127.0.0.1", 0)
MUCH = bytes(range(256)) * 4096  # more than a pipe holds


@contextlib.contextmanager
def two_ends() -> Iterator[tuple[PipeStream, PipeStream]]:
    there, back = os.pipe(), os.pipe()
    one, other = PipeStream(back[0], there[1], PEER), PipeStream(there[0], back[1], PEER)
    for each in (one, other):
        each.set_timeout(PATIENCE)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def test_bytes_and_ends_pass_in_each_direction() -> None:
    with two_ends() as (one, other):
        writing = threading.Thread(target=lambda: (one.write(MUCH), one.finish()))
        writing.start()
        came = b""
        while data := other.read():
            came += data
        writing.join()
        assert came == MUCH
        other.write(b"back")  # the other direction goes on
        assert one.read() == b"back"
        assert (one.bytes_written, other.bytes_read, other.bytes_written) == (len(MUCH), len(MUCH), 4)


def test_cutting_wakes_who_reads() -> None:
    with two_ends() as (one, _):
        read: list[bytes] = []
        reading = threading.Thread(target=lambda: read.append(one.read()))
        reading.start()
        one.cut()
        reading.join(PATIENCE)
        assert read == [b""]


def test_cutting_wakes_who_writes_more_than_is_read() -> None:
    with two_ends() as (one, _):
        lost: list[ConnectionLost] = []

        def write() -> None:
            try:
                one.write(MUCH)
            except ConnectionLost as error:
                lost.append(error)

        writing = threading.Thread(target=write)
        writing.start()
        one.cut()
        writing.join(PATIENCE)
        assert len(lost) == 1


def test_silence_is_told_as_of_a_socket() -> None:
    with two_ends() as (one, _):
        one.set_timeout(0.01)
        with pytest.raises(ConnectionLost, match="nothing came") as caught:
            one.read()
        assert caught.value.kind is Kind.SILENCE
        assert receive_within(one, 0.01) is None


def test_a_reader_who_has_gone_is_a_loss() -> None:
    with two_ends() as (one, other):
        other.close()
        with pytest.raises(ConnectionLost, match="the connection broke"):
            one.write(b"x")
        assert one.read() == b""
