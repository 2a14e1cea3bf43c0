"""Opus encoders and decoders, and the choice between Opus and PCM. The only home of opuslib_next."""

import contextlib
import ctypes
from array import array
from collections.abc import Collection
from typing import Any, Protocol

from voicemux.audio.capture.ladder import Rung
from voicemux.audio.capture.slide import Slide
from voicemux.audio.capture.wish import ANY, Wish
from voicemux.audio.endpoints import RATE, SAMPLE_BYTES
from voicemux.audio.pcm import (
    MAX_PCM_MS,
    PcmDecoder,
    PcmEncoder,
    StereoPcmDecoder,
    StereoPcmEncoder,
    UndecodableError,
    blended,
)
from voicemux.errors import LibraryMissing
from voicemux.protocol.messages import Codec
from voicemux.protocol.wire import MAX_PAYLOAD

MAX_OPUS_SAMPLES = RATE * 120 // 1000  # samples of the longest packet that RFC 6716 allows (120 ms)
# Samples to ask libopus to conceal at least: of most speech, it makes 10 ms anyway, and keeps the rest to itself.
LEAST_GUESS = RATE // 100
LOOKAHEAD_MS = 6.5  # milliseconds of Opus's lookahead, measured as libopus's pre-skip of 312 samples
LOW_DELAY_LOOKAHEAD_MS = 2.5  # milliseconds of its low-delay application: 120 samples
HANDOVER = RATE * 4 // 1000  # samples that one application looks ahead more than the other
# The numbers below are PESQ-WB of 28 speakers, median and worst, and the distance of spectra in dB up to 16 kHz.
# bench/results/codec.md has all of it, with six more speakers that were not used to choose anything.
#
# Bits a second from which on the low-delay application is worth what it costs: with 64 kbit/s it has 4.40 and 3.70,
# 4 ms sooner and for a fifth of the processor time. With 48 it has 4.24 and 3.25 (the usual one 4.32 and 3.80), with
# 32 4.00 and 2.61 (4.37 and 3.24).
LEAST_LOW_DELAY = 48_000
# With fewer nothing above 8 kHz is coded: at 16 kbit/s 4.07 and 2.52, and 3.85 and 2.36 if libopus chooses. At 24
# PESQ, which hears nothing there, still has 4.37 for the narrower and 4.21 for the full band; the spectra are 2.8 and
# 2.5 dB off. At 20 it is 4.20 and 4.13, 3.1 and 2.7 dB.
LEAST_FULL_BAND = 20_000
LEAST_USUAL_MS = 10  # milliseconds: shorter packets are low-delay ones inside, whatever the application
# Of 10, which gains nothing more; with 5, the worst speaker at 24 kbit/s has PESQ 2.15 instead of 2.90.
COMPLEXITY = 8
# From libopus 1.5 on: what is missing is guessed, and what is coarse is refined, by networks. With 1.5.2 speech at 12
# kbit/s has 3.77 for 3.63, at 24 with 60 ms missing each second 3.25 for 2.95, for three times the processor time. Of
# low delay it refines nothing, and guesses worse: 20 ms missing each second, 3.67 for 3.78.
DECODER_COMPLEXITY = 7
FIRST_LOW_DELAY = 16  # lowest configuration in a packet's first byte that is low-delay (RFC 6716, table 2)


class Encoder(Protocol):
    """Turns samples into packets."""

    codec: Codec
    bitrate: int  # bits a second
    lookahead_ms: float

    @property
    def frame_samples(self) -> int:
        """Samples, for each channel, of the next packet."""

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        """Use this length of packets and bit rate from the next packet on, as far as the codec can."""

    def encode(self, pcm: bytes) -> bytes:
        """Encode `pcm`, of exactly `frame_samples` samples for each channel, as one packet."""


class Decoder(Protocol):
    """Turns packets into samples."""

    def decode(self, packet: bytes) -> bytes:
        """Return the samples of a packet. Raises UndecodableError."""

    def conceal(self, samples: int) -> bytes:
        """Return `samples` samples that conceal a missing packet."""


class OpusEncoder:
    """Opus for speech. It looks ahead 4 ms less if there are enough bits for that.

    libopus has two applications, which differ in lookahead. To change between them unheard, the one that looks ahead
    less is given its sound 4 ms later than the other, and that delay is gradually removed, or built up before. So
    nothing is left out or sent twice.
    """

    codec = Codec.OPUS

    def __init__(self, frame_ms: float, bitrate: int) -> None:
        """`bitrate` in bits a second. Raises LibraryMissing without libopus."""
        self.bitrate = bitrate
        self._frame_ms = frame_ms
        self._encode = _opus().api.encoder.libopus_encode
        self._pcm, self._pcm_pointer = _buffer()
        self._packet = ctypes.create_string_buffer(MAX_PAYLOAD)
        self._slide = Slide(HANDOVER)
        self._last = b""  # sound of the last packet
        self._begin()

    @property
    def frame_samples(self) -> int:
        return int(self._frame_ms * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        if (frame_ms, bitrate) == (self._frame_ms, self.bitrate):
            return
        self._frame_ms, self.bitrate = frame_ms, bitrate
        self._set_bitrate()
        self._hand_over()

    def encode(self, pcm: bytes) -> bytes:
        packet = self._run(self._slide.take(pcm))
        self._last = pcm
        if not self._slide.arrived or self._slide.target:
            self._hand_over()
        return packet

    def _hand_over(self) -> None:
        """Change the application if the other one is better now, and the delay is where that can be done."""
        if self._is_low_delay == self._is_low_delay_better:
            self._slide.target = 0.0
        elif self._is_low_delay and self._last and self._slide.delay < HANDOVER:
            self._slide.target = HANDOVER
        else:
            self._begin()
            if self._is_low_delay and self._last:
                self._slide.jump(HANDOVER)
                self._slide.target = 0.0
            elif self._last:
                self._slide.jump(0.0)
                self._run(self._last)  # a new encoder begins with silence, which would be heard for 6 ms

    @property
    def _is_low_delay_better(self) -> bool:
        return self.bitrate >= LEAST_LOW_DELAY or self._frame_ms < LEAST_USUAL_MS

    def _begin(self) -> None:
        self._is_low_delay = self._is_low_delay_better
        self.lookahead_ms = LOW_DELAY_LOOKAHEAD_MS if self._is_low_delay else LOOKAHEAD_MS
        self._encoder = _opus().Encoder(RATE, 1, "restricted_lowdelay" if self._is_low_delay else "voip")
        self._encoder.complexity = COMPLEXITY
        # All packets have one size: PESQ is the same, a slow line has no peaks to stumble over, and the sizes of
        # encrypted packets do not tell what is said (Wright et al., IEEE S&P 2008), nor whether anybody speaks.
        self._encoder.vbr = 0
        # Left to itself, libopus takes single letters for music: at 32 kbit/s a fifth of the packets of eight
        # speakers, for which PESQ was up to 0.6 lower.
        self._encoder.signal = _opus().constants.SIGNAL_VOICE
        self._set_bitrate()

    def _set_bitrate(self) -> None:
        bandwidths = _opus().constants
        is_full = self.bitrate >= LEAST_FULL_BAND
        self._encoder.bitrate = self.bitrate
        self._encoder.max_bandwidth = bandwidths.BANDWIDTH_FULLBAND if is_full else bandwidths.BANDWIDTH_WIDEBAND

    def _run(self, pcm: bytes) -> bytes:
        ctypes.memmove(self._pcm, pcm, len(pcm))
        state = self._encoder.encoder_state
        size = self._encode(state, self._pcm_pointer, len(pcm) // SAMPLE_BYTES, self._packet, MAX_PAYLOAD)
        if size < 0:
            raise _opus().OpusError(size)
        return ctypes.string_at(self._packet, size)


class MusicEncoder:
    """Opus for music, of one channel or two: libopus chooses its mode, and looks ahead 6.5 ms."""

    codec = Codec.OPUS
    lookahead_ms = LOOKAHEAD_MS

    def __init__(self, frame_ms: float, bitrate: int, channels: int = 2) -> None:
        """`bitrate` in bits a second. Raises LibraryMissing without libopus."""
        self._channels = channels
        self._pcm, self._pcm_pointer = _buffer()
        self._packet = ctypes.create_string_buffer(MAX_PAYLOAD)
        self._encoder = _opus().Encoder(RATE, channels, "audio")
        self._encoder.complexity = COMPLEXITY
        self._encoder.vbr = 0  # as for speech
        self._encoder.signal = _opus().constants.SIGNAL_MUSIC
        self.adapt(frame_ms, bitrate)

    @property
    def frame_samples(self) -> int:
        return int(self._frame_ms * RATE / 1000)

    def adapt(self, frame_ms: float, bitrate: int) -> None:
        self._frame_ms, self.bitrate = frame_ms, bitrate
        self._encoder.bitrate = bitrate

    def encode(self, pcm: bytes) -> bytes:
        ctypes.memmove(self._pcm, pcm, len(pcm))
        samples = len(pcm) // (self._channels * SAMPLE_BYTES)
        encode, state = _opus().api.encoder.libopus_encode, self._encoder.encoder_state
        size = encode(state, self._pcm_pointer, samples, self._packet, MAX_PAYLOAD)
        if size < 0:
            raise _opus().OpusError(size)
        return ctypes.string_at(self._packet, size)


class OpusDecoder:
    """Decodes packets of one or two channels to `channels` channels: libopus takes the mean of two, or doubles
    one."""

    def __init__(self, channels: int = 1) -> None:
        """Raises LibraryMissing without libopus."""
        self._channels = channels
        self._decoder = _opus().Decoder(RATE, channels)
        self._refines = False
        self._decode = _opus().api.decoder.libopus_decode
        self._pcm, self._pcm_pointer = _buffer()
        self._guess = array("h")  # concealment that was made and not asked for yet; two channels are interleaved

    def decode(self, packet: bytes) -> bytes:
        if packet and self._refines != (packet[0] >> 3 < FIRST_LOW_DELAY):
            self._refine(not self._refines)
        pcm = self._run(packet, MAX_OPUS_SAMPLES)
        guess, self._guess = self._guess, array("h")
        return blended(guess, pcm, self._channels) if guess else pcm

    def conceal(self, samples: int) -> bytes:
        wanted = samples * self._channels
        while len(self._guess) < wanted:
            self._guess.frombytes(self._run(b"", LEAST_GUESS))
        made, self._guess = self._guess[:wanted], self._guess[wanted:]
        return made.tobytes()

    def _refine(self, on: bool) -> None:
        """Let neural networks refine the sound, or not. Only libopus 1.5 or newer has them; an older one refuses."""
        self._refines = on
        opus = _opus()
        with contextlib.suppress(opus.OpusError):
            opus.api.decoder.decoder_ctl(
                self._decoder.decoder_state, opus.api.ctl.set_complexity, DECODER_COMPLEXITY if on else 0
            )

    def _run(self, packet: bytes, most: int) -> bytes:
        state = self._decoder.decoder_state
        samples = self._decode(state, packet, len(packet), self._pcm_pointer, most, 0)
        if samples < 0:
            raise UndecodableError(f"libopus: error {samples}")
        return ctypes.string_at(self._pcm, samples * self._channels * SAMPLE_BYTES)


def lookahead_ms(codec: int, packet: bytes) -> float:
    """Return the milliseconds that the encoder of a packet has looked ahead, as far as the packet tells."""
    if codec != Codec.OPUS or not packet:
        return 0.0
    return LOW_DELAY_LOOKAHEAD_MS if packet[0] >> 3 >= FIRST_LOW_DELAY else LOOKAHEAD_MS


def make_decoders(channels: int = 1) -> dict[int, Decoder]:
    """Return a decoder for each codec that can be played here, the best first; each makes `channels` channels."""
    pcm: dict[int, Decoder] = {Codec.PCM: PcmDecoder()}
    if channels == 2:
        pcm = {Codec.PCM_STEREO: StereoPcmDecoder(2), Codec.PCM: StereoPcmDecoder(1)}
    try:
        return {Codec.OPUS: OpusDecoder(channels), **pcm}
    except LibraryMissing:
        return pcm


def make_music_encoder(
    playable: Collection[int], wanted: Codec | None, wish: Wish, channels: int
) -> tuple[Encoder, int] | None:
    """Return the encoder for music of `channels` channels, and how many channels it takes, which may be fewer; None
    if the peer can play nothing that we can make. The parameters are as of `make_encoder`."""
    if channels == 2 and wanted == Codec.PCM and Codec.PCM_STEREO in playable and not wish.bandwidth:
        return StereoPcmEncoder(wish.fixed_ms), 2
    encoder = make_encoder(playable, wanted, wish)
    if encoder and encoder.codec == Codec.OPUS:
        return MusicEncoder(*wish.usual, channels), channels
    if encoder and channels == 2 and Codec.PCM_STEREO in playable and not wish.bandwidth:
        return StereoPcmEncoder(wish.fixed_ms), 2
    return (encoder, 1) if encoder else None


def make_encoder(playable: Collection[int], wanted: Codec | None = None, wish: Wish = ANY) -> Encoder | None:
    """Return the encoder for a peer that can play `playable`, best first; None if the peer can play nothing that we
    can make.

    `wanted` is the codec that the user asked for: it is chosen if the peer can play it. Of `wish`, PCM obeys the
    length of packets, and is not chosen if the bandwidth is too small for it.
    """
    order = sorted(playable, key=lambda codec: codec != wanted)
    for codec in order:
        if codec == Codec.PCM and pcm_fits(wish):
            return PcmEncoder(wish.fixed_ms)
        if codec == Codec.OPUS:
            with contextlib.suppress(LibraryMissing):
                return OpusEncoder(*wish.usual)
    return None


def pcm_fits(wish: Wish) -> bool:
    """Whether PCM is within the bandwidth that the user allows."""
    return not wish.bandwidth or pcm_line_rate(wish) <= wish.bandwidth


def pcm_line_rate(wish: Wish) -> float:
    """Return the bits a second of PCM on the line, headers included."""
    return Rung(min(wish.fixed_ms, MAX_PCM_MS), PcmEncoder.bitrate).line_rate


def check_opus() -> None:
    """Check that Opus can be used. Raises LibraryMissing."""
    _opus()


def _buffer() -> tuple[Any, Any]:
    """Make a buffer for the longest packet's samples of two channels. Returns it and a pointer to it.

    Keep both, because casts of ctypes are reference cycles: opuslib_next's own methods leave 1 MB of garbage a
    second.
    """
    pcm = (ctypes.c_int16 * (2 * MAX_OPUS_SAMPLES))()
    return pcm, ctypes.cast(pcm, _opus().api.c_int16_pointer)


def _opus() -> Any:
    try:
        import opuslib_next
    except Exception as error:  # opuslib_next raises a bare Exception without libopus
        raise LibraryMissing("opus", f"no Opus: {str(error).lower().rstrip('.')}") from error
    return opuslib_next
