"""Listeners that announce themselves, by real multicast on this machine."""

import secrets
import socket
from collections.abc import Callable

import pytest
from zeroconf import ServiceInfo, Zeroconf

from tests.peers import wait_until
from voicemux.errors import Unreachable
from voicemux.net import neighbours
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.net.neighbours import Announcement, Neighbour, find_neighbours

HOST = "192.0.2.7"


class Told:
    """What an announcement tells."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.errors: list[Unreachable] = []

    def announce(self, name: str, *hosts: str, port: int = 8689) -> Announcement:
        announcement = Announcement(name, port, hosts, self.names.append, self.errors.append)
        wait_until(lambda: self.names or self.errors)
        return announcement


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def name() -> str:
    """One that no other test, and no other machine of this network, has."""
    return f"bob {secrets.token_hex(4)}"


def found(name: str, until: Callable[[list[Neighbour]], bool]) -> list[Neighbour]:
    """Those whose name begins so, as soon as they are as expected; multicast may get lost."""
    for _ in range(10):
        seen = [each for each in find_neighbours(1.0) if each.name.startswith(name)]
        if until(seen):
            return seen
    raise AssertionError(seen)


def test_who_is_announced_is_found_until_it_is_taken_back(told: Told, name: str) -> None:
    announcement = told.announce(name, "fd00::7", HOST)
    assert found(name, bool) == [Neighbour(name, (Address(HOST, 8689), Address("fd00::7", 8689)))]
    announcement.close()
    found(name, lambda seen: not seen)


def test_two_of_one_name_are_told_apart(told: Told, name: str) -> None:
    first, other = told.announce(name, HOST), Told()
    second = other.announce(name, HOST, port=8700)
    try:
        assert other.names != told.names == [name]
        ports = {each.name: each.places[0].port for each in found(name, lambda seen: len(seen) == 2)}
        assert ports == {told.names[0]: 8689, other.names[0]: 8700}
    finally:
        first.close()
        second.close()


def test_what_is_announced_names_nothing_that_the_user_has_not_named(told: Told) -> None:
    announcement = told.announce("", HOST)
    try:
        assert told.names[0].startswith(neighbours.NAMELESS)
        with Zeroconf() as network:
            info = network.get_service_info(neighbours.SERVICE, f"{told.names[0]}.{neighbours.SERVICE}", 10_000)
            assert info
            assert socket.gethostname().lower() not in f"{info.name} {info.server} {info.text!r}".lower()
            assert not info.properties or set(info.properties) == {b""}
    finally:
        announcement.close()


@pytest.mark.parametrize("name", ["x" * 300, "ä" * 60, "a\nb\x1b[2J", "bob.alice._http._tcp.local."])
def test_a_name_of_any_kind_can_be_announced(name: str, told: Told) -> None:
    announcement = told.announce(name, HOST)
    announcement.close()
    assert told.names, told.errors


NOWHERE = [("127.0.0.1", 1), ("::1", 1), ("224.0.0.1", 1), ("0.0.0.0", 1), (HOST, 0)]


def test_who_says_that_it_is_this_machine_or_nowhere_is_not_shown(name: str) -> None:
    """A dialler expects the key of any contact at a loopback address, because tunnels begin there."""
    with Zeroconf() as network:
        for number, (host, port) in enumerate([*NOWHERE, (HOST, 1)]):
            register(network, f"{name} {number}", host, port)
        assert [each.name for each in found(name, bool)] == [f"{name} {len(NOWHERE)}"]


def test_a_crowd_is_not_believed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(neighbours, "MOST_FOUND", 2)
    with Zeroconf() as network:
        for number in range(3):
            register(network, f"{name} {number}", HOST, 1)
        assert len(found(name, lambda seen: len(seen) == 2)) == 2


def register(network: Zeroconf, name: str, host: str, port: int) -> None:
    """At once: nobody else has the name."""
    service = neighbours.SERVICE
    server = f"{secrets.token_hex(4)}.local."
    info = ServiceInfo(service, f"{name}.{service}", port=port, server=server, parsed_addresses=[host])
    network.register_service(info, cooperating_responders=True)


def test_where_there_is_no_network_both_say_so(monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(neighbours, "Zeroconf", refuse)
    told.announce("bob", HOST).close()
    assert "network is unreachable" in str(told.errors[0])
    with pytest.raises(Unreachable, match="network is unreachable"):
        find_neighbours(0.1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_listener_that_only_this_machine_reaches_has_nothing_to_announce(host: str) -> None:
    listener = ListeningSockets(host, 0)
    try:
        assert listener.numbers() == []
    finally:
        listener.close()


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_a_listener_on_every_interface_announces_addresses_as_others_reach_it(host: str | None) -> None:
    listener = ListeningSockets(host, 0)
    try:
        assert not {"0.0.0.0", "::", "127.0.0.1", "::1", "localhost"} & set(listener.numbers())
    finally:
        listener.close()
