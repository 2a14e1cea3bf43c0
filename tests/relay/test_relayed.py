"""Streams through a relay: of a dialler, and of a listener that waits."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.places import free_port
from tests.peers import PATIENCE, wait_until
from tests.relay.running import Client, refusal, relay, waiting
from tests.security.certificates import served
from voicemux.errors import Kind, RemoteProtocolError, SecurityError, Unreachable, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.stream import Stream
from voicemux.net.ways import SocksProxy, parse_socks
from voicemux.relay.certificate import Certificate
from voicemux.relay.encoding import encoded
from voicemux.relay.ids import id_of_number
from voicemux.relay.messages import CallFor, Moved, Paired, Parked, RefusedCode
from voicemux.relay.places import RelayedWay, RelayPlace
from voicemux.relay.post import Post
from voicemux.relay.relayed import RelayedStream, reach_relayed, seen_at
from voicemux.relay.wire import PREFACE

ID = id_of_number("4711")
OWNER = b"o" * 16


class Listening:
    """A post, and what it tells."""

    def __init__(self, place: RelayPlace, ids: tuple[bytes, ...] = (ID,)) -> None:
        self.ids = ids
        self.callers: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self.told: queue.SimpleQueue[VoicemuxError | None] = queue.SimpleQueue()
        self.post = Post(place, OWNER, lambda: self.ids, self.told.put)

    def __enter__(self) -> "Listening":
        self.post.try_once(PATIENCE)
        self.post.start(self.callers.put)
        return self

    def __exit__(self, *_: object) -> None:
        self.post.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self.callers.get_nowait().close()


def call(place: RelayPlace, number: str = "4711") -> RelayedStream:
    return reach_relayed(RelayedWay(place, (id_of_number(number),), number))


def check(one: Stream, other: Stream) -> None:
    """That they are connected, and that an end goes through."""
    for stream in (one, other):
        stream.set_timeout(PATIENCE)
    one.write(b"there")
    assert other.read() == b"there"
    other.write(b"back")
    assert one.read() == b"back"
    one.finish()
    assert other.read() == b""
    one.close()
    other.close()


def test_calls_come_one_after_the_other() -> None:
    with relay() as (_, place), Listening(place) as listening:
        for _ in range(3):
            check(call(place), listening.callers.get(timeout=PATIENCE))
        assert listening.told.empty()


def test_a_relayed_stream_says_which_relay_it_goes_through() -> None:
    with relay() as (_, place), Listening(place) as listening, contextlib.closing(call(place)) as stream:
        assert stream.relay == str(place)
        with contextlib.closing(listening.callers.get(timeout=PATIENCE)) as other:
            assert other.relay == str(place)
            assert not other.is_secure
            assert not other.peer_certificate


def test_no_one_waits() -> None:
    with relay() as (_, place), pytest.raises(Unreachable, match="no one waits under number 4711") as caught:
        call(place)
    assert caught.value.kind is Kind.NOT_WAITING


def test_no_relay() -> None:
    with pytest.raises(Unreachable, match="the relay cannot be reached") as caught:
        call(RelayPlace(Address("127.0.0.1", free_port())))
    assert caught.value.kind is Kind.NO_RELAY


def test_no_proxy_on_the_way_to_the_relay() -> None:
    with relay() as (_, place), pytest.raises(Unreachable, match="cannot reach the proxy") as caught:
        call(replace(place, proxy=SocksProxy(Address("127.0.0.1", free_port()))))
    assert caught.value.kind is Kind.NO_PROXY


def test_a_number_that_another_program_has() -> None:
    with relay() as (_, place), waiting(place, ID, owner=b"another's".ljust(16)):
        with pytest.raises(Unreachable) as caught, Listening(place):
            pass
        assert caught.value.kind is Kind.NUMBER_TAKEN


def test_a_listener_comes_back_when_its_relay_does() -> None:
    port = free_port()
    place = RelayPlace(Address("127.0.0.1", port))
    with contextlib.ExitStack() as first:
        first.enter_context(relay(port=port))
        with Listening(place) as listening:
            first.close()
            assert isinstance(listening.told.get(timeout=PATIENCE), VoicemuxError)
            with relay(port=port):
                assert listening.told.get(timeout=PATIENCE) is None
                check(call(place), listening.callers.get(timeout=PATIENCE))


def test_a_listener_waits_for_other_ids_when_there_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.relay.post.CHECK", 0.05)
    with relay() as (_, place), Listening(place) as listening:
        listening.ids = (id_of_number("1"), id_of_number("2"))

        def is_there() -> bool:
            with contextlib.suppress(Unreachable):
                call(place, "2").close()
                return True
            return False

        wait_until(is_there)
        with pytest.raises(Unreachable):
            call(place)


def test_a_listener_that_closes_waits_no_more() -> None:
    with relay() as (server, place):
        with Listening(place):
            assert server.counts.waits_now == 1
        wait_until(lambda: server.is_empty)


@contextlib.contextmanager
def false_relay(*answers: bytes) -> Iterator[RelayPlace]:
    """Gives each connection one of these answers, whatever it says; the last again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        place = RelayPlace(Address("127.0.0.1", server.getsockname()[1]))

        def serve() -> None:
            left = list(answers)
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(1000)
                        connection.sendall(left.pop(0) if len(left) > 1 else left[0])
                        connection.shutdown(socket.SHUT_WR)
                        connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield place
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_relay_that_moves_us_is_followed() -> None:
    with (
        relay() as (_, place),
        Listening(place) as listening,
        false_relay(PREFACE + encoded(Moved(place.address))) as other,
    ):
        check(call(other), listening.callers.get(timeout=PATIENCE))


def test_a_relay_that_moves_us_in_circles_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    with false_relay(PREFACE + encoded(Moved(Address("127.0.0.1", port)))) as first, pytest.raises(Unreachable):
        call(first)
    with contextlib.ExitStack() as them:
        last = them.enter_context(false_relay(PREFACE + encoded(Parked(Address("192.0.2.1", 1)))))
        for _ in range(4):
            last = them.enter_context(false_relay(PREFACE + encoded(Moved(last.address))))
        with pytest.raises(Unreachable, match="from one relay to the next"):
            call(last)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        PREFACE + encoded(Paired(bytes(32), Address("192.0.2.1", 1))),
        PREFACE + encoded(Parked(Address("192.0.2.1", 1))),
        PREFACE + b"\xff\xff\x12\0",
    ],
)
def test_a_relay_that_talks_nonsense_is_left(answer: bytes) -> None:
    with false_relay(answer) as place, pytest.raises(RemoteProtocolError):
        call(place)


def test_of_a_relay_that_says_nothing_the_relay_is_blamed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        way = RelayedWay(RelayPlace(Address("127.0.0.1", server.getsockname()[1])), (ID,), "4711")
        with pytest.raises(Unreachable) as caught:
            reach_relayed(way, timeout=0.2)
    assert caught.value.kind is Kind.NO_RELAY


def test_a_relay_that_joins_us_with_no_one_at_once_again_and_again_costs_little() -> None:
    seen = Address("192.0.2.1", 1)
    lie = PREFACE + encoded(Parked(seen)) + encoded(Paired(ID, seen))
    with false_relay(lie) as place, Listening(place) as listening:
        for _ in range(3):
            listening.callers.get(timeout=PATIENCE).close()
        threading.Event().wait(1.0)
        assert listening.callers.qsize() < 20


@contextlib.contextmanager
def tls_relay(folder: Path, host: str) -> Iterator[RelayPlace]:
    certificate, key = served(host)
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    context = Certificate(folder / "cert.pem", folder / "key.pem").context
    with relay(context=context) as (_, place):
        yield place


def test_a_call_goes_through_tls_to_the_relay_and_without_on_one_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_relay(tmp_path, "localhost") as place:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        secret = RelayPlace(Address("localhost", place.address.port), is_tls=True)
        with Listening(secret) as listening:
            check(call(secret), listening.callers.get(timeout=PATIENCE))
            check(call(place), listening.callers.get(timeout=PATIENCE))


@pytest.mark.parametrize("is_known", [True, False])
def test_a_certificate_that_does_not_fit_ends_it(
    is_known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For another name, or of an authority that this system does not know."""
    with tls_relay(tmp_path, "other.example.org" if is_known else "localhost") as place:
        if is_known:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with pytest.raises(SecurityError, match="not who it should be"):
            call(RelayPlace(Address("localhost", place.address.port), is_tls=True))


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    with pytest.raises(SecurityError, match=r"cannot use the certificate .*: PEM files are expected$"):
        Certificate(tmp_path / "cert.pem", tmp_path / "cert.pem")
    for name, content in zip(("one.pem", "two.pem"), (served("a.example.org"), served("b.example.org")), strict=True):
        (tmp_path / name).write_bytes(b"".join(content))
    with pytest.raises(SecurityError, match=r"they do not belong together$"):
        Certificate(tmp_path / "one.pem", tmp_path / "two.pem")
    with pytest.raises(SecurityError, match="no such file"):
        Certificate(tmp_path / "none.pem", tmp_path / "cert.pem")


def test_a_renewed_certificate_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.relay.certificate.CHECK", 0.0)
    for name, content in zip(("cert.pem", "key.pem"), served("one.example.org"), strict=True):
        (tmp_path / name).write_bytes(content)
    certificate = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    before = certificate.context()
    assert certificate.context() is before
    (tmp_path / "cert.pem").write_bytes(b"half of it")
    assert certificate.context() is before
    for name, content in zip(("cert.pem", "key.pem"), served("two.example.org"), strict=True):
        (tmp_path / name).write_bytes(content)
    assert certificate.context() is not before


def test_a_full_relay_says_so() -> None:
    from voicemux.relay.limits import Limits

    with relay(Limits(calls=1)) as (_, place):
        with Client(place, CallFor((ID,))) as first:
            assert refusal(first) == RefusedCode.ABSENT
        with pytest.raises(Unreachable, match="takes no more from here now: try again in"):
            call(place)


def test_what_a_relay_sees_of_us_through_a_proxy_is_not_ours():
    seen, place = Address("198.51.100.2", 41394), RelayPlace(Address("relay.example.org", 8690))
    assert seen_at(place, Paired(ID, seen)) == seen
    assert seen_at(replace(place, proxy=parse_socks("127.0.0.1")), Paired(ID, seen)) is None
