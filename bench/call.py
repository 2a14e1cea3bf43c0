"""One measured call: a program on a line, both sides speaking at the same time, and what came of it."""

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import analysis
from bench.capture import Capture, Playing, Track
from bench.lines import TEXT_AT, Line, Transfer
from bench.places import Counters, Place
from bench.processes import Process, cpu_seconds, family, machine_seconds, memory_mb
from bench.programs import Pair, Program
from bench.scene import Scene
from bench.signals import RATE, Script, script
from tests.soundcards import SoundCards

SETTLE = 1.0  # seconds from the first sound to the start
TAIL = 0.5  # seconds to record beyond what may still come
LONGEST_TAIL = 4.0
DIRECTIONS = ("ab", "ba")  # "ab" is spoken at a and heard at b
TEXT_TIMEOUT = 60.0
TRANSFER_PORT = 5201
LOOP = ["nice", "-n", "10", sys.executable, "-c", "while True: pass"]  # a place runs its programs at nice -10


@dataclass(frozen=True)
class Snapshot:
    """Counters at one moment."""

    time: float
    cpu: float
    machine: tuple[float, float]
    traffic: dict[str, Counters] | None
    stats: dict[str, dict[str, Any]]


def measure(program: Program, line: Line, cards: SoundCards, place: Place, seed: int) -> dict[str, Any]:
    """The figures of one call, ready for JSON. Raises RuntimeError if there was none."""
    with tempfile.TemporaryDirectory(prefix="voicemux-bench-") as folder, place:
        # murmurd gives up root and must still reach its own part of it
        Path(folder).chmod(0o755)
        scene = Scene(cards, place, Path(folder))
        place.change(seed=seed, **line.settings)
        try:
            pair = program.start(scene)
            scene.await_streams()
            time.sleep(SETTLE)
            return _measure(scene, pair, line)
        finally:
            scene.stop()


def _measure(scene: Scene, pair: Pair, line: Line) -> dict[str, Any]:
    scripts = {side: script(side, line.chirps, line.speech, spoken_at=line.spoken) for side in "ab"}
    transfers = [_transfer(scene, number, each) for number, each in enumerate(line.transfers)]
    for _ in range(line.loops):
        scene.start("a", LOOP, weighed=False)
    capture = Capture([f"{side}_{card}" for side in "ab" for card in ("mic", "spk")], scene.cards.env("a"))
    try:
        time.sleep(SETTLE)
        before = _snapshot(scene, pair)
        playing = [Playing(f"{side}_mic", scripts[side].samples, scene.cards.env("a"), scene.folder) for side in "ab"]
        with _disturbed(scene.place, line, transfers, scripts["a"].chirps_begin) as events:
            text = _send_text(pair, line, scripts["a"].chirps_begin) if line.text else None
            time.sleep(max(0.0, before.time + len(scripts["a"].samples) / RATE / 2 - time.monotonic()))
            memory = memory_mb(family([process.pid for process in scene.weighed]))
            for each in playing:
                each.wait()
        after = _snapshot(scene, pair)
        time.sleep(min(line.longest, LONGEST_TAIL) + TAIL)
    finally:
        tracks = capture.stop()
    result: dict[str, Any] = {
        "seconds": round(after.time - before.time, 1),
        "cpu_percent": round(100 * (after.cpu - before.cpu) / (after.time - before.time), 1),
        "memory_mb": round(memory, 1),
        "machine_busy": round(_busy(before, after), 2),
        "kbit_s": _kbit_s(before, after),
        "concealed": _concealed(before, after),
        "estimated": {side: stats["mouth_to_ear_ms"] for side, stats in after.stats.items()} or None,
        "text": text,
    }
    result["directions"] = {
        direction: _listen(scripts[direction[0]], tracks, direction, line, events) for direction in DIRECTIONS
    }
    return result


def _snapshot(scene: Scene, pair: Pair) -> Snapshot:
    stats = pair.stats()
    pids = family([process.pid for process in scene.weighed])
    return Snapshot(time.monotonic(), cpu_seconds(pids), machine_seconds(), scene.place.traffic(), stats)


@contextlib.contextmanager
def _disturbed(place: Place, line: Line, transfers: Sequence[Process], chirps_begin: float) -> Any:
    """The line's events and transfers, in a thread. Yields when each happened, as monotonic time."""
    happening: list[tuple[float, Callable[[], None]]] = [
        (after, partial(place.change, **settings)) for after, settings in line.events
    ]
    for transfer, process in zip(line.transfers, transfers, strict=True):
        happening += [(after, process.enter) for after in (transfer.begin, transfer.end)]
    begin = time.monotonic() + chirps_begin
    happened: list[float] = []

    def disturb() -> None:
        for after, happen in sorted(happening, key=lambda each: each[0]):
            time.sleep(max(0.0, begin + after - time.monotonic()))
            happen()
            happened.append(time.monotonic())

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield happened
    finally:
        thread.join()


def _transfer(scene: Scene, number: int, transfer: Transfer) -> Process:
    """Its sender, which waits to be told."""
    other = "ba"["ab".index(transfer.side)]
    to = [scene.place.address(other), str(TRANSFER_PORT + number)]
    scene.start(other, [sys.executable, "-m", "bench.transfer", "receive", *to], weighed=False)
    command = [sys.executable, "-m", "bench.transfer", "send", *to, transfer.congestion]
    return scene.start(transfer.side, command, weighed=False)


def _send_text(pair: Pair, line: Line, chirps_begin: float) -> dict[str, float | None]:
    """How long the text took, beside how long the line would need for its bytes alone."""
    time.sleep(chirps_begin + TEXT_AT)
    begin = time.monotonic()
    pair.say(("all work and no play " * (line.text // 21 + 1))[: line.text])
    arrived = pair.await_text(TEXT_TIMEOUT)
    ideal = line.text * 8 / line.settings["rate"]
    if arrived is None:
        return {"seconds": None, "ideal_seconds": round(ideal, 2), "ratio": None}
    took = arrived - begin
    return {"seconds": round(took, 2), "ideal_seconds": round(ideal, 2), "ratio": round(took / ideal, 3)}


def _busy(before: Snapshot, after: Snapshot) -> float:
    """The share of the whole machine that was in use, by whomever: near 1, no figure is worth much."""
    worked, could = (late - early for early, late in zip(before.machine, after.machine, strict=True))
    return worked / could


def _kbit_s(before: Snapshot, after: Snapshot) -> dict[str, float] | None:
    """What each side has put on the line, IP headers included."""
    if before.traffic is None or after.traffic is None:
        return None
    seconds = after.time - before.time
    return {
        side: round((after.traffic[side]["bytes"] - before.traffic[side]["bytes"]) * 8 / 1000 / seconds, 1)
        for side in "ab"
    }


def _concealed(before: Snapshot, after: Snapshot) -> dict[str, float] | None:
    """The share of voice that each side had to make up, by its own account."""
    shares = {}
    for side, stats in after.stats.items():
        made_up, received = (stats[name] - before.stats[side][name] for name in ("audio_concealed", "audio_received"))
        shares[side] = round(made_up / max(1, made_up + received), 4)
    return shares or None


def _listen(
    spoken_script: Script, tracks: dict[str, Track], direction: str, line: Line, events: list[float]
) -> dict[str, Any]:
    """What one direction of the call was like."""
    microphone, loudspeaker = tracks[f"{direction[0]}_mic"], tracks[f"{direction[1]}_spk"]
    spoken = analysis.find_spoken(spoken_script, microphone)
    delays = analysis.find_heard(spoken, loudspeaker, line.longest)
    begin = spoken[0].time
    times = [chirp.time - begin for chirp in spoken]
    result: dict[str, Any] = {
        **analysis.summary(delays),
        "series": [
            [round(at, 3), None if delay is None else round(delay * 1000, 1)]
            for at, delay in zip(times, delays, strict=True)
        ],
    }
    if line.disturbed and events:
        dark = events[0] - begin
        end = dark + line.disturbed[1] - line.disturbed[0]
        result["disturbed"] = [round(dark, 2), round(end, 2)]
        result["back_to_normal_s"] = analysis.back_to_normal(times, delays, dark, end)
    if spoken_script.spoken:
        result["pesq_at"] = []
        for piece in spoken_script.spoken:
            start, stop = spoken_script.times(piece, begin)
            delay = analysis.speech_delay(microphone, loudspeaker, start, stop, line.longest)
            quality = analysis.speech_quality(microphone, loudspeaker, start, stop, delay)
            result["pesq_at"].append([round(start - begin, 1), quality])
    if spoken_script.speech:
        start, stop = spoken_script.times(spoken_script.speech, begin)
        delay = analysis.speech_delay(microphone, loudspeaker, start, stop, line.longest)
        result["speech_delay_ms"] = round(delay * 1000, 1)
        result["pesq"] = analysis.speech_quality(microphone, loudspeaker, start, stop, delay)
    return result
