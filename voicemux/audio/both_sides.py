"""Records a call in one file with two channels: our voice on the left, the peer's on the right.

Both are laid on the monotonic clock, by which the peer's voice is written anyway. A microphone has its own clock,
which differs by up to 200 ppm, 0.7 s an hour. So now and then, one sample is inserted or left out on the left.
"""

import contextlib
import os
import threading

import numpy as np

from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.metronome import PacedSink
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.audio.recording import Recording
from voicemux.audio.resample import Samples, from_bytes
from voicemux.errors import DeviceError
from voicemux.protocol.messages import OWN_SOURCE

LAG = RATE // 4  # samples (250 ms) by which the file is written late: a microphone's sound comes late
MOST_WAITING = 10 * RATE  # samples of our voice that may wait while a disk hangs
# Share of the newest error of the microphone's clock, for each piece: one piece that is read late moves nothing.
SMOOTHING = 1 / 400
JUMP = RATE // 5  # samples (200 ms) by which the clocks never differ, unless the machine slept
PATIENCE = 50  # pieces in a row, at least a quarter of a second, after which a jump is believed
STITCH = 2  # samples: a gap this short is filled with the sample before it, because silence would click
AT_ONCE = RATE  # samples of silence that are made at a time after a stall


class Timeline:
    """Joins pieces of sound, each with its time, into one stream without gaps."""

    def __init__(self) -> None:
        self._waiting: Samples = np.zeros(0, np.int16)  # samples from position `_taken` on
        self._taken = 0  # samples that were given out
        self._offset: float | None = None  # offset of the pieces' clock from ours, in samples
        self._error = 0.0  # error of the offset, smoothed, in samples
        self._jumped = 0  # jumps in a row

    def put(self, position: int, began: float, samples: Samples) -> None:
        """Add a piece. `position` counts samples by the microphone's clock. `began` is the same place by our clock,
        in samples, and may seem too late."""
        place = position + self._follow(began - position)
        missing = place - self._taken - len(self._waiting)
        if missing < 0:  # it overlaps, or its place was given out as silence
            samples = samples[-missing:]
            missing = 0
        if len(self._waiting) + missing + len(samples) > MOST_WAITING:
            return
        last = self._waiting[-1] if 0 < missing <= STITCH and len(self._waiting) else 0
        self._waiting = np.concatenate((self._waiting, np.full(missing, last, np.int16), samples))

    def _follow(self, offset: float) -> int:
        if self._offset is None:
            self._offset = round(offset)
        error = offset - self._offset
        if abs(error) > JUMP:
            self._jumped += 1
            if self._jumped > PATIENCE:
                self._offset, self._error, self._jumped = round(offset), 0.0, 0
            return int(self._offset)
        self._jumped = 0
        self._error += (error - self._error) * SMOOTHING
        if abs(self._error) >= 1:
            step = 1 if self._error > 0 else -1
            self._offset += step
            self._error -= step
        return int(self._offset)

    def take(self, samples: int) -> Samples:
        """Return the next `samples` samples, with silence where there was none."""
        taken, self._waiting = self._waiting[:samples], self._waiting[samples:]
        self._taken += samples
        return np.concatenate((taken, np.zeros(samples - len(taken), np.int16)))


class CallFile(PacedSink):
    """The file of a call, as a sink: what is written goes to the right channel, `mine` to the left."""

    def __init__(self, wanted: str) -> None:
        """Make the file. Raises DeviceError if that fails."""
        super().__init__()
        self._recording = Recording(wanted, channels=2)
        self.path = self._recording.path
        self.label = os.path.basename(self.path)
        self._lock = threading.Lock()
        self._mine = Timeline()
        self._theirs = bytearray()
        self._began: float | None = None
        self._is_over = False  # closed
        self._failed = False

    def start(self) -> float:
        began = super().start()
        with self._lock:
            self._began = began
        return began

    def mine(self, position: int, began: float, pcm: bytes) -> None:
        """Add our voice as `Timeline.put` does, but `began` is in seconds of the monotonic clock. The microphone's
        thread calls it."""
        with self._lock:
            if self._began is not None:
                self._mine.put(position, (began - self._began) * RATE, from_bytes(pcm))

    def ready(self) -> bool:
        if super().ready():
            return True
        self.close()
        return False

    def write(self, pcm: bytes) -> None:
        lost = self._account(pcm) * BLOCK_SAMPLES
        while lost:
            silence = min(lost, AT_ONCE)
            self._theirs += bytes(2 * silence)
            self._write_down(LAG)
            lost -= silence
        self._theirs += pcm
        self._write_down(LAG)

    def close(self) -> None:
        """Write the rest, and close the file. Raises DeviceError if that fails. Calling it again does nothing."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if not self._failed:
                self._write_down(0)
        finally:
            self._recording.close()

    def _write_down(self, kept: int) -> None:
        """Write all but the newest `kept` samples."""
        theirs = from_bytes(bytes(self._theirs))
        count = len(theirs) - kept
        if count <= 0:
            return
        with self._lock:
            mine = self._mine.take(count)
        del self._theirs[: 2 * count]
        try:
            self._recording.write(np.stack((mine, theirs[:count]), axis=1).tobytes())
        except DeviceError:
            self._failed = True
            raise


class BothSides:
    """The recording of one call, while there is one. Any thread may use it."""

    def __init__(self, transmitter: Transmitter | None, max_delay: float, channels: int = 1) -> None:
        """`max_delay` is that of a player, in seconds. `channels` is the number of channels that the peer's voice is
        played in; their mean is recorded."""
        self._channels = channels
        self._transmitter = transmitter
        self._max_delay = max_delay
        self._lock = threading.Lock()
        self._files: list[CallFile] = []
        self.recorder: Mixer | None = None  # a second player, whose sink is the file

    def start(self, wanted: str) -> Mixer:
        """Begin a file, and return the player that the call is to run for it. Raises DeviceError if the file cannot
        be made, or if the call is being recorded already."""
        with self._lock:
            if self.recorder and self.recorder.records:
                raise DeviceError(f"{self.recorder.label} is being recorded already")
            file = CallFile(wanted)
            self._files.append(file)
            playout = Playout(make_decoders(self._channels), self._max_delay, channels=self._channels)
            self.recorder = Mixer(
                file, {OWN_SOURCE: playout}, records=True, channels=self._channels, mixes_down=self._channels == 2
            )
            if self._transmitter:
                self._transmitter.tap = file.mine
            return self.recorder

    @property
    def path(self) -> str:
        """Path of the newest file; "" if there was none."""
        return self._files[-1].path if self._files else ""

    def close(self) -> None:
        """Close all files, once no thread runs the recorder any more. Raises DeviceError if the end of a file cannot
        be written."""
        if self._transmitter:
            self._transmitter.tap = None
        with contextlib.ExitStack() as stack:
            for file in self._files:
                stack.callback(file.close)
