"""A sound that says when it was spoken, so that one hears how long a gap in it was: a tone that rises steadily.

Its pitch tells the moment within a period. What is concealed keeps its pitch, or lets it fall, and the noise that
follows wavers around it: neither is taken for something that was spoken later.
"""

import contextlib
import fcntl
import os
import threading
import time
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.signals import RATE, Samples

LOWEST, HIGHEST = 400.0, 2800.0  # Hz: a codec for speech keeps it
PERIOD = 24.0  # seconds from the lowest to the highest, and at once again
SPEED = (HIGHEST - LOWEST) / PERIOD  # Hz a second
LEVEL = 0.3  # of full scale
WINDOW = 0.040  # seconds that are looked at at once; the pitch is known to a Hz then, the moment to 10 ms
STEP = 0.010  # seconds from one look to the next
LOUD = 0.01  # of full scale (effective value): what is softer is not the tone
PURE = 0.7  # share of a window's power that is the tone's
BINS = 3  # on each side of its pitch that belong to it, with Hann's window
LATEST = 3.0  # seconds of delay: what says that it is older is no clock
SURE = 0.16  # seconds for which the clock must go on,
STEADY = 0.04  # and so many seconds by which it may be off meanwhile: noise after the tone is like it, but not steady
PACE = 0.005  # seconds between two pieces that are spoken
PIPE = 4096  # bytes, the smallest pipe of Linux: 43 ms. What finds no room is not spoken, as with a microphone


def time_code(begin: float, count: int) -> Samples:
    """So many samples of the tone from that moment on, in seconds of any clock."""
    phase = (begin + np.arange(count) / RATE) % PERIOD
    return np.asarray(LEVEL * np.sin(2 * np.pi * (LOWEST + SPEED / 2 * phase) * phase))


class TalkingClocks:
    """Pipes that speak the monotonic time, as microphones at whatever reads them. A context manager."""

    def __init__(self, *paths: Path) -> None:
        """There is nothing at those paths yet."""
        self._pipes = []
        for path in paths:
            os.mkfifo(path)
            self._pipes.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            fcntl.fcntl(self._pipes[-1], fcntl.F_SETPIPE_SZ, PIPE)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self) -> "TalkingClocks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for pipe in self._pipes:
            os.close(pipe)

    def _speak(self) -> None:
        spoken = int(time.monotonic() * RATE)
        while not self._over.wait(PACE):
            now = int(time.monotonic() * RATE)
            spoken = max(spoken, now - PIPE)  # after a stall
            pcm = (time_code(spoken / RATE, now - spoken) * 32767).astype("<i2").tobytes()
            spoken = now
            for pipe in self._pipes:
                with contextlib.suppress(BlockingIOError):
                    os.write(pipe, pcm)


def read_recording(path: Path) -> Samples:
    """What was heard, -1 to 1."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def moments(heard: Samples) -> NDArray[np.float64]:
    """The moment of the period at which what is heard was spoken, each `STEP` seconds; NaN where nothing is heard.

    The windows begin at 0, `STEP`, 2 * `STEP` ... seconds; the moments are of their middles.
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


def heard_again(spoken: NDArray[np.float64], began: float, cut: float) -> float | None:
    """When something is heard after the `cut` that was spoken after it; None if never. Monotonic time, in seconds.

    `spoken` is of `moments`, of a recording that `began` then.
    """
    first = max(0, int((cut - began) / STEP))
    elapsed = began + (first + np.arange(len(spoken) - first)) * STEP + WINDOW / 2 - cut
    age = (spoken[first:] - cut) % PERIOD  # of what is heard, counted from the cut
    is_new = (age <= elapsed) & ((elapsed - age) % PERIOD < LATEST)  # not so where it is NaN
    run = round(SURE / STEP)
    steady = np.arange(run + 1) * STEP
    for number in range(len(is_new) - run):
        clock = age[number : number + run + 1]
        if is_new[number : number + run + 1].all() and np.abs(clock - clock[0] - steady).max() < STEADY:
            return float(cut + elapsed[number])
    return None
