"""Calls through a relay that cuts their connections at random moments: is each line of text there once, in order, and
is anything left behind?

On the loopback, without sound; needs no root. One listener serves all calls, so what it leaves behind adds up.
"""

import contextlib
import os
import random
import selectors
import socket
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.party import Party, Texts, compare
from bench.processes import PATIENCE, Process, memory_mb

NOTHING_LEFT = struct.pack("ii", 1, 0)  # SO_LINGER: a close that is a reset
PIECE = 65_536
KINDS = (("both", 0.75), ("dialler", 0.15), ("gently", 0.08), ("listener", 0.02))  # who gets a reset, how often
PAUSE = 0.05  # seconds between two lines of text, in the mean
GAP = (0.02, 0.8)  # seconds between two cuts: some fall into the handshake of the redial
DELIVERY = 60.0
WARM = 3  # calls after which the listener has loaded all that it will
CODE = "7-quiet-test"


class CuttingRelay:
    """Passes bytes on between who connects and `target`, which may be changed; `cut` ends what there is. A context
    manager."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.is_open = True  # else who connects is sent away
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._diallers: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "CuttingRelay":
        for each in (self._server, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join()

    def cut(self, kind: str) -> None:
        """End every connection: "both" ends get a reset, or the "dialler" or the "listener" alone, while the other
        hears nothing any more; "gently" is an end of stream for both."""
        self._wake.send(kind[:1].encode())

    def _run(self) -> None:
        silenced: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            for each in (self._server, self._woken, self._selector):
                stack.callback(each.close)
            while True:
                for key, _ in self._selector.select():
                    ready: Any = key.fileobj
                    if ready is self._server:
                        self._accept()
                    elif ready is self._woken:
                        if not (kinds := self._woken.recv(1)):
                            for each in [*self._peers, *silenced]:
                                each.close()
                            return
                        silenced += self._cut(kinds)
                    elif ready in self._peers:
                        self._pass_on(ready)

    def _accept(self) -> None:
        dialler = self._server.accept()[0]
        if not self.is_open:
            dialler.close()
            return
        try:
            listener = socket.create_connection(self.target, 5)
        except OSError:
            dialler.close()
            return
        listener.settimeout(None)
        self._peers |= {dialler: listener, listener: dialler}
        self._diallers.add(dialler)
        for each in (dialler, listener):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(each, selectors.EVENT_READ)

    def _pass_on(self, ready: socket.socket) -> None:
        peer = self._peers[ready]
        try:
            data = ready.recv(PIECE)
            if data:
                peer.sendall(data)
                return
        except OSError:
            pass
        for each in (ready, peer):  # gentle or not: what is half closed ends soon
            self._drop(each)

    def _cut(self, kind: bytes) -> list[socket.socket]:
        """Those that stay open, and silent."""
        silent = []
        for each in list(self._peers):
            side = b"d" if each in self._diallers else b"l"
            if kind in (b"b", side):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING_LEFT)
            elif kind != b"g":
                self._selector.unregister(each)
                del self._peers[each]
                silent.append(each)
                continue
            self._drop(each)
        return silent

    def _drop(self, each: socket.socket) -> None:
        if self._peers.pop(each, None):
            self._selector.unregister(each)
            self._diallers.discard(each)
            each.close()


class CutsAtRandom:
    """Calls with text both ways through a relay that cuts; `figures` are of all of them."""

    def __init__(self, calls: int, cuts: int, seed: int = 1) -> None:
        """`cuts` of each call."""
        self._calls = calls
        self._cuts = cuts
        self._dice = random.Random(seed)
        self._texts = Texts()
        self._resumed = 0
        self._failures: list[str] = []
        self._left: list[dict[str, float]] = []  # behind by diallers, at the end of each call

    def measure(self) -> dict[str, Any]:
        """Hold the calls. Raises RuntimeError if not even the listener starts."""
        with tempfile.TemporaryDirectory(prefix="voicemux-bench-") as name:
            folder = Path(name)
            listener = self._start(folder, "a", "listen", "--host", "127.0.0.1", "--port", "0")
            try:
                port = listener.event("listening")[1]["port"]
                with CuttingRelay(("127.0.0.1", port)) as relay:
                    warm: dict[str, float] | None = None
                    for number in range(self._calls):
                        if number == min(WARM, self._calls - 1):
                            warm = _held(listener.pid)
                        self._hold(folder, listener, relay, number)
                    time.sleep(2.0)  # for the goodbye of the last call
                    after = _held(listener.pid)
            finally:
                listener.terminate()
                listener.stop()
        assert warm
        return {
            "case": "cuts",
            "calls": self._calls,
            "cuts": self._calls * self._cuts,
            "resumed": self._resumed,
            **vars(self._texts),
            "listener_left": {what: round(after[what] - warm[what], 2) for what in after},
            "dialler_left": {what: round(max((each[what] for each in self._left), default=0), 2) for what in after},
            "failures": self._failures,
        }

    @staticmethod
    def _start(folder: Path, side: str, *arguments: str) -> Process:
        command = [sys.executable, "-m", "voicemux", *arguments, "--name", side, "--json", "--no-audio"]
        env = {"VOICEMUX_HOME": f"{folder}/keys-{side}", "VOICEMUX_CODE": CODE}
        return Process(command, env, folder / f"{side}.log", events=True)

    def _hold(self, folder: Path, listener: Process, relay: CuttingRelay, number: int) -> None:
        dialler = self._start(folder, "b", "dial", f"127.0.0.1:{relay.port}")
        pauses = random.Random(self._dice.random())
        names = {"a": listener, "b": dialler}
        a, b = (
            Party(process, f"{side} {number}", lambda: PAUSE * pauses.uniform(0.0, 2.0))
            for side, process in names.items()
        )
        try:
            with a, b:
                try:
                    self._cut_and_settle(a, b, relay)
                except (TimeoutError, EOFError) as error:
                    self._failures.append(f"call {number}: {error}")
                self._texts += compare(a.said, b.heard) + compare(b.said, a.heard)
                self._resumed += len(b.named("resumed"))
                dialler.tell(command="quit")
                with contextlib.suppress(TimeoutError, EOFError):
                    a.await_event("ended", PATIENCE)
        except OSError:
            pass
        finally:
            dialler.terminate()
            dialler.stop()

    def _cut_and_settle(self, a: Party, b: Party, relay: CuttingRelay) -> None:
        for party in (a, b):
            party.await_event("connected", PATIENCE)
        time.sleep(0.3)
        before = _held(b.process.pid)
        for _ in range(self._cuts):
            time.sleep(self._dice.uniform(*GAP))
            names, shares = zip(*KINDS, strict=True)
            relay.cut(self._dice.choices(names, shares)[0])
        for party in (a, b):
            party.fall_silent()
        until = time.monotonic() + DELIVERY
        for party, other in ((a, b), (b, a)):
            while len(other.heard) < len(party.said) or len(party.delivered) < len(party.said):
                if party.has_ended or other.has_ended:
                    raise EOFError(str([event for _, event in party.events[-2:] + other.events[-2:]]))
                if time.monotonic() > until:
                    raise TimeoutError(f"{len(other.heard)} of {len(party.said)} lines within {DELIVERY:.0f} s")
                time.sleep(0.1)
        time.sleep(1.5)  # a connection that was replaced is cut after a second
        after = _held(b.process.pid)
        self._left.append({what: after[what] - before[what] for what in after})


def _held(pid: int) -> dict[str, float]:
    """What a process holds."""
    return {
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "memory": memory_mb([pid]),
    }
