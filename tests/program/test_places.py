"""What a listener says of where it can be reached, on a machine of its own: a network namespace."""

import shutil
import subprocess
from typing import Any

import pytest

from tests.running import Program

SET_UP = (
    "ip link set lo up && ip link add lan type veth peer name far && ip addr add {host}/24 dev lan"
    " && ip link set lan up && ip link set far up && ip -6 addr add fd00::9/64 dev lan nodad"
    " && ip route add default dev lan && ip -6 route add default dev lan"
)
PRIVATE, PUBLIC = "192.168.1.5", "203.0.113.5"
HAS_NAMESPACES = (
    shutil.which("unshare")
    and shutil.which("ip")
    and subprocess.run(
        ["unshare", "-rn", "sh", "-c", SET_UP.format(host=PRIVATE)], capture_output=True, check=False
    ).returncode
    == 0
)

pytestmark = pytest.mark.skipif(not HAS_NAMESPACES, reason="no network namespaces can be made here")


class OnAMachine(Program):
    """The program on a machine with one IPv4 and one IPv6 address."""

    def __init__(self, host: str, *arguments: str, **options: Any) -> None:
        become = (
            "import os, sys; run = [sys.executable, '-m', 'voicemux', *sys.argv[2:]];"
            "os.execvp('unshare', ['unshare', '-rn', 'sh', '-c', sys.argv[1] + ' && exec \"$@\"', 'sh', *run])"
        )
        self.python = ("-c", become, SET_UP.format(host=host))
        super().__init__(*arguments, **options)


@pytest.mark.parametrize(
    ("chosen", "addresses"),
    [
        ([], [PUBLIC, "fd00::9"]),
        (["--host", "*"], [PUBLIC, "fd00::9"]),
        (["--host", "0.0.0.0"], [PUBLIC]),
        (["--host", "::"], ["fd00::9"]),
        (["--host", "[::]"], ["fd00::9"]),
        (["--host", "fd00::9"], ["fd00::9"]),
        (["--host", "127.0.0.1"], ["127.0.0.1"]),
    ],
)
def test_only_places_that_accept_are_announced(chosen: list[str], addresses: list[str]) -> None:
    with OnAMachine(PUBLIC, "listen", "--port", "9000", *chosen, "--json", "--no-audio") as bob:
        said = bob.event("listening")
    assert said["addresses"] == addresses
    assert [command.split()[2] for command in said["dial"]] == [
        f"[{each}]:9000" if ":" in each else f"{each}:9000" for each in addresses
    ]


def test_a_newcomer_is_told_that_an_address_works_in_one_network_only() -> None:
    with OnAMachine(PRIVATE, "listen", "--port", "9000", "--no-audio") as bob:
        notice = bob.notice_with("only")
    assert notice.startswith(f"voicemux: {PRIVATE} works inside your own network only: ")
    assert "port 9000" in notice


@pytest.mark.parametrize(
    ("host", "options"), [(PUBLIC, []), (PRIVATE, ["--host", "127.0.0.1"]), (PRIVATE, ["--unencrypted"])]
)
def test_who_needs_no_such_word_gets_none(host: str, options: list[str]) -> None:
    with OnAMachine(host, "listen", "--port", "9000", "--no-audio", "--once", *options) as bob:
        bob.notice_with("tell the other side")
        bob.close_input()
        bob.process.terminate()
        bob.wait()
        assert not [line for line in bob.err if "only:" in line]
