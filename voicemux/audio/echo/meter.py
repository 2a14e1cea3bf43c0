"""Whether the microphone hears the loudspeaker, how loud and how late: an estimate for each second of sound. Pure.

The impulse response from the reference to the microphone is the quotient of their spectra (Wiener's, regularized). An
echo is a peak in it, which stands out however softly: 9 dB below the noise of the room, or 1/300 of the power of who
speaks there. Speech at the microphone raises the floor, and never looks like a peak.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import FULL_SCALE, Samples

COARSE = 12  # samples made one: at 4 kHz there is most of speech, and of what small loudspeakers play
COARSE_RATE = RATE // COARSE
HEARD = 2**13  # coarse samples (2 s) of the microphone that are looked at
PLAYED = 2**14  # coarse samples (4 s) of the reference: what was heard, and 2 s before
AHEAD = COARSE_RATE // 20  # coarse samples (50 ms) that an echo may be before the reference
EVERY = COARSE_RATE  # coarse samples (1 s) between two estimates
REGULAR = 0.05  # of the mean power: where the reference has less, nothing can be said
SMOOTH = COARSE_RATE // 250  # coarse samples (4 ms) whose power is a peak together
BEFORE, BEHIND = COARSE_RATE // 100, COARSE_RATE // 10  # coarse samples around a peak that are the echo: 10, 100 ms
PEAK = 20.0  # times the median (13 dB): without an echo it was 10 dB at most
APART = 4.0  # times the next peak (6 dB), or how late the echo is is not known: tones have many
SPOKEN = -50.0  # dB of full scale: a reference that is softer tells nothing
LOWEST = -100.0  # dB

Floats = NDArray[np.float64]


class EchoEstimate(NamedTuple):
    """Of two seconds in which something was played."""

    echo_db: float | None  # level of the echo against what was played; None if there was none to be found
    lag: int | None  # samples by which it is behind the reference, or before it (negative); None if not known
    far_db: float  # level of what was played, of full scale
    near_db: float  # level of what was captured


class EchoMeter:
    """Belongs to the thread that captures."""

    def __init__(self) -> None:
        self._near = np.zeros(HEARD + AHEAD)
        self._far = np.zeros(PLAYED)
        self._new: list[tuple[Floats, Floats]] = []
        self._count = 0  # coarse samples since the last estimate
        self._known = 0  # coarse samples before that

    def hear(self, near: Samples, far: Samples) -> EchoEstimate | None:
        """What was captured, and the reference beside it: whole 10 ms. An estimate once a second, if one can be."""
        self._new.append((_coarse(near), _coarse(far)))
        self._count += len(near) // COARSE
        if self._count < EVERY:
            return None
        self._known += self._count
        self._count = 0
        nears, fars = zip(*self._new, strict=True)
        self._new.clear()
        self._near = np.concatenate((self._near, *nears))[-len(self._near) :]
        self._far = np.concatenate((self._far, *fars))[-PLAYED:]
        return self._estimate() if self._known >= len(self._near) else None

    def restart(self) -> None:
        """What comes does not go on where it was, or the reference has been shifted."""
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
        """From the reference to the microphone, from AHEAD before it on; and the power spectrum of the former."""
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
    """In dB of full scale."""
    return max(LOWEST, 10 * float(np.log10(np.mean(samples**2) + 1e-12)))
