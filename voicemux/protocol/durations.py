"""How long the sound in a packet of AUDIO lasts, as its bytes tell without decoding them."""

from voicemux.protocol.messages import Codec
from voicemux.protocol.wire import TICKS_PER_SECOND

SAMPLE_BYTES = 2  # of PCM
LONGEST = TICKS_PER_SECOND * 120 // 1000  # ticks, of Opus
# Milliseconds of one frame by the first five bits of an Opus packet (RFC 6716, table 2): SILK, hybrid, CELT.
FRAME_MS = (*(10, 20, 40, 60) * 3, *(10, 20) * 2, *(2.5, 5, 10, 20) * 4)
COUNTED = 3  # the last two bits, if the second byte has the number of frames
MOST_FRAMES = 63  # the bits of that


def duration(codec: int, data: bytes) -> int:
    """In ticks of 1/48000 s; 0 if that is not told, at most what Opus allows."""
    if codec == Codec.PCM:
        return len(data) // SAMPLE_BYTES
    if codec == Codec.PCM_STEREO:
        return len(data) // (2 * SAMPLE_BYTES)
    if codec != Codec.OPUS or not data:
        return 0
    count = (1, 2, 2, data[1] & MOST_FRAMES if len(data) > 1 else 0)[data[0] & COUNTED]
    return min(LONGEST, round(FRAME_MS[data[0] >> 3] * count * TICKS_PER_SECOND / 1000))
