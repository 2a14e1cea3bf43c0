"""Time-scales sound by whole pitch periods (NetEQ's Accelerate and PreemptiveExpand), and joins sounds without
clicks.

After WSOLA (Verhelst and Roelands, ICASSP 1993): one period is cut out or inserted where the waveform is most like
itself a period later, and the seam is crossfaded. Samples are 48 kHz, of one channel, shape (n,), or of two, shape
(n, 2). The decision is the same for both channels, so that they stay together.
"""

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.resample import Samples, from_floats, no_sound

RATE = 48_000  # samples a second
FADE = RATE * 5 // 1000  # samples (5 ms) of a crossfade, and of the compared pieces
SHORTEST_PERIOD = RATE * 25 // 10_000  # samples: 2.5 ms, a voice of 400 Hz
LONGEST_PERIOD = RATE * 15 // 1000  # samples: 15 ms, a voice of 67 Hz
STEP = 8  # samples: similarity is searched at 6 kHz first, which has the pitch
ALIKE = 0.85  # correlation from which on a seam is not heard in speech

Floats = NDArray[np.float32]

_RISE: Floats = np.linspace(0, 1, FADE, endpoint=False, dtype=np.float32)


def join(before: Samples, after: Samples) -> Samples:
    """Return `after` with its beginning crossfaded from `before`, the continuation of the sound up to here."""
    length = min(FADE, len(before), len(after))
    if not length:
        return after
    rise = _RISE if length == FADE else np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
    rise = rise[:, None] if after.ndim == 2 else rise
    joined = after.copy()
    joined[:length] = np.rint(before[:length] * (1 - rise) + after[:length] * rise)
    return joined


def shorten(sound: Samples, most: int, *, any_length: bool) -> Samples:
    """Return `sound` without one period at its beginning, of at most `most` samples; unchanged if no seam is good
    enough.

    `any_length` is for sound without pitch (silence, noise): then exactly `most` samples are cut.
    """
    most = min(most, len(sound) - FADE)
    if any_length:
        return join(sound, sound[most:]) if most > 0 else sound
    period = _period(sound[:FADE], sound, most)
    return join(sound, sound[period:]) if period else sound


def lengthen(past: Samples, sound: Samples, most: int, *, any_length: bool) -> Samples:
    """Return `sound` with one period of the `past` inserted before it, of at most `most` samples; unchanged if no
    seam is good enough."""
    most = min(most, len(past))
    if most < FADE or len(sound) < FADE:
        return sound
    # Searched backwards: where in the past is the sound like the sound that comes now?
    backwards = np.concatenate((past, sound[:FADE]))[::-1]
    period = most if any_length else _period(backwards[:FADE], backwards, most)
    if not period:
        return sound
    return np.concatenate((join(sound, past[len(past) - period :]), sound))


def _period(pattern: Samples, sound: Samples, most: int) -> int:
    """Return after how many samples `sound` is most like `pattern` again; 0 if nowhere enough."""
    longest = min(LONGEST_PERIOD, most)
    if longest < SHORTEST_PERIOD:
        return 0
    floats, wanted = sound[: longest + FADE].astype(np.float32), pattern.astype(np.float32)
    coarse = _likeness(_coarse(wanted), _coarse(floats))[SHORTEST_PERIOD // STEP :]
    if not len(coarse):
        return 0
    about = (int(np.argmax(coarse)) + SHORTEST_PERIOD // STEP) * STEP
    first = max(SHORTEST_PERIOD, about - STEP)
    fine = _likeness(wanted, floats[first : about + STEP + FADE])[: longest - first + 1]
    best = int(np.argmax(fine))
    return first + best if fine[best] >= ALIKE else 0


def _coarse(floats: Floats) -> Floats:
    """Return the sound at an eighth of the rate, by averaging."""
    length = len(floats) // STEP * STEP
    means: Floats = floats[:length].reshape(-1, STEP, *floats.shape[1:]).mean(axis=1)
    return means


def _likeness(pattern: Floats, sound: Floats) -> Floats:
    """Return the normalised correlation of `pattern` with `sound` at each place; for two channels, of both
    together."""
    sides = [(pattern, sound)] if sound.ndim == 1 else list(zip(pattern.T, sound.T, strict=True))
    ones = np.ones(len(pattern), np.float32)
    products = np.sum([np.correlate(whole, part, "valid") for part, whole in sides], axis=0)
    energies = np.sum([np.convolve(whole**2, ones, "valid") for _, whole in sides], axis=0)
    likeness: Floats = products / np.sqrt(np.maximum(energies * np.sum(pattern**2), 1.0))
    return likeness


class ComfortNoise:
    """Noise like the background of the call, to play when there is nothing else: silence would sound as if the call
    had ended.

    It has the spectrum of the quietest recent sound, with random phases.
    """

    WINDOW = RATE * 20 // 1000  # samples
    FORGETTING = 1.01  # factor by which the quietest level grows with each louder piece: it doubles in 70

    def __init__(self, channels: int = 1) -> None:
        self._random = np.random.default_rng(0)
        self._level = np.inf  # mean square
        self._quietest: Samples = no_sound(self.WINDOW, channels)
        window: Floats = np.sin(np.pi * (np.arange(self.WINDOW, dtype=np.float32) + 0.5) / self.WINDOW)
        self._window: Floats = window if channels == 1 else window[:, None]
        self._rest: Floats = no_sound(self.WINDOW // 2, channels).astype(np.float32)
        self._ready: Samples = no_sound(0, channels)

    def learn(self, sound: Samples, level: float) -> None:
        """Learn from decoded sound, whose mean square is `level`."""
        if len(sound) < self.WINDOW or level == 0:
            return
        if level <= self._level:
            self._level = level
            self._quietest = sound[: self.WINDOW]
        else:
            self._level *= self.FORGETTING

    def make(self, samples: int) -> Samples:
        """Make `samples` samples of noise."""
        while len(self._ready) < samples:
            spectrum = np.fft.rfft(self._quietest * self._window, axis=0)
            phases = np.exp(2j * np.pi * self._random.random(len(spectrum)))
            # The phase of each frequency is changed alike on both channels, so that it stays where it is heard.
            # Half-overlapping sine windows add up to constant power; the window has taken half of it.
            turned = (spectrum.T * phases).T
            piece = np.fft.irfft(turned, self.WINDOW, axis=0) * self._window * np.sqrt(2)
            half = self.WINDOW // 2
            self._ready = np.concatenate((self._ready, from_floats((piece[:half] + self._rest) / 32768)))
            self._rest = piece[half:].astype(np.float32)
        made, self._ready = self._ready[:samples], self._ready[samples:]
        return made
