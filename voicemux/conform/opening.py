"""Cases of the beginning of a call, and of frames: protocol.md §3 to §6."""

from collections.abc import Callable

from voicemux.conform.link import Link
from voicemux.conform.subject import OWN_HELLO, Subject
from voicemux.conform.verdict import DIALLER, LISTENER, Failed, case
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Hello,
    Ping,
    Pong,
    Report,
    Ringing,
    Text,
    VoiceState,
    name_of,
)
from voicemux.protocol.wire import (
    FLAG_MORE,
    GREASE_TAG,
    MAX_PAYLOAD,
    PREFACE,
    TAG_AUDIO,
    TAG_BYE,
    TAG_HELLO,
    TAG_PING,
    TAG_REPORT,
    TAG_TEXT,
    TAG_TEXT_ACK,
    TAG_WELCOME,
    header_struct,
)

SOMETHING_ELSE = b"GET / HTTP/1.1\r\nHost: voicemux\r\n\r\n"
PRIVATE_TAG, UNUSED_TAG = 0x80, 0x3F
RINGING_INTERVAL = 5.0  # seconds between two RINGINGs (protocol.md §5.8)
UNKNOWN = ((GREASE_TAG, b"abc"), (UNUSED_TAG, b""), (PRIVATE_TAG, bytes(MAX_PAYLOAD)))
TOO_SHORT = {"a PING": (TAG_PING, 7), "a TEXT": (TAG_TEXT, 3), "a TEXT_ACK": (TAG_TEXT_ACK, 3)} | {
    "an AUDIO": (TAG_AUDIO, 7),
    "a BYE": (TAG_BYE, 1),
    "a REPORT": (TAG_REPORT, 11),
}
TOO_LONG = {"a PING": (TAG_PING, 9), "a TEXT_ACK": (TAG_TEXT_ACK, 5), "a REPORT": (TAG_REPORT, 13)}
BAD_HELLOS = {
    "an item that runs over the end": bytes([1, 5]) + b"bob",
    "a name that is not UTF-8": bytes([1, 2]) + b"\xc3\x28",
    "a name of 65 bytes": bytes([1, 65]) + b"a" * 65,
    "a session of 15 bytes": bytes([4, 15]) + bytes(15),
    "a last_text of 5 bytes": bytes([4, 16]) + bytes(16) + bytes([5, 5]) + bytes(5),
}
ODD_HELLO = bytes([0x3A, 1, 7, 0x80, 0, 3, 3, 99, 1, 200])  # two unknown keys, two unknown codecs


@case(3, LISTENER)
def silent_before_preface(subject: Subject) -> None:
    """A listener says nothing before it has 8 valid bytes."""
    link = subject.connect()
    for part in (b"", PREFACE[:-1]):
        link.write(part)
        if came := link.take_bytes(1, 0.7):
            raise Failed(f"expected nothing before 8 bytes, got {came!r} after {len(part)}")
    link.write(PREFACE[-1:])
    link.expect_preface()


@case(3, DIALLER)
def preface_first(subject: Subject) -> None:
    """A dialler sends its preface without waiting for anything."""
    subject.connect().expect_preface(1.0)


@case(3)
def garbage(subject: Subject) -> None:
    """A side that receives something other than a preface does not go on."""
    link = subject.connect()
    if subject.role == DIALLER:
        link.expect_preface()
    link.write(SOMETHING_ELSE)
    if subject.role == LISTENER and (came := link.take_bytes(1, 2.0)):
        raise Failed(f"expected the end without a word, got {came!r}")
    link.expect_end(5.0, reset_is_fine=True)


@case(3)
def another_version(subject: Subject) -> None:
    """Another version's preface is answered with the program's own one and a BYE of code 4."""
    link = subject.connect()
    link.write(b"VMUX/2\r\n")
    link.expect_preface()
    link.expect_goodbye(ByeCode.VERSION)


@case(3)
def byte_by_byte(subject: Subject) -> None:
    """Bytes that come one at a time are accepted."""
    link = subject.call(trickles=True)
    link.say(Text(1, "grüße"))
    link.expect_acknowledgement(1, within=10.0)
    link.expect_pong(10.0)


@case(3)
def all_at_once(subject: Subject) -> None:
    """Many frames may come at once."""
    ringing = [Ringing()] if subject.role == DIALLER else []
    link = subject.open(*ringing, OWN_HELLO, *(Text(number, "at once") for number in range(1, 21)))
    link.hello = link.expect(Hello, 10.0)
    link.expect_acknowledgement(20)
    link.expect_pong()


@case(4)
def frame_too_long(subject: Subject) -> None:
    """A frame of 4097 bytes is refused as soon as its header is there."""
    link = subject.call()
    link.write(header_struct.pack(MAX_PAYLOAD + 1, TAG_TEXT, 0))
    link.expect_refusal("a header that says 4097 bytes")


@case(4)
def tag_zero(subject: Subject) -> None:
    """Tag 0 does not exist."""
    link = subject.call()
    link.frame(0, b"")
    link.expect_refusal("a frame of tag 0")


@case(4)
def unknown_tags(subject: Subject) -> None:
    """Unknown tags are skipped, wherever they stand."""
    link = subject.open()
    _say_unknown(link)
    link.say(OWN_HELLO)
    link.hello = link.expect(Hello, 10.0)
    _say_unknown(link)
    link.say(Text(1, "one ", more=True))
    _say_unknown(link)
    link.say(Text(2, "message"))
    link.expect_acknowledgement(2)
    link.expect_pong()


@case(4)
def unknown_flags(subject: Subject) -> None:
    """Flags that mean nothing are ignored."""
    link = subject.call()
    link.frame(TAG_TEXT, b"\0\0\0\1hello", flags=0xFF & ~FLAG_MORE)
    link.expect_acknowledgement(1)
    link.frame(TAG_PING, b"whatever", flags=0xFF)
    link.expect(Pong)


@case(4)
def clean_flags(subject: Subject) -> None:
    """Flags that mean nothing are sent as 0."""
    link = subject.call()
    link.say(Text(1, "hello"))
    link.expect_pong()
    link.watch(2.0)
    for frame in (heard.frame for heard in link.heard if heard.frame.tag <= TAG_WELCOME):
        if frame.flags & ~(FLAG_MORE if frame.tag == TAG_TEXT else 0):
            raise Failed(f"expected flags of 0 in a frame of tag {frame.tag}, got {frame.flags:#04x}")


@case(4)
def payload_too_short(subject: Subject) -> None:
    """A payload that lacks a byte is refused."""
    _refused(subject, TOO_SHORT)


@case(4)
def payload_too_long(subject: Subject) -> None:
    """A payload that has a byte too many is refused."""
    _refused(subject, TOO_LONG)


@case(5)
def unknown_keys(subject: Subject) -> None:
    """Unknown keys and codecs in a HELLO are ignored."""
    link = subject.open()
    link.frame(TAG_HELLO, ODD_HELLO)
    link.hello = link.expect(Hello, 10.0)
    link.expect_pong()


@case(5)
def bad_hello(subject: Subject) -> None:
    """A HELLO with an invalid item is refused."""
    for what, payload in BAD_HELLOS.items():
        _refuse(subject, subject.open, f"a HELLO with {what}", TAG_HELLO, payload)


@case(5)
def pong(subject: Subject) -> None:
    """A PING is answered with its own bytes; of many that wait the newest counts."""
    link = subject.call()
    for data in (bytes(8), b"ab\0\xff\n\0cd"):
        link.say(Ping(data))
        if (came := link.expect(Pong).data) != data:
            raise Failed(f"expected a PONG of {data.hex()}, got one of {came.hex()}")
    link.say(*(Ping(bytes([number]) * 8) for number in range(20)))
    while link.expect(Pong).data != bytes([19]) * 8:
        pass


@case(5, DIALLER)
def ringing(subject: Subject) -> None:
    """A listener may ring once a second."""
    link = subject.open()
    for _ in range(3):
        link.say(Ringing())
        link.watch(1.0)
    link.say(OWN_HELLO)
    link.hello = link.expect(Hello)
    link.expect_pong()


@case(9, DIALLER, slow=True)
def rings_for_long(subject: Subject) -> None:
    """A call may ring for over 15 seconds: a dialler does not give up before, and sends no PING or AUDIO."""
    link = subject.open()
    for _ in range(4):
        link.say(Ringing())
        for heard in link.watch(RINGING_INTERVAL):
            if isinstance(heard.message, Audio | Ping | Bye):
                raise Failed(f"expected nothing while it rings, got {name_of(type(heard.message))}")
    link.say(OWN_HELLO)
    link.hello = link.expect(Hello)
    link.expect_pong()


@case(6)
def text_before_hello(subject: Subject) -> None:
    """Nothing but RINGING and BYE comes before HELLO."""
    link = subject.open(Text(1, "too early"))
    link.expect_refusal("TEXT before HELLO")


@case(6)
def second_hello(subject: Subject) -> None:
    """HELLO comes once."""
    link = subject.call()
    link.say(OWN_HELLO)
    link.expect_refusal("a second HELLO")


@case(6)
def waits_for_hello(subject: Subject) -> None:
    """AUDIO, PING and the like wait for the other side's HELLO."""
    link = subject.open()
    for heard in link.watch(1.5):
        if isinstance(heard.message, Audio | Ping | Pong | Report | Arrivals | VoiceState):
            raise Failed(f"expected HELLO, RINGING or TEXT before our HELLO, got {name_of(type(heard.message))}")
    link.say(OWN_HELLO)
    link.hello = link.expect(Hello, 10.0)
    link.expect_pong()


def _say_unknown(link: Link) -> None:
    for tag, payload in UNKNOWN:
        link.frame(tag, payload)


def _refused(subject: Subject, wrong: dict[str, tuple[int, int]]) -> None:
    for what, (tag, size) in wrong.items():
        _refuse(subject, subject.call, f"{what} of {size} bytes", tag, bytes(size))


def _refuse(subject: Subject, begin: Callable[[], Link], what: str, tag: int, payload: bytes) -> None:
    link = begin()
    link.frame(tag, payload)
    link.expect_refusal(what)
    subject.close_all()
