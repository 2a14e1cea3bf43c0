import contextlib
import threading
import time

import pytest

from tests.peers import PATIENCE, PROMPTLY, connected, encode, wait_until
from voicemux.errors import CallRefused, ConnectionLost, Kind, RemoteProtocolError, SecurityError, Unreachable
from voicemux.net import greeting as greeting_module
from voicemux.net.greeting import SECURITY_CODES, Greeting, part, refusal
from voicemux.net.stream import SILENCE_TIMEOUT
from voicemux.protocol.connection import Sending
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, ByeCode, Hello, Preface, Ringing, Text
from voicemux.protocol.wire import PREFACE


def nobody_rings() -> None:
    pytest.fail("it rang")


def test_a_dialler_speaks_first_and_learns_who_answers():
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Hello("bob", "bot1", (2, 1)))
        greeting.open()
        assert greeting.introduce(Hello("alice"), nobody_rings) == Hello("bob", "bot1", (2, 1))
        assert [peer.hear(), peer.hear()] == [Preface(), Hello("alice")]
        assert stream.timeout == SILENCE_TIMEOUT


def test_the_greeting_may_come_byte_by_byte_and_with_frames_that_nobody_knows():
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        stranger = encode_frame(Frame(0x1A, 0, b"from a later version"))
        for byte in PREFACE + stranger + encode(Ringing()) + stranger + encode(Hello("bob")):
            peer.send(bytes([byte]))
        greeting.open()
        assert greeting.introduce(Hello(), lambda: None).name == "bob"


def test_that_it_rings_is_told_once():
    rings = []
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, *[Ringing()] * 100, Hello())
        greeting.open()
        greeting.introduce(Hello(), lambda: rings.append(True))
    assert rings == [True]


@pytest.mark.parametrize(
    "frame", [encode(Ringing()), encode_frame(Frame(0x1A, 0, bytes(4000)))], ids=["ring", "skip"]
)
def test_a_flood_before_the_answer_ends_the_wait(frame):
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE)
        greeting.open()

        def pour() -> None:
            with contextlib.suppress(OSError):
                peer.send(frame * (200_000 // len(frame)))

        flood = threading.Thread(target=pour)
        flood.start()
        with pytest.raises(RemoteProtocolError, match=r"^too much came before the call was answered$") as error:
            greeting.introduce(Hello(), lambda: None)
        assert error.value.code == ByeCode.FLOOD
        assert stream.bytes_read < 200_000
        stream.cut()
        flood.join()


def test_what_comes_right_behind_the_hello_is_kept_for_the_call():
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Hello(), Text(1, "hi"), Text(2, "there"))
        greeting.open()
        greeting.introduce(Hello(), nobody_rings)
        assert list(greeting.receiving.receive(b"")) == [Text(1, "hi"), Text(2, "there")]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.7\r\n", "it speaks SSH$"),
        (b"HTTP/1.1 400 Bad Request\r\n", "it speaks HTTP$"),
        (b"220 mail.example ESMTP\r\n", "it speaks SMTP or FTP$"),
        (b"\x15\x03\x01\0\2\2\x46", "it speaks TLS$"),
        (b"what do you want?", "it speaks something unknown$"),
        (b"VMUX-1\r\n", "it speaks something unknown$"),
    ],
)
def test_something_else_is_named(first, words):
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(first)
        with pytest.raises(RemoteProtocolError, match=f"^that is not voicemux, {words}"):
            greeting.open()
        assert not greeting.receiving.greeted


# --- what a dialler who speaks TLS says of it


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.7\r\n", "that is not voicemux, it speaks SSH$"),
        (b"HTTP/1.1 400 Bad Request\r\n", "that is not voicemux, it speaks HTTP$"),
        (b"220 mail.example ESMTP\r\n", "that is not voicemux, it speaks SMTP or FTP$"),
        (b"what do you want?", "that is not voicemux, it speaks something unknown$"),
        (b"\x15\x03\x03\0\2\2\x46", "no TLS 1.3 with the other side: tlsv1 alert protocol version$"),
    ],
)
def test_something_that_speaks_no_tls_is_named(first, words):
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(first)
        with pytest.raises(RemoteProtocolError, match=f"^{words}"):
            greeting.secure()
        assert not greeting.stream.is_secure


def test_whoever_takes_plain_calls_only_is_not_spoken_to():
    with connected() as (stream, peer):
        peer.send(PREFACE, Bye(ByeCode.SECURITY))
        with pytest.raises(SecurityError, match=r"^plain calls are taken there, not encrypted ones$"):
            Greeting(stream).secure()
        stream.cut()
        heard = peer.socket.recv(65_536)
        assert heard[:1] == b"\x16"
        assert PREFACE not in heard


def test_who_stops_in_the_middle_of_a_word_does_not_answer_to_tls(monkeypatch):
    monkeypatch.setattr(greeting_module, "TLS_TIMEOUT", 0.1)
    with connected() as (stream, peer):
        peer.send(b"\x16\x03\x03\0")
        began = time.monotonic()
        with pytest.raises(RemoteProtocolError, match=r"^that is not voicemux, it does not answer to TLS \(nothing"):
            Greeting(stream).secure()
        assert 0.1 <= time.monotonic() - began < PROMPTLY


# --- who says nothing at all may be the near end of a tunnel


OPENINGS = [Greeting.secure, Greeting.open]


@pytest.mark.parametrize("begin", OPENINGS)
@pytest.mark.parametrize("patience", [0.0, 0.3])
def test_silence_is_waited_for_as_long_as_the_user_wants_and_told_as_what_it_is(monkeypatch, begin, patience):
    monkeypatch.setattr(greeting_module, "TLS_TIMEOUT", 0.1)
    monkeypatch.setattr(greeting_module, "GREETING_TIMEOUT", 0.1)
    with connected() as (stream, _):
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"takes the connection and says nothing for 0 s$") as silent:
            begin(Greeting(stream, patience))
        assert max(0.1, patience) <= time.monotonic() - began < PROMPTLY
        assert silent.value.kind is Kind.SAYS_NOTHING


@pytest.mark.parametrize("begin", OPENINGS)
def test_whoever_hangs_up_without_a_word_may_be_a_tunnel_to_nowhere(begin):
    with connected() as (stream, peer):
        peer.finish()
        with pytest.raises(Unreachable, match=r"^the connection was closed at once$") as closed:
            begin(Greeting(stream))
        assert closed.value.kind is Kind.CLOSED_AT_ONCE


def test_a_listener_of_a_slow_tunnel_is_waited_for_longer_than_a_caller():
    assert min(greeting_module.TLS_TIMEOUT, greeting_module.GREETING_TIMEOUT) >= 15


# --- versions, silence, refusals


def test_another_version_is_named():
    with connected() as (stream, peer):
        peer.send(b"VMUX/2\r\n")
        with pytest.raises(RemoteProtocolError, match=r"^version 2 of the protocol is spoken there, ") as refused:
            Greeting(stream).open()
        assert refused.value.code == ByeCode.VERSION


def test_who_stops_in_the_middle_of_a_preface_is_not_voicemux(monkeypatch):
    monkeypatch.setattr(greeting_module, "GREETING_TIMEOUT", 0.1)
    with connected() as (stream, peer):
        peer.send(PREFACE[:4])
        began = time.monotonic()
        with pytest.raises(RemoteProtocolError, match=r"^that is not voicemux, it gave no greeting \(nothing came"):
            Greeting(stream).open()
        assert 0.1 <= time.monotonic() - began < PROMPTLY


@pytest.mark.parametrize(
    ("bye", "words"),
    [
        (Bye(ByeCode.BUSY, "in another call"), "the other side is busy"),
        (Bye(ByeCode.DECLINED), "the other side declined the call"),
        (Bye(ByeCode.TIMEOUT, "not at home"), "nobody answered"),
        (Bye(ByeCode.VERSION, "try again"), "another version"),
        (Bye(), "the other side hung up"),
        (Bye(99, "because"), "the other side hung up"),
        (Bye(ByeCode.SECURITY), "an encrypted call is wanted there"),
        (Bye(ByeCode.UNKNOWN_CALLER), "you are not known there"),
        (Bye(ByeCode.WRONG_CODE), "the code is wrong, or no longer valid"),
        (Bye(ByeCode.GONE), "the other side no longer has the call"),
    ],
)
def test_a_goodbye_instead_of_an_answer_is_a_refusal(bye, words):
    kind = SecurityError if bye.code in SECURITY_CODES else CallRefused
    assert str(refusal(bye)) == words
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Ringing(), bye)
        greeting.open()
        with pytest.raises(kind) as refused:
            greeting.introduce(Hello(), lambda: None)
        assert str(refused.value) == words
        assert refused.value.said == bye.reason


@pytest.mark.parametrize(
    ("bye", "words"),
    [
        (Bye(ByeCode.BUSY), "bob is busy"),
        (Bye(ByeCode.DECLINED), "bob declined the call"),
        (Bye(), "bob hung up"),
    ],
)
def test_who_is_known_is_named_in_the_refusal(bye, words):
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Ringing(), bye)
        greeting.open()
        with pytest.raises(CallRefused, match=f"^{words}$"):
            greeting.introduce(Hello(), lambda: None, "bob")


def test_nobody_waits_for_an_answer_for_ever(monkeypatch):
    monkeypatch.setattr(greeting_module, "ANSWER_TIMEOUT", 0.1)
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Ringing())
        greeting.open()
        with pytest.raises(CallRefused, match=r"^nobody answered$"):
            greeting.introduce(Hello(), lambda: None)


def test_talking_about_something_else_does_not_make_the_wait_longer(monkeypatch):
    monkeypatch.setattr(greeting_module, "ANSWER_TIMEOUT", 0.3)
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE)
        greeting.open()
        stop = threading.Event()

        def ring() -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    peer.send(*[Ringing()] * 5)
                    stop.wait(0.01)

        ringing = threading.Thread(target=ring)
        ringing.start()
        with pytest.raises(CallRefused, match=r"^nobody answered$"):
            greeting.introduce(Hello(), lambda: None)
        stop.set()
        stream.cut()
        ringing.join()


def test_a_listener_that_vanishes_before_it_answers_is_a_lost_connection():
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Ringing())
        greeting.open()
        peer.finish()
        with pytest.raises(ConnectionLost, match=r"^the connection ended without a goodbye$"):
            greeting.introduce(Hello(), lambda: None)


def test_a_listener_that_talks_before_its_hello_breaks_the_protocol():
    with connected() as (stream, peer):
        greeting = Greeting(stream)
        peer.send(PREFACE, Text(1, "hi"))
        greeting.open()
        with pytest.raises(RemoteProtocolError, match="TEXT out of order"):
            greeting.introduce(Hello(), nobody_rings)
        assert greeting.receiving.greeted


def test_a_parting_says_goodbye_and_closes_once_the_peer_has_closed():
    with connected() as (stream, peer):
        stream.write(PREFACE)
        peer.send(b"x" * 100_000)  # unread bytes would make a close a reset, which destroys the goodbye
        peer.finish()
        part(stream, Sending(), Bye(ByeCode.PROTOCOL, "that was wrong"))
        assert peer.hear_to_the_end() == [Preface(), Bye(ByeCode.PROTOCOL, "that was wrong")]
        assert stream.fileno() == -1


def test_a_parting_waits_only_so_long(monkeypatch):
    monkeypatch.setattr(greeting_module, "GOODBYE_TIMEOUT", 0.1)
    with connected() as (stream, _):
        began = time.monotonic()
        part(stream, Sending(), Bye())
        assert 0.1 <= time.monotonic() - began < PROMPTLY
        assert stream.fileno() == -1


def test_a_parting_from_somebody_who_has_gone_is_no_error():
    with connected() as (stream, peer):
        stream.set_timeout(PATIENCE)
        peer.reset()
        wait_until(lambda: _is_broken(stream))
        part(stream, Sending(), Bye())
        assert stream.fileno() == -1


def _is_broken(stream) -> bool:
    try:
        stream.write(b"?")
    except ConnectionLost:
        return True
    return False
