"""Where a call takes place: sound cards, a place for the network, a folder, and the processes started there."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path

from bench.places import Place
from bench.processes import PATIENCE, Process
from tests.soundcards import SoundCards

TICK = 0.2  # seconds between two looks


class Scene:
    """`folder` is empty, and this call's own."""

    def __init__(self, cards: SoundCards, place: Place, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.cards = cards
        self.weighed: list[Process] = []  # those whose CPU time and memory count
        self._processes: list[Process] = []

    def start(
        self,
        side: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        events: bool = False,
        weighed: bool = True,
    ) -> Process:
        """A program at a side: that side's network, microphone and loudspeaker are its own."""
        process = Process(
            self.place.command(side, command),
            {**self.cards.env(side), **(env or {})},
            self.folder / f"{len(self._processes)}-{side}-{Path(command[0]).name}.log",
            events,
        )
        self._processes.append(process)
        if weighed:
            self.weighed.append(process)
        return process

    def await_streams(self, count: int = 2) -> None:
        """Until as many microphones and loudspeakers are in use."""
        deadline = time.monotonic() + PATIENCE
        while min(self._streams("sink-inputs"), self._streams("source-outputs")) < count:
            for process in self._processes:
                if process.ended:
                    raise RuntimeError(f"a program has ended: {process.log.read_text(errors='replace')[-500:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no sound after {PATIENCE:.0f} s")
            time.sleep(TICK)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.stop()

    def _streams(self, kind: str) -> int:
        listed = subprocess.run(
            ["pactl", "list", "short", kind],
            env={**environ, **self.cards.env("a")},
            stdout=subprocess.PIPE,
            check=True,
        )
        return len(listed.stdout.splitlines())
