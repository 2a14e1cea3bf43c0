"""Cases of STATE: protocol.md §5.13. An implementation may leave it out."""

from voicemux.conform.hearing import Arrived
from voicemux.conform.link import Link
from voicemux.conform.sounds import PCM_ONLY
from voicemux.conform.subject import Subject
from voicemux.conform.verdict import Failed, Skipped, case
from voicemux.protocol.messages import Audio, VoiceState
from voicemux.protocol.wire import TAG_STATE

WATCHING = 3.0  # seconds for which its STATEs and its audio are watched
ON_ITS_WAY = 1.0  # seconds in which voice from before the STATE may still arrive (protocol.md §5.13)
MOST_A_SECOND = 10
NAMED_BITS = 0x0F


@case(5)
def states(subject: Subject) -> None:
    """The program's STATEs are true, and do not come too often."""
    link = subject.call(PCM_ONLY)
    link.watch(WATCHING)
    said = [each for each in link.heard if isinstance(each.message, VoiceState)]
    if not said:
        raise Skipped("it sends no STATE")
    for each in said:
        if each.frame.payload[0] or each.frame.payload[1] > NAMED_BITS:
            raise Failed(f"expected a STATE of source 0 and of bits that have a name, got {each.frame.payload.hex()}")
    for first, last in zip(said, said[MOST_A_SECOND:], strict=False):
        if last.time - first.time < 1:
            raise Failed(f"expected at most {MOST_A_SECOND} STATEs in a second, got more")
    _judge_voice(link, said)


@case(5)
def state_unknown_bits(subject: Subject) -> None:
    """A STATE with bits that have no name, or of another source, is not a fault."""
    link = subject.call(PCM_ONLY)
    for payload in (b"\x00\xf8", b"\x00\x0f", b"\x07\x08", b"\x00\x00"):
        link.frame(TAG_STATE, payload)
    link.expect_pong()


def _judge_voice(link: Link, said: list[Arrived]) -> None:
    ends = [each.time for each in said[1:]] + [float("inf")]
    for each, end in zip(said, ends, strict=True):
        assert isinstance(each.message, VoiceState)
        if each.message.voice and not each.message.muted:
            continue
        for heard in link.heard:
            if isinstance(heard.message, Audio) and heard.message.data and each.time + ON_ITS_WAY < heard.time < end:
                why = "MUTED" if each.message.muted else "no VOICE"
                raise Failed(f"expected no AUDIO with data after a STATE with {why}, got some")
