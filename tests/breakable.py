"""A line that breaks: TCP between two programs on this machine, which a test cuts, stops, or leads into nothing."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from voicemux.net.tcp import READ_SIZE

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an end


class BreakableLine:
    """Dial its `port` to reach the target's. A context manager: at its end no thread and no socket is left."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._lost: set[socket.socket] = set()  # what they bring is thrown away
        self._flows = threading.Event()
        self._flows.set()
        self._is_out = False
        self.taken = 0  # connections
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> "BreakableLine":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._flows.set()
        self.cut()
        for each in self._threads:
            each.join()

    def cut(self) -> None:
        """Reset all connections."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def swallow(self) -> None:
        """What the connections of now bring is lost from here on, and neither end is told; new ones work."""
        with self._lock:
            self._lost |= set(self._sockets)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing passes inside, and all of it afterwards."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    @contextlib.contextmanager
    def out(self) -> Iterator[None]:
        """All connections are reset, and new ones refused."""
        self._is_out = True
        self.cut()
        try:
            yield
        finally:
            self._is_out = False

    @contextlib.contextmanager
    def leading_to(self, target: int) -> Iterator[None]:
        """All connections are reset, and new ones lead to another port."""
        before, self._target = self._target, target
        self.cut()
        try:
            yield
        finally:
            self._target = before
            self.cut()

    def _start(self, *body: object) -> None:
        thread = threading.Thread(target=body[0], args=body[1:])  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._is_out:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                near.close()
                continue
            self.taken += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets += [near, far]
            self._start(self._join, near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(far, near))
        back.start()
        self._pump(near, far)
        back.join()
        near.close()
        far.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(READ_SIZE):
                self._flows.wait()
                if source not in self._lost:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            if source not in self._lost:
                sink.shutdown(socket.SHUT_WR)
