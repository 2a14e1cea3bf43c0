"""The programs of a call as processes: started, read, weighed, and ended with all that they started."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 30.0  # seconds for anything to happen
POLITE = 1.0  # seconds to end by oneself
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A command in a session of its own. Its output goes into `log`, or is read as JSON events."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path, events: bool = False) -> None:
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if events else file,
                stderr=file,
                start_new_session=True,
            )
        self.log = log
        self.pid = self._process.pid
        self._events: queue.SimpleQueue[tuple[float, dict[str, Any]] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read) if events else None
        if self._reader:
            self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def tell(self, **command: Any) -> None:
        """A command as a JSON line."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def enter(self, line: str = "") -> None:
        """A line on its standard input."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def event(self, name: str, timeout: float = PATIENCE) -> tuple[float, dict[str, Any]]:
        """The next event of that name, and when it came; those before it are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"no event {name!r} within {timeout:.0f} s, see {self.log}") from None
            if event is None:
                raise RuntimeError(f"ended before an event {name!r}: {self.log.read_text(errors='replace')[-500:]}")
            if event[1].get("event") == name:
                return event

    def take(self, timeout: float) -> tuple[float, dict[str, Any]] | None:
        """The next event, of whatever name, and when it came; None after its last. Raises TimeoutError."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if event is None:
            self._events.put(None)
        return event

    def await_output(self, part: str) -> None:
        """Until its log has that in it."""
        deadline = time.monotonic() + PATIENCE
        while part not in self.log.read_text(errors="replace"):
            if self.ended or time.monotonic() > deadline:
                raise RuntimeError(f"no {part!r} in {self.log.read_text(errors='replace')[-500:]}")
            time.sleep(0.05)

    def terminate(self) -> None:
        """Ask it to end."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._kill(signal.SIGTERM)

    def stop(self) -> None:
        """End whatever of it and its children is left a little after `terminate()`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(POLITE)
        self._kill(signal.SIGKILL)
        self._process.wait()
        if self._reader:
            self._reader.join()
            assert self._process.stdout
            self._process.stdout.close()

    def _kill(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._events.put((time.monotonic(), json.loads(line)))
        self._events.put(None)


def family(pids: Sequence[int]) -> list[int]:
    """These processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Of the processes, and of those of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / TICKS


def machine_seconds() -> tuple[float, float]:
    """What all cores have worked so far, and what they could have."""
    times = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) / TICKS, sum(times) / TICKS


def memory_mb(pids: Sequence[int]) -> float:
    """What they hold, with what they share divided among those who share it."""
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kilobytes / 1024


def _stat(pid: int) -> list[str]:
    """The fields from the state on: [1] is the parent, [11:15] times of the process and its children."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
