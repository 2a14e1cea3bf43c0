"""Estimates whether the microphone hears the loudspeaker, how loud and how late, once for each second of sound. Pure.

The impulse response from the reference to the microphone is the quotient of their spectra (Wiener's, regularized). An
echo is a peak in it, even a soft one: 9 dB below the noise of the room, or with 1/300 of the power of a person who
speaks there. Speech at the microphone raises the floor, and never looks like a peak.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import FULL_SCALE, Samples

# Samples that are averaged to one: up to 4 kHz, at which most of speech lies, and of what small loudspeakers play.
COARSE = 12
COARSE_RATE = RATE // COARSE
HEARD = 2**13  # coarse samples (2 s) of the microphone that are judged
PLAYED = 2**14  # coarse samples (4 s) of the reference: those beside HEARD, and 2 s before
AHEAD = COARSE_RATE // 20  # coarse samples (50 ms) by which an echo may be ahead of the reference
EVERY = COARSE_RATE  # coarse samples (1 s) between two estimates
# Share of the mean power, as regularization: at frequencies where the reference has less, nothing can be said.
REGULAR = 0.05
SMOOTH = COARSE_RATE // 250  # coarse samples (4 ms) whose power together is a peak
# Coarse samples before and after a peak that belong to the echo: 10 and 100 ms.
BEFORE, BEHIND = COARSE_RATE // 100, COARSE_RATE // 10
PEAK = 20.0  # factor of the median (13 dB) from which on a peak is an echo: without echo, peaks had 10 dB at most
APART = 4.0  # factor of the next peak (6 dB) above which the delay is certain: tones have many peaks
SPOKEN = -50.0  # dB of full scale: a softer reference tells nothing
LOWEST = -100.0  # dB, instead of minus infinity

Floats = NDArray[np.float64]


class EchoEstimate(NamedTuple):
    """The estimate for two seconds in which something was played."""

    echo_db: float | None  # level of the echo in dB relative to what was played; None if none was found
    lag: int | None  # samples by which the echo is behind the reference; negative: ahead; None if not certain
    far_db: float  # level of what was played, in dB of full scale
    near_db: float  # level of what was captured, in dB of full scale


class EchoMeter:
    """The meter of one microphone. Only the capturing thread uses it."""

    def __init__(self) -> None:
        self._near = np.zeros(HEARD + AHEAD)
        self._far = np.zeros(PLAYED)
        self._new: list[tuple[Samples, Samples]] = []
        self._count = 0  # coarse samples since the last estimate
        self._known = 0  # coarse samples before the last estimate

    def hear(self, near: Samples, far: Samples) -> EchoEstimate | None:
        """Hear captured sound and the reference beside it, of whole 10 ms. Returns an estimate once a second, if one
        is possible."""
        # All that is still to be heard would be kept alive, too, if `far` is only the beginning of it.
        self._new.append((near, far.copy()))
        self._count += len(near) // COARSE
        if self._count < EVERY:
            return None
        self._known += self._count
        self._count = 0
        nears, fars = zip(*self._new, strict=True)
        self._new.clear()
        self._near = np.concatenate((self._near, _coarse(np.concatenate(nears))))[-len(self._near) :]
        self._far = np.concatenate((self._far, _coarse(np.concatenate(fars))))[-PLAYED:]
        return self._estimate() if self._known >= len(self._near) else None

    def restart(self) -> None:
        """Begin anew: the next samples do not continue the last ones, or the reference was shifted."""
        self._new.clear()
        self._count = self._known = 0

    def _estimate(self) -> EchoEstimate | None:
        heard = self._near[:HEARD]
        far_db, near_db = _level(self._far[-HEARD:]), _level(heard)
        if far_db < SPOKEN:
            return None
        response, power = self._response(heard)
        sums = np.cumsum(np.concatenate((np.zeros(SMOOTH), response**2)))
        smooth = sums[SMOOTH:] - sums[:-SMOOTH]
        at = int(np.argmax(smooth))
        if smooth[at] < PEAK * np.median(smooth):
            return EchoEstimate(None, None, far_db, near_db)
        around = slice(max(0, at - SMOOTH - BEFORE), at + BEHIND)
        others = np.concatenate((smooth[: around.start], smooth[around.stop :]))
        lag = (at - SMOOTH + 1 - AHEAD) * COARSE if smooth[at] > APART * others.max() else None
        alone = np.fft.rfft(response[around], PLAYED)
        share = float(np.sum(np.abs(alone) ** 2 * power) / np.sum(power))
        return EchoEstimate(max(LOWEST, 10 * float(np.log10(share + 1e-12))), lag, far_db, near_db)

    def _response(self, heard: Floats) -> tuple[Floats, Floats]:
        """Return the impulse response from the reference to the microphone, beginning AHEAD before the reference; and
        the power spectrum of the reference."""
        placed = np.zeros(PLAYED)
        placed[PLAYED - HEARD - AHEAD : PLAYED - AHEAD] = heard
        far = np.fft.rfft(self._far)
        power = np.abs(far) ** 2
        quotient = np.fft.rfft(placed) * np.conj(far) / (power + REGULAR * power.mean())
        whole = np.fft.irfft(quotient) * PLAYED / HEARD
        return np.concatenate((whole[-AHEAD:], whole[: PLAYED - HEARD - AHEAD])), power


def _coarse(samples: Samples) -> Floats:
    whole = len(samples) // COARSE * COARSE
    return np.asarray(samples[:whole].reshape(-1, COARSE).mean(axis=1) / FULL_SCALE)


def _level(samples: Floats) -> float:
    """Return the level in dB of full scale."""
    return max(LOWEST, 10 * float(np.log10(np.mean(samples**2) + 1e-12)))
