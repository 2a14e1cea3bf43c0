"""Measures how long sound takes, by finding what was said in a recording of what was heard."""

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.files import load
from voicemux.audio.resample import Resampler

RATE = 16_000  # Hz: speech has little above half of it
WINDOW = RATE // 2  # samples of speech that are searched for at a time
HOP = WINDOW // 2  # samples from one window to the next
SEARCH = 2 * RATE  # samples of delay that are searched at most
AUDIBLE = 300  # root mean square below which a window counts as a pause
ALIKE = 0.4  # correlation from which on a window counts as found

Samples = NDArray[np.float64]


class Heard:
    """The windows of speech that were found again: their `delays` in seconds, and median correlation."""

    def __init__(self, delays: list[float], likeness: list[float], looked_for: int) -> None:
        self.delays = delays
        self.likeness = float(np.median(likeness)) if likeness else 0.0
        self.share = len(delays) / looked_for if looked_for else 0.0


def compare(said_path: str, said_since: float, heard_path: str, heard_since: float) -> Heard:
    """Find the speech of one file in another. `said_since` and `heard_since` are the times of their first samples, in
    seconds by one clock."""
    said, heard = _load(said_path), _load(heard_path)
    offset = heard_since - said_since
    delays, likeness, looked_for = [], [], 0
    for start in range(0, len(said) - WINDOW, HOP):
        window = said[start : start + WINDOW]
        expected = start - round(offset * RATE)  # its place if there were no delay
        begin = max(0, expected)
        place = heard[begin : expected + WINDOW + SEARCH]
        if np.sqrt(np.mean(window**2)) < AUDIBLE or len(place) < WINDOW:
            continue
        looked_for += 1
        where, correlation = find(window, place)
        if correlation >= ALIKE:
            delays.append((begin + where) / RATE + offset - start / RATE)
            likeness.append(correlation)
    return Heard(delays, likeness, looked_for)


def find(window: Samples, place: Samples) -> tuple[int, float]:
    """Return where in `place` the `window` is most alike, in samples, and how alike: normalised cross-correlation, by
    FFT."""
    size = 1 << (len(place) + len(window)).bit_length()
    spectrum = np.fft.rfft(place, size) * np.conj(np.fft.rfft(window, size))
    products = np.fft.irfft(spectrum, size)[: len(place) - len(window) + 1]
    energy = np.concatenate(([0.0], np.cumsum(place**2)))
    norms = np.sqrt(np.maximum(energy[len(window) :] - energy[: -len(window)], 1.0) * np.sum(window**2))
    likeness = products / norms
    best = int(np.argmax(likeness))
    return best, float(likeness[best])


def _load(path: str) -> Samples:
    samples, rate = load(path)
    return Resampler(rate, RATE).process(samples, last=True).astype(np.float64)
