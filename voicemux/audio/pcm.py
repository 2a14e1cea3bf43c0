"""PCM encoders and decoders, for one channel and two."""

from array import array

from voicemux.audio.endpoints import RATE, SAMPLE_BYTES
from voicemux.protocol.messages import Codec

MAX_PCM_MS = 40  # milliseconds in the longest packet that fits a frame: 2044 samples
MAX_PAIRS_MS = 20  # milliseconds in the longest packet of two channels: 1022 pairs
SOFTER = 0.7  # factor of loudness each time the last sound is replayed to conceal a gap
SEAM = RATE * 5 // 1000  # samples (5 ms) of crossfade from concealment to the next packet


class UndecodableError(Exception):
    """A packet cannot be decoded: treat it as lost."""


class PcmEncoder:
    """PCM of one channel: a packet is its samples."""

    codec = Codec.PCM
    bitrate = RATE * SAMPLE_BYTES * 8
    lookahead_ms = 0.0

    def __init__(self, frame_ms: float) -> None:
        self.frame_samples = int(min(frame_ms, MAX_PCM_MS) * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        """Change nothing: longer packets would save hardly any bits."""

    def encode(self, pcm: bytes) -> bytes:
        return pcm


class PcmDecoder:
    """Decodes PCM of one channel. It conceals a gap with the last sound, backwards and then forwards again, ever
    softer, so that it begins without a click; the next packet is faded in."""

    def __init__(self) -> None:
        self._past = array("h")
        self._mirrored = array("h")  # concealment that was not asked for yet
        self._guessing = False

    def decode(self, packet: bytes) -> bytes:
        if len(packet) % SAMPLE_BYTES:
            raise UndecodableError("half a sample")
        if self._guessing:
            packet = blended(self._guess(SEAM), packet)
            self._guessing = False
        self._past = array("h", packet)
        self._mirrored = array("h")
        return packet

    def conceal(self, samples: int) -> bytes:
        self._guessing = True
        return self._guess(samples).tobytes()

    def _guess(self, samples: int) -> "array[int]":
        while len(self._mirrored) < samples:
            fall = (1 - SOFTER) / max(1, len(self._past))
            softer = (round(sample * (1 - fall * i)) for i, sample in enumerate(reversed(self._past)))
            self._past = array("h", softer) or array("h", [0])
            self._mirrored += self._past
        made, self._mirrored = self._mirrored[:samples], self._mirrored[samples:]
        return made


class StereoPcmEncoder:
    """PCM of two channels, interleaved: a packet is its samples."""

    codec = Codec.PCM_STEREO
    bitrate = 2 * RATE * SAMPLE_BYTES * 8
    lookahead_ms = 0.0

    def __init__(self, frame_ms: float) -> None:
        self.frame_samples = int(min(frame_ms, MAX_PAIRS_MS) * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        """Change nothing: PCM has one bit rate."""

    def encode(self, pcm: bytes) -> bytes:
        return pcm


class StereoPcmDecoder:
    """Decodes packets of two channels, interleaved, or of one, to two channels."""

    def __init__(self, carried: int) -> None:
        """`carried` is how many channels the packets have."""
        self._sides = [PcmDecoder() for _ in range(carried)]

    def decode(self, packet: bytes) -> bytes:
        count = len(self._sides)
        if len(packet) % (count * SAMPLE_BYTES):
            raise UndecodableError("half a sample, or half a pair")
        samples = array("h", packet)
        return _paired([side.decode(samples[i::count].tobytes()) for i, side in enumerate(self._sides)])

    def conceal(self, samples: int) -> bytes:
        return _paired([side.conceal(samples) for side in self._sides])


def _paired(sides: list[bytes]) -> bytes:
    """Interleave the samples of two channels, or double those of one."""
    pairs = array("h", bytes(2 * len(sides[0])))
    pairs[0::2], pairs[1::2] = array("h", sides[0]), array("h", sides[-1])
    return pairs.tobytes()


def blended(guess: "array[int]", pcm: bytes, channels: int = 1) -> bytes:
    """Return `pcm` with its beginning crossfaded from `guess`, the continuation of the concealment. Both have
    `channels` channels."""
    samples = array("h", pcm)
    length = min(len(guess), len(samples))
    for i in range(length):
        samples[i] += round((guess[i] - samples[i]) * (1 - i // channels * channels / length))
    return samples.tobytes()
