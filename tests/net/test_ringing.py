import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.peers import PROMPTLY, Peer, connected
from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.caller import Caller
from voicemux.net.ringing import MOST_BYTES, Ring
from voicemux.net.stream import SILENCE_TIMEOUT
from voicemux.net.tcp import TcpStream
from voicemux.protocol.connection import NOT_A_DIALLERS, Receiving, Sending
from voicemux.protocol.messages import Audio, Bye, ByeCode, Codec, Hello, Ping, Preface, Ringing, Text
from voicemux.protocol.wire import PREFACE


@contextlib.contextmanager
def calling(*behind: Text | Bye) -> Iterator[tuple[Caller, Peer]]:
    """A caller whose HELLO has been read, and what it said `behind` it in the same piece."""
    with connected() as (stream, peer):
        peer.send(PREFACE, Hello("alice"), *behind)
        sending, receiving = Sending(), Receiving(unfit=NOT_A_DIALLERS)
        stream.write(sending.preface())
        yield Caller(stream, sending, receiving, _hello(stream, receiving)), peer


def _hello(stream: TcpStream, receiving: Receiving) -> Hello:
    while True:
        for message in receiving.receive(stream.read()):
            if isinstance(message, Hello):
                return message


def test_the_caller_hears_that_it_rings():
    with calling() as (caller, peer):
        ring = Ring(caller)
        ring.sound()
        ring.sound()
        assert [peer.hear() for _ in range(3)] == [Preface(), Ringing(), Ringing()]


def test_a_goodbye_is_seen_at_once():
    with calling() as (caller, peer):
        ring = Ring(caller)
        ring.listen(0.01)
        peer.send(Bye())
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match=r"^the caller has hung up$"):
            ring.listen(10.0)
        assert time.monotonic() - began < PROMPTLY


def test_a_goodbye_right_behind_the_hello_is_seen_too():
    with calling(Bye()) as (caller, _), pytest.raises(ConnectionLost):
        Ring(caller).listen(0.01)


@pytest.mark.parametrize("way", ["finish", "reset"])
def test_a_line_that_ends_or_breaks_is_a_caller_who_has_gone(way):
    with calling() as (caller, peer):
        getattr(peer, way)()
        with pytest.raises(ConnectionLost):
            Ring(caller).listen(PROMPTLY)


def test_what_is_said_while_it_rings_belongs_to_the_call_and_sound_does_not():
    with calling(Text(1, "right behind")) as (caller, peer):
        ring = Ring(caller)
        ring.listen(0.01)
        peer.send(Audio(Codec.PCM, 0, 1, 0, b""), Text(2, "mean"), Ping(bytes(8)), Text(3, "while"))
        ring.listen(0.1)
        ring.take()
        assert list(caller.receiving.receive(b"")) == [Text(1, "right behind"), Text(2, "mean"), Text(3, "while")]
        assert caller.stream.timeout == SILENCE_TIMEOUT


def test_who_breaks_the_protocol_while_it_rings_is_found_out():
    with calling() as (caller, peer):
        peer.send(Hello("again"))
        with pytest.raises(RemoteProtocolError, match="HELLO out of order"):
            Ring(caller).listen(PROMPTLY)


def test_who_says_too_much_while_it_rings_is_a_flood():
    with calling() as (caller, peer):

        def pour() -> None:
            with contextlib.suppress(OSError):
                for number in range(1, 1000):
                    peer.send(Text(number, "x" * 1000))

        flood = threading.Thread(target=pour)
        flood.start()
        with pytest.raises(RemoteProtocolError, match="^too much came while it rang$") as error:  # noqa: RUF043
            Ring(caller).listen(10.0)
        assert error.value.code == ByeCode.FLOOD
        assert caller.stream.bytes_read < 2 * MOST_BYTES
        caller.stream.cut()
        flood.join()
