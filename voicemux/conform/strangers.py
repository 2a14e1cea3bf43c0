"""Cases of security: protocol.md §12."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

from voicemux.conform.link import Link
from voicemux.conform.subject import DiallerSubject, ListenerSubject, Subject
from voicemux.conform.verdict import DIALLER, LISTENER, Failed, Skipped, case
from voicemux.net.tls import dialler_context, listener_context, until_tls_1_2
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, ByeCode, Challenge, Hello, Proof
from voicemux.protocol.wire import GREASE_TAG, NONCE_SIZE, PREFACE, PREFACE_STEM, TAG_PING, TAG_REPORT
from voicemux.security.handshake import Dialler

FLOOD = 8_000_000  # bytes of a flood
WARM_UP = 2_000_000  # bytes of a first flood, after which the program's runtime has allocated what it usually needs
MEMORY = 64_000_000  # bytes that the program's memory may grow by (protocol.md §12)
SECOND_TRY = 2.0  # seconds in which a dialler would make a plain call instead


@case(12, encrypted=True)
def old_tls(subject: Subject) -> None:
    """TLS 1.2 is not taken."""
    assert subject.keys
    context = dialler_context() if subject.role == LISTENER else listener_context(subject.keys.identity.path)
    try:
        subject.connect(until_tls_1_2(context))
    except Failed as error:
        if error.hangs:
            raise
    else:
        raise Failed("expected that TLS 1.2 is refused, got a connection")


@case(12, LISTENER, encrypted=True)
def wrong_nonce(subject: ListenerSubject) -> None:
    """A PROOF with another nonce than the one committed to is refused."""
    link, dialler, challenge = _challenged(subject, bytes(NONCE_SIZE))  # everything except the commitment is right
    link.say(dialler.prove(challenge))
    link.expect_refusal("PROOF with another nonce")


@case(12, LISTENER, encrypted=True)
def wrong_signature(subject: ListenerSubject) -> None:
    """A PROOF with a signature of something else is refused."""
    assert subject.keys
    link, proof = _proof(subject)
    link.say(replace(proof, signature=subject.keys.identity.sign(b"something else")))
    link.expect_refusal("PROOF with a signature of something else")


@case(12, encrypted=True)
def wrong_confirmation(subject: Subject) -> None:
    """A caller that does not know the code is refused."""
    if isinstance(subject, ListenerSubject):
        link, proof = _proof(subject)
        if not proof.confirmation:
            raise Skipped("the call is made without a code", "let it listen with a code, and give --code")
        link.say(replace(proof, confirmation=bytes(len(proof.confirmation))))
        link.expect_goodbye(ByeCode.WRONG_CODE)
    elif isinstance(subject, DiallerSubject):
        with subject.with_another_key():
            link = _greeted(subject)
            listener = subject.challenge(link)
        welcome = listener.welcome(listener.method)
        if not welcome.confirmation:
            raise Skipped("it calls without a code", "let it call with {code}")
        link.say(replace(welcome, confirmation=bytes(len(welcome.confirmation))))
        link.expect_end(3.0, reset_is_fine=True)
        if link.all(Hello):
            raise Failed("expected no HELLO to a caller that does not know the code, got one")
        if wrong := [bye for bye in link.all(Bye) if bye.code != ByeCode.WRONG_CODE]:
            raise Failed(f"expected a BYE of code 11, or none, got one of code {wrong[0].code}")


@case(6, DIALLER, encrypted=True)
def hello_after_welcome(subject: DiallerSubject) -> None:
    """A dialler says HELLO after it has accepted the WELCOME."""
    link = _greeted(subject)
    listener = subject.challenge(link)
    if any(heard.message for heard in link.watch(1.0)) or link.all(Hello):
        raise Failed("expected nothing before WELCOME, got something")
    link.say(listener.welcome(listener.method))
    link.hello = link.expect(Hello)


@case(12, DIALLER, encrypted=True)
def no_fallback(subject: DiallerSubject) -> None:
    """A dialler does not fall back to a plain call."""
    link = subject.connect_plain()
    _judge_first(link)
    with suppress(Failed):  # the dialler may close at the first byte that is not TLS
        link.write(PREFACE)
        link.say(Bye(ByeCode.SECURITY, "plain calls only"))
        link.finish()
    deadline = monotonic() + SECOND_TRY
    while (left := deadline - monotonic()) > 0:
        if line := subject.wait(left):
            again = Link(line)
            try:
                _judge_first(again)
            finally:
                line.close()


@case(12, LISTENER, encrypted=True)
def plain_refused(subject: ListenerSubject) -> None:
    """A plain preface is answered with a preface and a BYE of code 9."""
    link = subject.connect_plain()
    link.write(PREFACE)
    link.expect_preface()
    link.expect_goodbye(ByeCode.SECURITY)


@case(5, LISTENER)
def busy(subject: Subject) -> None:
    """A program in a call tells the next caller that it is busy."""
    subject.call()
    with subject.with_another_key():
        second = subject.open(Hello("conform", "voicemux conform", ()))
    try:
        second.hello = second.expect(Hello, 5.0)
    except Failed:
        if not [bye for bye in second.all(Bye) if bye.code == ByeCode.BUSY]:
            raise
    else:
        raise Skipped("it takes more calls than one, so there is nothing to check")


@case(12, slow=True)
def flood(subject: Subject) -> None:
    """The program's memory stays bounded in a flood."""
    link = subject.call()
    before = _memory(subject.process_id)
    if _pour(link, WARM_UP):  # a runtime allocates memory for what it does for the first time, and keeps it
        before = _memory(subject.process_id)
        _pour(link, FLOOD)
    elif subject.role == LISTENER:
        subject.close_all()
        link = subject.call()
        before = _memory(subject.process_id)
        _pour(link, FLOOD)
    grown = _memory(subject.process_id) - before
    if grown > MEMORY:
        raise Failed(
            f"expected a memory that grows by at most {MEMORY / 1e6:.0f} MB behind a first flood, "
            f"got {grown / 1e6:.0f} MB (a runtime that takes what there is needs a limit, as with java -Xmx64m)"
        )


def _pour(link: Link, size: int) -> bool:
    """Send that many bytes. Returns whether the call goes on; the program may also have ended it because of the
    flood."""
    chunk = b"".join(
        encode_frame(Frame(tag, 0, payload)) * 400
        for tag, payload in ((TAG_PING, bytes(8)), (TAG_REPORT, bytes(12)), (GREASE_TAG, bytes(100)))
    )
    try:
        for _ in range(size // len(chunk)):
            link.write(chunk)
            link.watch(0.001)
        link.expect_pong(10.0)
    except Failed:
        if not [bye for bye in link.all(Bye) if bye.code == ByeCode.FLOOD]:
            raise
        return False
    return True


def _greeted(subject: Subject) -> Link:
    link = subject.connect()
    link.expect_preface()
    link.write(PREFACE)
    return link


def _challenged(subject: ListenerSubject, commitment: bytes = b"") -> tuple[Link, Dialler, Challenge]:
    """Send a CLAIM with that commitment instead of the right one. Returns the connection, our part and the
    CHALLENGE."""
    link = subject.connect()
    link.write(PREFACE)
    link.expect_preface()
    dialler = subject.dialler(link)
    claim = dialler.claim()
    link.say(replace(claim, commitment=commitment or claim.commitment))
    return link, dialler, link.expect(Challenge)


def _proof(subject: ListenerSubject) -> tuple[Link, Proof]:
    """Do all of the handshake before the PROOF. Returns the connection and the PROOF."""
    link, dialler, challenge = _challenged(subject)
    return link, dialler.prove(challenge)


def _judge_first(link: Link) -> None:
    if link.take_bytes(1, 5.0) == PREFACE_STEM[:1]:
        raise Failed("expected TLS or nothing, got a plain call")


def _memory(process: int | None) -> int:
    """Return the bytes of memory that the program uses; 0 if the system does not tell."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
