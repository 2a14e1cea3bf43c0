"""Who is joined with whom at a relay, by hand and by hypothesis."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicemux.net.address import Address
from voicemux.relay.desk import (
    ASK_PATIENCE,
    CALL_PATIENCE,
    MOST_KEPT_CALLS_OF_AN_ID,
    Cut,
    Desk,
    Join,
    Step,
    Tell,
)
from voicemux.relay.ids import id_of_number
from voicemux.relay.limits import MOST_REMEMBERED, CallRate, Limits, place_of
from voicemux.relay.messages import CallFor, Moved, Paired, Parked, Refused, RefusedCode, Token, Wait

ONE, TWO, THREE = (id_of_number(str(number)) for number in (4711, 4712, 4713))
HERE = Address("192.0.2.1", 1)


class Person:
    """Someone with a connection to the relay, by a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Stage:
    """A desk with a clock."""

    def __init__(self, limits: Limits = Limits(), tokens: tuple[str, ...] = ()) -> None:  # noqa: B008
        self.desk: Desk[Person] = Desk(limits, tokens)
        self.now = 100.0

    def comes(self, name: str, host: str = HERE.host) -> Person:
        person = Person(name)
        self.steps = self.desk.enter(person, Address(host, 7), self.now)
        return person

    def says(self, person: Person, *requests: Any) -> list[Step[Person]]:
        return [step for each in requests for step in self.desk.hear(person, each, self.now)]

    def waits(self, name: str, *ids: bytes, owner: str = "", host: str = HERE.host) -> Person:
        person = self.comes(name, host)
        self.steps = self.says(person, Wait((owner or name).encode().ljust(16), ids))
        return person

    def calls(self, name: str, *ids: bytes, host: str = HERE.host) -> Person:
        person = self.comes(name, host)
        self.steps = self.says(person, CallFor(ids))
        return person


def codes(steps: Sequence[Step[Any]]) -> list[int]:
    return [step.reply.code for step in steps if isinstance(step, Tell) and isinstance(step.reply, Refused)]


def test_a_call_is_joined_with_who_waits() -> None:
    stage = Stage()
    bob = stage.waits("bob", ONE, TWO)
    assert stage.steps == [Tell(bob, Parked(Address(HERE.host, 7)))]
    alice = stage.calls("alice", THREE, TWO)
    seen = Address(HERE.host, 7)
    assert stage.steps == [Tell(alice, Paired(TWO, seen)), Tell(bob, Paired(TWO, seen)), Join(alice, bob)]


def test_an_id_that_no_one_waits_for_is_absent() -> None:
    stage = Stage()
    stage.calls("alice", ONE)
    assert codes(stage.steps) == [RefusedCode.ABSENT]


def test_an_id_is_free_again_when_its_listener_has_gone() -> None:
    stage = Stage()
    stage.desk.leave(stage.waits("bob", ONE))
    stage.calls("alice", ONE)
    assert codes(stage.steps) == [RefusedCode.ABSENT]
    stage.waits("carol", ONE)
    assert codes(stage.steps) == []


def test_another_owner_does_not_get_a_taken_id() -> None:
    stage = Stage()
    bob = stage.waits("bob", ONE)
    stage.waits("eve", TWO, ONE)
    assert codes(stage.steps) == [RefusedCode.TAKEN]
    stage.calls("alice", ONE)
    assert bob in [step.waiting for step in stage.steps if isinstance(step, Join)]


def test_no_one_gets_the_number_of_a_listener_by_calling_it() -> None:
    """After a call the listener waits anew, a round trip later."""
    stage = Stage()
    bob = stage.waits("bob", ONE)
    stage.calls("eve", ONE, host="192.0.2.2")
    stage.waits("eve", ONE, host="192.0.2.2")
    assert codes(stage.steps) == [RefusedCode.TAKEN]
    again = stage.waits("bob again", ONE, owner="bob")
    assert codes(stage.steps) == []
    stage.desk.leave(again)  # it is not kept for a listener that has gone
    stage.waits("carol", ONE)
    assert codes(stage.steps) == []
    # Nor for ever for one that does not come back.
    stage.calls("alice", ONE)
    stage.desk.leave(bob)
    stage.now += CALL_PATIENCE
    stage.waits("dave", ONE)
    assert codes(stage.steps) == []


def test_the_same_owner_replaces_its_older_connection() -> None:
    stage = Stage()
    old = stage.waits("old", ONE, TWO, owner="bob")
    new = stage.waits("new", ONE, owner="bob")
    assert [step.guest for step in stage.steps if isinstance(step, Tell)] == [old, new]
    assert codes(stage.steps) == [RefusedCode.TAKEN]
    stage.calls("alice", TWO)  # which only the older one waited for
    assert codes(stage.steps) == [RefusedCode.ABSENT]
    stage.calls("alice", ONE)
    assert stage.steps[-1].waiting is new  # type: ignore[union-attr]


def test_a_second_caller_is_kept_until_the_listener_is_back() -> None:
    stage = Stage()
    stage.waits("bob", ONE)
    stage.calls("alice", ONE)
    carol = stage.calls("carol", ONE)
    assert stage.steps == []
    stage.now += 0.2
    bob = stage.waits("bob", ONE)
    assert stage.steps[-1] == Join(carol, bob)


def test_a_kept_caller_is_told_when_the_listener_does_not_come_back() -> None:
    stage = Stage()
    stage.waits("bob", ONE)
    stage.calls("alice", ONE)
    stage.calls("carol", ONE)
    assert stage.desk.next_time == stage.now + CALL_PATIENCE
    assert codes(stage.desk.due(stage.now + CALL_PATIENCE)) == [RefusedCode.ABSENT]
    stage.now += CALL_PATIENCE
    stage.calls("dave", ONE)
    assert codes(stage.steps) == [RefusedCode.ABSENT]


def test_few_callers_are_kept_for_an_id() -> None:
    stage = Stage()
    stage.waits("bob", ONE)
    stage.calls("alice", ONE)
    for number in range(MOST_KEPT_CALLS_OF_AN_ID):
        stage.calls(f"caller {number}", ONE)
        assert stage.steps == []
    stage.calls("one more", ONE)
    assert codes(stage.steps) == [RefusedCode.ABSENT]


def test_who_asks_for_nothing_is_cut() -> None:
    stage = Stage()
    eve = stage.comes("eve")
    assert stage.desk.due(stage.now + ASK_PATIENCE - 0.1) == []
    assert stage.desk.due(stage.now + ASK_PATIENCE) == [Cut(eve)]
    assert stage.desk.next_time is None


def test_an_address_has_its_limits() -> None:
    stage = Stage(Limits(unasked=2, waits=3, calls=4, pairs=2))
    stage.comes("silent"), stage.comes("silent")
    third = stage.comes("silent")
    assert stage.steps == [Cut(third)]
    stage.now += ASK_PATIENCE
    stage.desk.due(stage.now)
    for number in range(3):
        stage.waits("bob", id_of_number(str(number)))
        assert codes(stage.steps) == []
    stage.waits("bob", THREE)
    assert codes(stage.steps) == [RefusedCode.LIMIT]
    stage.waits("another address", THREE, host="192.0.2.2")
    assert codes(stage.steps) == []
    stage.calls("alice", id_of_number("0"))
    assert codes(stage.steps) == []
    stage.calls("alice", id_of_number("1"))  # one pair is two connections of this address
    assert codes(stage.steps) == [RefusedCode.LIMIT]


def test_who_begins_to_wait_again_and_again_waits_a_while_and_calls_do_not_count() -> None:
    stage = Stage(Limits(waits=2, waits_anew=3, calls=100))
    for _ in range(20):  # a listener that many call
        bob = stage.waits("bob", ONE)
        assert isinstance(stage.steps[0], Tell)
        assert isinstance(stage.steps[0].reply, Parked)
        alice = stage.calls("alice", ONE, host="192.0.2.2")
        for each in (alice, bob):
            stage.desk.leave(each)
    for _ in range(6):
        stage.desk.leave(stage.waits("eve", TWO))
        assert codes(stage.steps) == []
    eve = stage.waits("eve", TWO)
    assert stage.steps == [Tell(eve, Refused(RefusedCode.LIMIT, 10))]
    stage.waits("another address", THREE, host="192.0.2.3")
    assert codes(stage.steps) == []
    stage.now += 10
    stage.waits("eve", TWO)
    assert codes(stage.steps) == []


def test_enumerating_numbers_costs_a_minute_for_each_handful() -> None:
    stage = Stage()
    for number in range(Limits().calls):
        stage.calls("eve", id_of_number(str(number)))
        assert codes(stage.steps) == [RefusedCode.ABSENT]
    stage.calls("eve", ONE)
    assert codes(stage.steps) == [RefusedCode.LIMIT]
    assert stage.steps[0].reply.seconds == 2  # type: ignore[union-attr]
    stage.now += 2
    stage.calls("eve", ONE)
    assert codes(stage.steps) == [RefusedCode.ABSENT]


def test_a_full_relay_drops_who_is_silent_and_never_who_waits() -> None:
    stage = Stage(Limits(connections=3))
    bob = stage.waits("bob", ONE)
    silent = stage.comes("silent", "192.0.2.7")
    stage.waits("carol", TWO)
    newcomer = stage.comes("newcomer", "192.0.2.8")
    assert stage.steps == [Cut(silent)]
    stage.says(newcomer, Wait(bytes(16), (THREE,)))
    last = stage.comes("last", "192.0.2.9")
    assert stage.steps == [Cut(last)]
    stage.desk.leave(newcomer)
    alice = stage.calls("alice", ONE)
    assert stage.steps[-1] == Join(alice, bob)


def test_calls_of_many_addresses_are_counted_in_bounded_memory() -> None:
    rate = CallRate(30)
    for number in range(MOST_REMEMBERED + 50):
        rate.wait(str(number), 0.0)
    assert len(rate) == MOST_REMEMBERED


def test_a_household_is_one_address() -> None:
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:2")
    assert place_of("192.0.2.1") != place_of("192.0.2.2")


@pytest.mark.parametrize(("said", "is_let_in"), [((), False), (("wrong",), False), (("sesame",), True)])
def test_a_private_relay_is_for_who_says_a_token(said: tuple[str, ...], is_let_in: bool) -> None:
    stage = Stage(tokens=("other", "sesame"))
    bob = stage.comes("bob")
    steps: list[Step[Person]] = []
    for request in (*map(Token, said), Wait(bytes(16), (ONE,))):
        if not codes(steps):
            steps += stage.says(bob, request)
    assert codes(steps) == ([] if is_let_in else [RefusedCode.TOKEN])


def test_an_open_relay_ignores_tokens() -> None:
    stage = Stage()
    assert codes(stage.says(stage.comes("bob"), Token("any"), Wait(bytes(16), (ONE,)))) == []


@pytest.mark.parametrize("elsewhere", [None, Address("other.example.org", 8690)])
def test_a_relay_that_ends_moves_people_on_and_lets_calls_go_on(elsewhere: Address | None) -> None:
    stage = Stage()
    stage.waits("bob", ONE)
    stage.calls("alice", ONE)
    waiting, silent = stage.waits("carol", TWO), stage.comes("silent")
    last = Moved(elsewhere) if elsewhere else Refused(RefusedCode.CLOSING, 5)
    assert stage.desk.close(5, elsewhere) == [Tell(waiting, last), *([] if elsewhere else [Cut(silent)])]
    late = stage.comes("late")
    assert stage.says(late, Wait(bytes(16), (THREE,))) == [Tell(late, last)]
    assert stage.desk.counts.paired_now == 2


class Everything(RuleBasedStateMachine):
    """Whatever happens: nothing is doubled or forgotten, and the counts are right."""

    IDS = (ONE, TWO, THREE)

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(connections=12, unasked=4, waits=4, calls=1000, pairs=6)
        self.desk: Desk[int] = Desk(self.limits)
        self.now = 0.0
        self.numbers = itertools.count()
        self.unasked: list[int] = []
        self.waiting: dict[int, tuple[bytes, ...]] = {}
        self.kept: dict[int, tuple[bytes, ...]] = {}
        self.joined: list[int] = []

    def forget(self, guest: int) -> None:
        self.unasked = [each for each in self.unasked if each != guest]
        self.joined = [each for each in self.joined if each != guest]
        self.waiting.pop(guest, None)
        self.kept.pop(guest, None)

    def take(self, steps: list[Step[int]]) -> None:
        for step in steps:
            if isinstance(step, Cut) or (isinstance(step, Tell) and isinstance(step.reply, Refused)):
                self.forget(step.guest)
            elif isinstance(step, Join):
                common = set(self.waiting.pop(step.waiting)) & set(self.kept.pop(step.caller))
                assert common, "they have no id in common"
                self.joined += [step.caller, step.waiting]

    @rule(host=st.integers(1, 3))
    def comes(self, host: int) -> None:
        guest = next(self.numbers)
        self.unasked.append(guest)
        self.take(self.desk.enter(guest, Address(f"192.0.2.{host}", 1), self.now))

    @precondition(lambda self: self.unasked)
    @rule(ids=st.lists(st.sampled_from(IDS), min_size=1, unique=True), owner=st.sampled_from([b"a", b"b"]))
    def waits(self, ids: list[bytes], owner: bytes) -> None:
        guest = self.unasked.pop(0)
        self.waiting[guest] = tuple(ids)
        self.take(self.desk.hear(guest, Wait(owner * 16, tuple(ids)), self.now))

    @precondition(lambda self: self.unasked)
    @rule(ids=st.lists(st.sampled_from(IDS), min_size=1, unique=True))
    def calls(self, ids: list[bytes]) -> None:
        guest = self.unasked.pop(0)
        is_there = any(set(ids) & set(each) for each in self.waiting.values())
        self.kept[guest] = tuple(ids)
        steps = self.desk.hear(guest, CallFor(tuple(ids)), self.now)
        assert not is_there or codes(steps) == [RefusedCode.LIMIT] or any(isinstance(each, Join) for each in steps)
        self.take(steps)

    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        there = [*self.unasked, *self.waiting, *self.kept, *self.joined]
        if there:
            guest = data.draw(st.sampled_from(there))
            self.desk.leave(guest)
            self.forget(guest)

    @rule(seconds=st.floats(0.1, 6))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.desk.due(self.now))
        assert self.desk.next_time is None or self.desk.next_time > self.now

    @invariant()
    def the_counts_are_right(self) -> None:
        counts = self.desk.counts
        everyone = [*self.unasked, *self.waiting, *self.kept, *self.joined]
        assert len(set(everyone)) == len(everyone) == counts.connections_now <= self.limits.connections
        assert (counts.waits_now, counts.calls_kept_now, counts.paired_now) == (
            len(self.waiting),
            len(self.kept),
            len(self.joined),
        )

    @invariant()
    def an_id_has_one_listener(self) -> None:
        taken = [each for ids in self.waiting.values() for each in ids]
        assert len(taken) == len(set(taken))


TestEverything = Everything.TestCase
