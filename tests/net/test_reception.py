import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE, PROMPTLY, Peer, wait_until
from voicemux.net import visitor as visitor_module
from voicemux.net.caller import Caller
from voicemux.net.listener import ListeningSockets
from voicemux.net.reception import MAX_VISITORS, Reception
from voicemux.net.refusals import LINES, Refusal
from voicemux.net.stream import SILENCE_TIMEOUT
from voicemux.net.visitor import MOST_BYTES
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, ByeCode, Claim, Hello, Ping, Preface, Ringing, Text
from voicemux.protocol.wire import PREFACE


class Desk:
    """A reception at work, who comes to it, and whom it turned away."""

    def __init__(self, capacity: int = 1) -> None:
        listener = ListeningSockets("127.0.0.1", 0)
        self.port = listener.port
        self.turned_away: list[str] = []
        self.reception = Reception(listener, self._turn_away, capacity=capacity)
        self._stack = contextlib.ExitStack()

    def _turn_away(self, refusal: Refusal) -> None:
        self.turned_away.append(f"{refusal.address}: {refusal.why}")

    def visit(self, host: str = "127.0.0.1") -> Peer:
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (host, 0))
        return self._stack.enter_context(Peer(connection))

    def call(self, name: str) -> Peer:
        peer = self.visit()
        peer.send(PREFACE, Hello(name))
        return peer

    def take(self) -> Caller:
        caller = self.reception.calls.next_caller()
        self._stack.callback(caller.stream.close)
        return caller

    def __enter__(self) -> "Desk":
        self.reception.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk
        desk.reception.close()


def is_gone(peer: Peer) -> bool:
    """Whether the other side has closed without a word."""
    try:
        return peer.hear_to_the_end() == []
    except ConnectionResetError:  # it had not read everything
        return True


def talks_until_it_is_cut_off(peer: Peer) -> float:
    """How many seconds that took."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - began < PATIENCE:
            peer.send(encode_frame(Frame(0xFA, 0, b"but")))
            time.sleep(0.01)
    return time.monotonic() - began


def test_a_caller_is_handed_over_with_its_hello_and_all_that_follows(desk):
    peer = desk.visit()
    peer.send(PREFACE, Hello("alice", "bot1", (2,)), Text(1, "right behind"))
    caller = desk.take()
    assert caller.hello == Hello("alice", "bot1", (2,))
    assert caller.stream.peer_address.host == "127.0.0.1"
    assert caller.stream.timeout == SILENCE_TIMEOUT
    assert list(caller.receiving.receive(b"")) == [Text(1, "right behind")]
    caller.stream.write(caller.sending.encode(Ringing()) + caller.sending.encode(Hello("bob")))
    assert [peer.hear(), peer.hear(), peer.hear()] == [Preface(), Ringing(), Hello("bob")]


def test_nothing_is_said_before_the_callers_preface_is_whole(desk):
    peer = desk.visit()
    peer.socket.settimeout(0.05)
    for byte in PREFACE[:-1]:
        peer.send(bytes([byte]))
        with pytest.raises(TimeoutError):
            peer.hear()
    peer.socket.settimeout(PATIENCE)
    peer.send(PREFACE[-1:])
    assert peer.hear() == Preface()


def test_a_greeting_may_come_byte_by_byte_and_with_frames_that_nobody_knows(desk):
    peer = desk.visit()
    peer.send(PREFACE[:3])
    peer.send(PREFACE[3:] + encode_frame(Frame(0x3A, 0, b"?")))
    peer.send(Hello("alice"))
    assert desk.take().hello.name == "alice"


@pytest.mark.parametrize("message", [Ringing(), Claim(0, bytes(32), b"", b"")], ids=repr)
def test_a_plain_caller_who_says_what_is_not_for_it_to_say_is_told_and_the_next_is_heard(desk, message):
    peer = desk.visit()
    peer.send(PREFACE, message)
    assert peer.hear(Bye).code == ByeCode.PROTOCOL
    desk.call("alice")
    assert desk.take().hello.name == "alice"


def test_callers_who_say_nothing_keep_nobody_waiting(desk, monkeypatch):
    for name in ("PREFACE_TIMEOUT", "HELLO_TIMEOUT"):
        monkeypatch.setattr(visitor_module, name, 3 * PATIENCE)
    for so_far in (b"", PREFACE[:5], PREFACE, PREFACE + b"\0\7\1"):
        desk.visit().send(so_far)
    began = time.monotonic()
    desk.call("alice")
    assert desk.take().hello.name == "alice"
    assert time.monotonic() - began < PROMPTLY


def test_whoever_calls_during_a_call_is_told_busy_and_may_call_again(desk):
    desk.call("first")
    first = desk.take()
    second = desk.call("second")
    assert second.hear_to_the_end() == [Preface(), Bye(ByeCode.BUSY, "in another call")]
    assert desk.turned_away == ["127.0.0.1: busy"]
    second.finish()
    desk.reception.calls.free(first)
    desk.call("second again")
    assert desk.take().hello.name == "second again"


def test_a_listener_with_two_places_holds_two_calls_and_tells_the_third_busy():
    with Desk(capacity=2) as desk:
        callers = {}
        for name in ("first", "second"):
            peer = desk.call(name)
            callers[name] = desk.take()
            callers[name].stream.write(callers[name].sending.encode(Hello("the listener")))
            assert peer.hear(Hello) == Hello("the listener")
        assert (callers["first"].hello.name, callers["second"].hello.name) == ("first", "second")
        third = desk.call("third")
        assert third.hear_to_the_end() == [Preface(), Bye(ByeCode.BUSY, "in another call")]
        assert desk.turned_away == ["127.0.0.1: busy"]
        desk.reception.calls.free(callers["first"])
        desk.call("third again")
        assert desk.take().hello.name == "third again"
        assert desk.call("fourth").hear(Bye).code == ByeCode.BUSY
        desk.reception.close()


def test_who_was_handed_out_and_is_not_answered_is_sent_away_without_anybody_waiting(desk, monkeypatch):
    monkeypatch.setattr(visitor_module, "GOODBYE_TIMEOUT", 3 * PATIENCE)
    peer = desk.call("alice")
    caller = desk.reception.calls.next_caller()
    began = time.monotonic()
    desk.reception.send_away(caller, Bye(ByeCode.DECLINED), "it was declined a moment ago")
    desk.reception.calls.free(caller)
    assert time.monotonic() - began < PROMPTLY
    assert peer.hear_to_the_end() == [Preface(), Bye(ByeCode.DECLINED)]
    wait_until(lambda: desk.turned_away == ["127.0.0.1: it was declined a moment ago"])
    peer.finish()
    wait_until(lambda: caller.stream.fileno() == -1)
    desk.call("the next")
    assert desk.take().hello.name == "the next"


def test_who_has_gone_can_be_sent_away_too(desk):
    peer = desk.call("alice")
    caller = desk.reception.calls.next_caller()
    peer.reset()
    desk.reception.send_away(caller, Bye())
    wait_until(lambda: caller.stream.fileno() == -1)


def test_one_who_is_preferred_takes_the_place_of_who_is_not_answered_yet(desk):
    desk.call("stranger")
    stranger = desk.take()
    calls = desk.reception.calls
    calls.yield_to(stranger, lambda caller: caller.hello.name.startswith("friend"))
    assert desk.call("another stranger").hear_to_the_end()[-1].code == ByeCode.BUSY
    assert calls.replacement_of(stranger) is None
    desk.call("friend")
    wait_until(lambda: calls.replacement_of(stranger))
    assert desk.call("friend too late").hear_to_the_end()[-1].code == ByeCode.BUSY
    desk.reception.send_away(stranger, Bye(ByeCode.BUSY))
    calls.yield_to(stranger, None)
    calls.free(stranger)
    assert desk.take().hello.name == "friend"
    assert desk.call("friend again").hear_to_the_end()[-1].code == ByeCode.BUSY


def test_an_interruption_is_found_by_who_only_looks(desk):
    desk.reception.calls.check()
    desk.reception.calls.interrupt(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        desk.reception.calls.check()
    desk.reception.calls.check()


def test_the_busy_tone_is_heard_also_by_those_who_talk_on(desk):
    desk.call("first")
    desk.take()
    second = desk.call("second")
    for number in range(1, 200):
        second.send(Text(number, "x" * 1000))
    assert second.hear(Bye) == Bye(ByeCode.BUSY, "in another call")
    second.finish()
    assert second.hear_to_the_end() == []


def test_only_one_caller_is_handed_out_until_the_owner_is_free(desk):
    callers = [desk.call(str(number)) for number in range(5)]
    chosen = desk.take().hello.name
    for number, peer in enumerate(callers):
        if str(number) != chosen:
            assert peer.hear(Bye).code == ByeCode.BUSY
    assert len(desk.turned_away) == 4


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "that is not voicemux, it speaks HTTP"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "that is not voicemux, it speaks SSH"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "an encrypted call, and only plain ones are taken"),
        (b"I AM BOB", "that is not voicemux, it speaks something unknown"),
        (PREFACE[:5] + b"?\r\n", "another version of the protocol is spoken there, version 1 here"),
    ],
)
def test_strangers_are_named_and_harm_nobody(desk, first, words):
    stranger = desk.visit()
    stranger.send(first)
    wait_until(lambda: desk.turned_away)
    assert desk.turned_away == [f"127.0.0.1: {words}"]
    desk.call("alice")
    assert desk.take().hello.name == "alice"


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01", b"V!"])
def test_strangers_learn_nothing(desk, first):
    stranger = desk.visit()
    stranger.send(first)
    assert is_gone(stranger)


def test_whoever_calls_encrypted_can_see_that_plain_calls_are_taken_here(desk):
    peer = desk.visit()
    peer.send(b"\x16\x03\x01\x02")
    assert peer.hear_to_the_end() == [Preface(), Bye(ByeCode.SECURITY)]


def test_however_often_somebody_fails_nobody_of_that_address_waits_and_the_owner_reads_some_lines_only(desk):
    for _ in range(5 * LINES):
        stranger = desk.visit()
        stranger.send(b"GET / ")
        assert is_gone(stranger)
    began = time.monotonic()
    desk.call("alice")
    assert desk.take().hello.name == "alice"
    assert time.monotonic() - began < PROMPTLY
    assert len(desk.turned_away) == LINES


def test_whoever_says_too_much_before_it_says_who_it_is_is_sent_away(desk):
    peer = desk.visit()
    peer.send(PREFACE, encode_frame(Frame(0xFA, 0, bytes(4000))) * (MOST_BYTES // 4000 + 1))
    assert peer.hear(Bye).code == ByeCode.FLOOD


def test_whoever_was_sent_away_and_talks_on_harms_nobody(desk):
    peer = desk.visit()
    peer.send(b"\x16\x03\x01\x02")
    assert peer.hear(Bye).code == ByeCode.SECURITY
    peer.send(bytes(3 * MOST_BYTES))
    peer.finish()
    assert peer.hear_to_the_end() == []
    assert len(desk.turned_away) == 1
    desk.call("alice")
    assert desk.take().hello.name == "alice"


@pytest.mark.parametrize("version", [b"2", b"9", b"0"])
def test_another_version_is_told_which_one_is_spoken_here(desk, version):
    peer = desk.visit()
    peer.send(b"VMUX/" + version + b"\r\n")
    preface, bye = peer.hear_to_the_end()
    assert preface == Preface()
    assert bye.code == ByeCode.VERSION
    assert "version 1 here" in bye.reason


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Text(1, "hi"), "TEXT out of order"),
        (Ping(bytes(8)), "PING out of order"),
        (Ringing(), "RINGING out of order"),
        (b"\xff\xff\1\0", "a frame of 65535 bytes"),
        (bytes(4), "tag 0"),
        (b"\0\4\1\0\1\2\xff\xff", "HELLO"),
    ],
)
def test_a_caller_that_breaks_the_protocol_is_told_how(desk, fault, words):
    peer = desk.visit()
    peer.send(PREFACE, fault)
    preface, bye = peer.hear_to_the_end()
    assert preface == Preface()
    assert bye.code == ByeCode.PROTOCOL
    assert words in bye.reason
    assert desk.turned_away == [f"127.0.0.1: {bye.reason}"]


def test_a_caller_that_changes_its_mind_is_let_go_without_a_word_to_the_owner(desk):
    peer = desk.visit()
    peer.send(PREFACE, Bye())
    assert peer.hear_to_the_end() == [Preface(), Bye()]
    for farewell in (Peer.finish, Peer.reset):
        peer = desk.visit()
        peer.send(PREFACE[:4])
        farewell(peer)
    desk.call("alice")
    desk.take()
    assert desk.turned_away == []


@pytest.mark.parametrize("so_far", [b"", PREFACE[:5]], ids=["nothing", "half a preface"])
def test_a_preface_is_waited_for_only_so_long(monkeypatch, desk, so_far):
    monkeypatch.setattr(visitor_module, "PREFACE_TIMEOUT", 0.1)
    peer = desk.visit()
    peer.send(so_far)
    assert is_gone(peer)
    assert desk.turned_away == ["127.0.0.1: it said nothing that voicemux understands in time"]


@pytest.mark.parametrize("so_far", [b"", b"\0\7\1\0"], ids=["nothing", "half a HELLO"])
def test_a_hello_is_waited_for_only_so_long(monkeypatch, desk, so_far):
    monkeypatch.setattr(visitor_module, "HELLO_TIMEOUT", 0.1)
    peer = desk.visit()
    peer.send(PREFACE + so_far)
    assert peer.hear_to_the_end() == [Preface()]
    assert desk.turned_away == ["127.0.0.1: it said nothing that voicemux understands in time"]


def test_talking_about_something_else_does_not_make_the_wait_longer(monkeypatch, desk):
    monkeypatch.setattr(visitor_module, "HELLO_TIMEOUT", 0.2)
    peer = desk.visit()
    peer.send(PREFACE)
    assert talks_until_it_is_cut_off(peer) < 0.2 + PROMPTLY


def test_whoever_was_sent_away_and_does_not_leave_is_thrown_out(monkeypatch, desk):
    monkeypatch.setattr(visitor_module, "GOODBYE_TIMEOUT", 0.1)
    peer = desk.visit()
    peer.send(PREFACE, bytes(4))
    assert peer.hear(Bye).code == ByeCode.PROTOCOL
    assert talks_until_it_is_cut_off(peer) < 0.1 + PROMPTLY
    assert len(desk.turned_away) == 1


def greet(peer: Peer) -> Peer:
    peer.send(PREFACE)
    assert peer.hear() == Preface()
    return peer


def test_where_all_places_are_taken_whoever_comes_gets_that_of_who_has_come_first(desk):
    visitors = [greet(desk.visit()) for _ in range(MAX_VISITORS)]
    desk.call("alice")
    assert desk.take().hello.name == "alice"
    assert visitors[0].hear_to_the_end() == []
    visitors[1].send(Hello("one of them"))
    assert visitors[1].hear(Bye).code == ByeCode.BUSY


def test_who_is_silent_gives_way_to_who_comes_and_not_who_has_said_something(desk):
    visitors = [desk.visit() for _ in range(MAX_VISITORS - 1)]
    said_something = greet(desk.visit())
    desk.call("alice")
    assert desk.take().hello.name == "alice"
    assert is_gone(visitors[0])
    said_something.send(Hello("one of them"))
    assert said_something.hear(Bye).code == ByeCode.BUSY


def test_a_call_takes_no_room_from_visitors(desk):
    for _ in range(MAX_VISITORS + 1):
        desk.call("alice")
        caller = desk.take()
        assert caller.hello.name == "alice"
        desk.reception.calls.free(caller)


def test_the_owner_can_be_interrupted_while_it_waits(desk):
    threading.Timer(0.05, desk.reception.calls.interrupt, [KeyboardInterrupt()]).start()
    with pytest.raises(KeyboardInterrupt):
        desk.reception.calls.next_caller()


def test_a_bug_in_the_reception_reaches_the_owner():
    def stumble(refusal: Refusal) -> None:
        raise ZeroDivisionError

    listener = ListeningSockets("127.0.0.1", 0)
    reception = Reception(listener, stumble)
    reception.start()
    with Peer(socket.create_connection(("127.0.0.1", listener.port))) as peer:
        peer.send(b"GET / ")
        with pytest.raises(ZeroDivisionError):
            reception.calls.next_caller()
        assert is_gone(peer)
    reception.close()


def test_closing_lets_everybody_go_and_leaves_nothing():
    with Desk() as desk:
        silent, halfway, waiting = desk.visit(), desk.visit(), desk.call("nobody answers me")
        halfway.send(PREFACE)
        assert halfway.hear() == waiting.hear() == Preface()
        busy = desk.call("busy")
        assert busy.hear(Bye).code == ByeCode.BUSY  # so the one before it is in the owner's hands
        desk.reception.close()
        for peer in (silent, halfway, waiting, busy):
            assert is_gone(peer)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", desk.port), PATIENCE)
        assert not [each for each in threading.enumerate() if each.name == "voicemux-reception"]
