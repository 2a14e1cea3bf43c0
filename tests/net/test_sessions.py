"""Which callers may resume which calls. The callers' connections are in memory."""

import itertools

import pytest

from tests.memory import memory_streams
from voicemux.errors import RemoteProtocolError
from voicemux.net.address import Address
from voicemux.net.caller import Caller
from voicemux.net.sessions import GONE, MINUTE, MOST_RESUMES, OVERTAKEN, Sessions
from voicemux.protocol.connection import Receiving, Sending, State
from voicemux.protocol.messages import Bye, ByeCode, Hello, Method
from voicemux.security.handshake import Peer

SESSION = bytes(range(16))
ALICE, EVE = (Peer(letter * 64, Method.KNOWN, ()) for letter in "ae")


class House:
    """Sessions, and a call that counts who resumes it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sessions = Sessions(lambda: self.now)
        self.numbers = itertools.count(1)
        self.resumed: list[int] = []
        self.closed = False
        self.takes = True
        self.has_line = True

    def caller(
        self,
        peer: Peer | None = ALICE,
        last_text: int | None = 0,
        session: bytes = SESSION,
        host: str = "192.0.2.1",
    ) -> Caller:
        near, self.far = memory_streams()
        near.peer_address = Address(host, 1)
        near.is_secure = peer is not None
        sending = Sending()
        sending.encode(Hello())  # so that a BYE may follow
        hello = Hello("alice", session=session, last_text=last_text, grace=60)
        return Caller(near, sending, Receiving(State.OPEN), hello, peer, None, next(self.numbers))

    def begin(self) -> None:
        assert self.sessions.expect(self.caller(last_text=None))

    def keep(self) -> None:
        self.sessions.keep(SESSION, self.resume, self.close, lambda: self.has_line)

    def resume(self, caller: Caller) -> bool:
        if caller.hello.last_text == 99:
            raise RemoteProtocolError("never sent")
        if self.takes:
            self.resumed.append(caller.id)
        return self.takes

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def house() -> House:
    return House()


def test_a_call_is_resumed_by_the_key_that_has_begun_it_and_by_no_other(house):
    house.begin()
    house.keep()
    assert house.sessions.resume(house.caller()) is None
    assert house.sessions.resume(house.caller(EVE)) == GONE
    assert house.sessions.resume(house.caller(None)) == GONE
    assert house.sessions.resume(house.caller(session=bytes(16))) == GONE
    assert house.resumed == [2]
    assert (house.sessions.has(ALICE.fingerprint), house.sessions.has(EVE.fingerprint)) == (True, False)


def test_a_plain_call_without_a_line_gives_way_to_a_plain_caller_from_its_last_address(house):
    first = house.caller(None, None)
    assert house.sessions.expect(first)
    house.keep()
    same, another, secure = house.caller(None, None), house.caller(None, None, host="192.0.2.2"), house.caller()
    assert not house.sessions.gives_way(first, same)  # its line is up
    house.has_line = False
    found = [house.sessions.gives_way(first, each) for each in (same, another, secure)]
    assert found == [True, False, False]
    house.sessions.resume(house.caller(None, host="192.0.2.2"))
    found = [house.sessions.gives_way(first, each) for each in (same, another, secure)]
    assert found == [False, True, False]


def test_an_encrypted_call_gives_way_to_nobody_but_its_key(house):
    first = house.caller(last_text=None)
    assert house.sessions.expect(first)
    house.keep()
    house.has_line = False
    assert not house.sessions.gives_way(first, house.caller(None, None))


def test_what_is_over_is_gone(house):
    house.begin()
    house.keep()
    house.takes = False
    assert house.sessions.resume(house.caller()) == GONE
    house.sessions.forget(SESSION)
    house.sessions.forget(SESSION)
    assert house.sessions.resume(house.caller()) == GONE
    assert not house.sessions.has(ALICE.fingerprint)


def test_a_session_is_not_begun_twice(house):
    house.begin()
    assert not house.sessions.expect(house.caller(EVE, last_text=None))


def test_who_comes_back_before_the_call_has_begun_waits_for_it_and_only_the_newest_does(house):
    house.begin()
    assert house.sessions.resume(house.caller()) is None
    first = house.far
    assert house.sessions.resume(house.caller()) is None
    assert house.resumed == []
    assert first.read() == b""  # it is closed
    house.keep()
    assert house.resumed == [3]


def test_who_waits_for_a_call_that_never_begins_is_told_that_it_is_gone(house):
    house.begin()
    house.sessions.resume(house.caller())
    house.sessions.forget(SESSION)
    receiving = Receiving(State.OPEN)
    receiving.greeted = True
    assert list(receiving.receive(house.far.read())) == [Bye(ByeCode.GONE)]


def test_a_connection_that_was_accepted_before_the_newest_one_is_too_late(house):
    house.begin()
    house.keep()
    slow, fast = house.caller(), house.caller()
    assert house.sessions.resume(fast) is None
    assert house.sessions.resume(slow) == OVERTAKEN
    assert house.resumed == [fast.id]


def test_an_impossible_last_text_ends_only_its_own_connection(house):
    house.begin()
    house.keep()
    refused = house.sessions.resume(house.caller(last_text=99))
    assert refused == (Bye(ByeCode.PROTOCOL, "never sent"), "never sent")
    assert house.sessions.resume(house.caller()) is None


def test_resumes_without_end_are_held_back_for_a_while(house):
    house.begin()
    house.keep()
    for _ in range(MOST_RESUMES + 5):
        assert house.sessions.resume(house.caller()) is None
    assert len(house.resumed) == MOST_RESUMES
    assert house.far.read() == b""  # it is closed
    house.now += MINUTE
    house.sessions.resume(house.caller())
    assert len(house.resumed) == MOST_RESUMES + 1


@pytest.mark.parametrize("is_kept_first", [True, False])
def test_when_no_caller_can_come_any_more_the_calls_are_told(house, is_kept_first):
    house.begin()
    steps = [house.keep, house.sessions.close]
    for step in steps if is_kept_first else reversed(steps):
        step()
    assert house.closed
