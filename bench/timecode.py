"""A sound that says when it was spoken, so that one hears how long a gap in it was: a tone that rises steadily.

Its pitch tells the moment within a period. What is concealed keeps its pitch, and noise has none: neither is taken
for something that was spoken later.
"""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.signals import RATE, Samples

LOWEST, HIGHEST = 400.0, 2800.0  # Hz: a codec for speech keeps it
PERIOD = 24.0  # seconds from the lowest to the highest, and at once again
SPEED = (HIGHEST - LOWEST) / PERIOD  # Hz a second
LEVEL = 0.3  # of full scale
WINDOW = 0.040  # seconds that are looked at at once; the pitch is known to some 2 Hz then, the moment to 20 ms
STEP = 0.010  # seconds from one look to the next
LOUD = 0.01  # of full scale (effective value): what is softer is not the tone
PURE = 0.7  # share of a window's power that is the tone's
BINS = 3  # on each side of its pitch that belong to it, with Hann's window
NEW = 0.25  # seconds of progress that shows what was spoken after a cut: delay and concealment are shorter
SURE = 0.04  # seconds for which it must go on


def time_code(seconds: float) -> Samples:
    """The tone, from its lowest pitch on."""
    pitch = LOWEST + SPEED * (np.arange(int(seconds * RATE)) / RATE % PERIOD)
    return np.asarray(LEVEL * np.sin(2 * np.pi * np.cumsum(pitch) / RATE))


def write_time_code(path: Path, seconds: float) -> None:
    """A sound file of it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((time_code(seconds) * 32767).astype("<i2").tobytes())


def read_recording(path: Path) -> Samples:
    """What was heard, -1 to 1."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def moments(heard: Samples) -> NDArray[np.float64]:
    """The moment of the period at which what is heard was spoken, each `STEP` seconds; NaN where nothing is heard.

    The windows begin at 0, `STEP`, 2 * `STEP` ... seconds.
    """
    size, step = int(WINDOW * RATE), int(STEP * RATE)
    shape = np.hanning(size)
    found = np.full(max(0, (len(heard) - size) // step + 1), np.nan)
    for number in range(len(found)):
        window = heard[number * step : number * step + size]
        if np.sqrt(np.mean(window**2)) < LOUD:
            continue
        power = np.abs(np.fft.rfft(window * shape)) ** 2
        peak = int(np.argmax(power[BINS:-BINS])) + BINS
        if power[peak - BINS : peak + BINS + 1].sum() < PURE * power.sum():
            continue
        left, middle, right = np.log(power[peak - 1 : peak + 2] + 1e-12)
        pitch = (peak + (left - right) / (2 * (left - 2 * middle + right))) * RATE / size
        if LOWEST - SPEED <= pitch <= HIGHEST + SPEED:
            found[number] = (pitch - LOWEST) / SPEED % PERIOD
    return found


def heard_again(spoken: NDArray[np.float64], cut: float, since: float | None = None) -> float | None:
    """Seconds from `since` (else from the cut) until something is heard that was spoken after the cut; None if never.

    `spoken` is of `moments`; the times are those of the recording, in seconds.
    """
    at = int((cut - WINDOW) / STEP)
    before = spoken[max(0, at - int(0.5 / STEP)) : max(0, at)]
    known = before[~np.isnan(before)]
    if not len(known):
        return None
    last = known[-1]
    progress = (spoken[at:] - last) % PERIOD
    is_new = (progress >= NEW) & (progress <= PERIOD - NEW)
    run = int(SURE / STEP)
    for number in range(len(is_new) - run):
        if is_new[number : number + run].all():
            heard = (at + number) * STEP + WINDOW / 2
            return round(max(0.0, heard - (cut if since is None else since)), 3)
    return None
