import contextlib
import errno
import os
import select
import socket
import sys
import threading
import time

import pytest

from tests.peers import PATIENCE, PROMPTLY, connected, line_of, sockets, wait_until
from voicemux.console.remedies import hint
from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError, SecurityError, Unreachable
from voicemux.net import line as line_module
from voicemux.net.address import Address
from voicemux.net.line import (
    CONGESTION_CONTROL_SIZE,
    Line,
    Listener,
    Wake,
    accept,
    dial,
    local_addresses,
    reason,
)
from voicemux.net.tls import dialler_context, listener_context
from voicemux.protocol.wire import PREFACE
from voicemux.security.identity import Identity, load_identity


def has(host: str) -> bool:
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def resolve_to(monkeypatch, *places: tuple[int, tuple[str, int]]) -> None:
    found = [(family, socket.SOCK_STREAM, 0, "", place) for family, place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


needs_ipv6 = pytest.mark.skipif(not has("::1"), reason="this machine has no IPv6")


# --- a line


def test_bytes_cross_both_ways_and_are_counted():
    with connected() as (line, peer):
        line.write(b"there")
        peer.send(b"and back")
        assert peer.socket.recv(100) == b"there"
        assert line.read() == b"and back"
        assert (line.bytes_written, line.bytes_read) == (5, 8)


def test_small_frames_leave_at_once():
    with connected() as (line, _):
        assert line._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernel_knows_the_round_trip_of_a_line_before_anything_was_said():
    with connected() as (line, _):
        assert 0 < line.round_trip() < PROMPTLY


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets one choose")
@pytest.mark.parametrize("is_long", [True, False])
def test_a_long_line_does_not_use_bbr(is_long, monkeypatch):
    monkeypatch.setattr("voicemux.net.line.LONG_ROUND_TRIP", 0.0 if is_long else PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        try:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        except OSError:
            pytest.skip("this system has no bbr, or does not grant it")
        line = Line(near, Address("there", 1))
        name = near.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL_SIZE)
    chosen = name.rstrip(b"\0").decode()
    assert (chosen in line.options, chosen != "bbr") == (is_long, is_long)


def test_a_line_need_not_be_tcp():
    near, far = socket.socketpair()
    with far:
        line = Line(near, Address("here", 1))
        line.write(b"hi")
        assert far.recv(10) == b"hi"
        assert line.round_trip() is None
        line.close()


def test_cutting_wakes_whoever_reads():
    with connected() as (line, peer):
        got = []
        reader = threading.Thread(target=lambda: got.append(line.read()))
        reader.start()
        time.sleep(0.05)
        line.cut()
        reader.join(PROMPTLY)
        assert got == [b""]
        assert peer.socket.recv(10) == b""
        line.cut()


def test_cutting_wakes_whoever_writes():
    with connected(buffers=4096) as (line, _):
        errors = []

        def write() -> None:
            with pytest.raises(ConnectionLost) as lost:
                line.write(bytes(10_000_000))
            errors.append(str(lost.value))

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.05)
        assert writer.is_alive()
        line.cut()
        writer.join(PROMPTLY)
        assert errors == ["the connection broke: broken pipe"]


def test_a_silent_peer_is_a_lost_connection():
    with connected() as (line, _):
        line.set_timeout(0.05)
        with pytest.raises(ConnectionLost, match=r"^nothing came from the other side for 0\.05 s$"):
            line.read()


def test_a_peer_that_takes_nothing_is_a_lost_connection():
    with connected(buffers=4096) as (line, _):
        line.set_timeout(0.05)
        with pytest.raises(ConnectionLost, match=r"^the other side takes nothing for 0\.05 s$"):
            line.write(bytes(10_000_000))


def test_time_is_told_without_the_microseconds_that_were_lost_on_the_way():
    with connected() as (line, _):
        line.timeout = 4.99998
        with pytest.raises(ConnectionLost, match=r"for 5 s$"), line._as_lost("nothing came"):
            raise TimeoutError


def test_a_reset_is_a_lost_connection():
    with connected() as (line, peer):
        peer.reset()
        with pytest.raises(ConnectionLost, match=r"^the connection broke: connection reset by peer$"):
            line.read()
        with pytest.raises(ConnectionLost, match=r"^the connection broke: "):
            line.write(b"anybody there?")


def test_no_system_error_escapes_a_line_that_has_been_closed():
    with connected() as (line, _):
        line.close()
        for action in (line.read, lambda: line.write(b"x")):
            with pytest.raises(ConnectionLost, match=r"^the connection broke: bad file descriptor$"):
                action()
        line.finish()
        line.cut()
        line.close()


def test_whoever_has_finished_can_still_read():
    with connected() as (line, peer):
        line.finish()
        assert peer.socket.recv(10) == b""
        peer.send(b"last words")
        assert line.read() == b"last words"
        peer.finish()
        assert line.read() == b""


# --- a line inside TLS


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> Identity:
    return load_identity(tmp_path_factory.mktemp("keys"))


@contextlib.contextmanager
def encrypted(identity: Identity):
    """Both ends of a line inside TLS, the dialler's first."""
    dialler, listener = map(line_of, sockets())
    try:
        dialler.start_tls(dialler_context(), is_server=False)
        listener.start_tls(listener_context(identity.path), is_server=True, first=listener.read())
        for line in (dialler, listener):
            while not line.is_secure:
                line.receive()
        yield dialler, listener
    finally:
        dialler.close()
        listener.close()


def test_inside_tls_bytes_cross_both_ways(identity):
    with encrypted(identity) as (dialler, listener):
        for mouth, ear in ((dialler, listener), (listener, dialler)):
            before = mouth.bytes_written, ear.bytes_read
            mouth.write(b"there")
            assert ear.read() == b"there"
            assert mouth.bytes_written - before[0] == ear.bytes_read - before[1] > len(b"there")


def test_inside_tls_nothing_is_legible_on_its_way(identity):
    with connected() as (line, peer):
        listener = line_of(peer.socket)
        line.start_tls(dialler_context(), is_server=False)
        listener.start_tls(listener_context(identity.path), is_server=True, first=listener.read())
        while not line.is_secure:
            line.receive()
        line.write(PREFACE + b"a secret")
        on_its_way = peer.socket.recv(65_536)
        assert len(on_its_way) > len(PREFACE)
        assert PREFACE not in on_its_way
        assert b"secret" not in on_its_way


def test_the_dialler_sees_the_listeners_certificate_and_the_listener_none(identity):
    with encrypted(identity) as (dialler, listener):
        assert dialler.peer_certificate == identity.certificate
        assert listener.peer_certificate == b""


def test_a_line_is_not_secure_before_both_have_agreed():
    with connected() as (line, peer):
        assert not line.is_secure
        line.start_tls(dialler_context(), is_server=False)
        assert not line.is_secure
        assert line.peer_certificate == b""
        assert peer.socket.recv(1) == b"\x16"


def test_whoever_has_finished_inside_tls_can_still_read(identity):
    with encrypted(identity) as (dialler, listener):
        dialler.finish()
        assert listener.read() == b""
        listener.write(b"last words")
        assert dialler.read() == b"last words"
        listener.finish()
        assert dialler.read() == b""


def test_cutting_wakes_whoever_reads_inside_tls(identity):
    with encrypted(identity) as (dialler, listener):
        got = []
        reader = threading.Thread(target=lambda: got.append(dialler.read()))
        reader.start()
        time.sleep(0.05)
        dialler.cut()
        reader.join(PROMPTLY)
        assert got == [b""]
        assert listener.read() == b""


def test_what_is_changed_on_its_way_is_a_lost_connection(identity):
    with encrypted(identity) as (dialler, listener):
        listener._socket.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
        with pytest.raises(ConnectionLost, match=r"^the encrypted stream is damaged: "):
            dialler.read()


@pytest.mark.parametrize(
    ("first", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.7\r\n", RemoteProtocolError, "that is not voicemux, it speaks SSH"),
        (b"\x15\x03\x03\0\2\2\x46", RemoteProtocolError, "no TLS 1.3 with the other side: tlsv1 alert protocol"),
        (PREFACE, SecurityError, "plain calls are taken there, not encrypted ones"),
    ],
)
def test_whoever_does_not_answer_to_tls_is_named_also_if_it_has_gone_since(first, kind, words):
    with connected() as (line, peer):
        line.start_tls(dialler_context(), is_server=False)
        peer.send(first)
        peer.reset()
        time.sleep(0.05)  # for the reset to be there as well
        with pytest.raises(kind, match=f"^{words}"):
            line.read()


def test_whoever_breaks_off_in_the_middle_of_its_first_word_is_named():
    with connected() as (line, peer):
        line.start_tls(dialler_context(), is_server=False)
        peer.send(PREFACE[:4])
        peer.finish()
        time.sleep(0.05)
        peer.socket.close()  # its kernel is angry: something had not been read
        with pytest.raises(RemoteProtocolError, match=r"^that is not voicemux, it speaks something unknown$"):
            line.read()


# --- how to get one


@contextlib.contextmanager
def listening(host: str | None, port: int = 0):
    listener = Listener(host, port)
    try:
        yield listener
    finally:
        listener.close()


def answer(listener: Listener) -> Line:
    ready, _, _ = select.select(listener.sockets, [], [], PATIENCE)
    line = accept(ready[0])
    assert line
    return line


@pytest.mark.parametrize("listen", [None, "0.0.0.0", "127.0.0.1", "localhost"])
def test_ipv4_reaches_the_listener(listen):
    with listening(listen) as listener:
        line = dial(Address("127.0.0.1", listener.port))
        caller = answer(listener)
        assert caller.peer.host == line.peer.host == "127.0.0.1"
        assert line.peer.port == listener.port
        line.write(b"hi")
        assert caller.read() == b"hi"
        line.close()
        caller.close()


@needs_ipv6
@pytest.mark.parametrize("listen", [None, "::", "::1"])
def test_ipv6_reaches_the_listener(listen):
    with listening(listen) as listener:
        line = dial(Address("::1", listener.port))
        caller = answer(listener)
        assert caller.peer.host == line.peer.host == "::1"
        line.close()
        caller.close()


def test_nobody_there_to_be_accepted_is_no_error():
    with listening("127.0.0.1") as listener:
        assert accept(listener.sockets[0]) is None


def test_a_port_that_is_in_use_cannot_be_had_again():
    with listening(None) as listener, pytest.raises(Unreachable) as refused:
        Listener(None, listener.port)
    assert str(refused.value) == f"cannot listen on port {listener.port}: address already in use"


def test_a_port_can_be_had_again_after_a_call():
    with listening("127.0.0.1") as listener:
        line = dial(Address("127.0.0.1", listener.port))
        answer(listener).close()
        line.close()
    with listening("127.0.0.1", listener.port):
        pass


def test_a_host_that_is_not_here_cannot_be_listened_on():
    with pytest.raises(Unreachable) as refused:
        Listener("203.0.113.1", 0)
    assert str(refused.value) == "cannot listen on 203.0.113.1 port 0: cannot assign requested address"


def test_a_host_is_listened_on_at_every_address_that_is_here(monkeypatch):
    resolve_to(
        monkeypatch,
        (socket.AF_INET6, ("2001:db8::1", 0, 0, 0)),  # a machine without IPv6 may still have it in its hosts file
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_INET, ("127.0.0.2", 0)),
    )
    with listening("localhost") as listener:
        assert [each.getsockname() for each in listener.sockets] == [
            ("127.0.0.1", listener.port),
            ("127.0.0.2", listener.port),
        ]


@pytest.mark.parametrize("call", [lambda host: Listener(host, 0), lambda host: dial(Address(host, 1))])
@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "a..b"])
def test_a_host_that_nobody_knows_is_unreachable(call, host):
    with pytest.raises(Unreachable, match=rf"^cannot find the host {host}: [a-z]"):
        call(host)


def test_nobody_listening_is_unreachable():
    port = free_port()
    with pytest.raises(Unreachable) as refused:
        dial(Address("127.0.0.1", port))
    assert str(refused.value) == f"cannot reach 127.0.0.1 port {port}: connection refused"


def test_a_host_that_does_not_answer_is_unreachable():
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # what the kernel holds for a listener that accepts nobody
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer in time$"):
            dial(Address(*server.getsockname()), timeout=0.2)
        assert time.monotonic() - began < PATIENCE


def test_every_address_of_a_host_is_tried(monkeypatch):
    with listening("127.0.0.1") as listener:
        resolve_to(
            monkeypatch,
            (socket.AF_APPLETALK, ("127.0.0.1", 1)),  # as IPv6 is for a kernel that has none
            (socket.AF_INET, ("127.0.0.1", free_port())),
            (socket.AF_INET, ("127.0.0.1", listener.port)),
        )
        line = dial(Address("host.example", 8690))
        answer(listener).close()
        assert line.peer == ("127.0.0.1", 8690)
        line.close()


def test_what_came_of_every_address_is_told(monkeypatch):
    port = free_port()
    resolve_to(monkeypatch, (socket.AF_INET, ("127.0.0.1", port)), (socket.AF_APPLETALK, ("elsewhere", 1)))
    words = r"^cannot reach host\.example port 1: 127\.0\.0\.1: connection refused, elsewhere: [a-z]"
    with pytest.raises(Unreachable, match=words) as refused:
        dial(Address("host.example", 1))
    assert refused.value.kind is Kind.NOBODY_LISTENS


def test_what_is_the_same_for_every_address_is_told_once(monkeypatch):
    places = [(socket.AF_INET, (f"127.0.0.{last}", free_port())) for last in (1, 2)]
    resolve_to(monkeypatch, *places)
    with pytest.raises(Unreachable, match=r"port 1: connection refused \(at 127\.0\.0\.1, 127\.0\.0\.2\)$"):
        dial(Address("host.example", 1))


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT])
@pytest.mark.parametrize(("host", "kind"), [("192.168.1.5", Kind.OTHER_NETWORK), ("203.0.113.5", None)])
def test_no_way_to_a_private_address_may_mean_that_it_is_one_of_another_network(monkeypatch, number, host, kind):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    resolve_to(monkeypatch, (socket.AF_INET, (host, 1)))
    monkeypatch.setattr(line_module, "_connect", fail)
    with pytest.raises(Unreachable) as refused:
        dial(Address(host, 1))
    assert refused.value.kind is kind


@needs_ipv6
def test_a_link_local_address_without_its_interface_is_named_as_such():
    for refused_by in (lambda: dial(Address("fe80::1", 1)), lambda: Listener("fe80::1", 0)):
        with pytest.raises(Unreachable) as refused:
            refused_by()
        assert refused.value.kind is Kind.NO_ZONE
        assert hint(refused.value).startswith("add the interface that leads there: fe80::1%eth0")


WHERE = {  # what is listened on, and which families reach it
    None: {4, 6},
    "*": {4, 6},
    "0.0.0.0": {4},
    "0": {4},
    "::": {6},
    "0:0:0:0:0:0:0:0": {6},
}


@needs_ipv6
@pytest.mark.parametrize("host", WHERE)
def test_only_addresses_that_accept_are_announced(monkeypatch, host):
    found = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
    monkeypatch.setattr(
        line_module, "local_addresses", lambda families: [found[each] for each in found if each in families]
    )
    with contextlib.closing(Listener(host, 0)) as listener:
        addresses = listener.addresses()
        assert {6 if ":" in each else 4 for each in addresses} == WHERE[host]
        for each in addresses:
            dial(Address(each, listener.port)).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_that_was_chosen_is_announced_as_it_is(host):
    with contextlib.closing(Listener(host, 0)) as listener:
        assert listener.addresses() == [host]


@needs_ipv6
def test_a_machine_without_a_network_announces_itself(monkeypatch):
    monkeypatch.setattr(line_module, "local_addresses", lambda families: [])
    for host, announced in ((None, "localhost"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")):
        with contextlib.closing(Listener(host, 0)) as listener:
            assert listener.addresses() == [announced]
            dial(Address(announced, listener.port)).close()


def test_a_host_without_addresses_is_unreachable(monkeypatch):
    resolve_to(monkeypatch)
    with pytest.raises(Unreachable, match="it has no address"):
        dial(Address("host.example", 1))


def test_the_addresses_of_this_machine_can_be_listened_on():
    for host in local_addresses():
        with listening(host):
            pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "it has no address"),
        (TimeoutError(), "no answer in time"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "no answer in time"),
        (OSError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError("Something Odd"), "something odd"),
    ],
)
def test_reasons_are_in_words(error, words):
    assert reason(error) == words


def test_a_wake_can_be_waited_for_and_stays_awake():
    wake = Wake()
    assert select.select([wake], [], [], 0)[0] == []
    wake.set()
    wake.set()
    assert select.select([wake], [], [], PATIENCE)[0] == [wake]
    assert select.select([wake], [], [], 0)[0] == [wake]
    wake.close()


def test_a_listener_gives_every_socket_back():
    listener = Listener(None, 0)
    listener.close()
    wait_until(lambda: all(each.fileno() == -1 for each in listener.sockets))
    assert accept(listener.sockets[0]) is None
