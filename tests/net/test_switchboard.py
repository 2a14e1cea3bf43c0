import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memory import memory_streams
from voicemux.errors import ConnectionLost
from voicemux.net.caller import Caller, is_same
from voicemux.net.switchboard import Offered, Switchboard
from voicemux.protocol.connection import NOT_A_DIALLERS, Receiving, Sending
from voicemux.protocol.messages import Hello, Method
from voicemux.security.handshake import Peer

IDS = itertools.count(1)


def caller(key: str = "") -> Caller:
    """Who has that key; in a plain call, without one."""
    peer = Peer(key, Method.KNOWN, ()) if key else None
    receiving = Receiving(unfit=NOT_A_DIALLERS)
    return Caller(memory_streams()[0], Sending(), receiving, Hello(key), peer, id=next(IDS))


class Desk:
    """A switchboard, and whom it has detached from the reception. `dead` are the callers who give way to others."""

    def __init__(self, capacity: int) -> None:
        self.dead: set[int] = set()
        self.calls = Switchboard(capacity, lambda old, _: old.id in self.dead)
        self.detached: list[Caller] = []

    def offer(self, each: Caller) -> Offered:
        return self.calls.offer(each, lambda: self.detached.append(each))

    def seat(self, key: str = "") -> Caller:
        each = caller(key)
        assert self.offer(each) == Offered()
        assert self.calls.next_caller() is each
        return each


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_as_many_callers_as_there_are_places_are_handed_out_and_the_next_is_not(capacity):
    desk = Desk(capacity)
    seated = [desk.seat(str(number)) for number in range(1, capacity + 1)]
    one_more = caller("one more")
    assert desk.offer(one_more) == Offered(is_busy=True)
    assert desk.detached == seated
    assert desk.calls.taken == capacity
    desk.calls.free(seated[-1])
    assert desk.offer(one_more) == Offered()
    assert desk.calls.next_caller() is one_more


def test_a_place_that_is_freed_twice_is_one_place():
    desk = Desk(1)
    first = desk.seat("alice")
    desk.calls.free(first)
    second = desk.seat("bob")
    desk.calls.free(first)
    assert desk.offer(caller("carol")).is_busy
    assert desk.calls.replacement_of(second) is None


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_who_calls_again_waits_for_the_place_of_its_own_call_and_takes_no_other(capacity):
    desk = Desk(capacity)
    first = desk.seat("alice")
    others = [desk.seat(str(number)) for number in range(1, capacity)]
    again = caller("alice")
    assert desk.offer(again) == Offered(displaces=first)
    assert desk.calls.replacement_of(first) is again
    assert not any(map(desk.calls.replacement_of, others))
    once_more = caller("alice")
    assert desk.offer(once_more) == Offered(displaces=first, drops=again)
    desk.calls.free(first)
    assert desk.calls.next_caller() is once_more
    assert desk.calls.taken == capacity


def test_who_calls_again_takes_no_second_place_where_one_is_free():
    desk = Desk(2)
    first = desk.seat("alice")
    assert desk.offer(caller("alice")).displaces is first
    assert desk.calls.taken == 1


def test_two_plain_callers_are_never_the_same():
    desk = Desk(2)
    assert not is_same(desk.seat(), desk.seat())
    assert desk.offer(caller()).is_busy


def test_who_is_preferred_takes_the_place_of_the_one_that_yields_if_no_other_is_free():
    desk = Desk(2)
    stranger = desk.seat("stranger")
    desk.calls.yield_to(stranger, lambda each: each.hello.name.startswith("friend"))
    friend = desk.seat("friend 1")
    assert desk.offer(caller("another stranger")).is_busy
    second = caller("friend 2")
    assert desk.offer(second) == Offered(displaces=stranger)
    assert desk.offer(caller("friend 3")).is_busy
    assert (desk.calls.replacement_of(stranger), desk.calls.replacement_of(friend)) == (second, None)
    desk.calls.free(stranger)
    assert desk.calls.next_caller() is second


def test_who_is_preferred_and_calls_again_waits_once():
    desk = Desk(1)
    stranger = desk.seat("stranger")
    desk.calls.yield_to(stranger, lambda _: True)
    friend, again = caller("friend"), caller("friend")
    assert desk.offer(friend) == Offered(displaces=stranger)
    assert desk.offer(again) == Offered(displaces=stranger, drops=friend)
    desk.calls.free(stranger)
    assert desk.calls.next_caller() is again


def test_who_has_been_answered_yields_to_nobody():
    desk = Desk(1)
    stranger = desk.seat("stranger")
    desk.calls.yield_to(stranger, lambda _: True)
    desk.calls.yield_to(stranger, None)
    assert desk.offer(caller("friend")).is_busy


def test_a_dead_call_gives_way_to_one_caller_and_only_where_no_place_is_free():
    desk = Desk(2)
    dead = desk.seat("dead")
    desk.dead.add(dead.id)
    desk.seat("alice")
    newcomer = caller()
    assert desk.offer(newcomer) == Offered(displaces=dead)
    assert desk.offer(caller()).is_busy
    desk.calls.free(dead)
    assert desk.calls.next_caller() is newcomer
    roomy = Desk(2)
    roomy.dead.add(roomy.seat("dead").id)
    assert roomy.offer(caller()) == Offered()


def test_an_interruption_is_found_behind_callers_who_keep_their_order():
    desk = Desk(2)
    waiting = [caller("alice"), caller("bob")]
    for each in waiting:
        desk.offer(each)
    desk.calls.check()
    desk.calls.interrupt(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        desk.calls.check()
    assert [desk.calls.next_caller(), desk.calls.next_caller()] == waiting


def test_closing_closes_all_whom_the_owner_has_not_got_and_leaves_the_others():
    desk = Desk(2)
    held = desk.seat("alice")
    in_the_queue, again = caller("bob"), caller("alice")
    desk.offer(in_the_queue)
    desk.offer(again)
    desk.calls.close()
    held.stream.write(b"still open")
    for each in (in_the_queue, again):
        with pytest.raises(ConnectionLost):
            each.stream.write(b"closed")


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["call", "free"]), st.integers(0, 5)), max_size=40),
)
def test_there_are_never_more_calls_than_places_and_never_two_of_one_key(capacity, steps):
    desk, held = Desk(capacity), dict[str, Caller]()
    for step, number in steps:
        key = f"key {number}"
        if step == "call":
            offered = desk.offer(each := caller(key))
            assert offered.is_busy == (key not in held and len(held) == capacity)
            assert (offered.displaces is not None) == (key in held)
            if not offered.is_busy and not offered.displaces:
                held[key] = each
                assert desk.calls.next_caller() is each
        elif freed := held.pop(key, None):
            again = desk.calls.replacement_of(freed)
            desk.calls.free(freed)
            if again:
                held[key] = again
                assert desk.calls.next_caller() is again
        assert desk.calls.taken == len(held) <= capacity
