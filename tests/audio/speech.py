"""Something to say, and how much of it was heard."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pesq import pesq

import voicemux
from voicemux.audio.files import load
from voicemux.audio.measure import find
from voicemux.audio.resample import Resampler

SPEECH = Path(voicemux.__file__).parent / "speech"
DIALLER, LISTENER = SPEECH / "dialler.wav", SPEECH / "listener.wav"
RATE = 48_000
PESQ_RATE = 16_000  # Hz: wideband
NARROW_RATE = 8_000  # Hz, at which pieces are looked for: a tenth of the work
MARGIN = RATE // 100  # samples: more than what is found there is from its place
SYLLABLE = 0.2  # seconds: too short for a buffer to have changed within most of them
# How alike what went as Opus in a live call is, syllable by syllable: 0.85 to 0.94 on a quiet machine, 0.65 where the
# host takes its cores away; of other speech it is below 0.5. PESQ is no measure here: the same call has 4.5 or 1.7.
ALIKE = 0.55

Samples = NDArray[np.int16]


def speech(file: Path = DIALLER, seconds: float = 10.0) -> Samples:
    """The beginning of a bundled recording at 48 kHz."""
    samples, rate = load(str(file))
    return Resampler(rate, RATE).process(samples, last=True)[: int(seconds * RATE)]


def tone(hertz: float, seconds: float, rate: int = RATE, peak: float = 10_000) -> Samples:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def pitch(samples: Samples, rate: int = RATE) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def level(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def samples_of(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, np.int16)


def place(said: Samples, heard: Samples) -> tuple[int, float]:
    """Where in `heard` `said` begins, and their correlation there."""
    padded = np.concatenate((heard, np.zeros(max(0, len(said) - len(heard)), np.int16)))
    return find(said.astype(np.float64), padded.astype(np.float64))


def likeness(said: Samples, heard: Samples, seconds: float = 1.0) -> float:
    """How alike they are, piece for piece of so many seconds: a buffer that changes between two spoils nothing."""
    length = int(seconds * RATE)
    pieces = [said[start : start + length] for start in range(0, len(said) - length + 1, length)]
    heard = np.concatenate((heard, np.zeros(max(0, length - len(heard)), np.int16)))
    narrow = _narrow(heard)
    return float(np.median([_likeness_of_piece(piece, heard, narrow) for piece in pieces if level(piece) > 300]))


def _likeness_of_piece(piece: Samples, heard: Samples, narrow: Samples) -> float:
    """The place of the piece is found in `narrow`, which is `heard` at a lower rate, and compared in `heard`."""
    start = find(_narrow(piece).astype(np.float64), narrow.astype(np.float64))[0] * (RATE // NARROW_RATE)
    near = heard[max(0, start - MARGIN) : start + len(piece) + MARGIN]
    return find(piece.astype(np.float64), near.astype(np.float64))[1]


def _narrow(samples: Samples) -> Samples:
    narrow: Samples = Resampler(RATE, NARROW_RATE).process(samples, last=True)
    return narrow


def quality(said: Samples, heard: Samples) -> float:
    """PESQ of what was heard, found by its likeness: 1.0 is bad, 4.64 is a perfect copy. Both at 48 kHz."""
    narrow: list[Any] = [Resampler(RATE, PESQ_RATE).process(each, last=True) for each in (said, heard)]
    start, _ = place(narrow[0], narrow[1])
    return float(pesq(PESQ_RATE, narrow[0], narrow[1][start : start + len(narrow[0])], "wb"))
