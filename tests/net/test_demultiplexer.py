import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.peers import PATIENCE, PROMPTLY, connected, encode, greeted, hear_hello
from tests.protocol.strategies import cuts, in_call
from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.demultiplexer import demultiplex
from voicemux.protocol.connection import TRANSITIONS, State
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Audio, Bye, Hello, Message, Ping, Pong, Report, Text, TextAck
from voicemux.protocol.wire import PREFACE

ONE_OF_EACH: list[Message] = [
    Text(1, "hi"),
    TextAck(1),
    Audio(1, 0, 0, 0, b""),
    Ping(bytes(8)),
    Pong(bytes(8)),
    Report(0, 0, 0, 0, 0),
    Bye(),
]


class Routes(dict):
    """A route for whatever may come in a call: `heard` has each message with the type of its route."""

    def __init__(self) -> None:
        self.heard: list[tuple[type, object]] = []
        super().__init__({each: self.route(each) for each in TRANSITIONS[State.OPEN]})

    def route(self, kind: type):
        return lambda message: self.heard.append((kind, message))

    @property
    def messages(self) -> list[object]:
        return [message for _, message in self.heard]


def test_each_message_goes_to_the_route_of_its_type_in_order():
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):
        peer.send(*ONE_OF_EACH)
        peer.finish()
        demultiplex(stream, receiving, routes)
    assert routes.heard == [(type(message), message) for message in ONE_OF_EACH]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(in_call, max_size=20), data=st.data())
def test_it_does_not_matter_how_the_bytes_are_cut(messages, data):
    pieces = data.draw(cuts(encode(*messages, Bye())))
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):

        def speak() -> None:
            for piece in pieces:
                peer.send(piece)
            peer.finish()

        speaker = threading.Thread(target=speak)
        speaker.start()
        demultiplex(stream, receiving, routes)
        speaker.join()
    assert routes.messages == [*messages, Bye()]


def test_what_came_right_behind_the_hello_is_routed_without_waiting_for_more():
    routes = Routes()
    with connected() as (stream, peer):
        stream.set_timeout(PROMPTLY)
        peer.send(PREFACE, Hello(), Text(1, "already here"), Bye())
        receiving, _ = hear_hello(stream)
        demultiplex(stream, receiving, routes | {Text: lambda _: peer.finish()})
    assert routes.messages == [Bye()]


def test_a_message_is_routed_before_the_next_one_comes():
    seen = threading.Event()
    with greeted() as (stream, _, receiving, peer):
        routes = Routes() | {Text: lambda _: seen.set()}
        reader = threading.Thread(target=demultiplex, args=(stream, receiving, routes))
        reader.start()
        peer.send(Text(1, "hi"))
        assert seen.wait(PATIENCE)
        peer.send(Bye())
        peer.finish()
        reader.join()


def test_what_nobody_knows_is_routed_nowhere():
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):
        peer.send(encode_frame(Frame(0x7A, 255, b"from a later version")), Bye())
        peer.finish()
        demultiplex(stream, receiving, routes)
    assert routes.messages == [Bye()]


def test_reading_goes_on_to_the_end_of_the_stream_but_nothing_counts_behind_a_goodbye():
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):
        peer.send(Bye(), bytes(200_000))
        peer.finish()
        demultiplex(stream, receiving, routes)
        assert stream.read() == b""
    assert routes.messages == [Bye()]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ([Text(1, "hi")], "^the connection ended without a goodbye$"),
        ([Text(1, "hi"), encode(Text(2, "torn"))[:-1]], "^the connection broke in the middle of a frame$"),
        ([Text(1, "hi"), b"\0"], "^the connection broke in the middle of a frame$"),
    ],
)
def test_a_stream_that_ends_without_a_goodbye_is_a_lost_connection(last, words):
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):
        peer.send(*last)
        peer.finish()
        with pytest.raises(ConnectionLost, match=words):
            demultiplex(stream, receiving, routes)
    assert routes.messages == [Text(1, "hi")]


def test_a_cut_ends_it():
    with greeted() as (stream, _, receiving, _):
        stream.cut()
        with pytest.raises(ConnectionLost, match=r"^the connection ended without a goodbye$"):
            demultiplex(stream, receiving, Routes())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (b"\x10\x01\x02\x00", "a frame of 4097 bytes"),
        (bytes(4), "tag 0"),
        (Hello(), "HELLO out of order"),
        (encode_frame(Frame(2, 0, b"\0\0\0\2\xff")), "TEXT"),
        (encode_frame(Frame(4, 0, bytes(7))), "PING"),
    ],
)
def test_what_came_before_a_fault_of_the_peer_is_routed(fault, words):
    routes = Routes()
    with greeted() as (stream, _, receiving, peer):
        peer.send(Text(1, "hi"), fault)
        with pytest.raises(RemoteProtocolError, match=words):
            demultiplex(stream, receiving, routes)
    assert routes.messages == [Text(1, "hi")]


def test_a_fault_that_a_route_finds_comes_out():
    def judge(ack: TextAck) -> None:
        raise RemoteProtocolError(f"TEXT_ACK of {ack.id}")

    with greeted() as (stream, _, receiving, peer):
        peer.send(TextAck(7))
        with pytest.raises(RemoteProtocolError, match="TEXT_ACK of 7"):
            demultiplex(stream, receiving, Routes() | {TextAck: judge})
