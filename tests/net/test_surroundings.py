"""Whether the way to a peer may have changed."""

from voicemux.net.listener import addresses_towards
from voicemux.net.surroundings import LOOK_INTERVAL, NAP, Surroundings


class Machine:
    def __init__(self) -> None:
        self.addresses = ["192.168.1.5"]
        self.slept = 1000.0
        self.now = 0.0
        self.surroundings = Surroundings(lambda: self.addresses, lambda: self.slept)

    def changes(self) -> bool:
        """Whether anything is said to have changed by the next look at the addresses, and then no more."""
        self.now += LOOK_INTERVAL
        changed = self.surroundings.have_changed(self.now)
        assert not self.surroundings.have_changed(self.now)
        return changed


def test_what_stays_the_same_is_no_change():
    machine = Machine()
    assert [machine.changes() for _ in range(3)] == [False, False, False]


def test_an_address_that_goes_or_comes_is_a_change_once():
    machine = Machine()
    changes = []
    for addresses in ([], [], ["10.0.0.7"], ["10.0.0.7"], ["10.0.0.8"]):
        machine.addresses = addresses
        changes.append(machine.changes())
    assert changes == [True, False, True, False, True]


def test_a_sleep_is_a_change_and_the_drift_of_two_clocks_is_not():
    machine = Machine()
    machine.slept += NAP / 2
    assert not machine.changes()
    machine.slept += 60
    assert machine.changes()


def test_the_address_towards_this_machine_is_its_own():
    assert addresses_towards("127.0.0.1") == ["127.0.0.1"]
    assert isinstance(addresses_towards("a-name"), list)
