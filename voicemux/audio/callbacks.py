"""Sound cards that PortAudio serves with callbacks: the usual way, which is safe on systems that were not measured.

- A callback that returns too few bytes ends its stream in silence; one that raises aborts it and
  throws the exception into the thread that opened it. So callbacks only hand bytes over, always all.
- PortAudio keeps all periods of a card full: three of 5 ms with PulseAudio, which `blocking.py` does not.
- Each callback makes Python a thread state and throws it away, with its memory, unless we keep it.
- What the driver captured while nothing was read comes back at once: the oldest of it is thrown away.
"""

import ctypes
import threading
import time
from collections import deque
from collections.abc import Mapping

from voicemux.audio.card import AWAKENING, CardLoudspeaker, CardMicrophone
from voicemux.audio.endpoints import BLOCK_SECONDS
from voicemux.audio.portaudio import Callback, Device, PortAudio
from voicemux.audio.reserve import Reserve

MAX_RESERVE = 4  # blocks that may still wait when more is asked for: enough to hide the scheduling of Python threads
CONTINUE = 0  # pyaudio.paContinue
# Seconds to wait for one more callback before a stream is closed: it comes after 3 ms, sometimes after 30.
LAST_CALLBACK = 0.25

Times = Mapping[str, float]
Answer = tuple[bytes | None, int]


class _Keeper:
    """Keeps the Python thread state of a stream's callbacks from one to the next, which saves a third of their cost.
    (PyGILState_Ensure is called once more than Release, until `leave`.)"""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._keeps: int | None = None  # the thread whose state is kept
        self._leaving = False
        self._left = threading.Event()

    def __call__(self, data: bytes | None, frames: int, times: Times, status: int) -> Answer:
        thread = threading.get_ident()
        if self._keeps is None and not self._leaving:
            ctypes.pythonapi.PyGILState_Ensure()
            self._keeps = thread
        elif self._keeps == thread and self._leaving:
            ctypes.pythonapi.PyGILState_Release(0)  # PyGILState_LOCKED, as it was found
            self._keeps = None
            self._left.set()
        return self._callback(data, frames, times, status)

    def leave(self) -> None:
        """Wait for one more callback, which releases the thread state."""
        self._leaving = True
        if self._keeps is not None:
            self._left.wait(LAST_CALLBACK)


class CalledMicrophone(CardMicrophone):
    """A microphone whose callback hands over what was captured."""

    def __init__(self, portaudio: PortAudio, device: Device, inside: int = 1) -> None:
        # Gathered by the callback, because waking a thread costs more than waiting for more.
        self._gathered: list[bytes] = []
        super().__init__(portaudio, device, inside)

    def _open(self) -> None:
        self._enter = self._keeper = _Keeper(self._callback)
        super()._open()

    def _callback(self, data: bytes | None, frames: int, _: Times, status: int) -> Answer:
        self._gathered.append(data or b"")
        if self._closed:  # it came late, after the stream was given up
            self._gathered.clear()
        elif len(self._gathered) >= self.batch:
            self._keep(b"".join(self._gathered))
            self._gathered.clear()
        self.xruns += bool(status)
        return None, CONTINUE

    def _end(self) -> None:
        self._keeper.leave()
        super()._end()


class CalledLoudspeaker(CardLoudspeaker):
    """A loudspeaker with a callback. Its reserve grows when the player was too late."""

    def __init__(self, portaudio: PortAudio, device: Device, inside: int = 1) -> None:
        self._queued: deque[bytes] = deque()
        self._rest = b""
        self._taken = 0  # bytes; changed by the callback only
        self._gaps = 0  # callbacks that found too little; changed by the callback only
        self._gaps_known = 0
        self._reserve = Reserve(MAX_RESERVE, forgiven=True)
        self._called_at = 0.0
        super().__init__(portaudio, device, inside)
        self._least_latency = self._latency  # latency with short blocks, in seconds

    def _open(self) -> None:
        self._enter = self._keeper = _Keeper(self._callback)
        super()._open()
        self._latency: float = self._stream.get_output_latency()  # seconds, by which a callback may be late

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
        return self._reserve.blocks * BLOCK_SECONDS

    @property
    def urgent(self) -> bool:
        return self._held < self._blocks * self._block_bytes

    @property
    def _held(self) -> int:
        """Bytes that were written and are still to be played. Any thread may read it."""
        return self._written - self._taken

    def _callback(self, data: bytes | None, frames: int, _: Times, status: int) -> Answer:
        now = time.monotonic()
        late = now - self._called_at - self._blocks * BLOCK_SECONDS if now > self._awake_from else 0.0
        self._called_at = now
        if late > self._least_latency:
            self._outages.outage(now)
        size = frames * self._frame_bytes
        pcm = self._rest
        while len(pcm) < size and self._queued:
            pcm += self._queued.popleft()
        if len(pcm) < size:
            if self._written:  # before the first sound, silence is not a gap
                self._gaps += 1
                self.xruns += 1
            self._taken += len(pcm)
            pcm, self._rest = (pcm + self._filling(self._newest[-size:]))[:size].ljust(size, b"\0"), b""
            self._newest = b""
        else:
            self._taken += size
            pcm, self._rest = pcm[:size], pcm[size:]
        self.xruns += bool(status) or late > self._latency
        if self._is_low and not self._closed:
            self._asked.put(now)
        if self.tap:
            self.tap(pcm, self._rate, self._channels)
        return pcm, CONTINUE

    @property
    def _is_low(self) -> bool:
        """Whether the next callback would leave less than the reserve."""
        return self._held < (self._reserve.blocks + self._blocks) * self._block_bytes

    def write(self, pcm: bytes) -> None:
        converted = self._convert(pcm)
        self._queued.append(converted)
        self._written += len(converted)
        self._newest = converted

    def _adapt(self, now: float) -> None:
        if self._gaps != self._gaps_known:
            self._gaps_known = self._gaps
            self._reserve.gap(now)
        self._reserve.look(now)
        # If callbacks come late, no reserve of ours helps.
        self._adapt_blocks(now, helpless=True)

    def _end(self) -> None:
        self._keeper.leave()
        super()._end()
