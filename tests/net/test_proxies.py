"""Ways through a real SOCKS5 proxy, proxies that do not work, and commands."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.peers import wait_until
from voicemux.errors import ConnectionLost, Kind, Unreachable
from voicemux.net import proxies
from voicemux.net.address import Address
from voicemux.net.proxies import connect_by
from voicemux.net.ways import Proxied, ProxyCommand, SocksProxy


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def echo() -> Iterator[Address]:
    """A server that gives back what one caller says, to its end."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Address("127.0.0.1", server.getsockname()[1])
        with socket.create_connection(server.getsockname()[:2]):  # if there was no caller
            pass
        thread.join()


@pytest.fixture
def microsocks() -> Iterator[Callable[..., SocksProxy]]:
    if not shutil.which("microsocks"):
        pytest.fail("SOCKS would be untested: install microsocks (scripts/setup test does)")
    processes = []

    def start(user: str = "", password: str = "") -> SocksProxy:
        port = free_port()
        options = ["-u", user, "-P", password] if user else []
        processes.append(
            subprocess.Popen(["microsocks", "-i", "127.0.0.1", "-p", str(port), *options], stderr=subprocess.DEVNULL)
        )
        wait_until(lambda: is_listening(port))
        return SocksProxy(Address("127.0.0.1", port), user, password)

    yield start
    for process in processes:
        process.kill()
        process.wait()


def says_back(way: Proxied) -> bytes:
    stream = connect_by(way)
    stream.write(b"hello")
    answer = b""
    while len(answer) < len(b"hello") and (data := stream.read()):
        answer += data
    stream.close()
    return answer


@pytest.mark.parametrize("user", [("", ""), ("alice", "sesame")])
def test_bytes_go_through_a_socks_proxy_both_ways_to_their_end(
    user: tuple[str, str], microsocks: Callable[..., SocksProxy], echo: Address
) -> None:
    assert says_back(Proxied(echo, microsocks(*user))) == b"hello"


def test_the_peers_last_words_come_through_a_proxy_that_ends_both_directions_at_once(
    microsocks: Callable[..., SocksProxy], echo: Address
) -> None:
    stream = connect_by(Proxied(echo, microsocks()))
    stream.finish()
    stream.write(b"hello")
    assert stream.read() == b"hello"
    stream.close()


def test_names_are_looked_up_at_the_proxy(
    microsocks: Callable[..., SocksProxy], echo: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = microsocks()
    look_up = socket.getaddrinfo

    def only_the_proxy(host: str, *rest: object, **more: object) -> object:
        assert host == "127.0.0.1"
        return look_up(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", only_the_proxy)
    assert says_back(Proxied(Address("localhost", echo.port), proxy)) == b"hello"


def test_a_proxy_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(Unreachable, match=r"cannot reach the proxy at 127\.0\.0\.1 port") as caught:
        connect_by(Proxied(Address("bob.example", 1), SocksProxy(Address("127.0.0.1", free_port()))))
    assert caught.value.kind is Kind.NO_PROXY


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "abcdefg." * 40 + "example", "a..example", "", "\udc80"])
def test_what_is_no_host_name_is_not_asked_of_a_proxy(host: str) -> None:
    with pytest.raises(Unreachable, match="is not a host name") as caught:
        connect_by(Proxied(Address(host, 1), SocksProxy(Address("127.0.0.1", free_port()))))
    assert caught.value.kind is Kind.NO_SUCH_HOST


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_told(password: str, microsocks: Callable[..., SocksProxy], echo: Address) -> None:
    proxy = microsocks("alice", "sesame")
    with pytest.raises(Unreachable, match=r"the proxy at 127\.0\.0\.1 port"):
        connect_by(Proxied(echo, SocksProxy(proxy.address, "alice" if password else "", password)))


def test_a_proxy_that_finds_no_way_says_so(microsocks: Callable[..., SocksProxy]) -> None:
    with pytest.raises(Unreachable, match=r"finds no way to 127\.0\.0\.1"):
        connect_by(Proxied(Address("127.0.0.1", free_port()), microsocks()))


NO_SOCKS = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"\x05", b"", b"\x05\x00\x05\x04"]


@pytest.mark.parametrize("answer", NO_SOCKS)
def test_what_is_no_proxy_or_breaks_off_is_one_clear_error(answer: bytes) -> None:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(64)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Unreachable, match="the proxy at"):
            connect_by(Proxied(Address("bob.example", 1), SocksProxy(Address("127.0.0.1", server.getsockname()[1]))))
        thread.join()


def test_a_proxy_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "SOCKS_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        way = Proxied(Address("bob.example", 1), SocksProxy(Address("127.0.0.1", server.getsockname()[1])))
        with pytest.raises(Unreachable, match="does not answer"):
            connect_by(way)


def test_a_command_is_the_connection() -> None:
    assert says_back(Proxied(Address("bob.example", 1), ProxyCommand("cat"))) == b"hello"


@pytest.mark.parametrize(
    ("command", "how"),
    [("exit 3", " with exit code 3"), ("kill -9 $$", " by signal 9"), ("no-such-program", " with exit code 127")],
)
def test_a_command_that_ends_without_a_byte_is_told_with_its_exit_code(command: str, how: str) -> None:
    stream = connect_by(Proxied(Address("bob.example", 1), ProxyCommand(f"sh -c '{command}'")))
    with pytest.raises(ConnectionLost, match=f"^the proxy command ended{how}$") as caught:
        stream.read()
    stream.close()
    assert caught.value.kind is Kind.COMMAND_FAILED


def test_a_command_that_ends_with_what_was_said_unread_is_told_likewise() -> None:
    stream = connect_by(Proxied(Address("bob.example", 1), ProxyCommand("sh -c 'sleep 0.2; exit 3'")))
    stream.write(b"hello")
    with pytest.raises(ConnectionLost, match=r"^the proxy command ended with exit code 3$"):
        stream.read()
    stream.close()


def test_a_command_that_does_not_end_with_its_connection_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "COMMAND_END", 0.1)
    stream = connect_by(Proxied(Address("bob.example", 1), ProxyCommand("sleep 1000")))
    stream.close()  # a process that is left is an error of its own
