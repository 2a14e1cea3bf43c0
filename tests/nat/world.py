"""Two households behind routers that let no one in, and a relay between them, as network namespaces."""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

CLONE_NEWNET = 0x40000000
RELAY = "198.51.100.1"
RULES = """
table ip nat {{
    chain postrouting {{ type nat hook postrouting priority 100; oifname "wan" masquerade {how}; }}
    chain forward {{ type filter hook forward priority 0; policy drop;
        iifname "lan" accept; ct state established,related accept; }}
    chain input {{ type filter hook input priority 0; policy accept; iifname "wan" ct state new drop; }}
}}
"""


class NotHere(Exception):
    """This machine makes no such world: the reason."""


@dataclass(frozen=True)
class World:
    """Names of namespaces, in which programs are started with `Program(..., **world.at(...))`."""

    relay: str
    alice: str
    bob: str
    routers: tuple[str, ...]

    @staticmethod
    def at(namespace: str) -> dict[str, Any]:
        """Options of a program that runs there."""
        return {"fresh": True, "preexec_fn": _entering(namespace)}

    def cut_direct(self) -> None:
        """From now on, routers drop all packets but those to and from the relay, without a word."""
        for router in self.routers:
            for rule in ("drop", "tcp sport 8690 accept", "tcp dport 8690 accept"):  # each before the last
                _run("ip", "netns", "exec", router, "nft", "insert", "rule", "ip", "nat", "forward", *rule.split())


@contextlib.contextmanager
def made(how: str = "") -> Iterator[World]:
    """A world; `how` is how the routers choose ports, in nft's words. Raises NotHere."""
    missing = [each for each in ("ip", "nft", "sysctl") if not shutil.which(each)]
    if missing or os.geteuid() != 0:
        raise NotHere(f"it takes root and {', '.join(missing) or 'more'}")
    tag = f"vmx{os.getpid()}"
    names = {name: f"{tag}-{name}" for name in ("relay", "router1", "router2", "alice", "bob")}
    try:
        try:
            _make(names, how)
        except subprocess.CalledProcessError as error:
            raise NotHere(f"network namespaces cannot be made: {error.stderr.decode().strip()}") from error
        yield World(names["relay"], names["alice"], names["bob"], (names["router1"], names["router2"]))
    finally:
        for each in names.values():
            subprocess.run(["ip", "netns", "del", each], stderr=subprocess.DEVNULL, check=False)


def _make(names: dict[str, str], how: str) -> None:
    for each in names.values():
        _run("ip", "netns", "add", each)
        _run("ip", "-n", each, "link", "set", "lo", "up")
    relay = names["relay"]
    _run("ip", "-n", relay, "link", "add", "wan", "type", "bridge")
    _run("ip", "-n", relay, "addr", "add", f"{RELAY}/24", "dev", "wan")
    _run("ip", "-n", relay, "link", "set", "wan", "up")
    for number, who in ((1, "alice"), (2, "bob")):
        router, home = names[f"router{number}"], names[who]
        _run("ip", "link", "add", "wan", "netns", router, "type", "veth", "peer", "name", who, "netns", relay)
        _run("ip", "-n", relay, "link", "set", who, "master", "wan", "up")
        _run("ip", "link", "add", "lan", "netns", router, "type", "veth", "peer", "name", "eth0", "netns", home)
        _up(router, "wan", f"198.51.100.{10 + number}/24")
        _up(router, "lan", f"192.168.{number}.1/24")
        _up(home, "eth0", f"192.168.{number}.2/24")
        _run("ip", "-n", home, "route", "add", "default", "via", f"192.168.{number}.1")
        _run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _run("ip", "netns", "exec", router, "nft", "-f", "-", text=RULES.format(how=how))


def _up(namespace: str, link: str, address: str) -> None:
    _run("ip", "-n", namespace, "addr", "add", address, "dev", link)
    _run("ip", "-n", namespace, "link", "set", link, "up")


def _run(*command: str, text: str = "") -> None:
    subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=30)


def _entering(namespace: str) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)

    return enter
