"""Suppresses steady noise of one call's microphone, such as a fan's."""

from collections.abc import Callable

import numpy as np

from voicemux.audio.choices import NoiseChoice
from voicemux.audio.echo.canceller import SUPPRESSED_BEHIND, WHOLE, Suppressor
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.processing import Processing
from voicemux.audio.resample import Samples, from_bytes
from voicemux.errors import LibraryMissing

LEVELS = {NoiseChoice.LOW: 1, NoiseChoice.HIGH: 3}  # levels of WebRTC: at most 12 and 21 dB


class Quieting(Processing):
    """Suppresses noise after `inner`, the rest of the processing."""

    def __init__(self, inner: Processing, choice: NoiseChoice, missing: Callable[[LibraryMissing], None]) -> None:
        """`missing` gets the error if noise cannot be suppressed."""
        super().__init__()
        self._inner = inner
        self._level = LEVELS[choice]
        self._missing = missing
        self._suppressor: Suppressor | None = None
        self._near: Samples = np.zeros(0, np.int16)  # captured samples that are not 10 ms yet
        self._quiet: Samples = np.zeros(0, np.int16)  # processed samples that were not returned yet
        self._held = 0  # samples of added delay, if blocks are not whole 10 ms
        self.batch = WHOLE // BLOCK_SAMPLES

    @property
    def echo(self) -> str:
        return self._inner.echo

    @property
    def echo_db(self) -> float | None:
        return self._inner.echo_db

    @property
    def delay_ms(self) -> float:
        own = SUPPRESSED_BEHIND + self._held if self._suppressor else 0
        return self._inner.delay_ms + own * 1000 / RATE

    def rendered(self, pcm: bytes, at: float) -> None:
        self._inner.rendered(pcm, at)

    def begin(self) -> None:
        self._inner.begin()
        self._near, self._quiet, self._held = self._near[:0], self._quiet[:0], 0
        try:
            self._suppressor = Suppressor(self._level)
        except LibraryMissing as error:
            self._suppressor = None
            self._missing(error)

    def captured(self, pcm: bytes, at: float) -> bytes:
        pcm = self._inner.captured(pcm, at)
        if not self._suppressor:
            return pcm
        self._near = np.concatenate((self._near, from_bytes(pcm)))
        if whole := len(self._near) // WHOLE * WHOLE:
            self._quiet = np.concatenate((self._quiet, self._suppressor.process(self._near[:whole])))
            self._near = self._near[whole:]
        count = len(pcm) // 2
        if lacking := max(0, count - len(self._quiet)):
            self._held += lacking
            self._quiet = np.concatenate((np.zeros(lacking, np.int16), self._quiet))
        given, self._quiet = self._quiet[:count], self._quiet[count:]
        return given.tobytes()

    def lost(self, samples: int) -> None:
        self._inner.lost(samples)
