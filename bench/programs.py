"""The programs that can be called with: how a pair of each is started, and what it takes."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.baresip import start_baresip
from bench.mumble import start_mumble
from bench.processes import Process
from bench.scene import Scene

PORT = 8689


class Pair:
    """The two ends of a call, and what may be asked of them."""

    def stats(self) -> dict[str, dict[str, Any]]:
        """Figures that each side has of the call, if it has any."""
        return {}

    def say(self, text: str) -> None:
        raise NotImplementedError

    def await_text(self, timeout: float) -> float | None:
        raise NotImplementedError


class VoicemuxPair(Pair):
    """Side a listens, side b dials."""

    def __init__(self, scene: Scene, options: tuple[str, ...]) -> None:
        address = scene.place.address("a")
        program = (sys.executable, "-m", "voicemux")
        listen = ("listen", "--host", address, "--port", "0", "--once", "--name", "a", "--json", *options)
        # Keys and contacts of their own: they are nobody's.
        keys = {side: {"VOICEMUX_HOME": str(scene.folder / f"keys-{side}")} for side in "ab"}
        listener = scene.start("a", (*program, *listen), keys["a"], events=True)
        called = listener.event("listening")[1]
        dial = ("dial", f"{address}:{called['port']}", called["code"], "--name", "b", "--json", *options)
        dialler = scene.start("b", (*program, *dial), keys["b"], events=True)
        self._sides: dict[str, Process] = {"a": listener, "b": dialler}
        for side in self._sides.values():
            side.event("connected")

    def stats(self) -> dict[str, dict[str, Any]]:
        for side in self._sides.values():
            side.tell(command="stats")
        return {name: side.event("stats")[1] for name, side in self._sides.items()}

    def say(self, text: str) -> None:
        """From a to b."""
        self._sides["a"].tell(command="say", text=text)

    def await_text(self, timeout: float) -> float | None:
        """When the text has arrived, as monotonic time; None if it has not."""
        try:
            return self._sides["b"].event("text", timeout)[0]
        except RuntimeError:
            return None


HEADSET = ("--echo", "off")  # no loudspeaker of a line is heard by a microphone


def _start_voicemux(scene: Scene) -> Pair:
    return VoicemuxPair(scene, HEADSET)


def _start_voicemux_low(scene: Scene) -> Pair:
    return VoicemuxPair(scene, (LOW_LATENCY, *HEADSET))


def _start_original(scene: Scene) -> Pair:
    for side, role in (("a", "listen"), ("b", "dial")):
        command = (sys.executable, "-m", "bench.original", role, scene.place.address("a"), str(PORT))
        process = scene.start(side, command)
        if role == "listen":
            process.await_output("listening")
    return Pair()


def _start_floor(scene: Scene) -> Pair:
    for side, other in ("ab", "ba"):
        scene.start(side, (sys.executable, "-m", "bench.floor"), {"PULSE_SINK": f"{other}_spk"})
    return Pair()


def _start_baresip(scene: Scene) -> Pair:
    start_baresip(scene)
    return Pair()


def _start_mumble(scene: Scene) -> Pair:
    start_mumble(scene)
    return Pair()


LOW_LATENCY = "--low-latency"


def _has_low_latency() -> str:
    command = (sys.executable, "-m", "voicemux", "dial", "--help")
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return "" if LOW_LATENCY in text else f"voicemux has no {LOW_LATENCY}"


def needs(*commands: str) -> Callable[[], str]:
    """What says that these are not installed."""

    def missing() -> str:
        absent = [command for command in commands if not shutil.which(command)]
        return f"not installed: {', '.join(absent)} (bench/setup installs it)" if absent else ""

    return missing


@dataclass(frozen=True)
class Program:
    """`missing` says why it cannot be measured here; empty if it can."""

    name: str
    label: str
    start: Callable[[Scene], Pair]
    missing: Callable[[], str] = lambda: ""


PROGRAMS = {
    program.name: program
    for program in (
        Program("floor", "the floor: two sound cards", _start_floor),
        Program("voicemux", "voicemux", _start_voicemux),
        Program("voicemux-low", "voicemux --low-latency", _start_voicemux_low, _has_low_latency),
        Program("baresip", "baresip (UDP)", _start_baresip, needs("baresip")),
        Program("mumble", "Mumble (TCP)", _start_mumble, needs("mumble", "murmurd", "Xvfb", "openssl")),
        Program("original", "the original two sockets", _start_original),
    )
}
