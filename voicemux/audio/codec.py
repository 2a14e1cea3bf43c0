"""PCM and Opus, from samples to packets and back. The only home of opuslib_next."""

import ctypes
from array import array
from collections.abc import Collection
from typing import Any, Protocol

from voicemux.audio.endpoints import RATE, SAMPLE_BYTES
from voicemux.errors import LibraryMissing
from voicemux.protocol.messages import Codec
from voicemux.protocol.wire import MAX_PAYLOAD

MAX_OPUS_SAMPLES = RATE * 120 // 1000  # the longest packet that RFC 6716 allows
MAX_PCM_MS = 40  # what still fits a frame: 2044 samples
SOFTER = 0.7  # of each repetition of what is missing in PCM
SEAM = RATE * 5 // 1000  # samples of cross-fade from what was made up to PCM that has come
LEAST_GUESS = RATE // 100  # samples: asked for 5 ms, libopus makes 10 of most speech and keeps the rest to itself
LOOKAHEAD_MS = 6.5  # of Opus, measured as libopus's pre-skip of 312 samples
LOW_DELAY_LOOKAHEAD_MS = 2.5  # of its low-delay application: 120 samples
# Bits a second from which on the low-delay application is as good as the usual one: with 32 kbit/s PESQ 4.1 and a
# fifth of its processor time; with 24 kbit/s 3.7, where the usual one has 4.1.
LEAST_LOW_DELAY = 32_000
# With fewer nothing above 8 kHz is coded: at 20 kbit/s speech has PESQ 4.2 then, and 3.8 if libopus chooses.
LEAST_FULL_BAND = 24_000
LEAST_USUAL_MS = 10  # shorter packets are low-delay ones inside, whatever the application
# 5 of 10: PESQ 4.11 at a constant 24 kbit/s for half of the processor time of 9, which has 4.17; 3 has 3.88.
COMPLEXITY = 5
LOW_DELAY_COMPLEXITY = 8  # at 32 kbit/s PESQ is that of 10 for three quarters of the time; 7 has 0.1 to 0.2 less
FIRST_LOW_DELAY = 16  # the least configuration in a packet's first byte that is for low delay (RFC 6716, table 2)


class UndecodableError(Exception):
    """A packet that its codec refuses: to be treated as lost."""


class Encoder(Protocol):
    codec: Codec
    bitrate: int  # bits a second
    lookahead_ms: float

    @property
    def frame_samples(self) -> int:
        """Of the next packet."""

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        """From the next packet on, as far as the codec can."""

    def encode(self, pcm: bytes) -> bytes:
        """So many samples as `pcm` has as a packet; it was cut to `frame_samples`."""


class Decoder(Protocol):
    def decode(self, packet: bytes) -> bytes:
        """Its samples. Raises UndecodableError."""

    def conceal(self, samples: int) -> bytes:
        """So many samples in the place of a packet that is not there."""


class PcmEncoder:
    codec = Codec.PCM
    bitrate = RATE * SAMPLE_BYTES * 8
    lookahead_ms = 0.0

    def __init__(self, frame_ms: float) -> None:
        self.frame_samples = int(min(frame_ms, MAX_PCM_MS) * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        """It is what it is: longer packets would hardly be fewer bits."""

    def encode(self, pcm: bytes) -> bytes:
        return pcm


class PcmDecoder:
    """Conceals with what it had last, backwards and forwards again, ever softer: it begins without a click.

    Nor does it end with one: what comes is faded into.
    """

    def __init__(self) -> None:
        self._past = array("h")
        self._mirrored = array("h")  # what is still to be given
        self._guessing = False

    def decode(self, packet: bytes) -> bytes:
        if len(packet) % SAMPLE_BYTES:
            raise UndecodableError("half a sample")
        if self._guessing:
            packet = _faded(self._guess(SEAM), packet)
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


class OpusEncoder:
    """Looks ahead 4 ms less if there are enough bits for that."""

    codec = Codec.OPUS

    def __init__(self, frame_ms: float, bitrate: int) -> None:
        """`bitrate` in bits a second. Raises LibraryMissing without libopus."""
        self.bitrate = bitrate
        self._frame_ms = frame_ms
        self._encode = _opus().api.encoder.libopus_encode
        self._pcm, self._pcm_pointer = _buffer()
        self._packet = ctypes.create_string_buffer(MAX_PAYLOAD)
        self._samples = 0  # in the buffer: those of the last packet
        self._begin()

    @property
    def frame_samples(self) -> int:
        return int(self._frame_ms * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        if (frame_ms, bitrate) == (self._frame_ms, self.bitrate):
            return
        self._frame_ms, self.bitrate = frame_ms, bitrate
        if self._is_low_delay == self._is_low_delay_better:
            self._set_bitrate()
            return
        self._begin()
        if self._samples:
            self._run()  # the last packet once more: an encoder begins with silence

    def encode(self, pcm: bytes) -> bytes:
        ctypes.memmove(self._pcm, pcm, len(pcm))
        self._samples = len(pcm) // SAMPLE_BYTES
        return self._run()

    @property
    def _is_low_delay_better(self) -> bool:
        return self.bitrate >= LEAST_LOW_DELAY or self._frame_ms < LEAST_USUAL_MS

    def _begin(self) -> None:
        self._is_low_delay = self._is_low_delay_better
        self.lookahead_ms = LOW_DELAY_LOOKAHEAD_MS if self._is_low_delay else LOOKAHEAD_MS
        self._encoder = _opus().Encoder(RATE, 1, "restricted_lowdelay" if self._is_low_delay else "voip")
        self._encoder.complexity = LOW_DELAY_COMPLEXITY if self._is_low_delay else COMPLEXITY
        # All packets have one size: PESQ is the same, a slow line has no peaks to stumble over, and the sizes of
        # encrypted packets do not tell what is said (Wright et al., IEEE S&P 2008), nor whether anybody speaks.
        self._encoder.vbr = 0
        self._set_bitrate()

    def _set_bitrate(self) -> None:
        bandwidths = _opus().constants
        is_full = self.bitrate >= LEAST_FULL_BAND
        self._encoder.bitrate = self.bitrate
        self._encoder.max_bandwidth = bandwidths.BANDWIDTH_FULLBAND if is_full else bandwidths.BANDWIDTH_WIDEBAND

    def _run(self) -> bytes:
        state = self._encoder.encoder_state
        size = self._encode(state, self._pcm_pointer, self._samples, self._packet, MAX_PAYLOAD)
        if size < 0:
            raise _opus().OpusError(size)
        return ctypes.string_at(self._packet, size)


class OpusDecoder:
    def __init__(self) -> None:
        """Raises LibraryMissing without libopus."""
        self._decoder = _opus().Decoder(RATE, 1)
        self._decode = _opus().api.decoder.libopus_decode
        self._pcm, self._pcm_pointer = _buffer()
        self._guess = array("h")  # made up, and not asked for yet

    def decode(self, packet: bytes) -> bytes:
        pcm = self._run(packet, MAX_OPUS_SAMPLES)
        guess, self._guess = self._guess, array("h")
        return _faded(guess, pcm) if guess else pcm

    def conceal(self, samples: int) -> bytes:
        while len(self._guess) < samples:
            self._guess.frombytes(self._run(b"", LEAST_GUESS))
        made, self._guess = self._guess[:samples], self._guess[samples:]
        return made.tobytes()

    def _run(self, packet: bytes, most: int) -> bytes:
        state = self._decoder.decoder_state
        samples = self._decode(state, packet, len(packet), self._pcm_pointer, most, 0)
        if samples < 0:
            raise UndecodableError(f"libopus: error {samples}")
        return ctypes.string_at(self._pcm, samples * SAMPLE_BYTES)


def lookahead_ms(codec: int, packet: bytes) -> float:
    """What the encoder of a packet has looked ahead, as far as the packet tells."""
    if codec != Codec.OPUS or not packet:
        return 0.0
    return LOW_DELAY_LOOKAHEAD_MS if packet[0] >> 3 >= FIRST_LOW_DELAY else LOOKAHEAD_MS


def make_decoders() -> dict[int, Decoder]:
    """A decoder for each codec that can be played here, the best first."""
    try:
        return {Codec.OPUS: OpusDecoder(), Codec.PCM: PcmDecoder()}
    except LibraryMissing:
        return {Codec.PCM: PcmDecoder()}


def make_encoder(playable: Collection[int], wanted: Codec | None, frame_ms: float, bitrate: int) -> Encoder | None:
    """The encoder for a peer that can play `playable`, best first; None if it can play nothing that we can make.

    `wanted` is what the user asked for: it goes first if the peer can play it.
    """
    order = sorted(playable, key=lambda codec: codec != wanted)
    for codec in order:
        if codec == Codec.PCM:
            return PcmEncoder(frame_ms)
        if codec == Codec.OPUS:
            try:
                return OpusEncoder(frame_ms, bitrate)
            except LibraryMissing:
                continue
    return None


def check_opus() -> None:
    """Raises LibraryMissing if Opus cannot be used here."""
    _opus()


def _faded(guess: "array[int]", pcm: bytes) -> bytes:
    """`pcm`, its beginning cross-faded from how what was made up would go on."""
    samples = array("h", pcm)
    length = min(len(guess), len(samples))
    for i in range(length):
        samples[i] += round((guess[i] - samples[i]) * (1 - i / length))
    return samples.tobytes()


def _buffer() -> tuple[Any, Any]:
    """Room for the longest packet's samples, and a pointer to it.

    Kept, because ctypes' casts are reference cycles: opuslib_next's own methods leave 1 MB of garbage a second.
    """
    pcm = (ctypes.c_int16 * MAX_OPUS_SAMPLES)()
    return pcm, ctypes.cast(pcm, _opus().api.c_int16_pointer)


def _opus() -> Any:
    try:
        import opuslib_next
    except Exception as error:  # a bare Exception is what it raises without libopus
        raise LibraryMissing("opus", f"no Opus: {str(error).lower().rstrip('.')}") from error
    return opuslib_next
