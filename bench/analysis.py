"""What the recordings tell: when each chirp was heard, how the speech sounds, when all was well again."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.capture import Track
from bench.signals import CHIRPS, RATE, Samples, Script, resample

FILTER_RATE = 16_000
BAND = (100.0, 3500.0)  # Hz: where the chirps are
QUIET = 10 ** (-55 / 20)  # what is below this level (of full scale) is no chirp
SURE = 0.8  # score of a chirp in the microphone, which hears it undistorted
LIKELY = 0.55  # score of one that went through a codec
NEIGHBOUR = FILTER_RATE // 100  # in 10 ms there is only one chirp
EARLIEST = -0.005  # seconds: clocks are not read better than that
MISSED, MOVED, LONG = 1.0, 2.0, 0.02  # costs: of a chirp not heard; of a jump of delay, at most; of a second of delay
CANDIDATES = 1000  # ways to explain what was heard that are followed: all, in effect
NORMAL = 0.030  # seconds above the median of before that are normal
STEADY = 4  # chirps in a row that must be normal

Peaks = tuple[NDArray[np.float64], NDArray[np.float64]]  # times and scores


def chirp_peaks(track: Track, least: float) -> list[Peaks]:
    """Where each kind of chirp is in a recording: a matched filter, blind to phase and level."""
    samples = resample(track.samples, RATE, FILTER_RATE, BAND)
    length = round(len(CHIRPS[0]) * FILTER_RATE / RATE)
    energy = np.cumsum(np.concatenate([[0.0], samples**2]))
    level = np.sqrt(energy[length:] - energy[:-length] + length * QUIET**2)
    scores = [_correlate(samples, template) / level for template in _templates(length)]
    best = np.max(scores, axis=0)
    found = []
    for score in scores:
        times, values = [], []
        for i in np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] > score[2:]) & (score[1:-1] > least)) + 1:
            around = slice(max(0, i - NEIGHBOUR), i + NEIGHBOUR)
            if score[i] >= score[around].max() and score[i] >= 0.85 * best[around].max():
                curve = score[i - 1] - 2 * score[i] + score[i + 1]
                peak = i + (0.5 * (score[i - 1] - score[i + 1]) / curve if curve else 0.0)
                times.append(track.time(float(peak) * RATE / FILTER_RATE))
                values.append(float(score[i]))
        found.append((np.array(times), np.array(values)))
    return found


def _templates(length: int) -> list[NDArray[np.complex128]]:
    """The chirps as analytic signals of such a norm that a perfect match scores 1."""
    templates = []
    for chirp in CHIRPS:
        padded = np.zeros(RATE)
        padded[: len(chirp)] = chirp
        spectrum = np.fft.fft(resample(padded, RATE, FILTER_RATE))
        spectrum[FILTER_RATE // 2 :] = 0
        template = np.fft.ifft(2 * spectrum)[:length]
        templates.append(template / np.linalg.norm(template) * np.sqrt(2))
    return templates


def _correlate(samples: Samples, template: NDArray[Any]) -> Samples:
    """The magnitude of the correlation at each sample at which the whole template fits."""
    size = len(samples) + len(template)
    size = -(-size // FILTER_RATE) * FILTER_RATE
    product = np.fft.fft(samples, size) * np.conj(np.fft.fft(template, size))
    return np.abs(np.fft.ifft(product))[: len(samples) - len(template) + 1]


@dataclass(frozen=True)
class Spoken:
    """A chirp as it really went into the microphone."""

    time: float
    kind: int


def find_spoken(script: Script, microphone: Track) -> list[Spoken]:
    peaks = chirp_peaks(microphone, SURE)
    start, first = script.chirps[0]
    if not len(peaks[first][0]):
        raise RuntimeError("the microphone did not hear the first chirp: is the machine overloaded?")
    begin = peaks[first][0][0] - start / RATE
    spoken = []
    for position, kind in script.chirps:
        times = peaks[kind][0]
        nearest = float(times[np.argmin(abs(times - begin - position / RATE))])
        if abs(nearest - begin - position / RATE) < 0.1:
            begin = nearest - position / RATE
            spoken.append(Spoken(nearest, kind))
    return spoken


def find_heard(spoken: Sequence[Spoken], loudspeaker: Track, longest: float) -> list[float | None]:
    """The delay of each chirp in seconds, None where it was not heard.

    Of all the ways to say which was which, the likeliest (Viterbi): few chirps missed, few jumps, none
    overtaken by its successor. So jumps of seconds are found as well as none at all.
    """
    peaks = chirp_peaks(loudspeaker, LIKELY)
    # a way is (cost, last delay, when the last was heard, the delays so far)
    ways: list[tuple[float, float | None, float, tuple[Any, ...]]] = [(0.0, None, float("-inf"), ())]
    for chirp in spoken:
        times, scores = peaks[chirp.kind]
        first, last = np.searchsorted(times, [chirp.time + EARLIEST, chirp.time + longest])
        longer = [(cost + MISSED, delay, heard, (None, so_far)) for cost, delay, heard, so_far in ways]
        for when, score in zip(times[first:last].tolist(), scores[first:last].tolist(), strict=True):
            delay = when - chirp.time
            costs = [
                cost + (0.0 if before is None else min(MOVED, 6.0 * abs(delay - before)))
                if heard < when
                else float("inf")
                for cost, before, heard, _ in ways
            ]
            best = int(np.argmin(costs))
            if costs[best] < float("inf"):
                longer.append((costs[best] + 1 - score + LONG * delay, delay, when, (delay, ways[best][3])))
        ways = sorted(longer, key=lambda way: way[0])[:CANDIDATES]
    delays: list[float | None] = []
    linked = ways[0][3]
    while linked:
        delays.append(linked[0])
        linked = linked[1]
    return delays[::-1]


def summary(delays: Sequence[float | None]) -> dict[str, float | None]:
    """Median, 95th percentile and maximum in milliseconds, and the share that was heard."""
    heard = [delay * 1000 for delay in delays if delay is not None]
    figures: dict[str, float | None] = {"heard": len(heard) / len(delays) if delays else None}
    for name, percent in (("median", 50), ("p95", 95), ("max", 100)):
        figures[name] = round(float(np.percentile(heard, percent)), 1) if heard else None
    return figures


def back_to_normal(times: Sequence[float], delays: Sequence[float | None], begin: float, end: float) -> float | None:
    """Seconds from the end of a disturbance to the first chirp from which all is as before; None for never."""
    before = [delay for time, delay in zip(times, delays, strict=True) if time < begin - 0.5 and delay is not None]
    if not before:
        return None
    limit = median(before) + NORMAL
    after = [(time, delay) for time, delay in zip(times, delays, strict=True) if time >= end]
    normal = [delay is not None and delay <= limit for _, delay in after]
    for i in range(len(after) - STEADY + 1):
        if all(normal[i : i + STEADY]):
            return round(after[i][0] - end, 2)
    return None


def speech_quality(microphone: Track, loudspeaker: Track, begin: float, end: float, delay: float) -> float | None:
    """PESQ wideband (ITU-T P.862.2): 1 is bad, 4.6 is perfect. `begin` and `end` are when it was spoken."""
    from pesq import PesqError, pesq

    reference, heard = (
        resample(track.samples[max(0, track.index(begin + shift)) : track.index(end + shift)], RATE, 16_000)
        for track, shift in ((microphone, 0.0), (loudspeaker, delay))
    )
    try:
        return round(float(pesq(16_000, _int16(reference), _int16(heard), "wb")), 2)
    except (PesqError, ValueError):  # it has heard nothing
        return None


def speech_delay(microphone: Track, loudspeaker: Track, begin: float, end: float, longest: float) -> float:
    """The delay of the speech as a whole, in seconds, by correlation."""
    spoken = resample(microphone.samples[microphone.index(begin) : microphone.index(end)], RATE, FILTER_RATE, BAND)
    last = min(len(loudspeaker.samples), loudspeaker.index(end + longest))
    first = max(0, loudspeaker.index(begin))
    heard = resample(loudspeaker.samples[first:last], RATE, FILTER_RATE, BAND)
    if len(heard) < len(spoken):
        return 0.0
    return float(np.argmax(_correlate(heard, spoken))) / FILTER_RATE


def _int16(samples: Samples) -> NDArray[np.int16]:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)
