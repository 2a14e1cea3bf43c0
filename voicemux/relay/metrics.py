"""Serves the figures of a relay for Prometheus, on a port of its own. The only home of prometheus-client, which is an
extra."""

import contextlib
import io
import socket
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from voicemux.errors import LibraryMissing, Unreachable
from voicemux.net.address import Address
from voicemux.net.socket_errors import kind_of, reason
from voicemux.threads import Threads

if TYPE_CHECKING:
    from voicemux.relay.desk import RelayCounts

PATIENCE = 2.0  # seconds for a whole request and its answer: no other client is answered meanwhile

COUNTERS = {
    "connections": "Connections taken",
    "waits": "WAITs that were granted",
    "calls": "CALLs, also those that were refused",
    "pairs": "Pairs that were joined",
    "bytes": "Bytes that have passed in pairs, both directions together",
}
GAUGES = {
    "connections_now": "Open connections",
    "waits_now": "Connections that wait",
    "paired_now": "Connections in pairs: two for each pair",
    "calls_kept_now": "CALLs that are kept for a moment",
}


class _InTime(io.RawIOBase):
    """Reads the bytes of a client until PATIENCE seconds have passed, however slowly they come. `readinto` raises
    TimeoutError after that."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + PATIENCE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(0.001, self._deadline - time.monotonic()))
        return self._connection.recv_into(buffer)


class _Quiet(WSGIRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_InTime(self.connection))

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client has gone, or takes too long
            super().handle()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write no line: the library would log each request on stderr."""

    def get_stderr(self) -> IO[str]:
        """Return a stream that is thrown away: the library would write a traceback if a client breaks off."""
        return io.StringIO()


class _Server(WSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: the library would write a traceback if a client breaks off."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class MetricsServer:
    """An HTTP server for metrics, from `start()` to `close()`. It serves one client after the other."""

    def __init__(self, address: Address, counts: Callable[[], "RelayCounts"]) -> None:
        """Listen on `address`; `counts` returns the figures. Raises LibraryMissing without prometheus-client,
        Unreachable if the port cannot be used."""
        try:
            from prometheus_client import CollectorRegistry, make_wsgi_app
        except ImportError as error:
            raise LibraryMissing("prometheus-client", "--metrics takes the package prometheus-client") from error
        self._counts = counts
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server: WSGIServer = make_server(
                *(address.host, address.port, make_wsgi_app(registry)),
                server_class=_Server6 if ":" in address.host else _Server,
                handler_class=_Quiet,
            )
        except OSError as error:
            where = f"{address.host} port {address.port}"
            raise Unreachable(
                f"cannot listen on {where}: {reason(error)}", kind=kind_of(error, address.host)
            ) from error
        self._threads = Threads()

    @property
    def port(self) -> int:
        """The TCP port on which it listens."""
        return self._server.server_port

    def start(self) -> None:
        """Answer requests from now on. Raises OutOfResources."""
        self._threads.start("metrics", self._server.serve_forever)

    def close(self) -> None:
        """Stop the server and its thread."""
        self._server.shutdown()
        self._threads.join()
        self._server.server_close()

    def collect(self) -> Iterator[Any]:
        """Yield the metrics. prometheus-client calls this for each request."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counts = self._counts()
        for name, help_ in COUNTERS.items():
            yield CounterMetricFamily(f"voicemux_relay_{name}", help_, value=getattr(counts, name))
        for name, help_ in GAUGES.items():
            yield GaugeMetricFamily(f"voicemux_relay_{name}", help_, value=getattr(counts, name))
        refused = CounterMetricFamily("voicemux_relay_refused", "Clients that were refused", labels=["why"])
        for why, number in dict(counts.refused).items():
            refused.add_metric([why], number)
        yield refused
