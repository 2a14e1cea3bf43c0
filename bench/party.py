"""One end of a call that goes on talking: numbered lines go out, and what comes is counted."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.processes import Process

LOOK = 0.1  # seconds between two looks


@dataclass(frozen=True)
class Texts:
    """What became of the lines of one direction, or of several."""

    said: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0

    def __add__(self, other: "Texts") -> "Texts":
        return Texts(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def is_well(self) -> bool:
        """Whether each line came once, and in order."""
        return not (self.lost or self.doubled or self.reordered)


def compare(said: list[str], heard: list[str]) -> Texts:
    """What was heard of the different lines that were said."""
    times = Counter(heard)
    number = {line: at for at, line in enumerate(said)}
    first = list(dict.fromkeys(heard))
    known = [number[line] for line in first if line in number]
    return Texts(
        len(said),
        lost=sum(line not in times for line in said),
        doubled=sum(times.values()) - len(times) + sum(line not in number for line in first),
        reordered=sum(later < earlier for earlier, later in pairwise(known)),
    )


class Party:
    """`process` is `voicemux` with --json, about to be in a call. A context manager: inside, it talks once it is."""

    def __init__(self, process: Process, name: str, pause: Callable[[], float]) -> None:
        """`pause` gives the seconds until the next line is said."""
        self.process = process
        self._name = name
        self._pause = pause
        self.said: list[str] = []
        self.said_at: list[float] = []  # monotonic time
        self.heard: list[str] = []
        self.delivered: list[str] = []  # the ids of lines, which are the lines
        self.events: list[tuple[float, dict[str, Any]]] = []
        self._connected = threading.Event()
        self._quiet = threading.Event()
        self._gone = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._talk, self._listen)]

    def __enter__(self) -> "Party":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for event in (self._quiet, self._gone, self._connected):
            event.set()
        for thread in self._threads:
            thread.join()

    def fall_silent(self) -> None:
        """Say no more; what comes is still counted."""
        self._quiet.set()
        self._threads[0].join()

    def named(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        """The events of that name so far, and when they came."""
        return [each for each in list(self.events) if each[1]["event"] == name]

    def await_event(self, name: str, timeout: float, count: int = 1) -> tuple[float, dict[str, Any]]:
        """The event of that name with that number, counted from 1. Raises TimeoutError, or EOFError at its end."""
        until = time.monotonic() + timeout
        while len(found := self.named(name)) < count:
            if self._gone.is_set():
                raise EOFError(f"{self._name} has ended: {[event for _, event in self.events[-3:]]}")
            if time.monotonic() > until:
                raise TimeoutError(f"{self._name} has {len(found)} events {name!r} of {count}")
            time.sleep(LOOK)
        return found[count - 1]

    @property
    def has_ended(self) -> bool:
        """Whether there will be no further event."""
        return self._gone.is_set()

    def _talk(self) -> None:
        self._connected.wait()
        while not self._quiet.wait(self._pause()) and not self._gone.is_set():
            line = f"{self._name} {len(self.said)}"
            with contextlib.suppress(OSError, ValueError):  # it has ended
                self.process.tell(command="say", text=line, id=line)
                self.said.append(line)
                self.said_at.append(time.monotonic())

    def _listen(self) -> None:
        while not self._gone.is_set():
            try:
                event = self.process.take(LOOK)
            except TimeoutError:
                continue
            if event is None:
                self._gone.set()
                self._connected.set()
                return
            what = event[1]
            match what["event"]:
                case "text":
                    self.heard.append(what["text"])
                case "connected":
                    self._connected.set()
                case "delivered":
                    self.delivered.append(what["id"])
            self.events.append(event)
