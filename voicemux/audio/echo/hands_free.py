"""Cancels the echo of one call: removes what is played from what is captured.

While there is no echo, captured sound passes untouched. Then only the meter runs (0.3 % of a core), or nothing at all
if the names of the devices rule echo out.
"""

from collections.abc import Callable

import numpy as np

from voicemux.audio.capture.slide import Slide
from voicemux.audio.choices import EchoChoice
from voicemux.audio.echo.canceller import BEHIND, WHOLE
from voicemux.audio.echo.meter import EchoMeter
from voicemux.audio.echo.reference import Reference
from voicemux.audio.echo.two_stages import TwoStages
from voicemux.audio.echo.verdict import EchoState, EchoWatch, Names, is_cleaned, is_headset
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.processing import Processing
from voicemux.audio.resample import Samples, from_bytes
from voicemux.errors import LibraryMissing

WARM = 4 * WHOLE  # samples (40 ms) that a canceller gets before it is used: its first 9 ms are silence
FADE = RATE // 50  # samples (20 ms) of the crossfade when the canceller takes over or leaves

CLEANED_ALREADY = "the sound server cancels echo already, so voicemux does not; with --echo on, both do"


class HandsFree(Processing):
    """The echo cancellation of one call. The loudspeaker's thread calls `played`, the microphone's the rest."""

    batch = WHOLE // BLOCK_SAMPLES

    def __init__(
        self,
        choice: EchoChoice,
        names: Callable[[], Names | None],
        tell: Callable[[str], None],
        missing: Callable[[LibraryMissing], None],
    ) -> None:
        """`names` returns the names of the devices, or None if there is no loudspeaker; it is called whenever the
        microphone starts or a device is exchanged. `tell` gets sentences for the user, and `missing` the error if
        echo cannot be cancelled."""
        super().__init__(EchoState.OFF if choice is EchoChoice.OFF else EchoState.NOT_NEEDED)
        self._choice = choice
        self._names = names
        self._tell = tell
        self._missing = missing
        self._reference = Reference()
        self._runs = False  # whether sound is processed at all
        self._only_measures = False  # only the level of the echo is measured, for the user
        self._is_outdated = False  # another device is used than at `begin`
        self._begin_anew()

    def played(self, pcm: bytes, rate: int, channels: int) -> None:
        """The sound card was given `pcm`, in its own form. Does not wait."""
        if self._runs:
            self._reference.played(pcm, rate, channels)

    def renew(self) -> None:
        """Note that another device is used. Any thread may call it."""
        self._is_outdated = True

    def begin(self) -> None:
        """Find out which devices are used now: another may have been plugged in. May wait 1 s for the sound
        server."""
        self._runs = self._is_outdated = False
        self._echo, self.batch = EchoState.NOT_NEEDED, 1
        self._only_measures = self._choice is EchoChoice.OFF
        if self._only_measures:
            self._echo = EchoState.OFF
        names = self._names()
        if names is None:
            return
        if self._choice is not EchoChoice.ON:
            if is_cleaned(names) and not self._only_measures:
                self._tell(CLEANED_ALREADY)
            if is_cleaned(names) or is_headset(names):
                return
        if not self._only_measures:
            try:
                self._canceller = TwoStages()
                self._echo = EchoState.ON
            except LibraryMissing as error:
                self._echo, self._only_measures = EchoState.NOT_INSTALLED, True
                self._missing(error)
        self.batch = 1 if self._only_measures else type(self).batch
        self._reference.restart()
        self._begin_anew()
        self._runs = True

    def _begin_anew(self) -> None:
        self._meter, self._watch = EchoMeter(), EchoWatch()
        self._corrections = self._reference.corrections  # shifts of the reference that the meter knows of
        self._moved = self._reference.moved  # samples of these shifts that the canceller knows of
        self._slide = Slide(BEHIND + WHOLE)
        self._near: Samples = np.zeros(0, np.int16)  # captured samples that are not 10 ms yet
        self._clean: Samples = np.zeros(0, np.int16)  # processed samples that were not returned yet
        self._held = 0  # samples of added delay, if blocks are not whole 10 ms
        self._cancels = not self._only_measures
        self._warm = 0  # samples until the canceller's output may be used
        self._share = 1.0 if self._cancels else 0.0  # share of the canceller's output in what is sent, 0 to 1

    @property
    def echo_db(self) -> float | None:
        return self._watch.echo_db if self._runs else None

    @property
    def delay_ms(self) -> float:
        if not self._runs:
            return 0.0
        return (BEHIND + self._held if self._share > 0 else self._slide.delay) * 1000 / RATE

    def captured(self, pcm: bytes, at: float) -> bytes:
        if self._is_outdated:
            self.begin()
        if not self._runs:
            return pcm
        self._near = np.concatenate((self._near, from_bytes(pcm)))
        if whole := len(self._near) // WHOLE * WHOLE:
            near, self._near = self._near[:whole], self._near[whole:]
            far = self._reference.take(whole)
            self._measure(near, far)
            if self._cancels or self._share > 0:
                self._clean = np.concatenate((self._clean, self._canceller.process(near, far)))
                if moved := self._reference.moved - self._moved:
                    self._canceller.shift(moved)
                self._moved = self._reference.moved
                self._warm = max(0, self._warm - whole)
        raw = self._slide.take(pcm)
        if not self._cancels and self._share == 0:
            return raw
        return self._mixed(from_bytes(raw)).tobytes()

    def lost(self, samples: int) -> None:
        if self._runs:
            self._reference.lost(samples)

    def _mixed(self, raw: Samples) -> Samples:
        """Return the canceller's output, or, while it takes over or leaves, a mix of it and `raw`."""
        if lacking := max(0, len(raw) - len(self._clean)):
            self._held += lacking
            self._clean = np.concatenate((np.zeros(lacking, np.int16), self._clean))
        clean, self._clean = self._clean[: len(raw)], self._clean[len(raw) :]
        target = 1.0 if self._cancels and not self._warm else 0.0
        if self._share == target == 1:
            return clean
        steps = np.arange(1, len(raw) + 1) / FADE
        shares = self._share + np.clip(target - self._share, -steps, steps)
        self._share = target if abs(target - self._share) <= steps[-1] else float(shares[-1])
        if self._share == 0 and not self._cancels:
            self._slide.target = 0.0
        mixed: Samples = np.rint(shares * clean + (1 - shares) * raw).astype(np.int16)
        return mixed

    def _measure(self, near: Samples, far: Samples) -> None:
        if self._reference.corrections != self._corrections:
            self._corrections = self._reference.corrections
            self._meter.restart()
        estimate = self._meter.hear(near, far)
        if estimate is None:
            return
        if misplaced := self._watch.misplaced(estimate):
            self._reference.shift(misplaced)
            self._meter.restart()
        elif estimate.lag is not None and estimate.echo_db is not None and not self._only_measures:
            self._canceller.place(estimate.lag, estimate.echo_db)
        self._watch.judge(estimate)
        if self._watch.is_lost and self._reference.is_held_back:  # then another loudspeaker may play now
            self._reference.restart()
            self._meter.restart()
            if not self._only_measures:
                self._canceller.misplace()
        if self._only_measures:
            return
        is_needed = self._watch.is_heard or self._choice is EchoChoice.ON
        if is_needed != self._cancels:
            self._turn(is_needed)

    def _turn(self, on: bool) -> None:
        """Turn the canceller on or off. It takes over at once, with a jump of 9 ms, and leaves gradually."""
        self._cancels = on
        self._echo = EchoState.ON if on else EchoState.NOT_NEEDED
        if on:
            self._canceller.reset()
            self._clean, self._held, self._warm = self._clean[:0], 0, WARM
        else:
            self._slide.jump(BEHIND + self._held)
