"""What it costs to find out who is there: calls by shipped programs, plain and encrypted, and under siege."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any

CALLS = 7  # of each kind
SIEGE = 1000  # connections that say nothing, and more as fast as they are thrown out
HOSTS = 8  # that they come from
CODE = "42-beeswax-caravan"
WAYS = {
    "plain": (("--unencrypted",), ""),
    "by a code": (("--code", CODE), CODE),
    "by keys that are known": (("--code", CODE), ""),
}


def _start(command: tuple[str, ...], home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (sys.executable, "-m", "voicemux", *command, "--no-audio", "--json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "VOICEMUX_HOME": str(home)},
    )


def _event(process: subprocess.Popen[bytes], name: str) -> dict[str, Any]:
    assert process.stdout
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == name:
            return event
    raise RuntimeError(f"the program ended without {name!r}")


@contextlib.contextmanager
def _listening(options: tuple[str, ...], home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    process = _start(("listen", "--host", "127.0.0.1", "--port", "0", *options), home)
    try:
        yield process, f"127.0.0.1:{_event(process, 'listening')['port']}"
    finally:
        process.terminate()
        process.communicate()


def _call(address: str, options: tuple[str, ...], home: Path) -> float:
    """Seconds from the start of the program to a call."""
    begin = time.perf_counter()
    process = _start(("dial", address, *options), home)
    _event(process, "connected")
    took = time.perf_counter() - begin
    process.communicate(b'{"command": "quit"}\n')
    return took


def _cpu(pid: int) -> float:
    """Seconds that a process has had."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def calls() -> dict[str, dict[str, float]]:
    """For each way: milliseconds to a call, and of CPU for both sides, medians."""
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="voicemux-bench-") as folder, contextlib.ExitStack() as stack:
        homes = {side: Path(folder) / side for side in ("listener", "dialler")}
        listeners = {
            options: stack.enter_context(_listening(options, homes["listener"])) for options, _ in WAYS.values()
        }
        for _ in range(CALLS):
            for way, (options, code) in WAYS.items():
                listener, address = listeners[options]
                before = _cpu(listener.pid), getrusage(RUSAGE_CHILDREN)
                dial = ("--unencrypted",) if "--unencrypted" in options else (code,) if code else ()
                seconds = _call(address, dial, homes["dialler"])
                after = _cpu(listener.pid), getrusage(RUSAGE_CHILDREN)
                dialler = sum(getattr(after[1], kind) - getattr(before[1], kind) for kind in ("ru_utime", "ru_stime"))
                took[way].append((seconds, after[0] - before[0] + dialler))
    return {
        way: {"call_ms": round(median(a for a, _ in each) * 1000), "cpu_ms": round(median(b for _, b in each) * 1000)}
        for way, each in took.items()
    }


def siege() -> dict[str, float]:
    """What a listener holds while strangers have all the connections that they can get, and a friend's time."""
    with tempfile.TemporaryDirectory(prefix="voicemux-bench-") as folder, contextlib.ExitStack() as stack:
        homes = {side: Path(folder) / side for side in ("listener", "dialler")}
        listener, address = stack.enter_context(_listening(("--code", CODE), homes["listener"]))
        alone = _call(address, (CODE,), homes["dialler"])
        before, cpu = _megabytes(listener.pid), _cpu(listener.pid)
        place = ("127.0.0.1", int(address.split(":")[1]))
        for number in range(SIEGE):
            source = (f"127.0.0.{2 + number % HOSTS}", 0)
            stack.enter_context(socket.create_connection(place, source_address=source))
        besieged = _call(address, (), homes["dialler"])
        return {
            "connections": SIEGE,
            "megabytes_before": round(before, 1),
            "megabytes_during": round(_megabytes(listener.pid), 1),
            "cpu_ms": round((_cpu(listener.pid) - cpu) * 1000),
            "friend_alone_ms": round(alone * 1000),
            "friend_ms": round(besieged * 1000),
        }
