"""What becomes of a call whose line breaks: after how long voice is heard again, and whether each line of text comes.

Both ends are the shipped program, in two network namespaces with our line between them (needs root). A pipe that
speaks the time (timecode.py) is the microphone of each, a recording its loudspeaker: both have this machine's clock.
"""

import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cuts import CutsAtRandom
from bench.party import Party, Texts, compare
from bench.places import Namespaces
from bench.processes import PATIENCE, Process, machine_seconds
from bench.runs import machine
from bench.timecode import TalkingClocks, heard_again, moments, read_recording

SETTLE = 3.0  # seconds of undisturbed call before the first cut, and after the last
DELAY = 0.025  # seconds each way
GRACE = 60.0  # seconds, the program's default
ENDED_WITHIN = 75.0  # seconds from the cut, when the line stays dead
PAUSE = 0.15  # seconds between two lines of text, in the mean
RARE = 8.0  # seconds between two cuts: there are 8 connections a minute beside one that may be well
SELDOM = 8.0  # the same where all that is not delivered is to be listed: at most twenty lines are
DELIVERY = 40.0  # seconds for the last line to arrive
OTHER_ADDRESS = "10.77.0.3"


@dataclass(frozen=True)
class Cut:
    """When the line broke, and when it was well again, as monotonic time."""

    at: float
    well_at: float


@dataclass(frozen=True)
class Case:
    """`cut` breaks the line once, and says when; it may take as long as the line is dead."""

    name: str
    label: str
    target: str
    cut: Callable[["LiveCall"], Cut]
    repeats: int
    pause: float = PAUSE  # seconds between two lines of text
    between: float = 3.0  # seconds from the end of one cut to the next, and as much again by chance
    ends: bool = False  # the call is to end


class LiveCall:
    """A call between both namespaces; `parties` are "a", who listens, and "b", who dials."""

    def __init__(self, place: Namespaces, folder: Path, pause: float, options: tuple[str, ...]) -> None:
        """`folder` has the pipes that they hear."""
        self.place = place
        self._folder = folder
        self.dialler_address = place.address("b")
        self._started: list[Process] = []
        self._dice = random.Random(1)
        address = place.address("a")
        listener = self._start("a", "listen", "--host", address, "--port", "0", "--once", *options)
        told = listener.event("listening")[1]
        dialler = self._start("b", "dial", f"{address}:{told['port']}", told["code"], *options)
        self.parties = {
            side: Party(process, side, lambda: pause * self._dice.uniform(0.5, 1.5))
            for side, process in (("a", listener), ("b", dialler))
        }

    def _start(self, side: str, *arguments: str) -> Process:
        sound = ("--input", f"{self._folder}/clock-{side}", "--output", f"{self._folder}/heard-{side}.wav")
        command = [sys.executable, "-m", "voicemux", arguments[0], "--name", side, "--json", *sound, *arguments[1:]]
        env = {"VOICEMUX_HOME": f"{self._folder}/keys-{side}"}
        process = Process(self.place.command(side, command), env, self._folder / f"{side}.log", events=True)
        self._started.append(process)
        return process

    def __enter__(self) -> "LiveCall":
        with contextlib.ExitStack() as stack:
            stack.callback(self._stop)
            for party in self.parties.values():
                stack.enter_context(party)
            for party in self.parties.values():
                party.await_event("connected", PATIENCE)
                party.await_event("audio_started", PATIENCE, 2)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stop(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.stop()

    def send_signal(self, number: int) -> None:
        """To both ends."""
        for process in self._started:
            os.kill(process.pid, number)

    def go_on(self, seconds: float) -> None:
        """Let both ends talk for so long."""
        time.sleep(seconds)

    def settle(self, timeout: float = DELIVERY) -> None:
        """Nobody says more; wait until all that was said has been heard, and is known to have been."""
        until = time.monotonic() + timeout
        a, b = self.parties.values()
        for party in (a, b):
            party.fall_silent()
        while time.monotonic() < until and not (a.has_ended or b.has_ended):
            if all(
                len(other.heard) >= len(party.said) and len(party.delivered) >= len(party.said)
                for party, other in ((a, b), (b, a))
            ):
                return
            time.sleep(0.1)

    def texts(self) -> Texts:
        """What became of all lines, both ways."""
        a, b = self.parties.values()
        return compare(a.said, b.heard) + compare(b.said, a.heard)

    def heard_again(self, cuts: list[Cut]) -> list[float | None]:
        """Of each cut and each direction: seconds from when the line was well until voice was heard that was spoken
        after the cut. After the call."""
        found: list[float | None] = []
        for side, party in self.parties.items():
            started = [event for _, event in party.named("audio_started") if event["direction"] == "output"]
            spoken = moments(read_recording(self._folder / f"heard-{side}.wav"))
            for cut in cuts:
                heard = heard_again(spoken, started[0]["since"], cut.at)
                found.append(None if heard is None else round(max(0.0, heard - cut.well_at), 3))
        return found


def _reset(call: LiveCall) -> Cut:
    call.place.change(middlebox="reset")
    return Cut(now := time.monotonic(), now)


def _forget(call: LiveCall) -> Cut:
    call.place.change(middlebox="forget")
    return Cut(now := time.monotonic(), now)


def _replace_address(call: LiveCall) -> Cut:
    addresses = (call.place.address("b"), OTHER_ADDRESS)
    old, new = addresses if call.dialler_address == addresses[0] else addresses[::-1]
    at = time.monotonic()
    call.place.replace_address("b", old, new)
    call.dialler_address = new
    return Cut(at, time.monotonic())


def _unplug(seconds: float) -> Callable[[LiveCall], Cut]:
    def cut(call: LiveCall) -> Cut:
        at = time.monotonic()
        call.place.plug("b", is_in=False)
        time.sleep(seconds)
        call.place.plug("b", is_in=True)
        return Cut(at, time.monotonic())

    return cut


def _close_lid(seconds: float) -> Callable[[LiveCall], Cut]:
    def cut(call: LiveCall) -> Cut:
        at = time.monotonic()
        call.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        call.send_signal(signal.SIGCONT)
        return Cut(at, time.monotonic())

    return cut


CASES = {
    case.name: case
    for case in (
        Case("reset", "connection reset by a middlebox", "0.5 s median, 0.8 s p95", _reset, 100, between=2.0),
        Case("address", "the dialler's address is replaced", "1.5 s", _replace_address, 20, between=RARE),
        Case("nat", "NAT reboot: packets vanish", "5.5 s", _forget, 10, between=RARE),
        Case("cable3", "cable out for 3 s", "1.0 s after it is back", _unplug(3.0), 10),
        Case("cable10", "cable out for 10 s", "1.0 s after it is back", _unplug(10.0), 5),
        Case("cable40", "cable out for 40 s", "1.0 s after it is back", _unplug(40.0), 3),
        Case("cable70", "cable out for 70 s", "ended by 75 s, list right", _unplug(70.0), 1, SELDOM, ends=True),
        Case("lid", "lid closed for 60 s", "1.5 s after waking", _close_lid(60.0), 3),
    )
}


CUTS = "cuts"  # bench/cuts.py
CALLS, CUTS_OF_A_CALL = 100, 10
LABELS = {CUTS: ("cuts at random moments", "nothing lost or left behind")}
NAMES = (*CASES, CUTS)


@contextlib.contextmanager
def live_call(pause: float = PAUSE, options: tuple[str, ...] = ()) -> Iterator[LiveCall]:
    """A call that has just begun; its programs and its namespaces go at the end."""
    with tempfile.TemporaryDirectory(prefix="voicemux-bench-") as name, Namespaces() as place:
        folder = Path(name)
        place.change(delay=DELAY, seed=1)
        with (
            TalkingClocks(*(folder / f"clock-{side}" for side in "ab")),
            LiveCall(place, folder, pause, options) as call,
        ):
            yield call


def measure_case(case: Case, repeats: int | None = None, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """The figures of one case, ready for JSON. Raises RuntimeError, TimeoutError or EOFError if there was no call."""
    count = case.repeats if repeats is None else repeats
    dice = random.Random(2)
    busy = machine_seconds()
    cuts: list[Cut] = []
    with live_call(case.pause, options) as call:
        time.sleep(SETTLE)
        for _ in range(count):
            if any(party.has_ended for party in call.parties.values()):
                break
            cuts.append(case.cut(call))
            if not case.ends:
                time.sleep(case.between * dice.uniform(1.0, 2.0))
        if case.ends:
            return _ended(case, call, cuts[0])
        time.sleep(SETTLE)
        call.settle()
        parties = call.parties.values()
        over = [events[0][1] for party in parties if (events := party.named("ended"))]
        texts = call.texts()
        voice = call.heard_again(cuts)
        found = [seconds for seconds in voice if seconds is not None]
        resumed = [len(party.named("resumed")) for party in parties]
    after = machine_seconds()
    return {
        "case": case.name,
        "cuts": len(cuts),
        "wanted": count,
        "resumed": resumed,
        "voice": voice,
        "not_heard": len(voice) - len(found),
        "median": round(statistics.median(found), 2) if found else None,
        "p95": round(percentile(found, 0.95), 2) if found else None,
        **vars(texts),
        "ended": [f"{event['by']}: {event['reason']}" for event in over],
        "machine_busy": round((after[0] - busy[0]) / (after[1] - busy[1]), 2),
    }


def run(names: Sequence[str], repeats: int | None, tell: Callable[[str], None]) -> dict[str, Any]:
    """The figures of the cases, and the machine's facts. `repeats` of each, else its own number; `tell` hears how it
    goes on."""
    results: dict[str, Any] = {"machine": machine(), "cases": []}
    for name in names:
        if name == CUTS:
            figures = CutsAtRandom(*((CALLS, CUTS_OF_A_CALL) if repeats is None else (1, repeats))).measure()
        else:
            try:
                figures = measure_case(CASES[name], repeats)
            except Exception as error:  # of one case: the others are still worth measuring
                figures = {"case": name, "error": f"{type(error).__name__}: {error}"}
        results["cases"].append(figures)
        tell(f"{name}: { ({what: each for what, each in figures.items() if what not in ('case', 'voice')}) }")
    return results


def table(results: dict[str, Any]) -> str:
    """For people."""
    rows = [_row(figures) for figures in results["cases"]]
    busy = [figures["machine_busy"] for figures in results["cases"] if "machine_busy" in figures]
    facts = ", ".join(f"{name} {fact}" for name, fact in results["machine"].items())
    head = (
        "case",
        "wanted",
        "cuts",
        "voice heard again after: median",
        "p95",
        "lines",
        "lost",
        "doubled",
        "reordered",
    )
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
    lines += ["", f"{facts}."]
    if busy:
        lines.append(
            f"Meanwhile {min(busy):.0%} to {max(busy):.0%} of the machine was in use, by other programs, too."
        )
    return "\n".join(lines)


def _row(figures: dict[str, Any]) -> list[Any]:
    name = figures["case"]
    label, wanted = (CASES[name].label, CASES[name].target) if name in CASES else LABELS[name]
    if "error" in figures:
        return [label, wanted, 0, figures["error"], *[""] * 5]
    if "ended_after" in figures:
        after = " and ".join("never" if each is None else f"{each} s" for each in figures["ended_after"])
        right = "right" if figures["list_is_right"] else "WRONG"
        return [label, wanted, 1, f"ended after {after}", "", "", f"list is {right}", "", ""]
    texts = [figures[each] for each in ("said", "lost", "doubled", "reordered")]
    if name == CUTS:
        held = "; ".join(_left(what, figures[f"{what}_left"]) for what in ("listener", "dialler"))
        failed = f"{len(figures['failures'])} calls did not begin or not go on; " if figures["failures"] else ""
        return [label, wanted, figures["cuts"], f"{failed}left behind: {held}", "", *texts]
    missing = f" ({figures['not_heard']} never)" if figures["not_heard"] else ""
    median, p95 = ("never" if figures[each] is None else f"{figures[each]:.2f} s" for each in ("median", "p95"))
    return [label, wanted, figures["cuts"], f"{median}{missing}", p95, *texts]


def _left(who: str, left: dict[str, float]) -> str:
    kinds = (("threads", ".0f", ""), ("descriptors", ".0f", ""), ("memory", ".1f", " MB"))
    return f"{who}: " + ", ".join(f"{what} {left[what]:+{form}}{unit}" for what, form, unit in kinds)


def percentile(values: list[float], share: float) -> float:
    """The least value that is at least as great as that share of them."""
    return sorted(values)[max(0, -(-int(len(values) * share * 1000) // 1000) - 1)]


def _ended(case: Case, call: LiveCall, cut: Cut) -> dict[str, Any]:
    """How a call ended whose line stayed dead, and whether what it lists as not delivered is right."""
    figures: dict[str, Any] = {"case": case.name, "cuts": 1, "wanted": 1}
    lists_right = True
    ended_after: list[float | None] = []
    a, b = call.parties.values()
    for party, other in ((a, b), (b, a)):
        try:
            at, event = party.await_event("ended", max(0.0, cut.at + 2 * ENDED_WITHIN - time.monotonic()))
        except (TimeoutError, EOFError):
            ended_after.append(None)
            continue
        ended_after.append(round(at - cut.at, 1))
        party.fall_silent()
        listed = {each["text"] for each in event["undelivered_texts"]}
        refused = {each["id"] for _, each in party.named("rejected")}
        # What was said in the last moment may not have been read.
        said = {line for line, when in zip(party.said, party.said_at, strict=True) if when < at - 1.0} - refused
        lists_right &= said - set(other.heard) <= listed and not listed & set(party.delivered)
        lists_right &= len(listed) == event["undelivered"]
    return {**figures, "ended_after": ended_after, "list_is_right": lists_right}
