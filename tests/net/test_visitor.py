import time

import pytest

from tests.memory import MemoryStream, memory_streams
from tests.peers import encode
from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError
from voicemux.net.lobby import Stage
from voicemux.net.visitor import HELLO_TIMEOUT, MOST_BYTES, VISITOR_PATIENCE, Visitor
from voicemux.protocol.connection import Receiving
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, ByeCode, Hello, Message, Preface, Ringing, Text
from voicemux.protocol.wire import PREFACE


@pytest.fixture
def ends() -> tuple[Visitor, MemoryStream]:
    """A visitor of a listener that takes plain calls, and the dialler's end."""
    near, far = memory_streams()
    return Visitor(near, 7), far


def hear(visitor: Visitor) -> Hello | None:
    return visitor.hear(None, None)


def said(far: MemoryStream) -> list[Preface | Message]:
    """What the listener has said."""
    receiving = Receiving()
    return list(receiving.receive(far.read()))


def test_a_visitor_who_has_said_hello_is_a_caller_with_all_that_follows(ends):
    visitor, far = ends
    far.write(encode(PREFACE, Hello("alice"), Text(1, "right behind")))
    hello = hear(visitor)
    assert hello == Hello("alice")
    caller = visitor.caller(hello)
    assert (caller.hello, caller.id, caller.peer, caller.known, caller.host) == (hello, 7, None, None, visitor.host)
    assert list(caller.receiving.receive(b"")) == [Text(1, "right behind")]
    assert said(far) == [Preface()]


def test_a_visitor_has_more_time_for_its_hello_once_it_speaks_voicemux(ends):
    visitor, far = ends
    assert (visitor.stage, visitor.stream.timeout) == (Stage.SILENT, VISITOR_PATIENCE)
    far.write(PREFACE)
    assert hear(visitor) is None
    assert visitor.stage is Stage.ANSWERED
    assert HELLO_TIMEOUT - 1 < visitor.deadline - time.monotonic() <= HELLO_TIMEOUT


def test_a_visitor_who_has_gone_is_a_connection_lost(ends):
    visitor, far = ends
    far.finish()
    with pytest.raises(ConnectionLost):
        hear(visitor)


def test_who_calls_encrypted_where_only_plain_calls_are_taken_is_not_admitted_and_sees_what_is_spoken(ends):
    visitor, far = ends
    far.write(b"\x16\x03\x01\x02")
    with pytest.raises(NotAdmitted, match="only plain ones are taken") as refused:
        hear(visitor)
    visitor.send_away(Bye(refused.value.code))
    assert said(far) == [Preface(), Bye(ByeCode.SECURITY)]
    assert visitor.stage is Stage.LEAVING


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_who_does_not_speak_voicemux_learns_nothing(ends, first):
    visitor, far = ends
    far.write(first)
    with pytest.raises(RemoteProtocolError, match="that is not voicemux") as refused:
        hear(visitor)
    assert not visitor.refuse(refused.value)
    visitor.stream.finish()
    assert far.read() == b""


def test_who_breaks_the_protocol_is_told_how(ends):
    visitor, far = ends
    far.write(encode(PREFACE, Ringing()))
    with pytest.raises(RemoteProtocolError, match="RINGING out of order") as refused:
        hear(visitor)
    assert visitor.refuse(refused.value)
    assert said(far) == [Preface(), Bye(ByeCode.PROTOCOL, str(refused.value))]


def test_who_speaks_another_version_is_told_which_one_is_spoken_here(ends):
    visitor, far = ends
    far.write(b"VMUX/2\r\n")
    with pytest.raises(RemoteProtocolError, match="version 1 here") as refused:
        hear(visitor)
    assert visitor.refuse(refused.value)
    assert said(far) == [Preface(), Bye(ByeCode.VERSION, str(refused.value))]


def test_who_says_too_much_before_its_hello_is_not_admitted(ends):
    visitor, far = ends
    far.write(PREFACE)
    hear(visitor)
    useless = encode_frame(Frame(0xFA, 0, bytes(4000)))
    for _ in range(MOST_BYTES // len(useless)):
        far.write(useless)
        hear(visitor)
    far.write(useless)
    with pytest.raises(NotAdmitted, match="too much") as refused:
        hear(visitor)
    assert refused.value.code == ByeCode.FLOOD


def test_what_a_visitor_says_who_has_been_sent_away_is_not_listened_to(ends):
    visitor, far = ends
    far.write(PREFACE)
    hear(visitor)
    visitor.send_away(Bye())
    far.write(encode(Hello("too late")))
    assert hear(visitor) is None
