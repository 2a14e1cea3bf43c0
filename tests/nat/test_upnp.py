"""A router that opens ports by UPnP lets a caller in: the real server of most routers, in a namespace."""

import contextlib
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nat.world import NotHere, World, made
from tests.peers import wait_until
from tests.running import Program

PATIENCE = 60.0  # seconds
CODE = {"VOICEMUX_CODE": "7-quiet-test"}
TABLE = """
table inet filter {
    chain forward { type filter hook forward priority 10; policy accept; jump miniupnpd; }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting { type nat hook postrouting priority 110; policy accept; jump postrouting_miniupnpd; }
    chain postrouting_miniupnpd { }
}
insert rule ip nat forward ct status dnat accept
"""
SETTINGS = """
ext_ifname=wan
listening_ip=lan
enable_natpmp=no
enable_upnp=yes
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("miniupnpd") or not importlib.util.find_spec("miniupnpc"),
    reason="it takes miniupnpd of Debian's miniupnpd-nftables, and miniupnpc",
)


@contextlib.contextmanager
def world_with_upnp(folder: Path) -> Iterator[tuple[World, str]]:
    """A world, and the namespace of Bob's router, which opens ports by UPnP."""
    with contextlib.ExitStack() as entered:
        try:
            world = entered.enter_context(made())
        except NotHere as why:
            pytest.skip(str(why))
        for number, each in enumerate(world.routers, 11):  # it opens nothing at an address for documentation
            for verb, address in (("del", f"198.51.100.{number}"), ("add", f"9.9.9.{number}")):
                command = ["ip", "-n", each, "addr", verb, f"{address}/24", "dev", "wan"]
                subprocess.run(command, check=True)
        router = world.routers[1]
        inside = ["ip", "netns", "exec", router]
        subprocess.run([*inside, "nft", "-f", "-"], input=TABLE.encode(), check=True)
        (folder / "conf").write_text(SETTINGS, encoding="ascii")
        command = [*inside, "miniupnpd", "-d", "-f", str(folder / "conf"), "-P", str(folder / "pid")]
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        entered.callback(server.wait)
        entered.callback(server.terminate)
        yield world, router


def is_open(router: str, port: int) -> bool:
    command = ["ip", "netns", "exec", router, "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]
    return f"dport {port}" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_caller_comes_in_by_the_port_that_the_router_opens_and_closes_again(tmp_path: Path) -> None:
    with world_with_upnp(tmp_path) as (world, router):
        with Program("listen", "--upnp", "--no-audio", "--json", env=CODE, **world.at(world.bob)) as bob:
            bob.event("listening", PATIENCE)
            while "leads to this machine" not in (said := str(bob.event("notice", PATIENCE)["text"])):
                pass
            assert "9.9.9.12" in said
            assert is_open(router, 8689)
            dial = ("dial", "9.9.9.12", "--no-audio", "--json")
            with Program(*dial, env=CODE, **world.at(world.alice)) as alice:
                assert alice.event("connected", PATIENCE)["security"] == "code"
                alice.command(command="quit")
                alice.event("ended", PATIENCE)
            bob.interrupt()
            bob.wait(PATIENCE)
        wait_until(lambda: not is_open(router, 8689))
