"""Who is joined with whom at a relay of a cluster: what other relays have comes as an answer."""

from tests.relay.test_desk import ONE, TWO, Person, Stage, codes
from voicemux.net.address import Address
from voicemux.relay.cluster_desk import ClusterDesk
from voicemux.relay.desk import ABSENT_SECONDS, CALL_PATIENCE, Ask, Join, Step, Tell
from voicemux.relay.limits import Limits
from voicemux.relay.messages import CallFor, Moved, Parked, Refused, RefusedCode, Wait

ELSEWHERE = Address("two.relay.example.org", 8690)
FEW = Limits(calls=2)


class ClusterStage(Stage):
    """A desk that asks, with a clock."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008
        super().__init__(limits)
        self.desk: ClusterDesk[Person] = ClusterDesk(limits)

    def answered(self, person: Person, place: Address | None = None) -> list[Step[Person]]:
        return self.desk.answered(person, place, self.now)

    def waits_for_all(self, name: str, *ids: bytes) -> Person:
        """A listener of whose ids the others know nothing."""
        person = self.waits(name, *ids)
        self.steps = self.answered(person)
        return person


def test_a_listener_waits_when_no_other_relay_has_its_id() -> None:
    stage = ClusterStage()
    bob = stage.waits("bob", ONE, TWO)
    assert stage.steps == [Ask(bob, Wait(b"bob".ljust(16), (ONE, TWO)))]
    assert stage.desk.take_changes() == {}
    assert [step.reply for step in stage.answered(bob) if isinstance(step, Tell)] == [Parked(Address("192.0.2.1", 7))]
    assert stage.desk.take_changes() == dict.fromkeys((ONE, TWO), b"bob".ljust(16))
    stage.desk.leave(bob)
    assert stage.desk.take_changes() == {ONE: b"", TWO: b""}


def test_an_id_that_another_owner_has_elsewhere_is_taken() -> None:
    stage = ClusterStage()
    bob = stage.waits("bob", ONE)
    assert codes(stage.answered(bob, ELSEWHERE)) == [RefusedCode.TAKEN]
    assert stage.desk.counts.connections_now == 0


def test_a_call_for_an_id_that_waits_here_asks_no_one() -> None:
    stage = ClusterStage()
    bob = stage.waits_for_all("bob", ONE)
    alice = stage.calls("alice", ONE)
    assert stage.steps[-1] == Join(alice, bob)


def test_a_call_for_an_id_that_waits_elsewhere_is_moved_there() -> None:
    stage = ClusterStage()
    alice = stage.calls("alice", TWO, ONE)
    assert stage.steps == [Ask(alice, CallFor((TWO, ONE)))]
    assert stage.answered(alice, ELSEWHERE) == [Tell(alice, Moved(ELSEWHERE))]
    assert stage.desk.counts.connections_now == 0


def test_a_call_for_an_id_that_waits_nowhere_is_absent() -> None:
    stage = ClusterStage()
    alice = stage.calls("alice", ONE)
    assert stage.answered(alice) == [Tell(alice, Refused(RefusedCode.ABSENT, ABSENT_SECONDS))]


def test_who_comes_to_wait_here_while_others_are_asked_gets_the_call() -> None:
    stage = ClusterStage()
    alice = stage.calls("alice", ONE)
    bob = stage.waits_for_all("bob", ONE)
    assert stage.answered(alice)[-1] == Join(alice, bob)


def test_a_kept_call_is_moved_when_its_listener_has_come_back_elsewhere() -> None:
    stage = ClusterStage()
    stage.waits_for_all("bob", ONE)
    stage.calls("alice", ONE)
    carol = stage.calls("carol", ONE)
    assert stage.answered(carol) == []  # kept
    stage.now += CALL_PATIENCE
    assert stage.desk.due(stage.now) == [Ask(carol, CallFor((ONE,)))]
    assert stage.desk.next_time is None
    assert stage.answered(carol, ELSEWHERE) == [Tell(carol, Moved(ELSEWHERE))]


def test_a_kept_call_is_absent_when_its_listener_has_come_back_nowhere() -> None:
    stage = ClusterStage()
    stage.waits_for_all("bob", ONE)
    stage.calls("alice", ONE)
    carol = stage.calls("carol", ONE)
    stage.answered(carol)
    stage.now += CALL_PATIENCE
    stage.desk.due(stage.now)
    assert codes(stage.answered(carol)) == [RefusedCode.ABSENT]
    assert stage.desk.counts.calls_kept_now == 0


def test_a_listener_gives_way_to_its_owner_elsewhere_and_to_no_other() -> None:
    stage = ClusterStage()
    bob = stage.waits_for_all("bob", ONE)
    assert stage.desk.give_up(ONE, b"eve".ljust(16)) == []
    assert stage.desk.give_up(ONE, b"bob".ljust(16)) == [Tell(bob, Refused(RefusedCode.TAKEN))]
    assert stage.desk.give_up(ONE, b"bob".ljust(16)) == []


def test_for_a_moment_after_a_call_the_id_stays_its_listeners_in_the_whole_cluster() -> None:
    bobs = b"bob".ljust(16)
    stage = ClusterStage()
    stage.waits_for_all("bob", ONE, TWO)
    stage.desk.take_changes()
    stage.calls("alice", ONE)
    assert stage.desk.take_changes() == {ONE: bobs, TWO: bobs}
    assert stage.desk.give_up(ONE, bobs) == []  # it has come back at another relay
    assert stage.desk.take_changes() == {ONE: b""}
    stage.now += CALL_PATIENCE
    stage.desk.due(stage.now)
    assert stage.desk.take_changes() == {TWO: b""}


def test_who_has_gone_meanwhile_or_is_told_that_the_relay_ends_needs_no_answer() -> None:
    stage = ClusterStage()
    alice, bob = stage.calls("alice", ONE), stage.waits("bob", TWO)
    stage.desk.leave(alice)
    stage.desk.close(5, ELSEWHERE)
    assert stage.answered(alice, ELSEWHERE) == []
    assert stage.answered(bob) == [Tell(bob, Moved(ELSEWHERE))]


def test_a_flood_of_calls_asks_others_as_little_as_it_may_call() -> None:
    stage = ClusterStage(FEW)
    for number in range(5):
        stage.calls(f"eve {number}", ONE)
        assert isinstance(stage.steps[0], Ask) == (number < FEW.calls)
