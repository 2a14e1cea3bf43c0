"""A whole run: every program on every line, interleaved and repeated, into one file of results."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import voicemux
from bench.call import measure
from bench.lines import ALL
from bench.places import Loopback, Namespaces, Place
from bench.programs import PROGRAMS
from tests.soundcards import SoundCards

RESULTS = "results.json"
PACKAGES = ("baresip-core", "mumble", "pulseaudio")  # whose versions are noted
QUICK_CHIRPS = 10
TRIES = 2  # on a busy machine a program may not start in time
BUSY = 0.6  # share of all cores in use from which on it is told


def missing() -> str:
    """What nothing can be measured without; empty if it is all there."""
    absent = [command for command in SoundCards.needed if not shutil.which(command)]
    return f"not installed: {', '.join(absent)} (bench/setup installs it)" if absent else ""


def run(lines: Sequence[str], programs: Sequence[str], repeats: int, folder: Path) -> dict[str, Any]:
    """The results; they are saved after every call, so that an interrupted run is not lost."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = [name for name in programs if not _told(name, PROGRAMS[name].missing())]
    if reason := Namespaces.missing():
        _say(f"{reason}: only the clean line, on the loopback")
        lines = [name for name in lines if name == "clean"]
    results: dict[str, Any] = {"machine": machine(), "calls": []}
    plan = [
        (repeat, line, name)
        for repeat in range(1, repeats + 1)
        for line in lines
        for name in programs
        if name in ALL[line].programs
    ]
    with SoundCards() as cards:
        for i, (repeat, line, name) in enumerate(plan, 1):
            place: Place = Loopback() if reason else Namespaces()
            call: dict[str, Any] = {"program": name, "line": line, "repeat": repeat}
            for _ in range(TRIES):
                try:
                    call = {**call, **measure(PROGRAMS[name], ALL[line], cards, place, seed=repeat)}
                    call.pop("error", None)
                    break
                except Exception as error:  # of whatever program: the others are still worth measuring
                    call["error"] = f"{type(error).__name__}: {error}"
            results["calls"].append(call)
            (folder / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
            _say(f"{i}/{len(plan)} {name} on {line}: {_in_short(call)}")
    return results


def quick() -> dict[str, dict[str, Any]]:
    """The figures of a short call of the floor and of voicemux each, on the loopback. Needs no root."""
    line = replace(ALL["clean"], chirps=QUICK_CHIRPS, speech=False, longest=2.0)
    with SoundCards() as cards:
        return {name: measure(PROGRAMS[name], line, cards, Loopback(), seed=1) for name in ("floor", "voicemux")}


def machine() -> dict[str, Any]:
    """Its facts, and the versions of what runs on it."""
    facts = [line.split(":")[-1].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": facts[0] if facts else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "voicemux": voicemux.__version__,
        **{package: version for package in PACKAGES if (version := _version(package))},
    }


def _version(package: str) -> str:
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _in_short(call: dict[str, Any]) -> str:
    if "error" in call:
        return f"failed: {call['error']}"
    directions = call["directions"].values()
    medians = " and ".join(f"{each['median']} ms" for each in directions)
    heard = min(each["heard"] for each in directions)
    busy = f"; the machine was {call['machine_busy']:.0%} busy" if call["machine_busy"] > BUSY else ""
    return f"{medians}, {heard:.0%} heard, CPU {call['cpu_percent']} %{busy}"


def _told(name: str, reason: str) -> bool:
    """Whether there is a reason to leave that program out; it is told."""
    if reason:
        _say(f"{name} is left out: {reason}")
    return bool(reason)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
