"""Somebody sits between two people, with a key of its own, and ends TLS on both sides: found, each time."""

import threading

import pytest

from tests.peers import wait_until
from tests.security.people import Middle
from voicemux.calls.establishing import greet
from voicemux.calls.target import resolve
from voicemux.calls.trust import Security, Trust
from voicemux.errors import Kind, NotAdmitted, SecurityError
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.greeting import Greeting
from voicemux.protocol.messages import Method
from voicemux.security import handshake

CODE, GUESS = "42-beeswax-caravan", "42-beeswax-carbon"
FOUND = "PROOF with a signature of something else: somebody may be in the middle"  # what the listener's user is told


def test_who_passes_on_what_both_say_is_found_by_both_though_the_code_is_right(alice, bob, mallory):
    with bob.listening(code=CODE) as house, Middle(mallory, house.port) as middle:
        with pytest.raises(SecurityError) as refused:
            alice.dial(middle.port, Method.CODE, CODE)
        assert refused.value.kind is Kind.MAN_IN_THE_MIDDLE
        assert house.turned_away == [FOUND]


def test_who_plays_both_parts_and_guesses_the_code_wrong_is_found_by_both(alice, bob, mallory):
    with bob.listening(code=CODE) as house, mallory.listening(code=GUESS) as trap:
        with pytest.raises(SecurityError, match="the code is wrong"):
            alice.dial(trap.port, Method.CODE, CODE)
        with pytest.raises(SecurityError, match="the code is wrong"):
            mallory.dial(house.port, Method.CODE, GUESS)
        assert house.turned_away == ["a wrong code"]


def test_who_says_that_the_code_was_right_does_not_convince_the_dialler(alice, mallory, monkeypatch):
    judge = handshake.Challenger.judge

    def believe_anything(self, proof):
        try:
            return judge(self, proof)
        except NotAdmitted:
            return handshake.Peer(alice.identity.fingerprint, Method.CODE, ())

    monkeypatch.setattr(handshake.Challenger, "judge", believe_anything)
    with mallory.listening(code=GUESS) as trap:
        with pytest.raises(SecurityError, match="the listener says that the code is right") as refused:
            alice.dial(trap.port, Method.CODE, CODE)
        assert refused.value.kind is Kind.MAN_IN_THE_MIDDLE
        assert trap.turned_away == []


def test_a_remembered_key_is_asked_for_before_anything_is_said(alice, bob, mallory):
    with bob.listening() as house, Middle(mallory, house.port) as middle:
        alice.contacts.remember("bob", bob.identity.fingerprint, f"127.0.0.1:{middle.port}", "code")
        trust = Trust(Security(alice.folder))
        stream = connect(Address("127.0.0.1", middle.port))
        with pytest.raises(SecurityError, match=r"the key of bob at .* has changed.*somebody may be in the middle"):
            greet(Greeting(stream), resolve("bob", trust.known), Address("127.0.0.1", middle.port), trust)
        stream.close()
    assert middle.said == []


def test_words_are_not_the_same_on_both_sides(alice, bob, mallory):
    with bob.listening(is_open=True) as house, mallory.listening(is_open=True) as trap:
        to_trap, _ = alice.dial(trap.port, Method.OPEN)
        to_bob, _ = mallory.dial(house.port, Method.OPEN)
    assert to_trap.words != to_bob.words


def test_without_anybody_in_between_words_are_the_same(alice, bob):
    with bob.listening(is_open=True) as house:
        heard = []
        thread = threading.Thread(target=lambda: heard.append(alice.dial(house.port, Method.OPEN, name="alice")))
        thread.start()
        with house.caller() as caller:
            assert caller.peer is not None
            wait_until(lambda: heard)
        thread.join()
    peer, _ = heard[0]
    assert peer.words == caller.peer.words
    assert len(peer.words) == 4


def test_what_a_dialler_has_proved_to_one_listener_proves_nothing_to_another(alice, bob, mallory):
    """Mallory is called by alice, who knows her, and passes all of it on to bob, who knows alice."""
    bob.knows(alice, "alice")
    with bob.listening() as house, Middle(mallory, house.port) as middle:
        with pytest.raises(SecurityError) as refused:
            alice.dial(middle.port, Method.KNOWN)
        assert refused.value.kind is Kind.MAN_IN_THE_MIDDLE
        assert house.turned_away == [FOUND]
