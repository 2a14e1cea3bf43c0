"""The file of a trace: JSON lines, written by a thread of its own, so that no other thread waits for a disk."""

import json
import os
import platform
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from voicemux import __version__
from voicemux.threads import Threads
from voicemux.trace.facts import Fact, FramePassed
from voicemux.trace.frames import described

FORMAT = 1  # version of the lines: it changes if a program that reads them would have to change
MOST_WAITING = 20_000  # facts: room for about 30 s of a usual call while the disk stands still
INTERVAL = 0.1  # seconds between two writes: a killed program loses that much


class TraceFile:
    """Writes facts to a file. Call the object with each fact (it is a `facts.Trace`), from any thread; `close()` it
    at the end."""

    def __init__(
        self,
        descriptor: int,
        role: str,
        on_failure: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`descriptor` is an empty file, which `close` closes. `role` is "dialler" or "listener".

        `on_failure` is called once, in the writing thread, with the reason if the file can no longer be written; the
        call itself goes on. Raises OutOfResources if the system gives no thread.
        """
        self._descriptor = descriptor
        self._on_failure = on_failure
        self._clock = clock
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, Fact]] = deque()  # under the lock, like `_lost`
        self._lost = 0  # facts that were lost since the last write
        self._has_failed = False
        self._closing = threading.Event()
        self._began = clock()
        self._header = self._describe(role)
        self._threads = Threads()
        self._threads.start("trace", self._run)

    def __call__(self, fact: Fact) -> None:
        now = self._clock()
        with self._lock:
            if len(self._waiting) < self._most_waiting:
                self._waiting.append((now, fact))
            else:
                self._lost += 1

    def close(self) -> None:
        """Write the facts that still wait, and close the file."""
        self._closing.set()
        self._threads.join()
        os.close(self._descriptor)

    def _describe(self, role: str) -> dict[str, Any]:
        return {
            "t": 0.0,
            "event": "trace",
            "format": FORMAT,
            "version": __version__,
            "role": role,
            "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "monotonic": round(self._began, 6),
            "python": platform.python_version(),
            "system": sys.platform,
        }

    def _run(self) -> None:
        self._write([self._header])
        while not self._closing.wait(INTERVAL):
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            lost, self._lost = self._lost, 0
        lines = [line_of(at - self._began, fact) for at, fact in waiting]
        if lost:
            lines.append({"t": _seconds(self._clock() - self._began), "event": "lost", "lines": lost})
        self._write(lines)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        if self._has_failed or not lines:
            return
        data = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self._has_failed = True
            self._on_failure((error.strerror or str(error)).lower())


def line_of(seconds: float, fact: Fact) -> dict[str, Any]:
    """Return a fact as the JSON object that is written: `Chosen(...)` is {"t": ..., "event": "chosen", ...}."""
    if isinstance(fact, FramePassed):
        return {"t": _seconds(seconds), "event": "frame", **described(fact)}
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(fact).__name__).lower()
    fields = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(fact).items()}
    return {"t": _seconds(seconds), "event": name, **fields}


def _seconds(seconds: float) -> float:
    return round(seconds, 6)
