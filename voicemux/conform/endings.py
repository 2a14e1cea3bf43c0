"""Cases of liveness and of the end of a call: protocol.md §9 and §10."""

import itertools
import time

from voicemux.conform.link import GOODBYE, encode
from voicemux.conform.subject import Subject
from voicemux.conform.verdict import Failed, case
from voicemux.console.quoting import quoted
from voicemux.protocol.messages import Bye, ByeCode, Ping, Text, TextAck
from voicemux.protocol.wire import PREFACE

PING_INTERVAL = 2.5  # seconds between two PINGs: protocol.md says 2, the rest is for a busy machine
MOST_PINGS = 11  # PINGs a second: protocol.md says 10; one more may be counted at each end of the second
# Seconds of silence after which the program must have ended the call: protocol.md says 15.
SHORTEST, LONGEST = 14.0, 18.0
WATCHED = 5.0  # seconds for which PINGs are counted


@case(9, slow=True)
def pings(subject: Subject) -> None:
    """A PING comes at least every 2 seconds, and at most 10 in one."""
    link = subject.call()
    start = time.monotonic()
    link.watch(WATCHED)
    times = [heard.time for heard in link.heard if isinstance(heard.message, Ping)]
    marks = [start, *times, start + WATCHED]
    if (longest := max(after - before for before, after in itertools.pairwise(marks))) > PING_INTERVAL:
        raise Failed(f"expected a PING every 2 s, got none for {longest:.1f} s")
    if len(times) > MOST_PINGS * WATCHED:
        raise Failed(f"expected at most 10 PINGs a second, got {len(times) / WATCHED:.0f}")


@case(9, slow=True)
def silence(subject: Subject) -> None:
    """After 15 seconds without a byte the program ends the call."""
    subject.acknowledges = False
    link = subject.call()
    start = time.monotonic()
    link.watch(LONGEST)
    lasted = time.monotonic() - start
    if not link.ended and not link.all(Bye):
        raise Failed(f"expected the end of the call after 15 s of silence, got none for {LONGEST:g} s")
    if lasted < SHORTEST:
        raise Failed(f"expected the end of the call after 15 s of silence, got it after {lasted:.1f} s")


@case(6)
def after_goodbye(subject: Subject) -> None:
    """What follows a BYE is ignored."""
    link = subject.call()
    link.write(encode(Bye()) + bytes(4) + b"\xff" * 100 + PREFACE)
    link.finish()
    _judge_answer(link.expect(Bye))
    link.expect_end()


@case(5)
def unknown_goodbye_code(subject: Subject) -> None:
    """An unknown code of a BYE is not an error."""
    link = subject.call()
    link.say(Bye(0x7F1A, "for a reason to come"))
    link.finish()
    _judge_answer(link.expect(Bye))
    link.expect_end()


@case(10)
def goodbye(subject: Subject) -> None:
    """BYE is answered with BYE, and the end of the stream."""
    link = subject.call()
    link.say(Bye())
    link.finish()
    _judge_answer(link.expect(Bye))
    link.expect_end()


@case(10)
def text_before_goodbye(subject: Subject) -> None:
    """Text that came before a BYE counts, and is acknowledged."""
    link = subject.call()
    link.say(Text(1, "one last"), Text(2, "word"), Bye())
    link.finish()
    link.watch(GOODBYE)
    if not any(acknowledgement.id == 2 for acknowledgement in link.all(TextAck)):
        raise Failed("expected a TEXT_ACK of 2 before its end, got none")
    link.expect_end(0.1)


def _judge_answer(bye: Bye) -> None:
    if bye.code != ByeCode.NORMAL:
        reason = f" ({quoted(bye.reason)})" if bye.reason else ""
        raise Failed(f"expected a BYE of code 0 as the answer to ours, got one of code {bye.code}{reason}")
