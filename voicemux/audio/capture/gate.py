"""The gate behind a microphone: sound that passes it is sent, and silence while it is shut. Pure.

The stream goes on all the time, in packets of the same sizes and at the same times, so that an observer of the line
does not learn who speaks. Speech is detected a little late. So up to `PREROLL` of sound before is sent, too, and all
that follows is late by as much. The gate then catches up: it cuts pitch periods out of speech, and any length out of
pauses.

With DTX (`capture.dtx`), next to nothing is sent while the gate is shut, and an observer learns when the user
speaks. The gate then also shuts in `MicMode.OPEN` while the user is silent.
"""

from collections.abc import Callable

import numpy as np

from voicemux.audio.activity import PIECE, VoiceActivity, load_activity
from voicemux.audio.choices import MicMode
from voicemux.audio.endpoints import RATE
from voicemux.audio.playout.stretch import shorten
from voicemux.audio.resample import Samples, from_bytes
from voicemux.errors import LibraryMissing

# Samples (0.2 s) before detected speech that are sent: 0.1 s would lose the beginning of one word in ten.
PREROLL = RATE // 5
FADE_IN = RATE // 200  # samples (5 ms) of fade: no click, and no consonant is lost
FADE_OUT = RATE // 50  # samples (20 ms) of fade
CUT_EVERY = RATE * 4 // 25  # samples (160 ms) between two cuts in speech, which makes it a twentieth faster
ABOVE_NOISE = 4.0  # factor of the power of the softest 10 ms (6 dB) above which sound is not the noise of the room
MARGIN = RATE // 40  # samples (25 ms) before that sound that are sent, too: the breath of a consonant
HOLD = RATE * 2  # samples (2 s) for which an open microphone stays open after the last sign of speech, with DTX
QUIET = 100.0**2  # mean square (-50 dB) below which a cut of any length is not heard

NOWHERE = -1 - FADE_OUT  # a position before all sound


class Gate:
    """The gate of one microphone. The microphone's thread calls `take` and `listen`, any thread the rest."""

    def __init__(self, load: Callable[[], VoiceActivity] = load_activity, *, pauses: bool = False) -> None:
        """`load` makes a speech detector, or raises LibraryMissing. With `pauses` (DTX), the gate also shuts in
        `MicMode.OPEN` while the user is silent, once the detector is loaded."""
        self._load = load
        self._pauses = pauses
        self.talks = False  # with `MicMode.PTT`: the user holds the key
        self._mode = MicMode.OPEN
        self._activity: VoiceActivity | None = None
        self._known: Samples = np.zeros(0, np.int16)  # the newest sound, up to `_end`: PREROLL and the newest packet
        self._end = 0  # position behind the last sample that was captured
        self._read = 0  # position of the next sample to be sent
        self._since = -FADE_IN  # position where the gate was opened
        self._until = 0  # position up to which it is open
        self._floor = 0  # position before which nothing is sent
        self._held_until = HOLD  # position up to which an open microphone is not shut
        self._cut_at = 0  # position of the last cut in speech
        self._forgets = False  # what was captured so far must not be sent
        self._is_muted = False  # the next sound is not sent
        self._detects = False  # the detector has judged the newest sound

    @property
    def mode(self) -> MicMode:
        """What opens the gate."""
        return self._mode

    def choose(self, mode: str) -> None:
        """Choose the mode. Raises LibraryMissing if it needs a speech detector and there is none; then nothing
        changes."""
        if mode == MicMode.VOICE:
            self._activity = self._activity or self._load()
        self._forgets = True  # what was said while the gate was shut is never sent
        self._mode, self.talks = MicMode(mode), False
        self._held_until = self._end + HOLD

    def listen(self) -> None:
        """Load the speech detector. If it is not installed, `speaks` and `spoken` stay None, and `pauses` does
        not shut an open microphone."""
        try:
            self._activity = self._activity or self._load()
        except LibraryMissing:
            self._activity = None

    def forget(self) -> None:
        """Note that the user is muted: nothing that was captured so far is sent. From now on, the detector tells
        whether the user speaks all the same. An open gate passes what comes now and nothing else."""
        self._forgets, self._is_muted = self._mode is not MicMode.OPEN or self._pauses, True
        self._held_until = self._end + HOLD

    @property
    def speaks(self) -> bool | None:
        """Whether the user speaks; None without a detector, or while it does not run."""
        return self._activity.speaks if self._activity and self._detects else None

    @property
    def spoken(self) -> float | None:
        """Seconds for which the detector has heard the user speak so far; None without one."""
        return self._activity.spoken if self._activity else None

    @property
    def opened_at(self) -> int:
        """Position of the first sample since the gate was last opened, in samples since the first `take`."""
        return self._since

    @property
    def delay_ms(self) -> float:
        """How much older the sound that is sent is than the sound that is captured, in milliseconds."""
        return (self._end - self._read) * 1000 / RATE

    def take(self, pcm: bytes) -> bytes:
        """Return the sound to send in place of `pcm`, of the same length."""
        sound = from_bytes(pcm)
        # The detector takes more time than everything else here, so it runs only if something depends on it.
        self._detects, self._is_muted = self._goes_by_speech or self._is_muted, False
        if self._activity and self._detects:
            self._activity.hear(sound)
        before, self._end = self._end, self._end + len(sound)
        self._known = np.concatenate((self._known, sound))[-PREROLL - len(sound) :]
        if self._forgets:
            self._forgets, self._floor, self._read, self._until = False, before, before, NOWHERE
        self._judge(before)
        is_open = self._mode is MicMode.OPEN and self._until == self._end
        if is_open and self._read == before >= self._since + FADE_IN:
            self._read = self._end
            return pcm
        return self._made(len(sound)).tobytes()

    def _judge(self, before: int) -> None:
        """Open the gate, or let it shut. `before` is the position at which the newest sound begins."""
        if not self._is_wanted:
            return
        if self._is_shut():
            begins = self._end - PREROLL + self._quiet_lead() if self._goes_by_speech else before
            self._read = self._since = max(self._floor, self._until + FADE_OUT, begins)
        self._until = self._end

    def _quiet_lead(self) -> int:
        """Return how many samples of the pre-roll are the noise of the room: what is not sent need not be caught up
        with."""
        pieces = self._known[-PREROLL:].astype(np.float32)
        pieces = pieces[: len(pieces) // PIECE * PIECE].reshape(-1, PIECE)
        powers = (pieces**2).mean(axis=1)
        loud = np.flatnonzero(powers > ABOVE_NOISE * max(1.0, float(powers.min())))
        return max(0, int(loud[0]) * PIECE - MARGIN) if len(loud) else 0

    @property
    def _goes_by_speech(self) -> bool:
        """Whether the speech detector opens and shuts the gate."""
        return self._mode is MicMode.VOICE or (self._mode is MicMode.OPEN and self._pauses)

    @property
    def _is_wanted(self) -> bool:
        """Whether the newest sound is to be sent."""
        if self._mode is MicMode.PTT:
            return self.talks
        if self._activity is None or not self._goes_by_speech or self._activity.speaks:
            self._held_until = self._end + HOLD
            return True
        return self._mode is MicMode.OPEN and self._end <= self._held_until

    def _is_shut(self) -> bool:
        """Return whether all sound has been sent up to the end of the fade-out."""
        return self._read >= self._until + FADE_OUT

    def _made(self, count: int) -> Samples:
        """Return the next `count` samples to send."""
        if self._is_shut():
            self._read = self._end
            return np.zeros(count, np.int16)
        sound = self._caught_up(count)
        first = self._read - count
        if first >= self._since + FADE_IN and self._read <= self._until:
            return sound
        places = np.arange(first, self._read)
        gains = np.minimum((places - self._since) / FADE_IN, 1 - (places - self._until) / FADE_OUT)
        faded: Samples = np.rint(sound * np.clip(gains, 0, 1)).astype(np.int16)
        if self._is_shut():
            self._read = self._end
        return faded

    def _caught_up(self, count: int) -> Samples:
        """Return the next `count` samples, and skip more if something can be cut out, to catch up."""
        at = len(self._known) - (self._end - self._read)
        most = min(self._end - self._read, self._until - self._read) - count
        chunk = self._known[at : at + count]
        quiet = float(np.mean(chunk.astype(np.float32) ** 2)) < QUIET
        cut = 0
        if most > 0 and (quiet or self._read >= self._cut_at + CUT_EVERY):
            longer = self._known[at : at + count + min(most, count)]
            shorter = shorten(longer, len(longer) - count, any_length=quiet)
            cut, chunk = len(longer) - len(shorter), shorter[:count]
            self._cut_at = self._read if cut else self._cut_at
        self._read += count + cut
        return chunk
