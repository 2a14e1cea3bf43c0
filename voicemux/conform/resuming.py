"""Cases of resume: protocol.md §17. A program that offers no session, or none with a grace, skips all but one."""

import contextlib
import os
import time

from voicemux.conform.link import Link
from voicemux.conform.sounds import PLAY, TONE, play
from voicemux.conform.subject import ANSWER_PATIENCE, OWN_HELLO, DiallerSubject, ListenerSubject, Subject
from voicemux.conform.verdict import LISTENER, Failed, Skipped, case
from voicemux.protocol.messages import Bye, ByeCode, Codec, Hello, Report, Ringing, Text
from voicemux.protocol.wire import SESSION_SIZE

GRACE = 20  # seconds: enough for a slow machine, and a listener is not busy for long behind a case that has failed
SHORT_GRACE, LATE = 5, 3.5  # seconds, of a session that is resumed not long before its time is over
REDIAL_PATIENCE = 20.0  # seconds for a dialler to come back
SUSPICION = 25.0  # seconds for it to notice that nothing comes: 15 and its redial
WRITING = 0.7  # seconds that are given to it to write something of its own
EARLY = 0.5  # seconds in which it would say what it must not say yet
NO_MORE = 4.0  # seconds in which a dialler would resume what it must not
NO_PREFACE = 2.0  # seconds in which it would send its preface
NEVER_SENT = 4_000_000_000  # an id of TEXT
OLD_SEQUENCE, OLD_TIMESTAMP, PACKETS = 30_000, 1_000_000_000, 40  # of audio on two connections


@case(17)
def resume_begins(subject: Subject) -> None:
    """A session begins where both sides say how long they keep it."""
    link, _ = _begin(subject)
    assert link.hello
    if link.hello.last_text is not None:
        raise Failed(f"expected a HELLO without last_text, since the session begins, got {link.hello.last_text}")
    subject.close_all()
    if isinstance(subject, ListenerSubject):
        for grace in ("no grace", "a grace of 0"):
            link = subject.call(_first(os.urandom(SESSION_SIZE), 0))
            if link.hello and link.hello.session:
                raise Failed(f"expected a HELLO without session, since ours had {grace}, got one with it")
            link.expect_pong()
            subject.close_all()
    else:
        link = subject.call()  # its session is not answered
        link.expect_pong()


@case(17)
def resume(subject: Subject) -> None:
    """A call goes on over a new connection: no text is lost or doubled."""
    subject.acknowledges = False
    link, session = _begin(subject)
    link.say(Text(1, "one"), Text(2, "two"))
    link.expect_acknowledgement(2)
    link.watch(WRITING)
    newest = _newest(link)
    link.say(Text(3, "three"))
    link.lose()
    again = _resumed(subject, session, max(0, newest - 1), EARLY)  # as if its newest TEXT had not come
    assert again.hello
    taken = again.hello.last_text or 0
    if taken not in (2, 3):
        raise Failed(f"expected a HELLO with last_text 2 or 3, got {taken}")
    again.say(*(Text(number, f"line {number}") for number in range(taken + 1, 5)))
    again.expect_acknowledgement(4)
    again.watch(WRITING)
    numbers = [text.id for text in again.all(Text)]
    if newest and numbers[:1] != [newest]:
        raise Failed(f"expected TEXT {newest} again, got {f'TEXT {numbers[0]}' if numbers else 'no TEXT'}")
    if numbers != list(range(newest, newest + len(numbers))) and newest:
        raise Failed(f"expected TEXT {newest} and on without a gap, got {numbers[:10]}")
    again.expect_pong()


@case(17, LISTENER)
def resume_late(subject: ListenerSubject) -> None:
    """A session is kept for as long as both have said."""
    link, session = _begin(subject, SHORT_GRACE)
    link.lose()
    time.sleep(LATE)
    _resumed(subject, session, _newest(link)).expect_pong()


@case(17)
def resume_gone(subject: Subject) -> None:
    """What has ended cannot be resumed, and is not."""
    link, session = _begin(subject)
    if isinstance(subject, ListenerSubject):
        unknown = _expect_gone(_asks(subject, os.urandom(SESSION_SIZE), 0))
        link.expect_pong()
        link.say(Bye())
        link.finish()
        link.expect(Bye)
        link.expect_end()
        again = subject.open()  # by the code: it need not know our key any more
        again.say(_again(session, _newest(link)))
        if (ended := _expect_gone(again)) != unknown:
            raise Failed(f"expected the same answer as to an unknown session, {unknown}, got {ended}")
    elif isinstance(subject, DiallerSubject):
        link.lose()
        again = _asked(subject, session)
        again.say(Bye(ByeCode.GONE))
        again.finish()
        again.expect_end(reset_is_fine=True)
        _judge_that_it_stays_away(subject, session)


@case(17, encrypted=True)
def resume_wrong_key(subject: Subject) -> None:
    """A session goes on between the same two keys only."""
    link, session = _begin(subject)
    if isinstance(subject, ListenerSubject):
        answers = []
        for each in (session, os.urandom(SESSION_SIZE)):
            with subject.with_another_key():
                thief = subject.open()
            thief.say(_again(each, 0))
            answers.append(_expect_gone(thief))
        if answers[0] != answers[1]:
            raise Failed(f"expected the same answer as to an unknown session, {answers[1]}, got {answers[0]}")
        link.expect_pong()
    elif isinstance(subject, DiallerSubject):
        link.lose()
        came = b""
        with subject.with_another_key(), contextlib.suppress(Failed):  # it may leave in the middle of TLS
            if again := subject.called_within(REDIAL_PATIENCE):
                came = again.take_bytes(1, NO_PREFACE)
        if came:
            raise Failed("expected nothing inside TLS with another key, got something")


@case(17)
def resume_replaced(subject: Subject) -> None:
    """The older connection of a session is told so; who is told does not come back."""
    link, session = _begin(subject)
    if isinstance(subject, ListenerSubject):
        again = _resumed(subject, session, _newest(link))
        link.expect_goodbye(ByeCode.REPLACED)
        again.expect_pong()
    elif isinstance(subject, DiallerSubject):
        link.say(Bye(ByeCode.REPLACED))
        link.finish()
        link.expect_end()
        _judge_that_it_stays_away(subject, session)


@case(17)
def resume_last_text(subject: Subject) -> None:
    """A last_text that cannot be is refused, and ends no more than its connection."""
    link, session = _begin(subject)
    if isinstance(subject, DiallerSubject):
        link.lose()
        again = _asked(subject, session)
        again.say(_again(session, NEVER_SENT))
        again.expect_refusal("HELLO with a last_text that was never sent")
        return
    assert isinstance(subject, ListenerSubject)
    link.watch(WRITING)
    newest = _newest(link)
    link.expect_pong()  # so it has our TEXT_ACKs
    wrong = {"that was never sent": NEVER_SENT, **({"below our TEXT_ACK": newest - 1} if newest else {})}
    for what, number in wrong.items():
        _asks(subject, session, number).expect_refusal(f"HELLO with a last_text {what}")
    link.expect_pong()
    _resumed(subject, session, _newest(link)).expect_pong()


@case(17, slow=True)
def resume_old_connection(subject: Subject) -> None:
    """What still comes on the older connection is dropped."""
    link, session = _begin(subject)
    if isinstance(subject, ListenerSubject):
        again = _resumed(subject, session, _newest(link))
        _say_too_late(link)
    else:
        assert isinstance(subject, DiallerSubject)
        again = _asked(subject, session, SUSPICION)  # nothing comes from us meanwhile
        _say_too_late(link)
        again.say(_again(session, _newest(link)))
    again.watch(EARLY)
    again.say(Text(1, "in time"))
    again.expect_acknowledgement(1)
    again.expect_pong()


@case(17, LISTENER)
def resume_overtaken(subject: ListenerSubject) -> None:
    """A HELLO that comes after the session has gone on over a newer connection does not take it back."""
    link, session = _begin(subject)
    slow = subject.again()
    again = _resumed(subject, session, _newest(link))
    slow.say(_again(session, _newest(link)))
    slow.expect_goodbye(ByeCode.REPLACED)
    again.expect_pong()


@case(17)
def resume_audio(subject: Subject) -> None:
    """The first audio of a new connection is played, whatever its numbers are."""
    link, session = _begin(subject)
    assert link.hello
    if Codec.PCM not in link.hello.playable:
        raise Skipped("it plays no PCM", PLAY)
    play(link, [TONE] * PACKETS, OLD_SEQUENCE, OLD_TIMESTAMP)
    link.lose()
    again = _resumed(subject, session, _newest(link))
    play(again, [TONE] * PACKETS)
    again.watch(WRITING)
    if not (reports := again.all(Report)):
        raise Skipped("it sends no REPORT", "let it say what it hears, every 100 ms to 1 s")
    if reports[-1].sequence >= PACKETS:
        raise Failed(f"expected a REPORT of a sequence below {PACKETS}, as on this connection, got {reports[-1]}")


# --- how a session begins, and goes on


def _first(session: bytes, grace: int) -> Hello:
    return Hello(OWN_HELLO.name, OWN_HELLO.agent, OWN_HELLO.codecs, session, None, grace)


def _again(session: bytes, last_text: int) -> Hello:
    return Hello(OWN_HELLO.name, OWN_HELLO.agent, OWN_HELLO.codecs, session, last_text)


def _begin(subject: Subject, grace: int = GRACE) -> tuple[Link, bytes]:
    """A call whose session can be resumed. Raises Skipped if the program does not offer that."""
    if isinstance(subject, DiallerSubject):
        link = subject.open()
        link.hello = hello = link.expect(Hello)
        session = hello.session
        link.say(_first(session, grace))
    else:
        session = os.urandom(SESSION_SIZE)
        link = subject.call(_first(session, grace))
        assert link.hello
        hello = link.hello
    if not (hello.session and hello.grace):
        raise Skipped("it does not resume", "let it put session and a grace of 5 or more into its HELLO")
    if hello.session != session:
        raise Failed("expected a HELLO with our session, got another")
    link.expect_pong()  # so it has our HELLO
    return link, session


def _asks(subject: ListenerSubject, session: bytes, last_text: int) -> Link:
    """We ask a listener to resume, on a new connection."""
    link = subject.again()
    link.say(_again(session, last_text))
    return link


def _asked(subject: DiallerSubject, session: bytes, within: float = REDIAL_PATIENCE, hesitation: float = 0.0) -> Link:
    """A dialler asks us, on a new connection, and is not answered yet. In a plain call, our preface comes late."""
    link = subject.called_within(within)
    if link is None:
        raise Failed(f"expected it to dial again, got nothing for {within:g} s")
    link.expect_preface()
    if hesitation and not subject.keys and link.watch(hesitation):
        raise Failed("expected nothing before our preface, got something")
    subject.answer(link)
    link.hello = link.expect(Hello)
    _judge(link.hello, session)
    return link


def _resumed(subject: Subject, session: bytes, last_text: int, hesitation: float = 0.0) -> Link:
    """Both HELLOs have been said on a new connection. To a dialler, ours come late by that many seconds."""
    if isinstance(subject, DiallerSubject):
        link = _asked(subject, session, hesitation=hesitation)
        link.watch(hesitation)
        if hesitation and [heard.message for heard in link.heard if heard.message][-1] is not link.hello:
            raise Failed("expected nothing between its HELLO and ours, got something")
        link.say(_again(session, last_text))
        return link
    assert isinstance(subject, ListenerSubject)
    link = _asks(subject, session, last_text)
    link.hello = link.expect(Hello, ANSWER_PATIENCE)
    _judge(link.hello, session)
    if link.all(Ringing):
        raise Failed("expected a HELLO at once, got RINGING before it")
    return link


def _judge(hello: Hello, session: bytes) -> None:
    if hello.session != session or hello.last_text is None:
        raise Failed("expected a HELLO with the same session and a last_text, got another")


def _newest(link: Link) -> int:
    """The highest id of its TEXT so far."""
    return max((text.id for text in link.all(Text)), default=0)


def _say_too_late(link: Link) -> None:
    """On a connection that carries the session no longer; the program may have closed it."""
    with contextlib.suppress(Failed):
        link.say(Text(1, "too late"), Text(2, "too late"))


def _expect_gone(link: Link) -> Bye:
    bye = link.expect_goodbye(ByeCode.GONE)
    if [*link.all(Hello), *link.all(Ringing)]:
        raise Failed("expected a BYE of code 12 and nothing else, got more")
    return bye


def _judge_that_it_stays_away(subject: DiallerSubject, session: bytes) -> None:
    """It may make a new call."""
    deadline = time.monotonic() + NO_MORE
    while (left := deadline - time.monotonic()) > 0:
        if link := subject.called_within(left):
            hello = Hello()
            with contextlib.suppress(Failed):
                link.expect_preface()
                subject.answer(link)
                hello = link.expect(Hello)
                link.say(Bye())
            if hello.session == session:
                raise Failed("expected that it does not resume the session again, got a HELLO that does")
