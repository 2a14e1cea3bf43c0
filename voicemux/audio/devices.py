"""Sound cards, through PortAudio. The only home of pyaudio.

What PyAudio is like (0.2.14, from its C source and by trial), and what follows:
- A callback that returns too few bytes ends its stream in silence; one that raises aborts it and
  throws the exception into the thread that opened it. So callbacks only hand bytes over, always all.
- Streams with callbacks have one buffer less delay than blocking ones.
- The microphone and the loudspeaker are two streams: one full-duplex stream costs 20 ms more.
- Each callback makes Python a thread state and throws it away, with its memory, unless somebody keeps it.
- What the driver captured while nobody read comes back at once: the oldest of it is thrown away.
- PortAudio waits for ever for a sound server that is frozen, or that dies at the wrong moment.
"""

import contextlib
import ctypes
import functools
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, RATE, SAMPLE_BYTES, Block
from voicemux.errors import DeviceError, Kind, LibraryMissing
from voicemux.threads import Answer, within

MAX_CAPTURED = 20  # blocks (100 ms) that wait to be read; older ones are thrown away
MOST_CAPTURED = 2 * MAX_CAPTURED  # blocks that a callback lets wait, for whoever never reads
MAX_RESERVE = 4  # blocks that may still wait when more is asked for: what hides the scheduling of Python threads
AWAKENING = 0.2  # seconds: a card that slept takes its first blocks at once, and then none for up to 50 ms
MOST_CHANNELS = 8  # of a microphone that is listened to as a whole: arrays have 2 to 8
LONG_BLOCKS = 2  # that a callback takes: 10 ms cost 15 ms of delay
OFTEN = 3  # times that a card may run dry in RESERVE_TERM: then it is worth that
CALM_TERM = 60.0  # seconds in which short blocks would not have run dry: then they are tried again
QUIET_PEAK = 300  # of a sample: nobody hears a gap in what is softer
RESERVE_TERM = 10.0  # seconds in which a second gap makes the reserve larger, and none makes it smaller
CONTINUE = 0  # pyaudio.paContinue
STALL_TIMEOUT = 1.0  # seconds without a callback after which a device counts as broken
LAST_CALLBACK = 0.25  # seconds for one more before a stream is closed: it comes after 3 ms, at times after 30
PATIENCE = 5.0  # seconds for PortAudio to do something: waking a wireless headset takes one or two

Callback = Callable[[bytes | None, int, Mapping[str, float], int], tuple[bytes | None, int]]


@dataclass(frozen=True)
class Device:
    """One device as PortAudio has it; `inputs` and `outputs` are channels, `rate` is what it likes best."""

    number: int
    name: str
    system: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


class PortAudio:
    """The library, from its start to its end."""

    def __init__(self) -> None:
        """Raises LibraryMissing if PyAudio or PortAudio is not installed, DeviceError if it does not answer."""
        try:
            with contextlib.redirect_stdout(None):  # on which it would print that it cannot be imported
                import pyaudio
        except ImportError as error:
            library = "portaudio" if "libportaudio" in str(error) else "pyaudio"
            raise LibraryMissing(library, f"no sound: {error}") from error
        self._pyaudio = pyaudio
        self._streams = 0  # open
        self._asked: list[float] = []  # when, what is not answered yet
        self._lock = threading.Lock()  # it does one thing at a time
        _quieten_libraries()
        self._portaudio = self._begin()

    def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            self.ask(self._portaudio.terminate)

    def look_again(self) -> None:
        """See devices that have come since the start, which PortAudio can only while nothing is open.

        Raises DeviceError if it does not answer.
        """
        if not self._streams:
            self.close()
            self._portaudio = self._begin()

    def ask(self, what: Callable[[], Answer]) -> Answer:
        """Have PortAudio do something. Raises TimeoutError if it does not, or has not answered what came before."""
        if sys.platform == "win32":  # where what a thread has opened goes with it
            with self._lock:
                return what()
        now = time.monotonic()

        def answer() -> Answer:
            try:
                return what()
            finally:
                self._asked.remove(now)

        try:
            with self._lock:
                if any(now - before > PATIENCE for before in tuple(self._asked)):
                    raise TimeoutError
                self._asked.append(now)
                return within(PATIENCE, "portaudio", answer)
        except TimeoutError:
            raise TimeoutError("the sound system does not answer") from None

    def _begin(self) -> Any:
        try:
            return self.ask(self._pyaudio.PyAudio)
        except TimeoutError as error:
            raise DeviceError(str(error)) from None

    def open(self, callback: Callback, kind: str, device: Device, rate: int, channels: int, blocks: int) -> Any:
        """A stream that is not started. Raises OSError or ValueError, as PyAudio does."""
        which: dict[str, Any] = {f"{kind}_device_index": device.number}
        stream = self.ask(
            functools.partial(
                self._portaudio.open,
                rate=rate,
                channels=channels,
                format=self._pyaudio.paInt16,
                input=kind == "input",
                output=kind == "output",
                frames_per_buffer=blocks * rate * BLOCK_SAMPLES // RATE,
                stream_callback=callback,
                start=False,
                **which,
            )
        )
        self._streams += 1
        return stream

    def has_closed(self) -> None:
        """One of the streams is closed."""
        self._streams -= 1

    def devices(self) -> list[Device]:
        defaults = [self._default(kind) for kind in ("input", "output")]
        systems = [self._portaudio.get_host_api_info_by_index(i) for i in range(self._portaudio.get_host_api_count())]
        found = []
        for number in range(self._portaudio.get_device_count()):
            info = self._portaudio.get_device_info_by_index(number)
            found.append(
                Device(
                    number=number,
                    name=_text(info["name"]),
                    system=_text(systems[int(info["hostApi"])]["name"]),
                    inputs=int(info["maxInputChannels"]),
                    outputs=int(info["maxOutputChannels"]),
                    rate=int(info["defaultSampleRate"]),
                    default_input=number == defaults[0],
                    default_output=number == defaults[1],
                )
            )
        return found

    def find(self, kind: str, wanted: str) -> Device:
        """The device by number or by a part of its name; the default for "". `kind` is "input" or "output".

        Raises DeviceError if there is none, or more than one.
        """
        devices = [each for each in self.devices() if (each.inputs if kind == "input" else each.outputs)]
        word = {"input": "microphone", "output": "loudspeaker"}[kind]
        if not wanted:
            found = [each for each in devices if (each.default_input if kind == "input" else each.default_output)]
        elif wanted.isdecimal():
            found = [each for each in devices if each.number == int(wanted)]
        else:
            found = [each for each in devices if each.name.lower() == wanted.lower()]
            found = found or [each for each in devices if wanted.lower() in each.name.lower()]
        if len(found) == 1:
            return found[0]
        if not wanted:
            raise DeviceError(f"no {word}: this system has no default {kind} device", kind=Kind.NO_SUCH_DEVICE)
        if found:
            names = ", ".join(f"{each.number} {each.name}" for each in found)
            raise DeviceError(f"{kind} device {wanted!r} could be any of: {names}", kind=Kind.NO_SUCH_DEVICE)
        raise DeviceError(f"there is no {kind} device {wanted!r}", kind=Kind.NO_SUCH_DEVICE)

    def open_source(self, wanted: str) -> "Microphone":
        """Raises DeviceError."""
        return Microphone(self, self.find("input", wanted))

    def open_sink(self, wanted: str) -> "Loudspeaker":
        """Raises DeviceError."""
        return Loudspeaker(self, self.find("output", wanted))

    def _default(self, kind: str) -> int | None:
        get = getattr(self._portaudio, f"get_default_{kind}_device_info")
        try:
            return int(get()["index"])
        except OSError:
            return None


class _Stream:
    """What both directions share: choosing a form that the device takes, opening, closing."""

    def __init__(self, portaudio: PortAudio, device: Device, kind: str) -> None:
        self.label = device.name
        self.xruns = 0  # gaps that the driver has told of; changed by the callback only
        self._portaudio = portaudio
        self._device = device
        self._kind = kind
        self._blocks = 1  # that a callback takes
        self._let_go = threading.Event()
        failure = "it takes no usual form of sound"
        for self._rate, self._channels in _forms(device, kind):
            try:
                self._open()
                return
            except (OSError, ValueError) as error:
                failure = _words(error)
        raise self._refused(failure)

    def _open(self) -> None:
        self._stream = self._portaudio.open(
            self._enter, self._kind, self._device, self._rate, self._channels, self._blocks
        )
        self._keeper: int | None = None  # the thread of the callbacks, as long as its thread state is kept
        self._let_go.clear()
        self._closed = False

    def _enter(
        self, data: bytes | None, frames: int, times: Mapping[str, float], status: int
    ) -> tuple[bytes | None, int]:
        """A callback. The thread state that it finds is kept for those to come: that spares a third of their cost."""
        thread = threading.get_ident()
        if self._keeper is None and not self._closed:
            ctypes.pythonapi.PyGILState_Ensure()
            self._keeper = thread
        elif self._keeper == thread and self._closed:
            ctypes.pythonapi.PyGILState_Release(0)  # PyGILState_LOCKED: as it was found
            self._keeper = None
            self._let_go.set()
        return self._callback(data, frames, times, status)

    def _callback(
        self, data: bytes | None, frames: int, times: Mapping[str, float], status: int
    ) -> tuple[bytes | None, int]:
        raise NotImplementedError

    def start(self) -> float:
        try:
            self._portaudio.ask(self._stream.start_stream)
        except OSError as error:
            raise DeviceError(f"cannot start the {self._kind} device {self.label}: {_words(error)}") from error
        return time.monotonic()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._keeper is not None:
            self._let_go.wait(LAST_CALLBACK)
        with contextlib.suppress(OSError):
            self._portaudio.ask(self._stream.close)
        self._portaudio.has_closed()

    @property
    def _is_native(self) -> bool:
        return self._rate == RATE and self._channels == 1

    def _refused(self, why: str) -> DeviceError:
        return DeviceError(f"cannot open the {self._kind} device {self.label}: {why}")

    def _stalled(self) -> DeviceError:
        return DeviceError(f"the {self._kind} device {self.label} has stopped")


class Microphone(_Stream):
    """A Source."""

    finite = False

    def __init__(self, portaudio: PortAudio, device: Device) -> None:
        self.batch = 1
        self._gathered: list[bytes] = []  # by the callback: to wake a thread takes longer than to wait for more
        self._captured: queue.SimpleQueue[tuple[int, bytes]] = (
            queue.SimpleQueue()
        )  # with the place of the first frame
        self._frames = 0  # that were captured; changed by the callback only
        self._next_frame = 0  # to be read; those that are missing before the next block were lost
        self._stopped = False
        super().__init__(portaudio, device, "input")
        # PortAudio counts from the first sample of a block on, we from its end.
        self.delay_ms = max(0.0, self._stream.get_input_latency() - BLOCK_SECONDS) * 1000
        self._position = 0
        self._pcm = bytearray()
        if not self._is_native:
            from voicemux.audio.mixing import Loudest
            from voicemux.audio.resample import Resampler

            # Where a microphone has one channel of several, their mean would be half as loud, or nothing.
            self._loudest = Loudest((1.0,) * self._channels) if self._channels > 1 else None
            self._resampler = Resampler(self._rate, RATE)

    def _callback(
        self, data: bytes | None, frames: int, _: Mapping[str, float], status: int
    ) -> tuple[bytes | None, int]:
        self._gathered.append(data or b"")
        if self._closed:  # it came late, when it had been given up
            self._gathered.clear()
        elif len(self._gathered) >= self.batch:
            self._keep(b"".join(self._gathered))
            self._gathered.clear()
        self.xruns += bool(status)
        return None, CONTINUE

    def _keep(self, data: bytes) -> None:
        """For the reader; the oldest is thrown away if it reads nothing."""
        self._captured.put((self._frames, data))
        self._frames += len(data) // (SAMPLE_BYTES * self._channels)
        with contextlib.suppress(queue.Empty):
            while self._captured.qsize() * self.batch > MOST_CAPTURED:
                self._captured.get_nowait()

    def read(self) -> Block | None:
        while len(self._pcm) < BLOCK_BYTES:
            try:
                frame, data = self._captured.get(timeout=STALL_TIMEOUT)
            except queue.Empty:
                raise self._stalled() from None
            if self._captured.qsize() * self.batch > MAX_CAPTURED:  # we have been away: the past is of no use
                frame, data = self._newest(frame, data)
            if self._stopped:
                return None
            self._position += (frame - self._next_frame) * RATE // self._rate
            self._next_frame = frame + len(data) // (SAMPLE_BYTES * self._channels)
            self._pcm += self._convert(data)
        whole = len(self._pcm) // BLOCK_BYTES * BLOCK_BYTES
        block = Block(self._position, bytes(self._pcm[:whole]))
        del self._pcm[:whole]
        self._position += whole // SAMPLE_BYTES
        return block

    def _newest(self, frame: int, data: bytes) -> tuple[int, bytes]:
        """What was captured last, instead of `data`; all before it is thrown away."""
        with contextlib.suppress(queue.Empty):  # a callback may be throwing away, too
            while True:
                frame, data = self._captured.get_nowait()
        return frame, data

    def _convert(self, data: bytes) -> bytes:
        if self._is_native:
            return data
        from voicemux.audio.resample import from_bytes

        samples = from_bytes(data)
        if self._loudest:
            samples = self._loudest.follow(samples.reshape(-1, self._channels))
        return self._resampler.process(samples).tobytes()

    def stop(self) -> None:
        self._stopped = True
        self._captured.put((0, b""))  # to wake who reads


class Loudspeaker(_Stream):
    """A Sink. Asks for more when what it holds is down to its reserve, which grows when that was too late."""

    def __init__(self, portaudio: PortAudio, device: Device) -> None:
        self._queued: deque[bytes] = deque()
        self._rest = b""
        self._written = 0  # bytes; changed by the player only
        self._taken = 0  # bytes; changed by the callback only
        self._gaps = 0  # callbacks that found too little; changed by the callback only
        self._reserve = 0  # blocks
        self._gap_at = float("-inf")  # or when the reserve became smaller
        self._newest = b""  # that was written; empty when a gap was filled with it
        self._gaps_known = 0
        self._written_before = -1  # the last time that it was ready
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopped = False
        self._called_at = 0.0
        self._outages: deque[float] = deque(maxlen=OFTEN)  # when callbacks came too late for short blocks
        self._calm_term = CALM_TERM
        super().__init__(portaudio, device, "output")
        self._least_latency = self._latency  # of short blocks
        if not self._is_native:
            from voicemux.audio.resample import Resampler

            self._resampler = Resampler(RATE, self._rate)

    def _open(self) -> None:
        super()._open()
        self._frame_bytes = 2 * self._channels
        self._block_bytes = self._rate * BLOCK_SAMPLES // RATE * self._frame_bytes
        self._latency: float = self._stream.get_output_latency()  # seconds; a callback may be as late

    def start(self) -> float:
        self._awake_from = float("inf")
        started = super().start()
        self._awake_from = started + AWAKENING
        return started

    @property
    def delay_ms(self) -> float:
        return (self._latency + self._blocks * BLOCK_SECONDS) * 1000

    @property
    def ahead(self) -> float:
        return self._held / self._frame_bytes / self._rate

    @property
    def reserve(self) -> float:
        return self._reserve * BLOCK_SECONDS

    @property
    def urgent(self) -> bool:
        return self._held < self._blocks * self._block_bytes

    @property
    def _held(self) -> int:
        """Bytes that were written and are still to be played: any thread."""
        return self._written - self._taken

    def _callback(
        self, data: bytes | None, frames: int, _: Mapping[str, float], status: int
    ) -> tuple[bytes | None, int]:
        now = time.monotonic()
        late = now - self._called_at - self._blocks * BLOCK_SECONDS if now > self._awake_from else 0.0
        self._called_at = now
        if late > self._least_latency:
            self._outages.append(now)
        size = frames * self._frame_bytes
        pcm = self._rest
        while len(pcm) < size and self._queued:
            pcm += self._queued.popleft()
        if len(pcm) < size:
            if self._written:  # before the first sound there is nothing to miss
                self._gaps += 1
                self.xruns += 1
            self._taken += len(pcm)
            pcm, self._rest = (pcm + self._mirrored(self._newest[-size:]))[:size].ljust(size, b"\0"), b""
            self._newest = b""
        else:
            self._taken += size
            pcm, self._rest = pcm[:size], pcm[size:]
        self.xruns += bool(status) or late > self._latency
        if self._is_low and not self._closed:
            self._asked.put(None)
        return pcm, CONTINUE

    @property
    def _is_low(self) -> bool:
        """Whether the next callback would leave less than the reserve."""
        return self._held < (self._reserve + self._blocks) * self._block_bytes

    def ready(self) -> bool:
        self._adapt(time.monotonic())
        is_too_early = self._written == self._written_before  # we asked, and there is nothing yet: after a callback
        while (is_too_early or not self._is_low) and not self._stopped:
            try:
                self._asked.get(timeout=STALL_TIMEOUT)
            except queue.Empty:
                raise self._stalled() from None
            is_too_early = False
        self._written_before = self._written
        return not self._stopped

    def write(self, pcm: bytes) -> None:
        converted = self._convert(pcm)
        self._queued.append(converted)
        self._written += len(converted)
        self._newest = converted

    def _adapt(self, now: float) -> None:
        """One block more in reserve where gaps are frequent, one less after a while without.

        Where the device itself runs dry often, no reserve of ours helps, but longer blocks do.
        """
        if self._gaps != self._gaps_known:
            if now - self._gap_at < RESERVE_TERM:
                self._reserve = min(MAX_RESERVE, self._reserve + 1)
            self._gaps_known = self._gaps
            self._gap_at = now
        elif self._reserve and now - self._gap_at > RESERVE_TERM:
            self._reserve -= 1
            self._gap_at = now
        if self._blocks == 1 and len(self._outages) == OFTEN and now - self._outages[0] < RESERVE_TERM:
            self._open_anew(LONG_BLOCKS)
        elif self._blocks > 1 and now - self._outages[-1] > self._calm_term and self._is_quiet:
            self._calm_term *= 2
            self._open_anew(1)

    @property
    def _is_quiet(self) -> bool:
        return max(map(abs, memoryview(self._newest).cast("h")), default=0) < QUIET_PEAK

    def _open_anew(self, blocks: int) -> None:
        """With a buffer in proportion to the `blocks` that a callback takes."""
        self.close()
        self._blocks = blocks
        try:
            self._open()
        except (OSError, ValueError) as error:
            raise self._refused(_words(error)) from error
        self.start()

    def _convert(self, pcm: bytes) -> bytes:
        if self._is_native:
            return pcm
        from voicemux.audio.resample import from_bytes, to_channels

        return to_channels(self._resampler.process(from_bytes(pcm)), self._channels)

    def _mirrored(self, pcm: bytes) -> bytes:
        """Backwards: it goes on from where `pcm` ends without a click."""
        frames = memoryview(pcm).cast("I" if self._channels == 2 else "H")
        return frames[::-1].tobytes()

    def stop(self) -> None:
        self._stopped = True
        self._asked.put(None)


def _forms(device: Device, kind: str) -> list[tuple[int, int]]:
    """Rates and numbers of channels to try.

    A microphone may be on any channel of its device. "default" and the like have dozens, which are no hardware's.
    """
    channels = device.inputs if kind == "input" else device.outputs
    few = min(2, channels)
    if kind == "input":
        numbers = [channels, few, 1] if channels <= MOST_CHANNELS else [few, 1, channels]
    else:
        numbers = [1, few]
    return list(dict.fromkeys((rate, number) for rate in (RATE, device.rate) for number in numbers))


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _words(error: OSError | ValueError) -> str:
    """PortAudio's words, without the number in front of them."""
    return str(error.args[-1] if error.args else error).lower()


@functools.cache
def _quieten_libraries() -> None:
    """Keep what PortAudio, ALSA and JACK print off the user's screen, now and whenever a device breaks.

    They write to C's standard error. It is pointed elsewhere, which leaves Python's own as it is; a descriptor
    that is exchanged for a while would swallow what other threads say meanwhile.
    """
    if sys.platform == "win32":
        return
    library = ctypes.CDLL(None)
    name = "__stderrp" if sys.platform == "darwin" else "stderr"
    if sys.platform == "darwin" or hasattr(library, "gnu_get_libc_version"):  # elsewhere it is read-only
        library.fopen.restype = ctypes.c_void_p
        if nowhere := library.fopen(os.devnull.encode(), b"w"):
            ctypes.c_void_p.in_dll(library, name).value = nowhere
