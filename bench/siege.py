"""A listener under siege: do friends get in, and how fast? Needs root, for two network namespaces (bench/places.py).

    python -m bench.siege --crowd hello --sources 64 --rate 100 --delay 100 --calls 20

The friend is 2 x `delay` ms away, the strangers next to the listener, which is the worst case: they are always first.
"""

import argparse
import contextlib
import itertools
import json
import os
import select
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import voicemux.api  # all of it, before the clock runs
from bench.places import Namespaces
from voicemux.errors import VoicemuxError
from voicemux.net.address import Address
from voicemux.net.greeting import Greeting
from voicemux.net.tcp import TcpStream
from voicemux.protocol.messages import Method
from voicemux.security.handshake import Dialler
from voicemux.security.identity import load_identity

PORT = 8689
CODE, WRONG = "42-beeswax-caravan-tiger", "42-beeswax-caravan-tissue"
TARGETS = {4: "10.77.0.2", 6: "2001:db8:ffff::1"}  # of the listener, for the friend and for strangers
FIRST_PORT = 20_000
HELD = 1500  # connections that the crowd keeps open; the listener may hold fewer
SOURCES: dict[str, tuple[int, Callable[[int], str]]] = {
    "64": (6, lambda number: f"2001:db8:0:{number % 256:x}::{number >> 8 & 0xFFFF:x}"),  # 256 /64s of a /56
    "56": (6, lambda number: f"2001:db8:0:{number % 256 << 8:x}::1"),  # 256 /56s of a /48
    "48": (6, lambda number: f"2001:db8:{1 + number % 256:x}::1"),  # 256 /48s
    "32": (4, lambda number: f"172.16.0.{1 + number % 250}"),  # 250 addresses of a /24
    "24": (4, lambda number: f"172.{16 + (number >> 8) % 8}.{number % 256}.9"),  # 2048 /24s
    "friend": (4, lambda number: "10.77.0.1"),  # the friend's own address: it runs beside the friend
}
KINDS = ("silent", "hello", "drip", "tls", "garbage", "guess", "none")


def client_hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def crowd(kind: str, sources: str, rate: float, standing: int) -> None:
    """Connect so often, for ever; or, with `standing`, so many times at once, and hold them."""
    family, source = SOURCES[sources]
    target = (TARGETS[family], PORT)
    hello, held = client_hello(), deque[socket.socket]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    began, made = time.monotonic(), 0
    for number in itertools.count():
        pause = began + number / rate - time.monotonic() if not standing else (0.0 if number < standing else 1e6)
        if number == standing or (not standing and number == 1):
            print("there", flush=True)
        if pause > 0:
            select.select([], [], [], min(pause, 1e5))
        if kind == "guess":
            threading.Thread(target=_guess, args=(source(number), family), daemon=True).start()
            continue
        connection = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
        connection.settimeout(2.0)
        with contextlib.suppress(OSError):
            connection.bind((source(number), 0))
            connection.connect(target)
            made += 1
            if kind == "hello":
                connection.sendall(hello)
            elif kind == "garbage":
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            elif kind == "tls":
                connection = context.wrap_socket(connection)
        held.append(connection)
        if kind == "drip":  # a byte of a ClientHello at a time, on all that are open
            for place, each in enumerate(list(held)[-40:]):
                with contextlib.suppress(OSError):
                    each.send(hello[len(held) - place : len(held) - place + 1] or b"\0")
        while len(held) > HELD:
            held.popleft().close()


def _guess(source: str, family: int) -> None:
    with contextlib.suppress(OSError, VoicemuxError), tempfile.TemporaryDirectory() as folder:
        connection = socket.create_connection((TARGETS[family], PORT), 10, (source, 0))
        with contextlib.closing(TcpStream(connection, Address(TARGETS[family], PORT))) as stream:
            greeting = Greeting(stream)
            certificate = greeting.secure()
            greeting.open()
            greeting.authenticate(Dialler(load_identity(Path(folder)), certificate, Method.CODE, WRONG))


def friend(calls: int, home: Path, code: str) -> None:
    """Call so many times, with a code each time as somebody unknown, else as a contact. A line of JSON for each."""
    for number in range(calls):
        folder = home / str(number) if code else home
        load_identity(folder)
        began, error = time.monotonic(), ""
        try:
            with voicemux.dial(f"{TARGETS[4]}:{PORT}", code=code, name="friend", home=folder, audio=False):
                took = time.monotonic() - began
        except VoicemuxError as failure:
            took, error = time.monotonic() - began, str(failure)
        print(json.dumps({"seconds": took, "error": error}), flush=True)
        time.sleep(0.5)


def meet(home: Path) -> None:
    """A first call, so that the friend is a contact."""
    with voicemux.dial(f"{TARGETS[4]}:{PORT}", code=CODE, name="friend", home=home, audio=False):
        pass


@contextlib.contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def besiege(
    kind: str, sources: str, rate: float, delay: float, calls: int, *, by_code: bool = False, standing: int = 0
) -> list[dict[str, object]]:
    """What became of each of the friend's calls. `delay` is in milliseconds, one way."""
    me = [sys.executable, "-m", "bench.siege"]
    with tempfile.TemporaryDirectory() as home, Namespaces() as place:
        listener = place.command("b", [])
        at_listener, at_friend = listener, place.command("a", [])
        for route in ("2001:db8::/32", "172.16.0.0/12"):
            subprocess.run([*at_listener, "ip", "route", "add", "local", route, "dev", "lo"], check=True)
        environment = {**os.environ, "VOICEMUX_HOME": str(Path(home) / "bob"), "VOICEMUX_CODE": ""}
        command = [*at_listener, sys.executable, "-m", "voicemux", "listen", "--no-audio", "--json", "--code", CODE]
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with (
            running([*command, "--port", str(PORT)], env=environment, **quiet) as bob,
            contextlib.ExitStack() as stack,
        ):
            bob.stdout.readline()
            threading.Thread(target=lambda: deque(bob.stdout, 0), daemon=True).start()
            friends_home = str(Path(home) / "friend")
            subprocess.run([*at_friend, *me, "meet", friends_home], env=environment, check=True)
            place.change(delay=delay / 1000)
            if kind != "none":
                where = at_friend if sources == "friend" else at_listener
                options = [str(rate), str(standing)]
                strangers = stack.enter_context(running([*where, *me, "crowd", kind, sources, *options], **quiet))
                strangers.stdout.readline()
                time.sleep(0 if standing else 3)
            code = CODE if by_code else "-"
            with running([*at_friend, *me, "friend", str(calls), friends_home, code], env=environment) as caller:
                return [json.loads(line) for line in caller.stdout]


def main() -> None:
    if sys.argv[1:2] == ["crowd"]:
        crowd(sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:2] == ["friend"]:
        friend(int(sys.argv[2]), Path(sys.argv[3]), "" if sys.argv[4] == "-" else sys.argv[4])
    elif sys.argv[1:2] == ["meet"]:
        meet(Path(sys.argv[2]))
    else:
        siege()


def siege() -> None:
    parser = argparse.ArgumentParser(prog="bench.siege", description=__doc__)
    parser.add_argument("--crowd", choices=KINDS, default="silent")
    parser.add_argument("--sources", choices=SOURCES, default="64")
    parser.add_argument("--rate", type=float, default=100.0, help="connections a second")
    parser.add_argument("--standing", type=int, default=0, help="so many at once instead, that are held")
    parser.add_argument("--delay", type=float, default=100.0, help="ms, one way")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--code", action="store_true", help="each call is somebody's first, with the right code")
    chosen = parser.parse_args()
    if why := Namespaces.missing():
        sys.exit(f"bench.siege: {why}")
    outcomes = besiege(
        chosen.crowd,
        chosen.sources,
        chosen.rate,
        chosen.delay,
        chosen.calls,
        by_code=chosen.code,
        standing=chosen.standing,
    )
    times = [float(str(each["seconds"])) for each in outcomes if not each["error"]]
    errors = {str(each["error"]) for each in outcomes if each["error"]}
    slowest = f", median {statistics.median(times):.2f} s, slowest {max(times):.2f} s" if times else ""
    what = f"{chosen.standing} standing" if chosen.standing else f"{chosen.rate:.0f}/s"
    print(f"{chosen.crowd} {what} from {chosen.sources}: {len(times)} of {len(outcomes)}{slowest} {errors or ''}")


if __name__ == "__main__":
    main()
