"""Mixes several channels to one: those of a file by their purpose, those of a microphone by which one has sound."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FADE = 240  # samples (5 ms) of crossfade from one signal to another, so that nothing clicks
MEMORY = 4800  # samples (100 ms) over which loudness is compared
LOUDER = 4.0  # factor of energy (6 dB) that another channel must have before it is switched to
OPPOSED = 10.0  # factor of the energy of two channels' sum (10 dB) that their difference must have to be used instead

# Loudspeakers, by the bits of WAVE_FORMAT_EXTENSIBLE's channel mask (Microsoft, 2007).
_FL, _FR, _FC, _LFE, _BL, _BR, _FLC, _FRC, _BC, _SL, _SR = (1 << bit for bit in range(11))
BITS = 32  # of the channel mask

# The order of channels if a file does not tell it: WAV and FLAC (RFC 9639, section 9.1.3); Vorbis (I, section 4.3.9)
# and Opus (RFC 7845, section 5.1.1.2).
_USUAL = {
    1: (_FC,),
    2: (_FL, _FR),
    3: (_FL, _FR, _FC),
    4: (_FL, _FR, _BL, _BR),
    5: (_FL, _FR, _FC, _BL, _BR),
    6: (_FL, _FR, _FC, _LFE, _BL, _BR),
    7: (_FL, _FR, _FC, _LFE, _BC, _SL, _SR),
    8: (_FL, _FR, _FC, _LFE, _BL, _BR, _SL, _SR),
}
_XIPH = {
    **_USUAL,
    3: (_FL, _FC, _FR),
    5: (_FL, _FC, _FR, _BL, _BR),
    6: (_FL, _FC, _FR, _BL, _BR, _LFE),
    7: (_FL, _FC, _FR, _SL, _SR, _BC, _LFE),
    8: (_FL, _FC, _FR, _SL, _SR, _BL, _BR, _LFE),
}

# Weight of a loudspeaker's channel in mono, relative to the left one (ITU-R BS.775-3, table 2, rows 1/0 of 3/2 and
# 3/1). A middle one goes to both sides of stereo, so it counts more. Any other counts like a side surround.
_ELSE = math.sqrt(0.5)
_WEIGHTS = {_FL: 1.0, _FR: 1.0, _FC: 2 * _ELSE, _BC: 1.0, _FLC: 1.0, _FRC: 1.0, _LFE: 0.0}

Weights = NDArray[np.float32]
Floats = NDArray[np.float32]


def weights(channels: int, mask: int = 0, *, is_xiph: bool = False) -> Weights:
    """Return the weight of each channel in a mix to one, shape (channels,). They sum to 1, so that nothing can clip.

    `mask` says what the channels are for; 0: they have the usual order, that of WAV, or that of Vorbis and Opus
    (`is_xiph`).
    """
    usual = (_XIPH if is_xiph else _USUAL).get(channels, ())
    places = [1 << bit for bit in range(BITS) if mask >> bit & 1][:channels] if mask else list(usual)
    if not places:  # nothing is known about the channels
        return np.full(channels, 1 / channels, np.float32)
    parts = [_WEIGHTS.get(place, _ELSE) for place in places] + [_ELSE] * (channels - len(places))
    total = sum(parts)
    return np.array([part / total if total else 1 / channels for part in parts], np.float32)


def without_gaps(floats: Floats) -> Floats:
    """Return `floats` with silence in place of NaN."""
    numbers: Floats = np.nan_to_num(floats, nan=0.0, posinf=1.0, neginf=-1.0)
    return numbers


class Loudest:
    """Follows the loudest of several signals, and switches without a click."""

    def __init__(self, biases: tuple[float, ...]) -> None:
        """`biases` are the factors by which the energy of each signal counts."""
        self._biases = biases
        self._energies = [0.0] * len(biases)
        self._current = 0

    def follow(self, signals: NDArray[Any]) -> NDArray[Any]:
        """Return the followed one of `signals`, shape (n, signals), with shape (n,); unchanged except for
        crossfades. Signals of two channels have the shape (n, signals, 2), and the result has (n, 2)."""
        if not len(signals) or len(self._biases) == 1:
            return signals[:, 0]
        floats = signals.astype(np.float64)
        kept = math.exp(-len(signals) / MEMORY)
        for number, bias in enumerate(self._biases):
            signal = floats[:, number]
            energy = float(np.vdot(signal, signal)) / signal.size
            self._energies[number] = kept * self._energies[number] + (1 - kept) * energy * bias
        before, best = self._current, self._energies.index(max(self._energies))
        if best == before or self._energies[best] <= LOUDER * self._energies[before]:
            return signals[:, before]
        self._current = best
        share = np.minimum(1.0, np.arange(1, len(signals) + 1) / min(FADE, len(signals)))
        share = share.reshape(-1, *(1,) * (signals.ndim - 2))
        mixed = share * floats[:, best] + (1 - share) * floats[:, before]
        if np.issubdtype(signals.dtype, np.integer):
            mixed = np.rint(mixed)
        result: NDArray[Any] = mixed.astype(signals.dtype)
        return result


class Downmix:
    """Mixes the channels of a file to one. If one channel of stereo is the other inverted, they do not cancel out."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._sides = Loudest((1.0, LOUDER / OPPOSED)) if len(weights) == 2 else None

    def mix(self, channels: Floats) -> Floats:
        """Mix `channels`, shape (n, channels), from -1 to 1. Returns shape (n,). NaN becomes silence."""
        channels = without_gaps(channels)
        if len(self._weights) == 1:
            return channels[:, 0]
        mono: Floats = channels @ self._weights
        if self._sides is None:
            return mono
        difference = (channels[:, 0] - channels[:, 1]) / 2
        return self._sides.follow(np.stack((mono, difference), axis=1))
