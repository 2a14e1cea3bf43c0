"""Calls through a SOCKS5 proxy and through a command, as users make them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.test_proxies import free_port, is_listening
from tests.peers import wait_until
from tests.relay.running import relay
from tests.running import Program, listening, run

# What `ssh there voicemux listen --stdio`, nc and socat do: standard input and output are the connection.
PIPE = """
import os, socket, sys, threading
ends = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def there():
    while data := os.read(0, 65536):
        ends.sendall(data)
    ends.shutdown(socket.SHUT_WR)
threading.Thread(target=there, daemon=True).start()
while data := ends.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    script = tmp_path / "pipe.py"
    script.write_text(PIPE)
    return f"{sys.executable} {script} %h %p"


@pytest.fixture
def proxy() -> Iterator[str]:
    if not shutil.which("microsocks"):
        pytest.fail("SOCKS would be untested: install microsocks (scripts/setup test does)")
    port = free_port()
    process = subprocess.Popen(["microsocks", "-i", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    wait_until(lambda: is_listening(port))
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_a_call_through_a_socks_proxy_has_text_both_ways(proxy: str) -> None:
    with (
        listening("--json", "--no-audio", "--name", "bob") as (bob, address),
        Program("dial", address, "--socks5", proxy, "--json", "--no-audio", "--name", "alice") as alice,
    ):
        talk(alice, bob)


def test_both_sides_reach_a_relay_through_a_socks_proxy(proxy: str) -> None:
    with (
        relay() as (_, place),
        listening(*("--json", "--no-audio", "--name", "bob", "--relay", str(place), "--socks5", proxy)) as (
            bob,
            target,
        ),
        Program("dial", target, "--socks5", proxy, "--json", "--no-audio", "--name", "alice") as alice,
    ):
        assert target.endswith(f"@{place}")
        talk(alice, bob)


def test_a_call_through_a_command_has_text_both_ways(command: str) -> None:
    with (
        listening("--json", "--no-audio", "--name", "bob") as (bob, address),
        Program("dial", address, "--proxy-command", command, "--json", "--no-audio", "--name", "alice") as alice,
    ):
        talk(alice, bob)


def talk(alice: Program, bob: Program) -> None:
    alice.event("connected")
    bob.event("connected")
    for one, other in ((alice, bob), (bob, alice)):
        one.command(command="say", text="hello")
        assert other.event("text")["text"] == "hello"
    alice.command(command="quit")
    assert alice.wait() == 0
    assert bob.event("ended")["by"] == "them"


def test_ctrl_c_says_goodbye_through_a_command(command: str) -> None:
    """A terminal interrupts the command, too: it is in the same group of processes."""
    with (
        listening("--json", "--no-audio", "--once") as (bob, address),
        Program(
            "dial", address, "--proxy-command", command, "--no-audio", fresh=True, start_new_session=True
        ) as alice,
    ):
        bob.event("connected")
        assert os.getpgid(alice.process.pid) == alice.process.pid
        os.killpg(alice.process.pid, signal.SIGINT)
        assert alice.wait() == 130
        ended = bob.event("ended")
        assert (ended["by"], ended["reason"]) == ("them", "")
        assert bob.wait() == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--socks5", "127.0.0.1:{port}"], "cannot reach the proxy at 127.0.0.1 port {port}"),
        (["--proxy-command", "sh -c 'exit 7'"], "the proxy command ended with exit code 7"),
        (["--proxy-command", "sh -c 'printf nonsense; cat'"], "that is not voicemux"),
    ],
)
def test_a_way_that_leads_nowhere_is_told_in_one_line(options: list[str], complaint: str) -> None:
    port = str(free_port())
    code, out, err = run("dial", "bob.example", *(each.format(port=port) for each in options), "--no-audio")
    assert code in (3, 4)
    assert out == []
    assert complaint.format(port=port) in err[-1]


@pytest.mark.parametrize(
    "options",
    [
        ["--socks5", "alice@host"],
        ["--socks5", "host:port"],
        ["--socks5", "host", "--proxy-command", "cat"],
    ],
)
def test_a_proxy_that_makes_no_sense_is_misuse(options: list[str]) -> None:
    code, out, err = run("dial", "bob.example", *options)
    assert (code, out, len(err)) == (2, [], 1)
