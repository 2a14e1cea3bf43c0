"""Real NATS servers, three of them as a cluster."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.net.test_proxies import is_listening
from tests.peers import wait_until

OWN = Path(sys.executable).parent / "nats-server"
SERVER = str(OWN) if OWN.exists() else shutil.which("nats-server")


def free_ports(number: int) -> list[int]:
    """Different ones."""
    with contextlib.ExitStack() as all_of_them:
        found = [all_of_them.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in found]


class NatsServers:
    """`kill` one of them; `urls` has where clients reach each."""

    def __init__(self, clients: Sequence[int], folder: Path) -> None:
        """`clients` are the ports for clients, one for each server."""
        routes = free_ports(len(clients))
        self.urls = [f"nats://127.0.0.1:{port}" for port in clients]
        known = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
        self._log = (folder / "nats.log").open("wb")
        self._processes = [
            subprocess.Popen(
                [
                    *(str(SERVER), "-a", "127.0.0.1", "-p", str(client), "-n", f"node-{client}"),
                    *("--cluster_name", "test", "--cluster", f"nats://127.0.0.1:{route}", "--routes", known),
                ],
                stderr=self._log,
            )
            for client, route in zip(clients, routes, strict=True)
        ]
        for port in clients:
            wait_until(partial(is_listening, port))

    def kill(self, number: int) -> None:
        """Without a word."""
        self._processes[number].kill()
        self._processes[number].wait()

    def close(self) -> None:
        for each in self._processes:
            each.kill()
            each.wait()
        self._log.close()


@contextlib.contextmanager
def nats(*ports: int, number: int = 3) -> Iterator[NatsServers]:
    """`number` servers, or one for each of the `ports`."""
    clients = ports or free_ports(number)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(NatsServers(clients, Path(folder))) as servers:
        yield servers
