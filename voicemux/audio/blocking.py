"""Sound cards that a thread of ours reads and writes: those of PulseAudio, by way of ALSA's plugin (`devices.py`).

What that is like (PortAudio 19.6, alsa-plugins 1.2.7, PulseAudio 16.1, from their source and by trial):
- A read waits without Python's lock, and a packet's worth wakes us once. Callbacks do so every 5 ms.
- The server takes a whole period at a time, and asks for the next when it has: what is written right then is heard a
  period later. Callbacks have it wait behind two periods more.
- get_write_available() returns one frame too few while a stream runs. It starts a stream anew that ran dry, which
  takes 15 ms. Where PortAudio has an error, PyAudio returns its number, which is negative, and raises nothing.
- A write does not wait if all of it fits. But any call may wait for ever when the server is frozen (`attendant.py`).
- write(exception_on_underflow=True) closes the stream when it ran dry.
"""

import contextlib
import queue
import time

from voicemux.audio.attendant import Attendant
from voicemux.audio.card import AWAKENING, CardLoudspeaker, CardMicrophone, faded
from voicemux.audio.endpoints import BLOCK_SECONDS
from voicemux.audio.playhead import Playhead
from voicemux.audio.portaudio import Device, PortAudio
from voicemux.audio.positions import HeardChannels
from voicemux.audio.reserve import Reserve
from voicemux.threads import drain

# Blocks that may still wait when more is asked for, beyond those that the server has taken: as many as the card's
# three periods hold. By the number of blocks in a period.
MAX_RESERVE = {1: 2, 2: 5}
# Block that always waits: without it, nearly every packet ran dry on a slow machine, and with it none.
LEAST_RESERVE = 1
NEARLY = 0.6  # share of the available time: a player that takes longer will be too late some day
LAST_MOMENT = 0.0025  # seconds before the card runs dry at which a gap is filled: a thread may wake up that late
SHORTEST_NAP = 0.0004  # seconds between two looks at the card
LONGEST_NAP = 0.1  # seconds between two looks at most
FADE = 120  # frames (2.5 ms) in which sound is faded in after a gap


class PacedMicrophone(CardMicrophone):
    """A microphone of PulseAudio. It is read in pieces of a packet."""

    def __init__(
        self, portaudio: PortAudio, device: Device, inside: int = 1, heard: HeardChannels | None = None
    ) -> None:
        super().__init__(portaudio, device, inside, heard)
        # A read returns together with its last frame, so the delay is 0. With PortAudio's latency, estimates were 5
        # to 11 ms too high.
        self.delay_ms = 0.0

    def _open(self) -> None:
        super()._open()
        self._attendant = Attendant(self._portaudio, self._stream)

    def _begin(self) -> None:
        self._attendant.start("capture", lambda: None, self._capture)

    def _capture(self) -> None:
        while True:
            self._keep(self._attendant.read(self.batch * self._period))

    def _end(self) -> None:
        self._attendant.leave()


class PacedLoudspeaker(CardLoudspeaker):
    """A loudspeaker of PulseAudio. Its reserve grows with every gap. The thread that plays owns everything that is
    not marked as the player's."""

    def __init__(self, portaudio: PortAudio, device: Device, inside: int = 1, best: int = 0) -> None:
        # Sound from the player; empty bytes only wake the thread.
        self._given: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._waiting = b""  # sound that waits for room in the card
        self._taken = 0  # bytes written by the player that have gone to the card
        self._low_at = float("inf")  # frames that were left when more was last asked for
        self._fades_in = True
        # Of each gap: when it was, and whether the card ran dry.
        self._gaps: queue.SimpleQueue[tuple[float, bool]] = queue.SimpleQueue()
        self._reserve = Reserve(MAX_RESERVE[1], forgiven=False, least=LEAST_RESERVE)
        self._head = Playhead(0, 0)
        super().__init__(portaudio, device, inside, best)

    def _open(self) -> None:
        super()._open()
        self._attendant = Attendant(self._portaudio, self._stream)

    def _begin(self) -> None:
        self._attendant.start("loudspeaker", self._prepare, self._play)

    def _end(self) -> None:
        self._attendant.leave(wake=lambda: self._given.put(b""))

    @property
    def delay_ms(self) -> float:
        return self._blocks * BLOCK_SECONDS * 1000

    @property
    def ahead(self) -> float:
        return max(0.0, self._left(time.monotonic())) / self._rate

    @property
    def reserve(self) -> float:
        return self._reserve.blocks * BLOCK_SECONDS

    @property
    def urgent(self) -> bool:
        return self._left(time.monotonic()) <= self._margin

    @property
    def _is_low(self) -> bool:
        return self._left(time.monotonic()) <= self._reserve_frames + self._margin

    def write(self, pcm: bytes) -> None:
        converted = self._convert(pcm)
        self._written += len(converted)
        self._newest = converted
        self._given.put(converted)
        self._learn(time.monotonic())

    def _learn(self, now: float) -> None:
        """Let the reserve grow before there is a gap, if the player is nearly too late."""
        late = now - self._asked_for
        if late > NEARLY * (self._reserve.blocks + self._blocks) * BLOCK_SECONDS:
            self._reserve.gap(now)
        if late > (MAX_RESERVE[1] + 1) * BLOCK_SECONDS:
            self._outages.outage(now)

    def _adapt(self, now: float) -> None:
        for at, was_dry in drain(self._gaps):
            # A gap that we fill is hardly heard. A stream that is restarted is, and counts twice.
            for _ in range(2 if was_dry else self._reserve.is_full):
                self._outages.outage(at)
            self._reserve.gap(at)
        self._reserve.look(now)
        self._adapt_blocks(now, helpless=self._reserve.is_full)
        if self._reserve.most != MAX_RESERVE[self._blocks]:
            self._reserve.most = MAX_RESERVE[self._blocks]
            self._reserve.gap(now)
            self._reserve.gap(now)

    @property
    def _reserve_frames(self) -> int:
        return self._reserve.blocks * self._block_bytes // self._frame_bytes

    @property
    def _margin(self) -> float:
        """Frames so few that it is not worth waking up for them."""
        return SHORTEST_NAP * self._rate / 2

    @property
    def _low(self) -> float:
        """Frames left at which more is asked for; fewer if it was asked for already and nothing came."""
        return min(self._reserve_frames, self._low_at - self._block_bytes // self._frame_bytes)

    def _left(self, now: float) -> float:
        """Return the frames to be played before the server has nothing left to take; negative from then on."""
        return (self._written - self._taken) / self._frame_bytes + self._head.left(now)

    def _prepare(self) -> None:
        self._size = self._room = self._attendant.room()
        self._head = Playhead(self._rate, self._period)
        self._fades_in = True
        self._put(bytes(self._size * self._frame_bytes))
        self._awake_from = time.monotonic() + AWAKENING

    def _play(self) -> None:
        while True:
            self._serve()
            self._sleep(self._nap(time.monotonic()))

    def _serve(self) -> None:
        """Give the card as much as it has room for, and ask for more in time."""
        available = self._attendant.room()
        now = time.monotonic()
        ran_dry = available == self._size
        self._room = available
        self._head.saw(max(0, self._size - 1 - available), now)
        is_late = self._until_dry(now) <= LAST_MOMENT and not self._waiting and self._room >= self._period
        if ran_dry or is_late:
            self._note_gap(now, ran_dry)
            self._fades_in = True
        if self._waiting:
            self._feed()
        elif ran_dry or is_late:
            self._fill()
        left = self._left(now)
        low = self._low
        if left <= low + self._margin:
            self._low_at = low
            self._asked.put(now - max(0.0, low - left) / self._rate)

    def _feed(self) -> None:
        size = self._room * self._frame_bytes
        pcm, self._waiting = self._waiting[:size], self._waiting[size:]
        count = len(pcm)
        if self._fades_in and pcm:
            fade = FADE * self._frame_bytes
            pcm = faded(pcm[:fade], self._channels, 0.0, 1.0) + pcm[fade:]
            self._fades_in = False
        self._put(pcm)
        self._taken += count

    def _fill(self) -> None:
        """Fill a gap, because the player has written nothing."""
        size = self._period * self._frame_bytes
        self._put(self._filling(self._newest[-size:]).ljust(size, b"\0"))
        self._newest = b""
        self._fades_in = True
        self._low_at = float("inf")

    def _note_gap(self, now: float, was_dry: bool) -> None:
        """Note a gap once, however long it is. Before the first sound, silence is not a gap."""
        if self._newest and now > self._awake_from:
            self._gaps.put((now, was_dry))
            self.xruns += 1

    def _put(self, pcm: bytes) -> None:
        frames = len(pcm) // self._frame_bytes
        if frames:
            self._attendant.write(pcm, frames)
            self._head.wrote(frames)
            if self.tap:
                self.tap(pcm, self._rate, self._channels)
            self._room -= frames

    def _until_dry(self, now: float) -> float:
        """Return the seconds until the server wants sound and there is none."""
        return (self._head.left(now) + self._period) / self._rate

    def _nap(self, now: float) -> float:
        """Return the seconds for which there is nothing to do."""
        left = self._left(now)
        nap = (left - self._low) / self._rate
        if self._waiting:
            nap = min(nap, (self._head.left(now) % self._period) / self._rate + SHORTEST_NAP)  # then there is room
        else:
            nap = min(nap, self._until_dry(now) - LAST_MOMENT)
        return min(max(nap, SHORTEST_NAP), LONGEST_NAP)

    def _sleep(self, seconds: float) -> None:
        """Sleep, or wake earlier if there is something to play."""
        with contextlib.suppress(queue.Empty):
            pcm = self._given.get(timeout=seconds)
            while True:
                if pcm:
                    self._waiting += pcm
                    self._low_at = float("inf")
                pcm = self._given.get_nowait()
