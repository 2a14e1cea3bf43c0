"""A loudspeaker, what arrives for it, and the clock, as the draws decide."""

from fuzz.draws import Draws
from voicemux.audio.codec import MAX_OPUS_SAMPLES, make_decoders
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE, SAMPLE_BYTES
from voicemux.audio.playout.jitter import MAX_PACKETS
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import MAX_ARRIVED, WORTHWHILE, Playout
from voicemux.audio.playout.stretch import LONGEST_PERIOD
from voicemux.protocol.messages import OWN_SOURCE, Audio, Codec

USUAL = 960  # ticks: 20 ms
UNKNOWN = 9  # no codec has this number
MOST_WRITES = 250  # a second or more
LONGEST = WORTHWHILE + MAX_OPUS_SAMPLES + LONGEST_PERIOD  # samples: short packets and the longest, lengthened
CODECS = ((Codec.PCM, 8), (Codec.OPUS, 1), (Codec.PCM, 1), (UNKNOWN, 1))  # and how often the data is repeated


class Tape:
    """A sink. Times are in samples."""

    label = "tape"
    delay_ms = 3.0
    ahead = reserve = 0.0
    urgent = True
    xruns = 0

    def __init__(self, draws: Draws) -> None:
        self._playout = Playout(make_decoders())
        self.player = Mixer(self, {OWN_SOURCE: self._playout}, clock=lambda: self._now / RATE)
        self._draws = draws
        self._now = 0
        self._quiet_until = 0  # nothing arrives before
        self._played = 0
        self._writes = 0
        self._sequence = self._timestamp = 0

    def start(self) -> float:
        return 0.0

    def ready(self) -> bool:
        while self._draws and self._played >= self._quiet_until:
            self._now = self._quiet_until
            self._arrive()
            self._pass_time()
        self._now = self._played
        return self._played < self._quiet_until and self._writes < MOST_WRITES

    def write(self, pcm: bytes) -> None:
        assert 0 < len(pcm) <= LONGEST * SAMPLE_BYTES
        assert len(self._playout._arrived) <= MAX_ARRIVED
        assert len(self._playout._jitter._packets) <= MAX_PACKETS
        self._played += len(pcm) // SAMPLE_BYTES
        self._writes += 1

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _arrive(self) -> None:
        draws, kind = self._draws, self._draws.number()
        codec, times = CODECS[kind & 3]
        size = (0, 1, 2, 4)[kind >> 2 & 3]
        self._timestamp = (self._timestamp + (draws.number(size) if size else USUAL)) % 2**32
        self._sequence = draws.number(2) if kind & 16 else (self._sequence + 1) % 2**16
        source = draws.number() if kind & 32 else 0
        data = draws.piece(draws.number()) * times
        self.player.put(Audio(codec, source, self._sequence, self._timestamp, data))

    def _pass_time(self) -> None:
        match self._draws.number():
            case 0:
                self._quiet_until += USUAL
            case pause if pause < 128:
                self._quiet_until += BLOCK_SAMPLES * (pause % 16)
            case stall:  # of the loudspeaker itself
                self._quiet_until += RATE // 10 * (stall % 128)
                self._played = max(self._played, self._quiet_until - USUAL)
