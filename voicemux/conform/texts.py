"""Cases of text: protocol.md §5.2 and §7."""

import os

from voicemux.conform.subject import OWN_HELLO, Subject
from voicemux.conform.verdict import LISTENER, Failed, Skipped, case
from voicemux.protocol.messages import ByeCode, Hello, Text, TextAck
from voicemux.protocol.wire import SESSION_SIZE, TAG_TEXT, TEXT_WINDOW, text_header_struct

NOT_UTF_8 = {"a byte that never is": b"hi\xff", "a torn code point": b"gr\xc3", "a surrogate": b"\xed\xa0\x80"}
FULL = TEXT_WINDOW - 4096  # bytes in the window, after which another frame may not fit
WRITE = "let it write more than 64 KiB at the beginning of each call"
WRITING = 1.5  # seconds that the program has to write a text of its own


@case(5)
def text_not_utf_8(subject: Subject) -> None:
    """Each TEXT frame is valid UTF-8."""
    for what, text in NOT_UTF_8.items():
        link = subject.call()
        link.frame(TAG_TEXT, text_header_struct.pack(1) + text, flags=1)
        link.expect_refusal(f"TEXT with {what}")
        subject.close_all()


@case(7)
def text_acknowledged(subject: Subject) -> None:
    """TEXT is acknowledged without being asked."""
    link = subject.call()
    for number in (1, 2, 3):
        link.say(Text(number, f"line {number}"))
        link.expect_acknowledgement(number)


@case(7)
def text_in_parts(subject: Subject) -> None:
    """A message may come in many frames."""
    link = subject.call()
    link.say(Text(1, "one ", more=True), Text(2, "long ", more=True), Text(3, "message"))
    link.expect_acknowledgement(3)


@case(7)
def text_repeated(subject: Subject) -> None:
    """A TEXT that the program has already is ignored."""
    link = subject.call()
    link.say(Text(1, "once"))
    link.expect_acknowledgement(1)
    link.say(Text(1, "once"), Text(2, "and on"))
    link.expect_acknowledgement(2)
    link.expect_pong()


@case(7)
def text_gap(subject: Subject) -> None:
    """A TEXT that comes too early is refused."""
    link = subject.call()
    link.say(Text(1, "first"), Text(3, "third"))
    link.expect_refusal("TEXT 3 after TEXT 1")


@case(7)
def text_numbers(subject: Subject) -> None:
    """Its own TEXT is numbered 1, 2, 3."""
    link = subject.call()
    link.watch(WRITING)
    numbers = [text.id for text in link.all(Text)]
    if not numbers:
        raise Skipped("it writes no text", "let it write a line at the beginning of each call")
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            raise Failed(f"expected TEXT {expected}, got TEXT {number}")


@case(7)
def lower_acknowledgement(subject: Subject) -> None:
    """A lower TEXT_ACK than before is ignored."""
    subject.acknowledges = False
    link = subject.call()
    link.watch(1.0)
    highest = max((text.id for text in link.all(Text)), default=0)
    link.say(TextAck(highest), TextAck(max(0, highest - 1)), TextAck(0))
    link.expect_pong()


@case(7)
def acknowledgement_of_nothing(subject: Subject) -> None:
    """A TEXT_ACK of what was never sent is refused."""
    link = subject.call()
    link.say(TextAck(4_000_000_000))
    link.expect_refusal("TEXT_ACK of a TEXT that was never sent")


@case(7)
def text_window(subject: Subject) -> None:
    """Not more than 65,536 bytes of TEXT wait for an acknowledgement."""
    subject.acknowledges = False
    link = subject.call()
    while any(isinstance(heard.message, Text) for heard in link.watch(WRITING)):
        _judge_window(sum(len(heard.frame.payload) for heard in link.heard if isinstance(heard.message, Text)))
        link.expect_pong(5.0)
    texts = [heard for heard in link.heard if isinstance(heard.message, Text)]
    if sum(len(heard.frame.payload) for heard in texts) < FULL:
        raise Skipped("it writes less than the window of text", WRITE)
    link.say(TextAck(link.all(Text)[-1].id))
    if not any(isinstance(heard.message, Text) for heard in link.watch(WRITING)):
        raise Skipped("it writes no more than the window of text", WRITE)


@case(7, LISTENER)
def unknown_session(subject: Subject) -> None:
    """A session that it does not know is answered without one, or with GONE."""
    session = os.urandom(SESSION_SIZE)
    hello = Hello(OWN_HELLO.name, OWN_HELLO.agent, (), session, last_text=7)
    try:
        link = subject.call(hello)
    except Failed:
        if not subject.heard(ByeCode.GONE):
            raise
        return
    assert link.hello
    if link.hello.session:
        raise Failed("expected a HELLO without the unknown session, got one with it")
    link.expect_pong()


def _judge_window(size: int) -> None:
    if size > TEXT_WINDOW:
        raise Failed(f"expected at most {TEXT_WINDOW} bytes of TEXT without an acknowledgement, got {size}")
