"""How much of what the far side says comes back to it, from rooms that are simulated, and in real calls.

Nothing in voicemux was chosen on the voices and the rooms here, but for the bundled voice of the real calls.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.capture import Capture, Playing
from bench.places import Loopback
from bench.programs import PROGRAMS as ALL
from bench.programs import Pair, Program, VoicemuxPair
from bench.scene import Scene
from bench.speakers import aside
from tests.audio.echo.room import HALF, RATE, Sound, echo, hands_free, noise, samples, through, voice
from tests.audio.speech import level, quality
from tests.soundcards import SoundCards
from voicemux.audio.choices import EchoChoice

SECONDS = 27  # three clips: the far voice alone, both, and the near voice alone
ALONE, BOTH = 9, 18  # seconds at which those begin
QUIET = -25.0  # dB: as good as gone
CALL_SECONDS = 22
SETTLE = 3.0  # seconds for the sound cards of a call to be opened
ECHOES = {"loud loudspeaker": -4.0, "laptop": -15.0, "quiet": -25.0}
# Reverberation in seconds, direct sound against the rest in dB, delay in seconds: none of the rooms of the tests.
ROOMS = ((0.18, 4.0, 0.045), (0.32, 0.0, 0.085), (0.5, -2.0, 0.13))
ROOM = {55: -6.0, 62: -13.0, 71: -15.0, 89: -18.0, 121: -24.0, 160: -30.0}  # milliseconds: dB, of the real calls
MISSING = "–"  # noqa: RUF001


@dataclass(frozen=True)
class Heard:
    """Levels against what was said, in dB."""

    whole: float  # from the second second on
    worst: float  # half second
    until_quiet: float | None  # seconds until the first half second that is


def heard(back: Any, said: Any, seconds: float) -> Heard:
    """`back` is what came back, beside what was said."""
    halves = range(0, int(seconds * RATE) - HALF + 1, HALF)
    powers = [(level(back[at : at + HALF]) ** 2, level(said[at : at + HALF]) ** 2) for at in halves]
    loudest = max(power for _, power in powers)
    ratios = [10 * float(np.log10(max(b, 0.01) / max(s, 0.01))) if s > loudest / 100 else None for b, s in powers]
    settled = [pair for pair, ratio in zip(powers[4:], ratios[4:], strict=True) if ratio is not None]
    whole = 10 * float(np.log10(sum(b for b, _ in settled) / sum(s for _, s in settled)))
    first = next((i for i, ratio in enumerate(ratios) if ratio is not None and ratio <= QUIET), None)
    worst = max(ratio for ratio in ratios[4:] if ratio is not None)
    return Heard(round(whole, 1), round(worst, 1), None if first is None else first * HALF / RATE)


def simulated() -> list[dict[str, Any]]:
    """A row for each loudness of the echo: medians and worst of six pairs of voices, two in each room."""
    voices = [each.samples / 32768 for each in aside()]
    rows = []
    for name, db in ECHOES.items():
        figures = [
            _one(voices[i], voices[(i + 1) % len(voices)], db, ROOMS[i % len(ROOMS)]) for i in range(len(voices))
        ]
        rows.append({"echo": f"{name} ({db:g} dB)", **_together(figures)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _one(far: Sound, near: Sound, db: float, room: tuple[float, float, float]) -> dict[str, Any]:
    reverberation, direct, delay = room
    played, said = (np.zeros(SECONDS * RATE) for _ in range(2))
    played[: BOTH * RATE] = np.resize(far, BOTH * RATE)
    said[ALONE * RATE :] = np.resize(near, (SECONDS - ALONE) * RATE)
    captured = said + echo(played, db, delay, reverberation=reverberation, direct_db=direct) + noise(SECONDS)
    made = hands_free(EchoChoice.ON)
    began = time.process_time()
    sent = through(made, captured, played)
    cost = (time.process_time() - began) / SECONDS
    back = heard(sent, samples(played), ALONE)
    both, alone = slice(ALONE * RATE, BOTH * RATE), slice(BOTH * RATE, SECONDS * RATE)
    late = round(made.delay_ms * RATE / 1000)
    behind = np.concatenate((sent[late:], np.zeros(late, np.int16)))
    untreated, clean = samples(captured), samples(said)
    return {
        "returned": back.whole,
        "worst": back.worst,
        "until": back.until_quiet,
        "stoi": _stoi(clean[both], behind[both]),
        "stoi_untreated": _stoi(clean[both], untreated[both]),
        "pesq_lost": quality(clean[alone], untreated[alone]) - quality(clean[alone], behind[alone]),
        "cpu": cost * 100,
    }


def _stoi(said: Any, back: Any) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011); None without pystoi."""
    try:
        from pystoi import stoi
    except ImportError:
        return None
    return float(stoi(said.astype(float), back.astype(float), RATE))


def _together(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """The median, and the worst where that counts."""

    def values(name: str) -> list[float]:
        return [each[name] for each in figures if each[name] is not None]

    def middle(name: str) -> float | None:
        return round(median(values(name)), 2) if values(name) else None

    return {
        "returned": middle("returned"),
        "returned_worst": max(values("returned")),
        "worst": middle("worst"),
        "until": max(values("until")) if len(values("until")) == len(figures) else None,
        "stoi": middle("stoi"),
        "stoi_untreated": middle("stoi_untreated"),
        "pesq_lost": middle("pesq_lost"),
        "cpu": middle("cpu"),
    }


def _plain(scene: Scene) -> Pair:
    return VoicemuxPair(scene, ())


def _without(scene: Scene) -> Pair:
    return VoicemuxPair(scene, ("--echo", "off"))


PROGRAMS = {
    "voicemux": Program("voicemux", "voicemux", _plain),
    "voicemux --echo off": Program("voicemux-off", "voicemux --echo off", _without),
    "Mumble": ALL["mumble"],
}


def in_calls() -> list[dict[str, Any]]:
    """A row for each program: side a speaks, side b has a loudspeaker in a room, and what side a hears counts."""
    rows = []
    for name, program in PROGRAMS.items():
        if reason := program.missing():
            print(f"bench: {name} is left out: {reason}", file=sys.stderr)
            continue
        with (
            SoundCards() as cards,
            tempfile.TemporaryDirectory(prefix="voicemux-bench-") as folder,
            Loopback() as place,
        ):
            Path(folder).chmod(0o755)
            cards.put_in_a_room("b", ROOM)
            scene = Scene(cards, place, Path(folder))
            try:
                program.start(scene)
                time.sleep(SETTLE)  # Mumble opens its loudspeaker only when there is something to play
                rows.append({"program": name, **_call(cards, Path(folder))})
            except RuntimeError as error:  # of whatever program: the others are still worth measuring
                print(f"bench: {name} failed: {error}", file=sys.stderr)
                continue
            finally:
                scene.stop()
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _call(cards: SoundCards, folder: Path) -> dict[str, Any]:
    said = voice("far", CALL_SECONDS)
    capture = Capture(["a_mic", "a_spk", "b_mic"], cards.env("a"))
    playing = Playing("a_mic", said, cards.env("a"), folder)
    playing.wait()
    tracks = capture.stop()
    mouth = tracks["a_mic"].samples
    begin = int(np.argmax(np.abs(mouth) > 0.01))
    moment = tracks["a_mic"].time(begin)

    def part(name: str) -> Any:
        at = tracks[name].index(moment)
        return samples(tracks[name].samples[at : at + (CALL_SECONDS - 2) * RATE])

    back = heard(part("a_spk"), part("a_mic"), CALL_SECONDS - 3)
    microphone = heard(part("b_mic"), part("a_mic"), CALL_SECONDS - 3)
    return {
        "microphone": microphone.whole,
        "returned": back.whole,
        "worst": back.worst,
        "until": back.until_quiet,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[MISSING if row[name] is None else str(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
