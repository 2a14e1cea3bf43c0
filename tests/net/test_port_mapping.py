"""A port of the router's is had and given back. The router here is a list of what it was asked; tests/nat has one."""

import sys

import pytest

from tests.peers import wait_until
from voicemux.errors import LibraryMissing, Unreachable
from voicemux.net.address import Address
from voicemux.net.port_mapping import TRIES, PortMapping, UpnpRouter


class Asked:
    """A router."""

    def __init__(self, taken: tuple[int, ...] = (), *, is_there: bool = True) -> None:
        self.mapped: dict[int, int] = {}
        self.refusals = 0
        self._taken = taken
        self._is_there = is_there

    def find(self) -> None:
        if not self._is_there:
            raise Unreachable("no router here opens ports by UPnP (none)")

    def map(self, outside: int, port: int) -> Address:
        if outside in self._taken:
            self.refusals += 1
            raise Unreachable("no router here opens ports by UPnP (conflict)")
        self.mapped[outside] = port
        return Address("198.51.100.12", outside)

    def unmap(self, outside: int) -> None:
        del self.mapped[outside]


def test_a_port_is_had_for_as_long_as_it_takes_and_given_back():
    router, told = Asked(), list[str]()
    mapping = PortMapping(8689, router, told.append)
    mapping.start()
    wait_until(lambda: told)
    assert mapping.address == Address("198.51.100.12", 8689)
    assert told == ["the router lets callers in: 198.51.100.12 leads to this machine"]
    assert router.mapped == {8689: 8689}
    mapping.close()
    assert router.mapped == {}
    assert mapping.address is None


def test_another_port_is_had_where_another_machine_has_ours():
    router, told = Asked(taken=(8689,)), list[str]()
    mapping = PortMapping(8689, router, told.append)
    mapping.start()
    wait_until(lambda: told)
    assert mapping.address
    assert router.mapped == {mapping.address.port: 8689}
    mapping.close()


@pytest.mark.parametrize("router", [Asked(is_there=False), Asked(taken=tuple(range(65_536)))])
def test_without_a_router_that_does_it_the_user_is_told_once(router: Asked):
    told: list[str] = []
    mapping = PortMapping(8689, router, told.append)
    mapping.start()
    mapping.close()
    wait_until(lambda: told)
    assert len(told) == 1
    assert router.refusals <= TRIES


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "miniupnpc", None)
    with pytest.raises(LibraryMissing, match="miniupnpc"):
        UpnpRouter()


class Library:
    """miniupnpc, with a router that says of its address what it likes."""

    said: str | None = ""
    lanaddr = "192.168.1.2"

    def __init__(self) -> None:
        self.mapped: list[int] = []

    @staticmethod
    def UPnP() -> "Library":
        return LIBRARY

    def addportmapping(self, outside: int, *_: object) -> None:
        self.mapped.append(outside)

    def deleteportmapping(self, outside: int, _: str) -> None:
        self.mapped.remove(outside)

    def externalipaddress(self) -> str | None:
        return self.said


LIBRARY = Library()


@pytest.mark.parametrize("said", ["", "(null)", "None", None, "198.51.100.256", "router.example", "x" * 1000])
def test_a_router_without_an_address_of_its_own_opens_nothing(said: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "miniupnpc", Library)
    monkeypatch.setattr(Library, "said", said)
    with pytest.raises(Unreachable, match="does not know its own address"):
        UpnpRouter().map(8689, 8689)
    assert LIBRARY.mapped == []


@pytest.mark.parametrize(("host", "is_far"), [("198.51.100.12", True), ("192.168.0.4", False), ("100.64.1.1", False)])
def test_a_router_behind_another_one_is_told_of(host: str, is_far: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Asked, "map", lambda self, outside, port: Address(host, outside))
    monkeypatch.setattr(Asked, "unmap", lambda self, outside: None)
    told: list[str] = []
    mapping = PortMapping(8689, Asked(), told.append)
    mapping.start()
    wait_until(lambda: told)
    mapping.close()
    assert ("another router before it" not in told[0]) == is_far
