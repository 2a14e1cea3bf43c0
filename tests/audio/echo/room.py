"""A room between a loudspeaker and a microphone, simulated: a call's far voice, its echo, and a canceller between."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tests.audio.speech import DIALLER, LISTENER, level, speech
from voicemux.audio.choices import EchoChoice
from voicemux.audio.echo.hands_free import HandsFree
from voicemux.audio.echo.verdict import Names
from voicemux.errors import LibraryMissing

RATE = 48_000
BATCH = 960  # samples: what a microphone gives at a time
LOUDNESS = -26.0  # dB of full scale, while somebody speaks
LOWEST, HIGHEST = 250, 9000  # Hz that a small loudspeaker plays
HALF = RATE // 2  # samples: half a second

Sound = NDArray[np.float64]  # -1 to 1
Samples = NDArray[np.int16]


def voice(which: str, seconds: float) -> Sound:
    """One of the two bundled voices ("far" or "near"), again and again."""
    said = speech(DIALLER if which == "far" else LISTENER) / 32768
    powers = (said[: len(said) // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1)
    said *= 10 ** (LOUDNESS / 20) / np.sqrt(powers[powers > powers.max() / 3000].mean())
    return np.resize(said, int(seconds * RATE))


def noise(seconds: float, db: float = -62.0) -> Sound:
    """That of a quiet room."""
    return np.random.default_rng(5).standard_normal(int(seconds * RATE)) * 10 ** (db / 20)


def response(reverberation: float = 0.25, direct_db: float = 3.0, seed: int = 1) -> Sound:
    """From a small loudspeaker to a microphone: direct sound, early reflections, and a tail that is -60 dB after
    `reverberation` seconds. Its energy is 1."""
    dice, count = np.random.default_rng(seed), int(RATE * reverberation * 1.1)
    times, direct = np.arange(count) / RATE, np.zeros(count)
    direct[72] = 1.0
    for _ in range(8):
        direct[72 + int(RATE * dice.uniform(0.0005, 0.018))] += dice.uniform(-0.4, 0.4)
    tail = (
        dice.standard_normal(count) * np.exp(-6.908 * times / reverberation) * np.clip((times - 0.004) / 0.01, 0, 1)
    )
    whole = direct + tail * np.sqrt((direct**2).sum() / (tail**2).sum()) * 10 ** (-direct_db / 20)
    hertz = np.maximum(np.fft.rfftfreq(2 * count, 1 / RATE), 1)
    band = 1 / np.sqrt((1 + (LOWEST / hertz) ** 4) * (1 + (hertz / HIGHEST) ** 4))
    whole = np.fft.irfft(np.fft.rfft(whole, 2 * count) * band)[:count]
    return whole / np.sqrt((whole**2).sum())


def echo(
    far: Sound,
    db: float,
    delay: float = 0.06,
    *,
    clipping: float = 0.0,
    drift: float = 0.0,
    reverberation: float = 0.25,
    direct_db: float = 3.0,
) -> Sound:
    """What a microphone hears of `far`. `delay` is in seconds; `clipping` of a loudspeaker's soft knee, 0 for none;
    `drift` is by how much the microphone's clock is faster."""
    played = np.tanh(far * clipping) / clipping if clipping else far
    room = response(reverberation, direct_db)
    size = len(far) + len(room)
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(room, size), size)[: len(far)] * 10 ** (db / 20)
    heard = np.concatenate((np.zeros(int(delay * RATE)), heard))[: len(far)]
    places = np.arange(len(far), dtype=np.float64)
    return np.interp(places * (1 + drift), places, heard) if drift else heard


def samples(sound: Sound) -> Samples:
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)


def hands_free(
    choice: EchoChoice = EchoChoice.AUTO,
    source: tuple[str, ...] = ("default",),
    sink: tuple[str, ...] = ("default",),
    told: list[str] | None = None,
    missing: Callable[[LibraryMissing], None] = lambda error: None,
) -> HandsFree:
    """One that has begun."""
    made = HandsFree(choice, lambda: Names(source, sink), (told if told is not None else []).append, missing)
    made.begin()
    return made


def through(made: HandsFree, near: Sound, far: Sound, batch: int = BATCH) -> Samples:
    """What is sent, while the loudspeaker gets `far` as soon as the microphone has captured as much."""
    return np.concatenate([sent for _, sent in each_through(made, near, far, batch)])


def each_through(made: HandsFree, near: Sound, far: Sound, batch: int = BATCH) -> Iterator[tuple[int, Samples]]:
    """The same, one by one, and where each begins."""
    captured, played = samples(near), samples(far)
    for at in range(0, len(captured) - batch + 1, batch):
        made.played(played[at : at + batch].tobytes(), RATE, 1)
        yield at, np.frombuffer(made.captured(captured[at : at + batch].tobytes(), at / RATE), np.int16)


def returned(sent: Samples, far: Sound, since: float = 2.0) -> tuple[float, float]:
    """The level of what is sent against what was played, in dB: over all from that second on; of the worst half
    second in which something was played."""
    halves = range(int(since * RATE), len(sent) - HALF + 1, HALF)
    played = [level(samples(far[at : at + HALF])) for at in halves]
    heard = [level(sent[at : at + HALF]) for at in halves]
    spoken = [(h, p) for h, p in zip(heard, played, strict=True) if p > max(played) / 10]
    worst = max(20 * np.log10(max(h, 0.1) / p) for h, p in spoken)
    whole = 10 * np.log10(sum(h**2 for h, _ in spoken) / sum(p**2 for _, p in spoken))
    return float(whole), float(worst)
