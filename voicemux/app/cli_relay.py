"""The command `voicemux relay`: its arguments, and the relay from start to end."""

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicemux.app.exit_codes import ExitCode
from voicemux.app.exits import exits

if TYPE_CHECKING:
    from voicemux.net.address import Address
    from voicemux.relay.desk import RelayCounts
    from voicemux.relay.server import RelayServer

REPORT = 3600.0  # seconds between two lines of figures
NAP = 0.25  # seconds between two looks at whether the relay has failed or is empty
RESTART = 5  # seconds after which clients are told to try again when the relay closes
SERVER = re.compile(r"(nats|tls)://([^/@\s]*@)?(\[[\da-fA-F:.]+\]|[^/@:\s\[\]]+)(:(?P<port>\d{1,5}))?")
DESCRIPTORS = 0.8  # share of the descriptors of the process that connections may use


@click.command("relay")
@click.option("--host", metavar="HOST", help="Listen on this address only.  [default: all, IPv6 and IPv4]")
@click.option("--port", "ports", metavar="PORT", multiple=True, help="Repeatable, such as 8690 and 443; 0 lets the"
    " system choose one.  [default: 8690]")  # fmt: skip
@click.option("--cert", metavar="FILE", help="A certificate (PEM) for clients with TLS, on the same ports.")
@click.option("--key", metavar="FILE", help="Its key (PEM).")
@click.option(
    "--token-file",
    metavar="FILE",
    help="Be private: serve only clients that send a token, one of the lines of this file.",
)
@click.option("--connections", type=click.IntRange(2), metavar="N", help="At most this many in all.  [default: as"
    " many as the system lets a process have, less a fifth]")  # fmt: skip
@click.option("--waits", type=click.IntRange(1), default=16, show_default=True, metavar="N",
    help="At most this many waiting connections from one address (IPv6: /64); a listener has up to two.")  # fmt: skip
@click.option("--calls", type=click.IntRange(1), default=30, show_default=True, metavar="N",
    help="At most this many calls a minute from one address.")  # fmt: skip
@click.option("--pairs", type=click.IntRange(1), default=60, show_default=True, metavar="N",
    help="At most this many calls at a time from one address.")  # fmt: skip
@click.option("--rate", type=click.IntRange(8), default=128, show_default=True, metavar="KB",
    help="Kilobytes a second in each direction of a call; anything faster is delayed.")  # fmt: skip
@click.option("--drain", type=click.IntRange(0), default=30, show_default=True, metavar="SECONDS",
    help="After SIGTERM, calls may go on for this time.")  # fmt: skip
@click.option("--move-to", metavar="HOST[:PORT]", default="", help="After SIGTERM, send waiting clients there.")
@click.option(
    "--cluster",
    "servers",
    metavar="nats://HOST[:PORT]",
    multiple=True,
    help="Find listeners at"
    " the other relays of a cluster, by these NATS servers. Repeatable: if one is lost, another is used.",
)
@click.option(
    "--here",
    metavar="HOST[:PORT]",
    default="",
    help="The address at which clients reach this relay and none of the other relays of the"
    " cluster: callers are sent there if their listener waits here.",
)
@click.option("--metrics", metavar="[HOST:]PORT", default="", help="Counts for Prometheus, by HTTP; without HOST for"
    " this machine only.")  # fmt: skip
def relay_command(
    host: str | None,
    ports: tuple[str, ...],
    cert: str | None,
    key: str | None,
    token_file: str | None,
    connections: int | None,
    waits: int,
    calls: int,
    pairs: int,
    rate: int,
    drain: int,
    move_to: str,
    servers: tuple[str, ...],
    here: str,
    metrics: str,
) -> None:
    """Join people who can only dial out: the server behind `listen --relay` and `dial CODE@HOST`.

    It sees addresses, times and amounts; calls are encrypted between their ends, and nothing is written down.
    """
    if bool(cert) != bool(key):
        raise click.UsageError("--cert and --key belong together")
    if bool(servers) != bool(here):
        raise click.UsageError("--cluster and --here belong together")
    for each in servers:
        if not ((found := SERVER.fullmatch(each)) and int(found["port"] or 1) in range(1, 65_536)):
            raise click.UsageError(f"--cluster takes nats://HOST[:PORT] or tls://HOST[:PORT], and got {each}")
    from voicemux.net.address import parse_host, parse_port
    from voicemux.net.listener import ListeningSockets, most_connections
    from voicemux.relay.certificate import Certificate
    from voicemux.relay.cluster import Cluster
    from voicemux.relay.limits import Limits
    from voicemux.relay.pace import Rate
    from voicemux.relay.places import RELAY_PORT, parse_relay
    from voicemux.relay.server import RelayServer

    with exits(), contextlib.ExitStack() as ending:
        _have_descriptors()
        elsewhere = parse_relay(move_to).address if move_to else None
        certificate = Certificate(Path(cert), Path(key)) if cert and key else None
        tokens = _tokens(token_file) if token_file else ()
        most = connections or max(2, int(most_connections() * DESCRIPTORS))
        limits = Limits(most, waits=waits, calls=calls, pairs=pairs)
        listeners: list[ListeningSockets] = []
        for port in ports or (str(RELAY_PORT),):
            listener = ListeningSockets(None if host is None else parse_host(host), parse_port(port, lowest=0))
            ending.callback(listener.close)
            listeners.append(listener)
        server = RelayServer(
            listeners,
            limits,
            Rate(rate * 1000.0, rate * 2000.0),
            tokens,
            certificate.context if certificate else lambda: None,
            cluster=Cluster(servers, parse_relay(here).address, _say) if servers else None,
        )
        ending.callback(server.close)
        server.start()
        if metrics:
            ending.enter_context(_metrics(metrics, server))
        where = " and ".join(str(each.port) for each in listeners)
        _say(f"relay on port {where} ({', '.join(listeners[0].addresses())}), for up to {most} connections")
        if not _run(server, drain, elsewhere):
            sys.exit(ExitCode.INTERRUPTED)


def _run(server: "RelayServer", drain: int, elsewhere: "Address | None") -> bool:
    """Run until a signal, and then until the relay is empty. Returns whether the signal was SIGTERM."""
    from voicemux.app.interrupts import Terminated

    is_terminated = False
    told = time.monotonic()
    try:
        while True:
            time.sleep(NAP)
            if server.failure:
                raise server.failure
            if time.monotonic() - told >= REPORT:
                told = time.monotonic()
                _say(_in_words(server.counts))
    except KeyboardInterrupt as asked:
        is_terminated = isinstance(asked, Terminated)
    server.drain(RESTART, elsewhere)
    with contextlib.suppress(KeyboardInterrupt):  # a second signal ends it at once
        deadline = time.monotonic() + (drain if is_terminated else 0)
        time.sleep(NAP)
        while not server.is_empty and time.monotonic() < deadline:
            time.sleep(NAP)
    _say(_in_words(server.counts))
    return is_terminated


@contextlib.contextmanager
def _metrics(text: str, server: "RelayServer") -> Iterator[None]:
    from voicemux.net.address import Address, parse_address, parse_port
    from voicemux.relay.metrics import MetricsServer

    if text.rpartition(":")[2].isdigit() and not text.isdigit():
        address = parse_address(text)
    else:  # a port alone, or a mistake, which `parse_port` refuses
        address = Address("127.0.0.1", parse_port(text, lowest=0))
    serving = MetricsServer(address, lambda: server.counts)
    serving.start()
    _say(f"metrics on {address.host} port {serving.port}")
    try:
        yield
    finally:
        serving.close()


def _tokens(path: str) -> tuple[str, ...]:
    """Read the tokens. Raises SecurityError if the file cannot be read, or other users can read it."""
    from voicemux.errors import SecurityError
    from voicemux.relay.wire import MAX_TOKEN
    from voicemux.security import files

    content = files.read(Path(path), 1_000_000, is_secret=True)
    tokens = tuple(filter(None, (line.strip() for line in (content or b"").decode(errors="replace").splitlines())))
    if not tokens:
        raise SecurityError(f"{path} has no token: expected one a line")
    if any(len(each.encode()) > MAX_TOKEN for each in tokens):
        raise SecurityError(f"{path} has a token of over {MAX_TOKEN} bytes")
    return tokens


def _in_words(counts: "RelayCounts") -> str:
    refused = ", ".join(f"{number} {why}" for why, number in sorted(counts.refused.items())) or "none"
    return (
        f"{counts.connections} connections, {counts.waits} waits, {counts.calls} calls, {counts.pairs} joined, "
        f"{counts.bytes / 1e6:.1f} MB passed; refused: {refused}; now {counts.waits_now} wait, "
        f"{counts.paired_now // 2} calls"
    )


def _have_descriptors() -> None:
    """Raise the limit of descriptors as far as possible: the usual 1024 are enough for 400 calls only."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no limits
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(f"voicemux: {text}", err=True)
