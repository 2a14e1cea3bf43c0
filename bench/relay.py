"""What a relay costs, beside haproxy: python -m bench.relay [--calls 100] [--seconds 10] [--parked 5000]

Each call is 50 packets of 114 bytes a second in both directions, as voice at 32 kbit/s is. haproxy forwards the same
packets, and joins no one: it connects each client to a socket of ours. The two take turns, because the machine may be
busy with something else; what counts is the ratio.
"""

import argparse
import contextlib
import os
import resource
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voicemux.relay.approach import Approach
from voicemux.relay.ids import id_of_number
from voicemux.relay.messages import CallFor, Paired, Parked, Wait

PACKET = 114  # bytes of a packet of 20 ms at 32 kbit/s, encrypted
RATE = 50  # packets a second
HAPROXY = """
global
  maxconn 8000
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend calls
  bind 127.0.0.1:{port}
  default_backend ours
backend ours
  server ours 127.0.0.1:{behind}
"""
Pair = tuple[socket.socket, socket.socket]


@dataclass(frozen=True)
class Cost:
    """Of one turn."""

    cores: float
    median: float  # seconds from the write at one end to the read at the other
    p99: float


def cpu_seconds(pid: int) -> float:
    """That the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MB of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


@contextlib.contextmanager
def relay() -> Iterator[tuple[int, int]]:
    """The port of `voicemux relay`, and its process."""
    lifted = ("--waits", "20000", "--calls", "1000000", "--pairs", "20000")
    command = [sys.executable, "-m", "voicemux", "relay", "--host", "127.0.0.1", "--port", "0", *lifted]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        yield int(line.split("port ")[1].split()[0]), process.pid
        process.terminate()
        process.stderr.read()


@contextlib.contextmanager
def haproxy(behind: int) -> Iterator[tuple[int, int]]:
    """Likewise."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
        config.write(HAPROXY.format(port=port, behind=behind))
        config.flush()
        with subprocess.Popen(["haproxy", "-db", "-q", "-f", config.name]) as process:
            time.sleep(1.0)
            yield port, process.pid
            process.kill()


def asked(port: int, request: Wait | CallFor) -> tuple[socket.socket, Approach]:
    """A connection to the relay on which that was said."""
    connection = socket.create_connection(("127.0.0.1", port))
    approach = Approach(request)
    connection.sendall(approach.opening())
    return connection, approach


def parked(port: int, number: int) -> tuple[socket.socket, Approach]:
    """A listener that waits."""
    connection, approach = asked(port, Wait(os.urandom(16), (id_of_number(str(number)),)))
    assert isinstance(next(approach.receive(connection.recv(4096))), Parked)
    return connection, approach


def pairs_of_relay(port: int, calls: int) -> Iterator[Pair]:
    """Both ends of that many calls."""
    for number in range(calls):
        listener, waiting = parked(port, number)
        dialler, calling = asked(port, CallFor((id_of_number(str(number)),)))
        for connection, approach in ((dialler, calling), (listener, waiting)):
            assert isinstance(next(approach.receive(connection.recv(4096))), Paired)
        yield dialler, listener


def pairs_of_haproxy(port: int, calls: int, behind: socket.socket) -> Iterator[Pair]:
    """Likewise."""
    for _ in range(calls):
        dialler = socket.create_connection(("127.0.0.1", port))
        dialler.sendall(b"x")
        listener, _ = behind.accept()
        listener.recv(1)
        yield dialler, listener


def measure(pairs: list[Pair], seconds: float, pid: int) -> Cost:
    """Talk in both directions of all pairs."""
    ends = [end for pair in pairs for end in pair]
    selector = selectors.DefaultSelector()
    for end in ends:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
        selector.register(end, selectors.EVENT_READ)
    padding = bytes(PACKET - 8)
    late: list[float] = []
    sent = 0
    start, used = time.monotonic(), cpu_seconds(pid)
    while (now := time.monotonic()) < start + seconds:
        while sent < (now - start) * RATE * len(ends):
            ends[sent % len(ends)].send(struct.pack("d", time.monotonic()) + padding)
            sent += 1
        for key, _ in selector.select(0.0005):
            data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            now = time.monotonic()
            late += (now - struct.unpack_from("d", data, at)[0] for at in range(0, len(data) - PACKET + 1, PACKET))
    cores = (cpu_seconds(pid) - used) / (time.monotonic() - start)
    selector.close()
    for end in ends:
        end.close()
    late.sort()
    return Cost(cores, late[len(late) // 2], late[int(len(late) * 0.99)])


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parked", type=int, default=5000)
    typed = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    costs: dict[str, list[Cost]] = {"voicemux relay": [], "haproxy": []}
    for _ in range(typed.rounds):
        with relay() as (port, pid):
            costs["voicemux relay"].append(measure(list(pairs_of_relay(port, typed.calls)), typed.seconds, pid))
        if shutil.which("haproxy"):
            behind = socket.create_server(("127.0.0.1", 0), backlog=1024)
            with behind, haproxy(behind.getsockname()[1]) as (port, pid):
                pairs = list(pairs_of_haproxy(port, typed.calls, behind))
                costs["haproxy"].append(measure(pairs, typed.seconds, pid))
    for name, found in costs.items():
        for cost in found:
            print(f"{name:15} {typed.calls} calls: {cost.cores:6.1%} of a core, median {cost.median * 1e6:.0f} us, "
                  f"99 % within {cost.p99 * 1e3:.1f} ms")  # fmt: skip
    if costs["haproxy"]:
        own, other = (min(each.cores for each in found) for found in costs.values())
        print(f"ratio of the best rounds: {own / other:.2f}")
    with relay() as (port, pid), contextlib.ExitStack() as all_of_them:
        before = resident(pid)
        for number in range(typed.parked):
            all_of_them.enter_context(parked(port, number)[0])
        print(f"{typed.parked} waiting: {resident(pid) - before:.1f} MB more, {resident(pid):.1f} MB in all")


if __name__ == "__main__":
    main()
