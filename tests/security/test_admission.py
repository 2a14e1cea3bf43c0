import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.people import Person
from voicemux.errors import NotAdmitted, SecurityError
from voicemux.protocol.messages import ByeCode, Method
from voicemux.security.admission import GUESSES, Admission
from voicemux.security.handshake import Dialler

CODE, GUESS = "42-beeswax-caravan", "42-beeswax-carbon"


class Door:
    """What bob admits, and which codes were over."""

    def __init__(self, bob: Person, **chosen) -> None:
        self.bob = bob
        self.codes: list[tuple[str, str]] = []
        self.admission = Admission(
            bob.identity, bob.contacts, lambda code, why: self.codes.append((code, why)), **chosen
        )

    def begin(self, alice: Person, method: Method, code: str = ""):
        dialler = Dialler(alice.identity, self.bob.identity.certificate, method, code)
        return dialler, self.admission.begin(dialler.claim())

    def end(self, dialler, listener) -> Method:
        welcome, peer = self.admission.finish(listener, dialler.prove(listener.challenge))
        assert welcome.admitted == peer.method
        return peer.method

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
    assert Door(bob, allowed=["alice"]).knock(alice, Method.KNOWN) is Method.KNOWN
    with pytest.raises(NotAdmitted, match="alice is not allowed"):
        Door(bob, allowed=["carol"]).knock(alice, Method.KNOWN)


def test_whoever_knows_a_code_may_call_though_only_contacts_are_allowed(alice, bob):
    bob.knows(alice, "alice")
    door = Door(bob, allowed=["carol"], code=CODE)
    assert door.knock(alice, Method.CODE, CODE) is Method.CODE
    with pytest.raises(NotAdmitted, match="alice is not allowed"):
        door.knock(alice, Method.KNOWN)


def test_a_contact_who_is_not_allowed_is_told_what_somebody_unknown_is_told(alice, bob, mallory):
    bob.knows(alice, "alice")
    door, codes = Door(bob, allowed=["carol"]), set()
    for person in (alice, mallory):
        with pytest.raises(NotAdmitted) as refused:
            door.knock(person, Method.KNOWN)
        codes.add(refused.value.code)
    assert codes == {ByeCode.UNKNOWN_CALLER}


@pytest.mark.parametrize("chosen", [{}, {"is_open": True}, {"allowed": ["carol"]}])
def test_where_there_is_no_code_none_is_right_not_even_by_chance(alice, bob, monkeypatch, chosen):
    """The 22 bits of what a guess is compared with there must not be a way in."""
    monkeypatch.setattr("voicemux.security.handshake.new_code", lambda: CODE)
    with pytest.raises(NotAdmitted, match="a wrong code"):
        Door(bob, **chosen).knock(alice, Method.CODE, CODE)


def test_guesses_count_as_long_as_a_code_is_in_use_whoever_succeeds_in_between(alice, bob, mallory):
    door = Door(bob, code=CODE)
    for _ in range(GUESSES - 1):
        with pytest.raises(NotAdmitted):
            door.knock(mallory, Method.CODE, GUESS)
        door.knock(alice, Method.CODE, CODE)
    with pytest.raises(NotAdmitted):
        door.knock(mallory, Method.CODE, GUESS)
    assert door.codes == [("", "it was guessed at 3 times")]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.sampled_from([{"code": CODE}, {"words": 2}]), guesses=st.lists(st.booleans(), max_size=6))
def test_no_code_is_ever_guessed_at_more_often_than_it_should(alice, bob, chosen, guesses):
    """Right and wrong ones in any order, all of them begun before the first is judged."""
    door = Door(bob, **chosen)
    code, wrong, is_over = door.admission.code, 0, False
    begun = [(is_right, door.begin(alice, Method.CODE, code if is_right else GUESS)) for is_right in guesses]
    for is_right, each in begun:
        if is_right and not is_over:
            assert door.end(*each) is Method.CODE
            is_over = "words" in chosen
            continue
        with pytest.raises(NotAdmitted):
            door.end(*each)
        wrong += not is_right
        is_over = is_over or wrong == GUESSES
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


@pytest.mark.parametrize("chosen", [{"code": CODE}, {"words": 2}])
def test_wrong_guesses_end_a_code(alice, bob, chosen):
    door = Door(bob, **chosen)
    code = door.admission.code
    for number in range(GUESSES):
        left = GUESSES - 1 - number
        with pytest.raises(NotAdmitted, match=f"{left} more end it" if left else "a wrong code"):
            door.knock(alice, Method.CODE, GUESS)
    assert door.codes == [(door.admission.code, "it was guessed at 3 times")]
    assert door.admission.code == "" if "code" in chosen else door.admission.code != code
    with pytest.raises(NotAdmitted):
        door.knock(alice, Method.CODE, code)


@pytest.mark.parametrize("end", ["guessed at", "used"])
def test_the_next_code_may_be_guessed_at_as_often_as_the_first(alice, bob, end):
    door = Door(bob, words=2)

    def guess(times: int) -> None:
        for _ in range(times):
            with pytest.raises(NotAdmitted):
                door.knock(alice, Method.CODE, GUESS)

    guess(GUESSES if end == "guessed at" else GUESSES - 1)
    if end == "used":
        door.knock(alice, Method.CODE, door.admission.code)
    guess(GUESSES - 1)
    assert len(door.codes) == 1
    assert door.knock(alice, Method.CODE, door.admission.code) is Method.CODE


def test_guesses_at_a_code_that_is_over_do_not_count_for_the_next(alice, bob):
    door = Door(bob, words=2)
    late = [door.begin(alice, Method.CODE, GUESS) for _ in range(GUESSES)]
    door.knock(alice, Method.CODE, door.admission.code)
    for each in late:
        with pytest.raises(NotAdmitted):
            door.end(*each)
    assert len(door.codes) == 1


def test_of_two_who_use_a_code_at_once_the_second_is_told_that_it_was_valid(alice, bob):
    door = Door(bob, words=2)
    both = [door.begin(alice, Method.CODE, door.admission.code) for _ in range(2)]
    assert door.end(*both[0]) is Method.CODE
    with pytest.raises(NotAdmitted, match="valid a moment ago"):
        door.end(*both[1])


def test_a_code_of_hardly_anything_is_refused_at_once(bob):
    with pytest.raises(SecurityError, match="no code"):
        Door(bob, code="1")
