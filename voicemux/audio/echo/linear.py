"""An adaptive filter that estimates the echo, and subtracts it as far as it has proved itself. Pure."""

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.echo.canceller import WHOLE
from voicemux.audio.echo.trust import LEAST_LEFT, FilterTrust
from voicemux.audio.echo.verdict import ALIKE, LATEST
from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import FULL_SCALE, Samples

BLOCK = WHOLE  # samples (10 ms) of a partition
PARTITIONS = 12  # 120 ms of the echo; with 80 ms, 5 dB more of a reverberant echo came back
BINS = 165  # of 50 Hz, up to 8.2 kHz: small loudspeakers play little above that, and speech has little
BEFORE = RATE // 200  # samples (5 ms) of the echo before its peak that belong to the filter at least
USUAL = RATE * 3 // 200  # samples (15 ms) of it to which the filter is placed
MOST_BEFORE = RATE * 7 // 200  # samples (35 ms) of it to which drifting clocks may bring that
FULL_POWER = BLOCK * FULL_SCALE**2  # energy of a block at full scale
SILENT = 1e-7 * FULL_POWER  # energy (-70 dB) below which a block counts as silence

# Blocks between two steps of learning. With 1, what was left while both sides spoke was 2 dB softer, but it took more
# processor time.
EVERY = 2
# Share of a partition's power that becomes wrong between two corrections of it, 0.24 s apart. With 0.01 to 0.05, the
# echo that was left was nearly the same.
CHANGES = np.float32(0.024)
DIRECT = 0.3  # share of the echo's power that one partition may have; with 0.1 and with 1, it learned as quickly
FADES = 0.7  # of that power that the next partition may have: reverberation that ends after 0.4 s
SURE = np.float32(1e-10)  # the least variance of the filter's coefficients
SMOOTHED = np.float32(0.8)  # of the near power in a band that is left after a step
SLOWLY_SMOOTHED = np.float32(0.9)  # of the power of what is left after a step
NOISE = np.float32(2 * BLOCK * 1e-9 * FULL_POWER)  # least power of a band: that of a very quiet room (-90 dB)
LOUD = np.float32(2 * BLOCK * 2e-6 * FULL_POWER)  # power of a band before anything was heard

RAMP = np.arange(1, BLOCK + 1, dtype=np.float32) / BLOCK
WHOLLY = 1 / (1 - LEAST_LEFT)
COARSE = 360  # samples of two blocks at a rate at which the bins are computed in half the time

Spectrum = NDArray[np.complex64]
Floats = NDArray[np.float32]


class LinearFilter:
    """The filter of one microphone. Only one thread at a time may use it.

    It is a partitioned block Kalman filter in the frequency domain (G. Enzner and P. Vary, "Frequency-domain adaptive
    Kalman filter for acoustic echo control in hands-free telephones", Signal Processing 86, 2006; F. Kuech,
    E. Mabande and G. Enzner, "State-space architecture of the partitioned-block-based acoustic echo controller",
    ICASSP 2014). It estimates how loud everything but the echo is in each band, and learns more slowly while that is
    loud. So it stays right while both sides speak.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was learned, what was played, and where the echo is."""
        self._delay: int | None = None  # samples by which the reference is delayed for the filter
        self._line: Samples  # what is delayed
        self._skipped = 0  # samples of the reference that are skipped next
        self._elsewhere: int | None = None  # delay of the last echo that was not at its place
        # The spectra and powers of the newest blocks that were played, from `_newest` on, and a second time behind.
        self._spectra: Spectrum = np.zeros((2 * PARTITIONS, BINS), np.complex64)
        self._powers: Floats = np.zeros((2 * PARTITIONS, BINS), np.float32)
        self._newest = 0
        self._pair = np.zeros(2 * BLOCK)  # the two newest blocks that were played; 64 bits are transformed faster
        self._silent = PARTITIONS + 1  # blocks since something was played
        self._late = np.zeros(2 * BLOCK)  # silence, and what was left of the newest block
        self._blocks = 0
        self._near_power: Floats = np.full(BINS, LOUD)  # of everything but the echo
        self._left_power: Floats = np.full(BINS, LOUD)  # of what is left
        self._turn = 0  # partition that is kept causal next
        self._trust = FilterTrust()

    @property
    def share(self) -> float:
        """Share of the estimated echo that was subtracted at the end of the last block, 0 to 1."""
        return self._trust.share * WHOLLY

    def place(self, lag: int, echo_db: float) -> None:
        """Note that the echo is `lag` samples behind the reference, and how loud it is, in dB of what was played.

        Until that is known, sound passes as it is. An echo that is found elsewhere must be found there twice.
        """
        if not 0 <= lag <= LATEST or (self._delay is not None and BEFORE <= lag - self._delay <= MOST_BEFORE):
            self._elsewhere = None
        elif self._delay is None or (self._elsewhere is not None and abs(lag - self._elsewhere) <= ALIKE):
            self._delay, self._elsewhere = max(0, lag - USUAL), None
            self._line, self._skipped = np.zeros(self._delay, np.int16), 0
            each = FADES ** np.maximum(0, np.arange(PARTITIONS) - 2)
            self._expected = (DIRECT * 10 ** (echo_db / 10) * each).astype(np.float32)
            self._unlearn()
        else:
            self._elsewhere = lag

    def shift(self, count: int) -> None:
        """Note that the reference will be later by `count` samples from now on; sooner, if that is negative.

        What was learned stays right, as the filter delays the reference by as much less or more.
        """
        if self._delay is None:
            return
        self._delay -= count
        self._elsewhere = None
        if not 0 <= self._delay <= LATEST or self._skipped + count > len(self._line):
            self.reset()
        elif count > 0:
            self._skipped += count
        else:
            self._line = np.concatenate((self._line, np.zeros(-count, np.int16)))

    def process(self, near: Samples, far: Samples) -> tuple[Samples, Floats]:
        """Take one block of captured sound and the reference beside it. Return the sound with less of the echo, and
        with as little of it as possible; the latter not rounded."""
        sound = near.astype(np.float32)
        if self._delay is None:
            return near, sound
        self._play(self._delayed(far).astype(np.float32))
        if self._silent > PARTITIONS:
            return near, sound
        before = self._trust.share
        estimate = self._estimate(sound)
        if self._trust.is_lost:  # the reference was shifted, or the microphone was moved
            self._unlearn()
        share = self._trust.share
        estimate *= np.float32(share) if share == before else before + np.float32(share - before) * RAMP
        left = np.rint(sound - estimate).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
        estimate *= np.float32(WHOLLY)
        return left, sound - estimate

    def _unlearn(self) -> None:
        self._filter: Spectrum = np.zeros((PARTITIONS, BINS), np.complex64)
        self._variance: Floats = np.repeat(self._expected[:, None], BINS, axis=1)
        self._trust = FilterTrust()

    def _delayed(self, far: Samples) -> Samples:
        skipped = min(self._skipped, len(far))
        self._skipped -= skipped
        line = np.concatenate((self._line, far[skipped:]))
        self._line = line[BLOCK:]
        return line[:BLOCK]

    def _play(self, far: Floats) -> None:
        """Take in what was played next."""
        self._silent = 0 if float(np.dot(far, far)) > SILENT else self._silent + 1
        self._newest = (self._newest or PARTITIONS) - 1
        rows = slice(self._newest, None, PARTITIONS)
        self._pair[:BLOCK] = self._pair[BLOCK:]
        self._pair[BLOCK:] = far
        if self._silent > 1:
            self._spectra[rows] = self._powers[rows] = 0
        else:
            spectrum = np.fft.rfft(self._pair)[:BINS]
            self._spectra[rows], self._powers[rows] = spectrum, _power(spectrum)

    def _estimate(self, near: Floats) -> Floats:
        """Return the estimated echo of the newest block, and learn from how right it was."""
        window = slice(self._newest, self._newest + PARTITIONS)
        spectra = self._spectra[window]
        sums = np.add.reduce(spectra * self._filter, axis=0)
        estimate: Floats = np.fft.irfft(sums, 2 * BLOCK)[BLOCK:].astype(np.float32, copy=False)
        error = near - estimate
        self._blocks += 1
        if self._blocks % EVERY == 0:
            self._learn(spectra, self._powers[window], sums, error)
        self._trust.judge(float(np.dot(estimate, estimate)), float(np.dot(error, error)))
        return estimate

    def _learn(self, spectra: Spectrum, powers: Floats, sums: Spectrum, error: Floats) -> None:
        self._late[BLOCK:] = error
        left = np.fft.rfft(self._late)[:BINS].astype(np.complex64, copy=False)
        power = _power(left)
        self._near_power += (1 - SMOOTHED) * (power - self._near_power)
        self._left_power += (1 - SLOWLY_SMOOTHED) * (power - self._left_power)
        estimated = _power(sums)
        weights = 1 / (np.maximum(self._left_power, power) + estimated + NOISE)
        alike = float(np.dot((sums.conj() * left).real, weights))
        self._trust.compare(alike, float(np.dot(estimated, weights)) / 2)
        variance = self._variance
        uncertain = powers * variance
        weights = 1 / (np.add.reduce(uncertain, axis=0) / 2 + (self._near_power + NOISE))
        self._filter += variance * (spectra.conj() * (left * weights))
        uncertain *= variance
        uncertain *= weights / 2
        variance -= uncertain
        self._keep(self._turn)
        self._turn = (self._turn + 1) % PARTITIONS

    def _keep(self, turn: int) -> None:
        """Correct one partition, which saves time: its variance grows, and what it has beyond its 10 ms, which comes
        from the circular convolution, is dropped."""
        response = np.fft.irfft(self._filter[turn], COARSE)
        response[COARSE // 2 :] = 0
        self._filter[turn] = np.fft.rfft(response)[:BINS]
        variance = self._variance[turn]
        variance += CHANGES * (_power(self._filter[turn]) - variance)
        np.maximum(variance, SURE, out=variance)


def _power(spectrum: NDArray[np.complexfloating]) -> Floats:
    power: Floats = np.square(spectrum.real) + np.square(spectrum.imag)
    return power
