"""What is spoken into the microphones: chirps, by which delay is measured, and speech, by which quality is.

The chirps are of six kinds, within the band of a telephone, at random distances: so each can be told from
its neighbours, however late it comes. They are voiced, as speech is, at a pitch that glides: speech codecs at a
low bitrate keep such a sound, and of pure tones that glide as fast lose half (Opus at a constant 24 kbit/s).
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import voicemux

Samples = NDArray[np.float64]  # -1 to 1

RATE = 48_000  # of everything that is played and recorded here
CHIRP = 0.040  # seconds
FADE = 0.005  # seconds at each end of a chirp
GAP = (0.25, 0.45)  # seconds from chirp to chirp
LEVEL = 0.4  # peak of a chirp
SPEECH_LEVEL = -26.0  # dB of full scale, while somebody speaks: what ITU-T P.862 wants
HIGHEST = 3500.0  # Hz: no harmonic of a chirp is above that
HIGHEST_FADE = 300.0  # Hz below it over which harmonics fade
PITCHES = (  # Hz, from the beginning of each kind of chirp to its end
    (120.0, 240.0),
    (240.0, 120.0),
    (140.0, 260.0, 140.0),
    (260.0, 140.0, 260.0),
    (100.0, 200.0, 140.0, 220.0),
    (220.0, 130.0, 240.0, 110.0),
)
PHASE = 0.3  # radians, times the square of a harmonic's number: pulses without spikes (Schroeder 1970)
LEAD = 0.5  # seconds of silence before everything
WARM_UP = 3.0  # seconds of speech, so that jitter buffers, gain controls and voice detectors have settled
MEASURED = 7.0  # seconds of speech whose quality is measured
PAUSE = 0.5  # seconds between the parts

FOLDER = Path(voicemux.__file__).parent / "speech"
SPEECH = {"a": FOLDER / "dialler.wav", "b": FOLDER / "listener.wav"}


@dataclass(frozen=True)
class Script:
    """What one side says. `chirps` are their first samples and kinds, `speech` is from and to which sample."""

    samples: Samples
    chirps: list[tuple[int, int]]
    speech: tuple[int, int] | None
    spoken: tuple[tuple[int, int], ...] = ()  # the same of each piece of speech among the chirps

    @property
    def chirps_begin(self) -> float:
        """Seconds from the start to the first chirp."""
        return self.chirps[0][0] / RATE

    def times(self, piece: tuple[int, int], begin: float) -> tuple[float, float]:
        """From when to when a piece of speech was spoken, if the first chirp was at `begin` (seconds)."""
        first = self.chirps[0][0]
        return begin + (piece[0] - first) / RATE, begin + (piece[1] - first) / RATE


def _chirp(pitches: Sequence[float]) -> Samples:
    """A voice that glides through these pitches: all harmonics, each as much weaker as it is higher."""
    count, fade = int(CHIRP * RATE), int(FADE * RATE)
    pitch = np.interp(np.linspace(0, len(pitches) - 1, count), range(len(pitches)), pitches)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    samples = np.zeros(count)
    for harmonic in range(1, int(HIGHEST / min(pitches)) + 1):
        audible = np.clip((HIGHEST - harmonic * pitch) / HIGHEST_FADE, 0, 1)
        samples += audible / harmonic * np.sin(harmonic * phase + PHASE * harmonic**2)
    samples[:fade] *= np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    samples[-fade:] *= np.sin(np.linspace(np.pi / 2, 0, fade)) ** 2
    return np.asarray(samples / np.abs(samples).max())


CHIRPS = [_chirp(pitches) for pitches in PITCHES]


def chirp_train(count: int, seed: int) -> tuple[Samples, list[tuple[int, int]]]:
    """So many chirps, never the same kind twice in a row, and where each is."""
    random = np.random.default_rng(seed)
    events: list[tuple[int, int]] = []
    position, kind = 0, -1
    for _ in range(count):
        kind = int(random.choice([each for each in range(len(CHIRPS)) if each != kind]))
        events.append((position, kind))
        position += int(random.uniform(*GAP) * RATE)
    samples = np.zeros(position)
    for start, kind in events:
        samples[start : start + len(CHIRPS[kind])] += LEVEL * CHIRPS[kind]
    return samples, events


def speech(side: str) -> Samples:
    """The recorded speech of a side, at 48 kHz and its proper level."""
    with wave.open(str(SPEECH[side])) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        samples = resample(samples, file.getframerate(), RATE)
    power = (samples[: len(samples) // 960 * 960].reshape(-1, 960) ** 2).mean(1)
    active = power[power > power.max() / 1000].mean()
    return np.asarray(np.clip(samples * np.sqrt(10 ** (SPEECH_LEVEL / 10) / active), -1, 1))


def resample(samples: Samples, rate: int, new_rate: int, band: tuple[float, float] = (0.0, 7800.0)) -> Samples:
    """At another rate, of this band (in Hz) only: all at once, in the frequency domain, so nothing is shifted.

    Both rates must divide into each other's seconds: the samples are filled up to whole seconds for it.
    """
    seconds = -(-len(samples) // rate)
    spectrum = np.fft.rfft(samples, seconds * rate)
    frequencies = np.arange(len(spectrum)) / seconds
    low, high = band
    edge = 200.0  # Hz; a steeper one would ring
    gain = np.clip((high + edge - frequencies) / edge, 0, 1)
    if low:
        gain = gain * np.clip((frequencies - low + edge) / edge, 0, 1)
    wanted = np.zeros(seconds * new_rate // 2 + 1, complex)
    shared = min(len(wanted), len(spectrum))
    wanted[:shared] = (spectrum * gain)[:shared]
    return np.asarray(np.fft.irfft(wanted, seconds * new_rate) * new_rate / rate)[: len(samples) * new_rate // rate]


def script(side: str, chirps: int, with_speech: bool, seed: int = 1, spoken_at: Sequence[float] = ()) -> Script:
    """Speech to warm up, speech to be measured, chirps: they confuse noise suppression, so they come last.

    `spoken_at` are seconds after the first chirp at which the same speech is put among the chirps.
    """
    voice = speech(side)
    measured = voice[: int(MEASURED * RATE)]
    train, events = chirp_train(chirps, 2 * seed + (side == "b"))
    silence = np.zeros(int(PAUSE * RATE))
    samples = np.concatenate([np.zeros(int(LEAD * RATE)), voice[: int(WARM_UP * RATE)], silence])
    spoken = (len(samples), len(samples) + len(measured)) if with_speech else None
    if with_speech:
        samples = np.concatenate([samples, measured, silence])
    pieces = []
    for at in sorted(spoken_at):
        begin = int(at * RATE)
        between = np.concatenate([silence, measured, silence])
        cut = next((start for start, _ in events if start >= begin), len(train))
        train = np.concatenate([train[:cut], between, train[cut:]])
        events = [(start + (len(between) if start >= cut else 0), kind) for start, kind in events]
        pieces.append((len(samples) + cut + len(silence), len(samples) + cut + len(silence) + len(measured)))
    return Script(
        np.concatenate([samples, train]),
        [(len(samples) + start, kind) for start, kind in events],
        spoken,
        tuple(pieces),
    )
