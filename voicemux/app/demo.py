"""The demonstration: a listener and a dialler in two processes, with one connection, speech and text both ways,
measured.

Both are the shipped program, driven through --json as by any program. Their sound is two bundled recordings that are
played into the call at real pace. What each side hears is recorded, and the delay is found by searching the
recordings for the speech. Both processes report by the same clock when their sound began, so the whole way from mouth
to ear is measured.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from voicemux.audio.measure import Heard, compare
from voicemux.errors import DeviceError, VoicemuxError
from voicemux.threads import Threads

SPEECH = Path(__file__).parent.parent / "speech"
PATIENCE = 60.0  # seconds for the whole call, which takes about ten
# Median correlation of speech with itself after Opus from which on it counts as the same; noise has below 0.2.
ALIKE_ENOUGH = 0.6
LINES = {
    "alice": ["Hello Bob, can you hear me?", "Text and voice share one TCP connection.", "Bye, Bob! 👋"],
    "bob": ["Loud and clear, Alice.", "Even Ünïcödé and emoji 🎉 arrive.", "Until next time!"],
}
PAUSE = 1.5  # seconds between two lines of one side

Tell = Callable[[str], None] | None


class _Side:
    """One of the two processes. It sends commands, and receives events."""

    def __init__(self, name: str, arguments: list[str], keys: str, stack: ExitStack) -> None:
        """`keys` is a folder for the side's key and contacts, so that the user's are not touched."""
        self.name = name
        self.events: list[dict[str, Any]] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "voicemux", *arguments, "--json", "--name", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "VOICEMUX_HOME": keys},
            )
        )
        threads = Threads()
        stack.callback(threads.join)
        stack.callback(self._process.kill)
        threads.start(f"demo-{name}", self._read)

    def command(self, **command: str) -> None:
        """Send a command to the process."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def wait_for(self, name: str, deadline: float, **wanted: str) -> dict[str, Any]:
        """Return the first event of that name, past or to come, that has these values. Raises VoicemuxError after
        `deadline`, in seconds of `time.monotonic`."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                seen += 1
                if event["event"] == name and wanted.items() <= event.items():
                    return event
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise VoicemuxError(f"the demo waited for {self.name}'s {name!r} in vain") from None
            if not line:
                raise VoicemuxError(f"{self.name}'s side of the demo ended before {name!r}: {self._last_words()}")
            self.events.append(json.loads(line))

    def texts(self) -> list[str]:
        """Return the texts that have come so far."""
        return [event["text"] for event in self.events if event["event"] == "text"]

    def wait(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        return self._process.wait(timeout=PATIENCE)

    def _last_words(self) -> str:
        return next((event["error"] for event in reversed(self.events) if "error" in event), "it said nothing")

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


def hold_demo(folder: str | None, *, live: bool, tell: Tell) -> dict[str, Any]:
    """Hold the call, and return the report that `voicemux demo --json` prints. `tell` gets lines on the way."""
    kept = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="voicemux-demo-"))
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeviceError(f"cannot make the folder {kept}: {(error.strerror or '').lower()}") from error
    recordings = {"alice": str(kept / "heard-by-alice.wav"), "bob": str(kept / "heard-by-bob.wav")}
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        listening = ["listen", "--host", "127.0.0.1", "--port", "0", "--once"]
        # Live, bob is the machine's own sound card; alice stays a file, so that nothing can howl.
        sound = ["--record"] if live else ["--input", str(SPEECH / "listener.wav"), "--output"]
        keys = [stack.enter_context(tempfile.TemporaryDirectory(prefix="voicemux-keys-")) for _ in recordings]
        bob = _Side("bob", [*listening, *sound, recordings["bob"]], keys[0], stack)
        called = bob.wait_for("listening", deadline)
        sound = ["--input", str(SPEECH / "dialler.wav"), "--output", recordings["alice"]]
        dialling = ["dial", f"127.0.0.1:{called['port']}", called["code"]]
        alice = _Side("alice", [*dialling, *sound], keys[1], stack)
        sides = {"alice": alice, "bob": bob}
        for side in sides.values():
            side.wait_for("connected", deadline)
        _say(tell, "alice and bob are connected; listen to what they heard afterwards")
        _converse(sides, tell)
        for side in sides.values() if not live else [alice]:
            side.wait_for("audio_stopped", deadline, direction="input")
        alice.command(command="quit")
        ended = {name: side.wait_for("ended", deadline) for name, side in sides.items()}
        codes = [side.wait() for side in sides.values()]
    # If files were there before, the recordings have other names.
    recordings = {name: str(kept / _recording(side)["device"]) for name, side in sides.items()}
    directions = [("alice", "bob", "dialler.wav")] + ([] if live else [("bob", "alice", "listener.wav")])
    heard = [_heard(sides[mouth], sides[ear], speech, recordings[ear]) for mouth, ear, speech in directions]
    return _report(sides, ended, heard, recordings, well=codes == [0, 0], live=live)


def _converse(sides: dict[str, _Side], tell: Tell) -> None:
    for turn in zip(LINES["alice"], LINES["bob"], strict=True):
        for name, line in zip(("alice", "bob"), turn, strict=True):
            sides[name].command(command="say", text=line)
            _say(tell, f"{name}> {line}")
            time.sleep(PAUSE / 2)


def _heard(mouth: _Side, ear: _Side, speech: str, recording: str) -> Heard:
    said_since = next(each["since"] for each in mouth.events if each.get("direction") == "input")
    return compare(str(SPEECH / speech), said_since, recording, _recording(ear)["since"])


def _recording(side: _Side) -> dict[str, Any]:
    """Return the event with which the side's recording began; live, it also has a loudspeaker."""
    started = {each["direction"]: each for each in side.events if each["event"] == "audio_started"}
    return started.get("recording") or started["output"]


def _report(
    sides: dict[str, _Side],
    ended: dict[str, dict[str, Any]],
    heard: list[Heard],
    recordings: dict[str, str],
    *,
    well: bool,
    live: bool,
) -> dict[str, Any]:
    stats = [each["stats"] for each in ended.values()]
    delays = sorted(delay * 1000 for each in heard for delay in each.delays)
    received = {"bob": sides["bob"].texts(), "alice": sides["alice"].texts()}
    texts_are_right = received == {"bob": LINES["alice"], "alice": LINES["bob"]}
    return {
        "ok": well and texts_are_right and all(each.likeness >= ALIKE_ENOUGH for each in heard),
        "mouth_to_ear_ms": {
            "median": round(delays[len(delays) // 2], 1) if delays else None,
            "p95": round(delays[int(len(delays) * 0.95)], 1) if delays else None,
        },
        "likeness": [round(each.likeness, 3) for each in heard],
        "audio_frames": {
            kind: sum(each[f"audio_{kind}"] for each in stats)
            for kind in ("sent", "received", "dropped", "concealed")
        },
        "texts": {
            "sent": sum(len(lines) for lines in LINES.values()),
            "received": sum(len(lines) for lines in received.values()),
        },
        "seconds": max(each["seconds"] for each in stats),
        "live": live,
        "recordings": list(recordings.values()),
    }


def describe(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    delay, frames, texts = report["mouth_to_ear_ms"], report["audio_frames"], report["texts"]
    lines = [
        "it works" if report["ok"] else "something is wrong: see the figures",
        f"mouth to ear  {delay['median']} ms median, {delay['p95']} ms for 95 of 100",
        f"voice         {frames['sent']} packets sent, {frames['received']} received, "
        f"{frames['dropped']} dropped, {frames['concealed']} concealed",
        f"text          {texts['sent']} lines sent, {texts['received']} received",
        "recordings    " + "\n              ".join(report["recordings"]),
    ]
    return "\n".join(lines)


def _say(tell: Tell, line: str) -> None:
    if tell:
        tell(line)
