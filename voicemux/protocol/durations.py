"""Finds how long the sound in an AUDIO packet lasts, without decoding it."""

from voicemux.protocol.messages import Codec
from voicemux.protocol.wire import TICKS_PER_SECOND

SAMPLE_BYTES = 2  # bytes of a PCM sample
LONGEST = TICKS_PER_SECOND * 120 // 1000  # ticks: the longest Opus packet, 120 ms
# Milliseconds of one frame by the first five bits of an Opus packet (RFC 6716, table 2): SILK, hybrid, CELT.
FRAME_MS = (*(10, 20, 40, 60) * 3, *(10, 20) * 2, *(2.5, 5, 10, 20) * 4)
# The frame count code (RFC 6716 §3.1) whose second byte has the number of frames; also the mask of that code.
COUNTED = 3
MOST_FRAMES = 63  # mask of that number in the second byte


def duration(codec: int, data: bytes) -> int:
    """Return the duration of a packet in ticks of 1/48000 s; 0 if it cannot be known; at most what Opus allows."""
    if codec == Codec.PCM:
        return len(data) // SAMPLE_BYTES
    if codec == Codec.PCM_STEREO:
        return len(data) // (2 * SAMPLE_BYTES)
    if codec != Codec.OPUS or not data:
        return 0
    count = (1, 2, 2, data[1] & MOST_FRAMES if len(data) > 1 else 0)[data[0] & COUNTED]
    return min(LONGEST, round(FRAME_MS[data[0] >> 3] * count * TICKS_PER_SECOND / 1000))
