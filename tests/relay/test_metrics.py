"""What Prometheus is told, whatever else connects to that port."""

import contextlib
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from voicemux.net.address import Address
from voicemux.relay.desk import RelayCounts
from voicemux.relay.metrics import MetricsServer

PATIENCE = 20.0  # seconds for anything on a busy machine


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[MetricsServer]:
    pytest.importorskip("prometheus_client")
    server = MetricsServer(Address(host, 0), RelayCounts)
    server.start()
    with contextlib.closing(server):
        yield server


def read(host: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("said", [b"", b"GET /metr", b"nonsense\r\n\r\n", b"\x16\x03\x01" + bytes(500)])
def test_who_says_nothing_or_nonsense_keeps_no_one_out_and_does_not_hinder_the_end(
    said: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voicemux.relay.metrics.PATIENCE", 0.05)
    with serving() as server, socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(said)
        assert "voicemux_relay_waits_now" in read("127.0.0.1", server.port)
    with serving() as server:  # it ends though a client has just come
        stays = socket.create_connection(("127.0.0.1", server.port))
        stays.sendall(said)
    stays.close()
    assert capfd.readouterr() == ("", "")


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6")
def test_it_may_be_on_ipv6() -> None:
    with serving("::1") as server:
        assert "voicemux_relay_waits_now" in read("[::1]", server.port)
