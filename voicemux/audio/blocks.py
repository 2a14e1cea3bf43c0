"""A source and a sink for programs that give and take sound block by block, at the pace of a sound card."""

import threading
from collections import deque
from collections.abc import Callable

from voicemux.audio.both_sides import BothSides
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.capture.wish import Wish
from voicemux.audio.choices import EchoChoice
from voicemux.audio.codec import make_decoders, make_encoder
from voicemux.audio.echo.canceller import check_canceller
from voicemux.audio.echo.hands_free import HandsFree
from voicemux.audio.echo.verdict import Names
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, SAMPLE_BYTES, TAIL_BLOCKS, Block
from voicemux.audio.metronome import Metronome, PacedSink
from voicemux.audio.playout.jitter import MAX_DELAY
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.audio.playout.stretch import join
from voicemux.audio.processing import Processing
from voicemux.audio.resample import from_bytes
from voicemux.protocol.messages import OWN_SOURCE

MOST_UNSAID = RATE // 2 * SAMPLE_BYTES  # bytes (0.5 s) that may wait to be sent before `put` waits
# Beats (300 ms) over which a backlog is judged: a program that falls behind has as long to catch up by itself.
STANDING = 60
USUAL_BACKLOG = 4  # blocks (20 ms) that may stay in the queue: a program wakes up a little late
STREAMED = STANDING * BLOCK_BYTES  # bytes that come in STANDING from a program that gives sound at its own pace
# Bytes (0.1 s) of a piece; a program that gives longer ones does not make them live.
LONGEST_LIVE = RATE // 10 * SAMPLE_BYTES
MOST_HEARD = 200  # blocks (1 s) that may wait for the program; then the oldest is dropped


class _Backlog:
    """Measures the standing part of a queue: the least that it held over STANDING beats, which is only delay."""

    def __init__(self) -> None:
        self._beats = 0
        self._least = 0

    def start_again(self) -> None:
        """Begin to measure anew."""
        self._beats = 0

    def standing(self, level: int) -> int | None:
        """Note `level`, what waits at this beat. Returns the least level of the last STANDING beats at their end,
        otherwise None."""
        self._least = min(self._least, level) if self._beats else level
        self._beats += 1
        if self._beats < STANDING:
            return None
        self._beats = 0
        return self._least


class BlockSource:
    """A source that sends what the program gives, and silence otherwise: an observer of the line does not see who
    speaks."""

    label = "a program"
    finite = False
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self, metronome: Metronome | None = None) -> None:
        """Without a `metronome`, the source has its own."""
        self._metronome = metronome or Metronome(first=1)
        self._changed = threading.Condition()
        self._unsaid = bytearray()
        self._silent = TAIL_BLOCKS  # blocks of silence since the last sound
        self._backlog = _Backlog()
        self._came = 0  # bytes that have come since the backlog was last judged

    def put(self, pcm: bytes, timeout: float, whole: int = 0) -> bool:
        """Wait for room, at most `timeout` seconds. Returns whether `pcm`, of a block or less, will be sent. It is
        part of a piece of `whole` bytes. Any thread may call it."""
        with self._changed:
            # It comes faster than it is sent, so it is not a live stream.
            if len(self._unsaid) >= MOST_UNSAID or whole > LONGEST_LIVE:
                self._backlog.start_again()
                self._came = 0
            has_room = self._changed.wait_for(lambda: len(self._unsaid) < MOST_UNSAID, timeout)
            if has_room:
                self._unsaid += pcm
                self._came += len(pcm)
            return has_room

    def wait_until_said(self, timeout: float) -> bool:
        """Wait, at most `timeout` seconds, until all has been sent with enough silence behind it. Returns whether it
        has. Any thread may call it."""
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
            self._catch_up()
            self._changed.notify_all()
        return Block((beat - 1) * BLOCK_SAMPLES, pcm.ljust(BLOCK_BYTES, b"\0"))

    def _catch_up(self) -> None:
        """Cut out the standing backlog of a live stream, which would be late for ever."""
        stood = self._backlog.standing(len(self._unsaid))
        if stood is None:
            return
        is_stream, self._came = abs(self._came - STREAMED) <= STREAMED // 10, 0
        excess = stood - USUAL_BACKLOG * BLOCK_BYTES
        if is_stream and excess > 0:
            cut, kept = bytes(self._unsaid[:excess]), bytes(self._unsaid[excess:])
            self._unsaid[:] = join(from_bytes(cut), from_bytes(kept)).tobytes()

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        pass


class BlockSink(PacedSink):
    """A sink that keeps the peer's voice for the program to take."""

    label = "a program"
    # Gets what the program takes: bytes, rate, channels, as `CardLoudspeaker.tap`.
    tap: Callable[[bytes, int, int], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque(maxlen=MOST_HEARD)
        self._begun = b""  # bytes that are not a whole block yet
        self._backlog = _Backlog()

    def write(self, pcm: bytes) -> None:
        self._account(pcm)
        pcm = self._begun + pcm
        whole = len(pcm) - len(pcm) % BLOCK_BYTES
        self._begun = pcm[whole:]
        with self._changed:
            behind = len(self._blocks)
            for start in range(0, whole, BLOCK_BYTES):
                self._blocks.append(pcm[start : start + BLOCK_BYTES])
                # Otherwise, all that follows would stay late.
                for _ in range((self._backlog.standing(behind) or 0) - USUAL_BACKLOG):
                    self._blocks.popleft()
            self._changed.notify_all()

    def take(self, timeout: float) -> bytes | None:
        """Wait for a block, at most `timeout` seconds, and return the oldest; None if there is none. Any thread may
        call it."""
        with self._changed:
            block = self._blocks.popleft() if self._changed.wait_for(lambda: self._blocks, timeout) else None
        if block and self.tap:
            self.tap(block, RATE, 1)
        return block

    def rest(self) -> list[bytes]:
        """Return all blocks that wait, without waiting. Any thread may call it."""
        with self._changed:
            blocks = list(self._blocks)
            self._blocks.clear()
            return blocks

    def close(self) -> None:
        pass


class Booth:
    """The sound of one call for programs; `Studio` is its counterpart for users."""

    def __init__(self, echo: EchoChoice = EchoChoice.OFF, *, dtx: bool = False) -> None:
        """With `echo`, the echo of what the program takes is cancelled in what it gives. `dtx` is as in `Wish`.
        Raises LibraryMissing if a library for that is not installed."""
        self._dtx = dtx
        self.source = BlockSource()
        self.sink = BlockSink()
        self._decoders = make_decoders()
        self._processing = Processing(EchoChoice.OFF)
        if echo is EchoChoice.OFF:
            return
        check_canceller()
        nameless = Names((), ())  # the program owns the devices, so their names are not known
        hands_free = HandsFree(echo, lambda: nameless, lambda text: None, lambda error: None)
        self._processing, self.sink.tap = hands_free, hands_free.played

    @property
    def playable(self) -> tuple[int, ...]:
        """The codecs for our HELLO, the best first."""
        return tuple(self._decoders)

    def make_transmitter(self, playable: tuple[int, ...]) -> Transmitter | None:
        """Return the sending half; None if the peer can play no codec that we can make."""
        encoder = make_encoder(playable)
        if encoder is None:
            return None
        return Transmitter(self.source, encoder, wish=Wish(dtx=self._dtx), processing=self._processing)

    def make_sides(self, transmitter: Transmitter | None) -> BothSides:
        """Return what can record the call."""
        return BothSides(transmitter, MAX_DELAY)

    def make_player(self) -> Mixer:
        return Mixer(self.sink, {OWN_SOURCE: Playout(self._decoders)})
