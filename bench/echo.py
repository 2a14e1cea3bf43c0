"""How much of what the far side says comes back to it, from rooms that are simulated.

Nothing in voicemux was chosen on the voices and the rooms here.
"""

import sys
import time
from statistics import median
from typing import Any

import numpy as np

from bench.heard import heard, stoi
from bench.speakers import aside
from tests.audio.echo.room import RATE, Sound, echo, hands_free, noise, samples, through
from tests.audio.speech import quality
from voicemux.audio.choices import EchoChoice

SECONDS = 27  # three clips: the far voice alone, both, and the near voice alone
ALONE, BOTH = 9, 18  # seconds at which those begin
ECHOES = {"loud loudspeaker": -4.0, "laptop": -15.0, "quiet": -25.0}
# Reverberation in seconds, direct sound against the rest in dB, delay in seconds: none of the rooms of the tests.
ROOMS = ((0.18, 4.0, 0.045), (0.32, 0.0, 0.085), (0.5, -2.0, 0.13))
MISSING = "–"  # noqa: RUF001


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
        "stoi": stoi(clean[both], behind[both]),
        "stoi_untreated": stoi(clean[both], untreated[both]),
        "pesq_lost": quality(clean[alone], untreated[alone]) - quality(clean[alone], behind[alone]),
        "cpu": cost * 100,
    }


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


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[MISSING if row[name] is None else str(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
