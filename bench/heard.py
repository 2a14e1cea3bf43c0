"""How much of a voice came back, and how well words are understood."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.audio.echo.room import HALF, RATE
from tests.audio.speech import level

QUIET = -25.0  # dB: as good as gone


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


def stoi(said: Any, back: Any) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011); None without pystoi."""
    try:
        from pystoi import stoi as measured
    except ImportError:
        return None
    return float(measured(said.astype(float), back.astype(float), RATE))
