"""What all microphones and loudspeakers of sound cards have in common, however PortAudio is used."""

import contextlib
import queue
import time
from collections.abc import Callable
from typing import Any

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, RATE, SAMPLE_BYTES, Block
from voicemux.audio.portaudio import Callback, Device, PortAudio, words
from voicemux.audio.positions import HeardChannels
from voicemux.audio.reserve import Outages
from voicemux.errors import DeviceError

MAX_CAPTURED = 20  # blocks (100 ms) that may wait to be read; older ones are dropped
MOST_CAPTURED = 2 * MAX_CAPTURED  # blocks (200 ms) that are kept while nothing is read
MOST_CHANNELS = 8  # channels of a device that are all used: arrays of microphones have 2 to 8
LONG_BLOCKS = 2  # blocks in a period of a card that often runs dry: 10 ms
QUIET_PEAK = 300  # sample value below which sound is so soft that a gap in it is not heard
AWAKENING = 0.2  # seconds: a card that slept takes its first blocks at once, and then none for up to 50 ms
STALL_TIMEOUT = 1.0  # seconds without any sound, after which a device counts as broken
# The same while it has been open for no longer than that. While no program uses a null sink of PulseAudio, it plays
# up to 2 s of silence ahead, and takes nothing else until then.
FIRST_TIMEOUT = 3.0


class Card:
    """A sound card. Tries forms (rate and channels) until the device takes one."""

    def __init__(self, portaudio: PortAudio, device: Device, kind: str, inside: int = 1, best: int = 0) -> None:
        """`inside` is the number of channels of the program's sound, `best` the number of the device's channels to
        try first; 0: it does not matter. Raises DeviceError if the device takes no form."""
        self._inside = inside
        self.label = device.name
        self.xruns = 0  # gaps so far
        self._portaudio = portaudio
        self.device = device
        self._kind = kind
        self._blocks = 1  # blocks in a period of the card
        failure = "it takes no usual form of sound"
        for self._rate, self._channels in _forms(device, kind, inside, best):
            try:
                self._open()
                return
            except (OSError, ValueError) as error:
                failure = words(error)
        raise self._refused(failure)

    _enter: Callback | None = None  # PortAudio's callback, if there is one

    def _open(self) -> None:
        self._stream: Any = self._portaudio.open(
            self._enter, self._kind, self.device, self._rate, self._channels, self._blocks
        )
        self._closed = False
        self._opened = time.monotonic()

    def start(self) -> float:
        """Start the device, and return the monotonic time of that, in seconds. Raises DeviceError if it does not
        start in time."""
        try:
            self._begin()
        except OSError as error:
            raise DeviceError(f"cannot start the {self._kind} device {self.label}: {words(error)}") from error
        return time.monotonic()

    def close(self) -> None:
        """Close the device. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._end()
        self._portaudio.has_closed()

    def _begin(self) -> None:
        """Start the stream. Raises OSError."""
        self._portaudio.ask(self._stream.start_stream)

    def _end(self) -> None:
        """Close the stream, or have it closed when PortAudio answers again."""
        with contextlib.suppress(OSError):
            self._portaudio.ask(self._stream.close)

    @property
    def _period(self) -> int:
        """Frames in a period."""
        return self._blocks * self._rate * BLOCK_SAMPLES // RATE

    @property
    def _is_native(self) -> bool:
        return self._rate == RATE and self._channels == self._inside

    @property
    def _patience(self) -> float:
        """Seconds without any sound, after which the device counts as broken now."""
        is_new = time.monotonic() - self._opened < FIRST_TIMEOUT
        return max(STALL_TIMEOUT, FIRST_TIMEOUT) if is_new else STALL_TIMEOUT

    def _refused(self, why: str) -> DeviceError:
        return DeviceError(f"cannot open the {self._kind} device {self.label}: {why}")

    def _stalled(self) -> DeviceError:
        return DeviceError(f"the {self._kind} device {self.label} has stopped")


class CardMicrophone(Card):
    """A microphone, as a Source. Another thread captures, and passes the sound to `_keep`."""

    finite = False

    def __init__(
        self, portaudio: PortAudio, device: Device, inside: int = 1, heard: HeardChannels | None = None
    ) -> None:
        """`heard` says which channels to use; None: all."""
        self.heard = heard
        self.batch = 1
        # Captured pieces, each with the position of its first frame.
        self._captured: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._frames = 0  # frames captured so far; only the capturing thread changes it
        self._next_frame = 0  # next frame to be read; frames missing before the next block were lost
        self._stopped = False
        super().__init__(portaudio, device, "input", inside, heard.channels if heard else 0)
        # PortAudio's latency counts from the first sample of a block, ours from its end.
        self.delay_ms = max(0.0, self._stream.get_input_latency() - BLOCK_SECONDS) * 1000
        self._position = 0
        self._pcm = bytearray()
        if not self._is_native:
            from voicemux.audio.mixing import Loudest
            from voicemux.audio.resample import Resampler

            if heard and heard.channels == self._channels:
                picks = list(heard.picks)
            else:
                picks = list(range(self._channels if inside == 1 else min(2, self._channels)))
            picks += picks[-1:] * (len(picks) % inside)  # pairs, if there are two channels inside
            # A list of all channels would copy them.
            self._picks = slice(None) if picks == list(range(self._channels)) else picks
            # If a microphone uses one channel of several, their mean would be half as loud, or silent.
            self._loudest = Loudest((1.0,) * (len(picks) // inside))
            self._resampler = Resampler(self._rate, RATE, inside)

    def _keep(self, data: bytes) -> None:
        """Queue captured sound for the reader; the oldest is dropped if nothing is read."""
        self._captured.put((self._frames, data))
        self._frames += len(data) // (SAMPLE_BYTES * self._channels)
        with contextlib.suppress(queue.Empty):
            while self.backlog * self.batch > MOST_CAPTURED:
                self._captured.get_nowait()

    @property
    def backlog(self) -> int:
        """Number of captured pieces that are not read yet."""
        return self._captured.qsize()

    def read(self) -> Block | None:
        """Wait for the next block, and return it; None after `stop`. Raises DeviceError if nothing comes in time."""
        block_bytes = self._inside * BLOCK_BYTES
        while len(self._pcm) < block_bytes:
            try:
                frame, data = self._captured.get(timeout=self._patience)
            except queue.Empty:
                raise self._stalled() from None
            # This program was stopped, and old sound is of no use.
            if self.backlog * self.batch > MAX_CAPTURED:
                frame, data = self._newest(frame, data)
            if self._stopped:
                return None
            self._position += (frame - self._next_frame) * RATE // self._rate
            self._next_frame = frame + len(data) // (SAMPLE_BYTES * self._channels)
            self._pcm += self._convert(data)
        whole = len(self._pcm) // block_bytes * block_bytes
        block = Block(self._position, bytes(self._pcm[:whole]))
        del self._pcm[:whole]
        self._position += whole // (self._inside * SAMPLE_BYTES)
        return block

    def _newest(self, frame: int, data: bytes) -> tuple[int, bytes]:
        """Return the newest piece instead of `data`, and drop all before it."""
        with contextlib.suppress(queue.Empty):  # the capturing thread may be dropping pieces, too
            while True:
                frame, data = self._captured.get_nowait()
        return frame, data

    def _convert(self, data: bytes) -> bytes:
        if self._is_native:
            return data
        from voicemux.audio.resample import from_bytes

        channels = from_bytes(data, self._channels).reshape(-1, self._channels)[:, self._picks]
        signals = channels if self._inside == 1 else channels.reshape(len(channels), -1, self._inside)
        return self._resampler.process(self._loudest.follow(signals)).tobytes()

    def stop(self) -> None:
        """Wake `read`."""
        self._stopped = True
        self._captured.put((0, b""))  # wakes the reader


class CardLoudspeaker(Card):
    """A loudspeaker, as a Sink. Another thread plays, and asks for more when only the reserve is left."""

    # Gets all that the card is given, silence and fillings too: bytes, rate, channels. The playing thread calls it.
    tap: Callable[[bytes, int, int], None] | None = None

    def __init__(self, portaudio: PortAudio, device: Device, inside: int = 1, best: int = 0) -> None:
        """`best` is as of `Card`."""
        self._written = 0  # bytes written so far; only the player changes it
        self._newest = b""  # the newest sound that was written; empty once it has filled a gap
        self._written_before = -1  # bytes written when `ready` last returned
        self._asked: queue.SimpleQueue[float] = queue.SimpleQueue()  # times at which more was asked for
        self._asked_for = float("inf")  # time at which the next write was asked for
        self._stopped = False
        self._outages = Outages()
        super().__init__(portaudio, device, "output", inside, best)
        if not self._is_native:
            from voicemux.audio.resample import Resampler

            self._resampler = Resampler(RATE, self._rate, min(inside, self._channels))

    def _open(self) -> None:
        super()._open()
        self._frame_bytes = SAMPLE_BYTES * self._channels
        self._block_bytes = self._rate * BLOCK_SAMPLES // RATE * self._frame_bytes

    @property
    def delay_ms(self) -> float:
        """Delay in milliseconds from `write` to the ear, beyond what is `ahead`."""
        raise NotImplementedError

    @property
    def ahead(self) -> float:
        """Seconds of sound that were written and are still to be played."""
        raise NotImplementedError

    @property
    def reserve(self) -> float:
        """Seconds of sound that the sink wants to have ahead."""
        raise NotImplementedError

    @property
    def urgent(self) -> bool:
        """Whether the card runs dry unless it gets more at once."""
        raise NotImplementedError

    def write(self, pcm: bytes) -> None:
        """Queue sound of any length; does not wait."""
        raise NotImplementedError

    @property
    def _is_low(self) -> bool:
        """Whether it is time to ask for more."""
        raise NotImplementedError

    def _adapt(self, now: float) -> None:
        """Adapt the reserve and the card's blocks to gaps."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Wait until more sound is wanted. Returns False after `stop`. Raises DeviceError if nothing is played."""
        self._adapt(time.monotonic())
        self._asked_for = time.monotonic()
        # Nothing was written after the last time: ask again a block later.
        is_too_early = self._written == self._written_before
        while (is_too_early or not self._is_low) and not self._stopped:
            try:
                self._asked_for = self._asked.get(timeout=self._patience)
            except queue.Empty:
                raise self._stalled() from None
            is_too_early = False
        self._written_before = self._written
        return not self._stopped

    def _adapt_blocks(self, now: float, helpless: bool) -> None:
        """Choose short or long blocks. `helpless`: no reserve helps any more, but longer blocks would."""
        if self._blocks == 1 and helpless and self._outages.are_frequent(now):
            self._outages.lengthened(now)
            self._open_anew(LONG_BLOCKS)
        elif self._blocks > 1 and self._outages.are_over(now) and self._is_quiet:
            self._outages.given_back(now)
            self._open_anew(1)

    @property
    def _is_quiet(self) -> bool:
        return max(map(abs, memoryview(self._newest).cast("h")), default=0) < QUIET_PEAK

    def _open_anew(self, blocks: int) -> None:
        """Open the card again, with a buffer in proportion to the `blocks` of a period."""
        self.close()
        self._blocks = blocks
        try:
            self._open()
        except (OSError, ValueError) as error:
            raise self._refused(words(error)) from error
        self.start()

    def _convert(self, pcm: bytes) -> bytes:
        if self._is_native:
            return pcm
        from voicemux.audio.resample import from_bytes, to_channels, to_mono

        samples = from_bytes(pcm, self._inside)
        if self._inside == 1 or self._channels == 1:
            return to_channels(self._resampler.process(to_mono(samples)), self._channels)
        return self._resampler.process(samples).tobytes()

    def _filling(self, pcm: bytes) -> bytes:
        """Return sound that goes on from the end of `pcm` without a click, and dies away: `pcm` backwards, ever
        softer."""
        size = self._frame_bytes
        backwards = b"".join(pcm[max(0, i - size) : i] for i in range(len(pcm), 0, -size))
        return faded(backwards, self._channels, 1.0, 0.0)

    def stop(self) -> None:
        """Wake `ready`."""
        self._stopped = True
        self._asked.put(time.monotonic())


def faded(pcm: bytes, channels: int, begin: float, end: float) -> bytes:
    """Return `pcm` with a gain that goes linearly from `begin` to `end`."""
    samples = memoryview(bytearray(pcm)).cast("h")
    frames = max(1, len(samples) // channels)
    for i in range(len(samples)):
        samples[i] = int(samples[i] * (begin + (end - begin) * (i // channels) / frames))
    return samples.tobytes()


def _forms(device: Device, kind: str, inside: int, best: int) -> list[tuple[int, int]]:
    """Return pairs of rate and number of channels to try. `best` is the number to try first; 0: it does not matter.

    A microphone may be on any channel of its device. "default" and the like have dozens, which no hardware has.
    """
    channels = device.inputs if kind == "input" else device.outputs
    few = min(2, channels)
    if kind == "input":
        is_whole = channels <= MOST_CHANNELS and inside == 1
        numbers = [channels, few, 1] if is_whole else [few, 1, channels]
    else:
        whole = [channels] if channels <= MOST_CHANNELS else []
        numbers = [1, few, *whole] if inside == 1 else [few, 1]
    numbers = [best, *numbers] if best else numbers
    return list(dict.fromkeys((rate, number) for rate in (RATE, device.rate) for number in numbers))
