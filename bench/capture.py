"""Playing into microphones, and recording microphones and loudspeakers together, against one clock."""

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.signals import RATE, Samples

FRAGMENT_MS = 5  # of the recorders; it makes the virtual cards work in blocks of as much
PLAYER_MS = 800  # buffered by the player, so that it does not stall on a busy machine
WINDOW = 1.0  # seconds in which at least one read was not late
FORMAT = ("--raw", "--format=s16le", f"--rate={RATE}", "--channels=1")


class Track:
    """What one sink played: samples, and the monotonic time of each.

    Reads come late, never early: the earliest of each second tell when its samples were.
    """

    def __init__(self, pcm: bytes, arrivals: Sequence[float], counts: Sequence[int]) -> None:
        self.samples: Samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2") / 32768
        times = np.array(arrivals)
        offsets = times - np.array(counts) / RATE
        windows = ((times - times[0]) / WINDOW).astype(int)
        kept = np.unique(windows)
        lowest = np.array([offsets[windows == window].min() for window in kept])
        around = [lowest[max(0, i - 1) : i + 2].min() for i in range(len(lowest))]
        self._at: NDArray[np.float64] = times[0] + (kept + 0.5) * WINDOW
        self._offset: NDArray[np.float64] = np.array(around)

    def time(self, sample: float) -> float:
        """When that sample was played."""
        when = sample / RATE + float(self._offset[0])
        for _ in range(2):
            when = sample / RATE + float(np.interp(when, self._at, self._offset))
        return when

    def index(self, when: float) -> int:
        """Which sample was played then."""
        return round((when - float(np.interp(when, self._at, self._offset))) * RATE)


class Capture:
    """Records several sinks from its start to `stop()`, in a thread."""

    def __init__(self, sinks: Sequence[str], env: Mapping[str, str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._recorded: dict[str, dict[str, Any]] = {}
        for sink in sinks:
            process = subprocess.Popen(
                ["parec", f"--device={sink}.monitor", *FORMAT, f"--latency-msec={FRAGMENT_MS}"],
                env={**os.environ, **env},
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            record = {"process": process, "pcm": bytearray(), "arrivals": [], "counts": []}
            self._recorded[sink] = record
            assert process.stdout
            self._selector.register(process.stdout, selectors.EVENT_READ, record)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def stop(self) -> dict[str, Track]:
        for record in self._recorded.values():
            record["process"].terminate()
        self._thread.join()
        self._selector.close()
        for record in self._recorded.values():
            record["process"].wait()
            record["process"].stdout.close()
        return {s: Track(bytes(r["pcm"]), r["arrivals"], r["counts"]) for s, r in self._recorded.items()}

    def _read(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                record = key.data
                chunk = record["process"].stdout.read(65536)
                now = time.monotonic()
                if not chunk:
                    self._selector.unregister(key.fileobj)
                    continue
                record["pcm"] += chunk
                record["arrivals"].append(now)
                record["counts"].append(len(record["pcm"]) // 2)


class Playing:
    """Plays samples into a sink; `wait()` for their end. By way of a file: on a pipe it would stall when we do."""

    def __init__(self, sink: str, samples: Samples, env: Mapping[str, str], folder: Path) -> None:
        file = folder / f"{sink}.raw"
        file.write_bytes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        self._process = subprocess.Popen(
            ["pacat", "--playback", f"--device={sink}", *FORMAT, f"--latency-msec={PLAYER_MS}", str(file)],
            env={**os.environ, **env},
        )

    def wait(self) -> None:
        self._process.wait()
