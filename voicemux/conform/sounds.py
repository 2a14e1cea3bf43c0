"""Cases of audio: protocol.md §5.3, §5.7, §5.14 and §8."""

import array
import itertools
import math

from voicemux.conform.link import Link
from voicemux.conform.subject import OWN_HELLO, Subject
from voicemux.conform.verdict import Failed, Skipped, case
from voicemux.protocol.messages import Arrivals, Audio, Codec, Hello, Report
from voicemux.protocol.wire import TICKS_PER_SECOND

PACKET = 960  # samples of a packet: 20 ms
TONE = array.array("h", (round(3000 * math.sin(math.tau * i / 96)) for i in range(PACKET))).tobytes()  # 500 Hz
# Asks for PCM, because the size of a PCM packet tells its length.
PCM_ONLY = Hello(OWN_HELLO.name, OWN_HELLO.agent, (Codec.PCM,))
PLAY = "let it offer codec 1 (PCM) in its HELLO"
LISTENING = 2.0  # seconds of the program's sound that are examined
AHEAD = 0.15  # seconds that sound may come before it can have been captured: networks and kernels bunch it
MOST_ARRIVALS = 20  # in a second (protocol.md §5.14)
# ms: what is played as fast as it is spoken takes as long each time, but for what the machine is busy with
STEADY = 5000
MOST_GAPS = 0.5  # of its frames: where there is more silence than that, its timestamps are not in ticks of 1/48000 s


@case(8)
def no_audio_wanted(subject: Subject) -> None:
    """A side that offers no codec gets no audio."""
    link = subject.call()
    link.watch(LISTENING)
    if link.all(Audio):
        raise Failed("expected no AUDIO, since we offer no codec, got some")


@case(8)
def only_offered_codecs(subject: Subject) -> None:
    """Audio comes in a codec that was offered."""
    for audio in _sound(subject.call(PCM_ONLY)):
        if audio.codec != Codec.PCM:
            raise Failed(f"expected AUDIO of codec 1, the only one that we offer, got codec {audio.codec}")


@case(8)
def plays_pcm(subject: Subject) -> None:
    """A side that plays audio plays PCM."""
    link = subject.call(PCM_ONLY)
    assert link.hello
    if not link.hello.playable:
        raise Skipped("it plays no audio", PLAY)
    if Codec.PCM not in link.hello.playable:
        raise Failed(f"expected codec 1 among those that it plays, got {list(link.hello.playable)}")
    play(link, [TONE] * 10)
    link.expect_pong()


@case(8)
def audio_timestamps(subject: Subject) -> None:
    """Sequence and timestamp count on, frame by frame; gaps only as the table of §8 has them."""
    sound = _sound(subject.call(PCM_ONLY))
    gaps = 0
    for before, audio in itertools.pairwise(sound):
        expected = (before.timestamp + len(before.data) // 2) % 2**32
        ahead = (audio.timestamp - expected) % 2**32
        steps = (audio.sequence - before.sequence) % 2**16
        if ahead >= 2**31:
            raise Failed(f"expected timestamp {expected} or later, got {audio.timestamp}")
        if not 1 <= steps < 2**15:
            raise Failed(f"expected sequence {(before.sequence + 1) % 2**16}, got {audio.sequence}")
        if steps > 1 and not ahead:
            raise Failed(f"expected a gap of the timestamp where the sequence has one of {steps - 1}, got none")
        gaps += bool(ahead and before.data)
    if gaps > MOST_GAPS * len(sound):
        raise Failed(f"expected timestamps that follow on, got {gaps} gaps in {len(sound)} frames")


@case(8)
def audio_paced(subject: Subject) -> None:
    """Audio leaves at the speed at which it was captured."""
    link = subject.call(PCM_ONLY)
    _sound(link)
    heard = [(each.time, each.message) for each in link.heard if isinstance(each.message, Audio)]
    start, sent = heard[0][0], 0.0
    for time, audio in heard:
        sent += len(audio.data) / 2 / TICKS_PER_SECOND
        if sent - (time - start) > AHEAD:
            raise Failed(f"expected {time - start:.2f} s of sound in {time - start:.2f} s, got {sent:.2f} s")


@case(8)
def audio_wraps(subject: Subject) -> None:
    """Sequence and timestamp wrap around."""
    link = _ear(subject)
    play(link, [TONE] * 40, sequence=2**16 - 20, timestamp=2**32 - 20 * PACKET)
    link.expect_pong()


@case(8)
def audio_lengths(subject: Subject) -> None:
    """Frames of every length are taken."""
    link = _ear(subject)
    play(link, [bytes(2 * samples) for samples in (120, 240, 480, 960, 1920, 2044, 1, 0, 441, 960)])
    link.expect_pong()


@case(8)
def audio_channels(subject: Subject) -> None:
    """Packets of one channel and of two are taken in any order."""
    link = _ear(subject)
    assert link.hello
    kinds: list[tuple[int, bytes]] = [(Codec.PCM, TONE)]
    if Codec.OPUS in link.hello.playable:  # packets of silence, with one channel and with two
        kinds += [(Codec.OPUS, b"\xf8\xff\xfe"), (Codec.OPUS, b"\xfc\xff\xfe")]
    if Codec.PCM_STEREO in link.hello.playable:
        kinds += [(Codec.PCM_STEREO, bytes(4 * PACKET))]
    if len(kinds) == 1:
        raise Skipped("it plays neither Opus nor codec 3", "let it offer codec 2 (Opus) in its HELLO")
    for number in range(40):
        codec, data = kinds[number * 3 // 2 % len(kinds)]
        link.say(Audio(codec, 0, number, number * PACKET, data))
        link.watch(PACKET / TICKS_PER_SECOND)
    link.expect_pong()


@case(8)
def audio_unusable(subject: Subject) -> None:
    """A packet that cannot be decoded is lost, but is not a protocol error."""
    link = _ear(subject)
    for number, (codec, source, data) in enumerate(
        ((99, 0, b"what?"), (Codec.PCM, 0, b"odd"), (Codec.OPUS, 0, b"\xff" * 40), (Codec.PCM, 7, TONE))
    ):
        link.say(Audio(codec, source, number, number * PACKET, data))
    link.expect_pong()


@case(5)
def reports(subject: Subject) -> None:
    """The program's REPORTs are about audio that we have sent."""
    link = _ear(subject)
    play(link, [TONE] * 75)
    link.watch(0.5)
    if not link.all(Report):
        raise Skipped("it sends no REPORT", "let it say what it hears, every 100 ms to 1 s")
    for report in link.all(Report):
        if report.source != 0 or report.sequence >= 75:
            raise Failed(f"expected a REPORT of source 0 and a sequence below 75, got {report}")


@case(5)
def arrivals(subject: Subject) -> None:
    """ARRIVALS come not too often, and in milliseconds of one clock."""
    link = _ear(subject)
    play(link, [TONE] * 75)
    link.watch(0.5)
    said = [each for each in link.heard if isinstance(each.message, Arrivals)]
    if not said:
        raise Skipped("it sends no ARRIVALS", "let it say with its voice when ours came, every 100 ms")
    for first, last in zip(said, said[MOST_ARRIVALS:], strict=False):
        if last.time - first.time < 1:
            raise Failed(f"expected at most {MOST_ARRIVALS} ARRIVALS in a second, got more")
    first_told = link.all(Arrivals)[0].least
    for told in link.all(Arrivals):
        if told.source != 0 or told.sequence >= 75:
            raise Failed(f"expected ARRIVALS of source 0 and a sequence below 75, got {told}")
        if any((ms - first_told + STEADY) % 2**16 > 2 * STEADY for ms in (told.least, told.most)):
            raise Failed(f"expected transits within {STEADY} ms of {first_told}, since we speak steadily, got {told}")


@case(5)
def arrivals_untrue(subject: Subject) -> None:
    """ARRIVALS of any content are not a fault."""
    link = _ear(subject)
    for number in range(60):
        sequence, least = number * 7919 % 2**16, number * 30_011 % 2**16
        link.say(Arrivals(number % 3, sequence, least, least * 3 % 2**16))
    link.expect_pong()


def _sound(link: Link) -> list[Audio]:
    """Return the program's audio of LISTENING seconds. Raises Skipped if it sends none."""
    link.watch(LISTENING)
    if not any(audio.data for audio in link.all(Audio)):
        raise Skipped("it sends no audio", "let it make sound from the beginning of each call, as of a file")
    return link.all(Audio)


def _ear(subject: Subject) -> Link:
    link = subject.call(PCM_ONLY)
    assert link.hello
    if Codec.PCM not in link.hello.playable:
        raise Skipped("it plays no PCM", PLAY)
    return link


def play(link: Link, packets: list[bytes], sequence: int = 0, timestamp: int = 0) -> None:
    """Send our audio at the speed of speech."""
    for number, data in enumerate(packets):
        link.say(Audio(Codec.PCM, 0, (sequence + number) % 2**16, timestamp % 2**32, data))
        timestamp += len(data) // 2
        link.watch(len(data) / 2 / TICKS_PER_SECOND)
