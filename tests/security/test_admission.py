from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.people import Person
from voicemux.errors import NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.protocol.messages import ByeCode, Method
from voicemux.security.admission import CONTACTS_GUESSES, HOUR, LONGER_WORDS, MOST_CONTACTS, SUSPICIOUS, Admission
from voicemux.security.handshake import Dialler

CODE, GUESS = "42-beeswax-caravan", "42-beeswax-carbon"


class Door:
    """What bob admits, and which codes were over."""

    def __init__(self, bob: Person, **chosen) -> None:
        self.bob = bob
        self.codes: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.now = 0.0
        self.admission = Admission(
            bob.identity,
            bob.contacts,
            lambda code, why: self.codes.append((code, why)),
            on_guessing=self.warnings.append,
            **chosen,
        )

    def begin(self, alice: Person, method: Method, code: str = "", host: str = "192.0.2.1") -> tuple[Dialler, Any]:
        dialler = Dialler(alice.identity, self.bob.identity.certificate, method, code)
        return dialler, self.admission.begin(dialler.claim(), host, self.now)

    def end(self, dialler, listener, host: str = "192.0.2.1", *, says_hello: bool = True) -> Method:
        welcome, peer = self.admission.finish(listener, dialler.prove(listener.challenge), host, self.now)
        assert welcome.admitted == peer.method
        if says_hello:
            self.admission.use(listener, peer, self.now)
        return peer.method

    def guess(self, mallory: Person, times: int = 1) -> None:
        """Wrong, one after the other."""
        for _ in range(times):
            with pytest.raises(NotAdmitted):
                self.knock(mallory, Method.CODE, GUESS)

    def knock(self, alice: Person, method: Method, code: str = "") -> Method:
        return self.end(*self.begin(alice, method, code))


def test_a_contact_needs_no_code(alice, bob):
    bob.knows(alice, "alice")
    assert Door(bob).knock(alice, Method.KNOWN) is Method.KNOWN


def test_a_contact_who_does_not_know_us_compares_words(alice, bob):
    bob.knows(alice, "alice")
    assert Door(bob).knock(alice, Method.OPEN) is Method.OPEN


@pytest.mark.parametrize("method", [Method.OPEN, Method.KNOWN])
def test_whoever_is_unknown_is_not_admitted(alice, bob, method):
    with pytest.raises(NotAdmitted, match="no contact, and no code") as refused:
        Door(bob).knock(alice, method)
    assert refused.value.code == ByeCode.UNKNOWN_CALLER


def test_an_open_door_admits_everybody_as_somebody_unknown(alice, bob):
    assert Door(bob, is_open=True).knock(alice, Method.KNOWN) is Method.OPEN


def test_of_the_contacts_only_those_allowed(alice, bob):
    bob.knows(alice, "alice")
    assert Door(bob, allowed=[alice.identity.fingerprint]).knock(alice, Method.KNOWN) is Method.KNOWN
    with pytest.raises(NotAdmitted, match="alice is not allowed"):
        Door(bob, allowed=["c" * 64]).knock(alice, Method.KNOWN)


def test_whoever_knows_a_code_may_call_though_only_contacts_are_allowed(alice, bob):
    bob.knows(alice, "alice")
    door = Door(bob, allowed=["c" * 64], code=CODE)
    assert door.knock(alice, Method.CODE, CODE) is Method.CODE
    with pytest.raises(NotAdmitted, match="alice is not allowed"):
        door.knock(alice, Method.KNOWN)


def test_a_contact_who_is_not_allowed_is_told_what_somebody_unknown_is_told(alice, bob, mallory):
    bob.knows(alice, "alice")
    door, codes = Door(bob, allowed=["c" * 64]), set()
    for person in (alice, mallory):
        with pytest.raises(NotAdmitted) as refused:
            door.knock(person, Method.KNOWN)
        codes.add(refused.value.code)
    assert codes == {ByeCode.UNKNOWN_CALLER}


@pytest.mark.parametrize("chosen", [{}, {"is_open": True}, {"allowed": ["c" * 64]}])
def test_where_there_is_no_code_none_is_right_not_even_by_chance(alice, bob, monkeypatch, chosen):
    """The bits of what a guess is compared with there must not be a way in."""
    monkeypatch.setattr("voicemux.security.handshake.new_code", lambda: CODE)
    with pytest.raises(NotAdmitted, match="a code, and none is in use") as refused:
        Door(bob, **chosen).knock(alice, Method.CODE, CODE)
    assert refused.value.code == ByeCode.WRONG_CODE


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.sampled_from([{"code": CODE}, {"words": 3}]), guesses=st.lists(st.booleans(), max_size=6))
def test_wrong_guesses_end_no_code_and_a_right_one_that_which_was_made(alice, bob, chosen, guesses):
    """Right and wrong ones in any order, all of them begun before the first is judged."""
    door = Door(bob, **chosen)
    code, is_over = door.admission.code, False
    begun = [(is_right, door.begin(alice, Method.CODE, code if is_right else GUESS)) for is_right in guesses]
    for is_right, each in begun:
        if is_right and not is_over:
            assert door.end(*each) is Method.CODE
            is_over = "words" in chosen
        else:
            with pytest.raises(NotAdmitted):
                door.end(*each)
    assert (door.admission.code != code) == is_over
    assert len(door.codes) == is_over


def test_a_code_that_somebody_chose_stays(alice, bob):
    door = Door(bob, code="42 Beeswax CARAVAN")
    for _ in range(3):
        assert door.knock(alice, Method.CODE, CODE) is Method.CODE
    assert door.codes == []


def test_a_code_that_was_made_is_replaced_when_it_was_used(alice, bob):
    door = Door(bob, words=2)
    first = door.admission.code
    assert door.knock(alice, Method.CODE, first) is Method.CODE
    assert door.codes == [(door.admission.code, "it has been used")]
    assert door.admission.code != first
    with pytest.raises(NotAdmitted, match="a wrong code"):
        door.knock(alice, Method.CODE, first)


def test_a_code_is_used_up_by_a_hello_and_not_before(alice, bob, mallory):
    door = Door(bob, words=3)
    first = door.admission.code
    for _ in range(3):  # the line was lost each time
        assert door.end(*door.begin(alice, Method.CODE, first), says_hello=False) is Method.CODE
    assert door.codes == []
    assert door.knock(alice, Method.CODE, first) is Method.CODE
    assert door.codes == [(door.admission.code, "it has been used")]


def test_somebody_who_guesses_is_told_of_once_and_the_codes_after_that_are_longer(alice, bob, mallory):
    door = Door(bob, words=2)
    door.guess(mallory, SUSPICIOUS - 1)
    assert door.warnings == []
    door.guess(mallory, 3 * SUSPICIOUS)
    (warning,) = door.warnings
    assert "12 years or more on average" in warning
    assert f"the codes after this one have {LONGER_WORDS} words" in warning
    assert door.knock(alice, Method.CODE, door.admission.code) is Method.CODE
    assert door.admission.code.count("-") == LONGER_WORDS
    door.guess(mallory, 3 * SUSPICIOUS)
    assert len(door.warnings) == 1


def test_a_code_of_a_person_does_not_become_longer(bob, mallory):
    door = Door(bob, code=CODE)
    door.guess(mallory, SUSPICIOUS)
    (warning,) = door.warnings
    assert "words" not in warning
    assert door.admission.code == CODE


@pytest.mark.parametrize("seconds", [30, pytest.param(80, marks=pytest.mark.long)])
def test_a_friend_with_the_code_gets_in_however_long_somebody_guesses_once_a_second(alice, bob, mallory, seconds):
    """From the same address, and from another /64 each time; with both codes that are made, and one of a person."""
    for chosen in ({"words": 3}, {"code": "7-quiet-test"}):
        door = Door(bob, **chosen)
        for number in range(seconds):
            door.now += 1.0
            host = f"2001:db8:0:{number:x}::1" if number % 2 else "192.0.2.1"
            with pytest.raises(NotAdmitted):
                door.end(*door.begin(mallory, Method.CODE, GUESS, host), host)
            if number % 10 == 0:
                for each in (host, "198.51.100.7"):
                    begun = door.begin(alice, Method.CODE, door.admission.code, each)
                    assert door.end(*begun, each, says_hello=False) is Method.CODE


def test_a_contact_may_say_old_codes_but_not_guess(alice, bob):
    bob.knows(alice, "alice")
    door = Door(bob, words=3)
    for _ in range(CONTACTS_GUESSES):
        with pytest.raises(NotAdmitted, match="alice said an old or wrong code") as refused:
            door.knock(alice, Method.CODE, GUESS)
        assert refused.value.code == ByeCode.WRONG_CODE
    assert door.warnings == []
    door.guess(alice, SUSPICIOUS)
    assert len(door.warnings) == 1
    assert door.knock(alice, Method.KNOWN) is Method.KNOWN
    door.now += HOUR
    with pytest.raises(NotAdmitted, match="alice said"):
        door.knock(alice, Method.CODE, GUESS)


def test_whoever_only_shows_the_certificate_of_a_contact_guesses(alice, bob, mallory):
    bob.knows(alice, "alice")
    door = Door(bob, words=3)
    stolen = replace(mallory.identity, certificate=alice.identity.certificate)
    mallory.identity = stolen
    with pytest.raises(RemoteProtocolError, match="signature"):
        door.knock(mallory, Method.CODE, GUESS)


def test_a_code_of_a_person_makes_only_so_many_contacts_an_hour(alice, bob, tmp_path):
    door = Door(bob, code=CODE)
    for number in range(MOST_CONTACTS):
        assert door.knock(Person(tmp_path / f"key {number}"), Method.CODE, CODE)
    with pytest.raises(NotAdmitted, match="has made 60 contacts within an hour") as refused:
        door.knock(alice, Method.CODE, CODE)
    assert refused.value.code == ByeCode.LATER
    bob.knows(alice, "alice")
    assert door.knock(alice, Method.CODE, CODE)  # a contact is no new one
    door.now += HOUR
    assert door.knock(Person(tmp_path / "key"), Method.CODE, CODE)


def test_of_two_who_use_a_code_at_once_the_second_is_told_that_it_was_valid(alice, bob):
    door = Door(bob, words=2)
    both = [door.begin(alice, Method.CODE, door.admission.code) for _ in range(2)]
    assert door.end(*both[0]) is Method.CODE
    with pytest.raises(NotAdmitted, match="valid a moment ago"):
        door.end(*both[1])


def test_a_code_of_hardly_anything_is_refused_at_once(bob):
    with pytest.raises(SecurityError, match="not a code"):
        Door(bob, code="1")
