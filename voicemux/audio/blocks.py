"""The sound of a program that makes and takes it block by block, at the pace of a sound card."""

import threading
from collections import deque

from voicemux.audio.codec import make_decoders, make_encoder
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.player import Player
from voicemux.audio.transmitter import Transmitter

MOST_UNSAID = RATE // 2 * SAMPLE_BYTES  # bytes (0.5 s) that wait to be said before `put` waits
MOST_HEARD = 200  # blocks (1 s) that wait for who takes them; then the oldest is dropped


class BlockSource:
    """Says what it is given, and silence in between: nobody on the line sees who speaks."""

    label = "a program"
    finite = False
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self) -> None:
        self._metronome = Metronome(first=1)
        self._changed = threading.Condition()
        self._unsaid = bytearray()
        self._silent = TAIL_BLOCKS  # blocks since the last that was not

    def put(self, pcm: bytes, timeout: float) -> bool:
        """Any thread: wait for room, at most `timeout` seconds. Whether `pcm`, of a block or less, will be said."""
        with self._changed:
            has_room = self._changed.wait_for(lambda: len(self._unsaid) < MOST_UNSAID, timeout)
            if has_room:
                self._unsaid += pcm
            return has_room

    def wait_until_said(self, timeout: float) -> bool:
        """Any thread: whether all has been said, and enough silence after it, within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unsaid and self._silent >= TAIL_BLOCKS, timeout)

    def start(self) -> float:
        return self._metronome.start()

    def read(self) -> Block | None:
        beat = self._metronome.wait()
        if beat is None:
            return None
        with self._changed:
            pcm = bytes(self._unsaid[:BLOCK_BYTES])
            del self._unsaid[:BLOCK_BYTES]
            self._silent = 0 if pcm else self._silent + 1
            self._changed.notify_all()
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(BLOCK_BYTES, b"\0"))

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        pass


class BlockSink(PacedSink):
    """Keeps what is heard for whoever takes it."""

    label = "a program"

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque(maxlen=MOST_HEARD)
        self._begun = b""  # not yet a block

    def write(self, pcm: bytes) -> None:
        self._account(pcm)
        pcm = self._begun + pcm
        whole = len(pcm) - len(pcm) % BLOCK_BYTES
        self._begun = pcm[whole:]
        with self._changed:
            self._blocks.extend(pcm[start : start + BLOCK_BYTES] for start in range(0, whole, BLOCK_BYTES))
            self._changed.notify_all()

    def take(self, timeout: float) -> bytes | None:
        """Any thread: the oldest block; None if there is none in `timeout` seconds."""
        with self._changed:
            return self._blocks.popleft() if self._changed.wait_for(lambda: self._blocks, timeout) else None

    def rest(self) -> list[bytes]:
        """Any thread: all blocks that are there, without waiting."""
        with self._changed:
            blocks = list(self._blocks)
            self._blocks.clear()
            return blocks

    def close(self) -> None:
        pass


class Booth:
    """What a studio is to people: the sound of one call."""

    def __init__(self) -> None:
        self.source = BlockSource()
        self.sink = BlockSink()
        self._decoders = make_decoders()

    @property
    def playable(self) -> tuple[int, ...]:
        """The codecs for our HELLO, the best first."""
        return tuple(self._decoders)

    def make_transmitter(self, playable: tuple[int, ...], frame_ms: float, bitrate: int) -> Transmitter | None:
        """None if the peer can play nothing that we can make."""
        encoder = make_encoder(playable, None, frame_ms, bitrate)
        return Transmitter(self.source, encoder) if encoder else None

    def make_player(self) -> Player:
        return Player(self.sink, self._decoders)
