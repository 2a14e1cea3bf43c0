"""A peer that resumes, right in everything, and made to be wrong in one thing: protocol.md §17."""

import contextlib
import itertools
import os
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from tests.conform.faults import DIALLER, LISTENER, caught_by
from tests.conform.peers import Over, Peer
from voicemux.errors import NotAdmitted, RemoteProtocolError
from voicemux.net.connecting import connect
from voicemux.protocol.delivery import Inbox, Outbox
from voicemux.protocol.messages import (
    Audio,
    Bye,
    ByeCode,
    Codec,
    Hello,
    Message,
    Method,
    Preface,
    Proof,
    Text,
    TextAck,
    Welcome,
)
from voicemux.security import handshake

LOSSES = {ByeCode.TIMEOUT, ByeCode.REPLACED}  # a BYE of these ends no session by itself
SUSPICION = 4.0  # seconds without a byte
NUMBERS = itertools.count(1)  # of connections, in the order in which they were made


@dataclass
class Kept:
    """A session: what goes on over the next connection."""

    session: bytes
    carrier: "Resumer"
    grace: int
    whom: Any  # the key of the peer that has it; None in a plain call
    inbox: Inbox
    outbox: Outbox
    lock: threading.RLock = field(default_factory=threading.RLock)


class Resumer(Peer):
    """A listener finds the sessions of all by their 16 bytes, a dialler its own by the port that it dials."""

    hello = Hello("peer", "peer/1", (Codec.PCM,), grace=30)
    sessions: ClassVar[dict[Any, Kept]] = {}

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.number = next(NUMBERS)
        self.kept: Kept | None = None
        self.older: Resumer | None = None
        self.is_replaced = self.is_lost = False
        if self.is_dialler:
            self.kept = self.sessions.get(self.place)
            self.hello = replace(self.hello, session=self.kept.session if self.kept else os.urandom(16))

    @property
    def place(self) -> Any:
        return type(self), self.stream.peer_address.port if self.is_dialler else self.session

    @property
    def session(self) -> bytes:
        return self.kept.session if self.kept else b""

    @property
    def whom(self) -> Any:
        if not self.code:
            return None
        return self.stream.peer_certificate if self.is_dialler else self.theirs.fingerprint

    # The beginning.

    def open(self) -> None:
        if not self.kept:
            super().open()
        elif not self.code:
            self.say()  # the HELLO waits for the preface
        elif self.knows():
            self.mine = handshake.Dialler(self.identity, self.stream.peer_certificate, Method.KNOWN, "")
            self.say(self.mine.claim())
        else:
            self.forget()
            raise Over

    def knows(self) -> bool:
        """Whether the session is one with this peer."""
        return self.kept is not None and self.kept.whom == self.whom

    def take(self, message: Preface | Message) -> None:
        super().take(message)
        if isinstance(message, Preface) and self.is_dialler and self.kept and not self.code:
            self.ask()

    def ask(self) -> None:
        assert self.kept
        with self.kept.lock:
            self.kept.carrier.is_replaced = True
            self.acknowledged = self.kept.inbox.acknowledgement
        self.say(replace(self.hello, last_text=self.acknowledged, grace=0))

    def admit(self, proof: Proof) -> None:
        try:
            super().admit(proof)
        except NotAdmitted:
            if self.theirs.method is not Method.KNOWN or not self.has_session():
                raise
            self.say(self.theirs.welcome(Method.KNOWN))

    def has_session(self) -> bool:
        return any(kept.whom == self.theirs.fingerprint for kept in list(self.sessions.values()))

    def believe(self, welcome: Welcome) -> None:
        if self.kept:
            self.mine.accept(welcome)
            self.ask()
        else:
            super().believe(welcome)

    def greet(self, hello: Hello) -> None:
        if self.is_dialler and self.kept:
            if hello.session != self.session or hello.last_text is None:
                self.part(Bye())
            self.go_on(self.kept, hello)
        elif not self.is_dialler and hello.session and hello.last_text is not None:
            self.resume(hello)
        else:
            if not self.is_dialler:
                self.hello = replace(self.hello, session=hello.session if self.agrees(hello) else b"")
            super().greet(hello)
            if self.agrees(hello) and hello.session == self.hello.session:
                grace = min(hello.grace, self.hello.grace)
                self.kept = Kept(hello.session, self, grace, self.whom, self.inbox, self.outbox)
                self.sessions[self.place] = self.kept

    def agrees(self, hello: Hello) -> bool:
        return bool(hello.session and hello.grace)

    def resume(self, hello: Hello) -> None:
        """A listener is asked to go on."""
        self.kept = self.sessions.get((type(self), hello.session))
        if self.kept and (self.is_over(self.kept) or not self.knows()):
            self.kept = None
        if not self.kept:
            self.part(Bye(ByeCode.GONE))
        kept = self.kept
        assert kept
        if self.number < kept.carrier.number:
            self.part(Bye(ByeCode.REPLACED))
        self.go_on(kept, hello)

    def is_over(self, kept: Kept) -> bool:
        return time.monotonic() - kept.carrier.heard > kept.grace

    def go_on(self, kept: Kept, hello: Hello) -> None:
        """Raises RemoteProtocolError if its last_text cannot be."""
        with kept.lock:
            assert hello.last_text is not None
            self.restore(kept.outbox, hello.last_text)
            if kept.carrier is not self:
                kept.carrier.is_replaced = True
            kept.carrier = self
            self.inbox, self.outbox = kept.inbox, kept.outbox
        self.other = hello
        self.captured = time.monotonic()
        if not self.is_dialler:
            self.acknowledged = self.inbox.acknowledgement
            self.say(replace(self.hello, session=kept.session, last_text=self.acknowledged, grace=0))
        self.tell()

    def restore(self, outbox: Outbox, last_text: int) -> None:
        outbox.resume(last_text)

    # Hearing and speaking.

    @property
    def carries(self) -> bool:
        """Whether what comes here counts."""
        return not self.is_replaced

    def take_text(self, text: Text) -> None:
        with self.kept.lock if self.kept else contextlib.nullcontext():
            if self.carries:
                super().take_text(text)

    def take_acknowledgement(self, acknowledgement: TextAck) -> None:
        with self.kept.lock if self.kept else contextlib.nullcontext():
            if self.carries:
                super().take_acknowledgement(acknowledgement)

    def speak(self, now: float) -> None:
        if self.is_replaced:
            self.leave()
        with self.kept.lock if self.kept else contextlib.nullcontext():
            super().speak(now)

    def leave(self) -> None:
        """There is another connection."""
        self.part(Bye(ByeCode.REPLACED))

    def listen(self) -> None:
        super().listen()
        silence = time.monotonic() - self.heard
        if self.is_dialler and self.kept and self.other and silence > SUSPICION and not self.is_replaced:
            beside = type(self)(connect(self.stream.peer_address), self.identity, self.code, is_dialler=True)
            beside.older = self
            beside.run()
            raise Over

    # The end.

    def take_goodbye(self, bye: Bye) -> None:
        self.is_lost = bye.code == ByeCode.TIMEOUT or (bye.code == ByeCode.REPLACED and not self.is_dialler)
        super().take_goodbye(bye)

    def part(self, bye: Bye) -> None:
        is_its_own = self.is_dialler or (self.kept and self.kept.carrier is self)
        if is_its_own and not self.is_lost and not self.is_replaced and bye.code not in LOSSES:
            self.forget()
        super().part(bye)

    def forget(self) -> None:
        self.sessions.pop(self.place, None)


@caught_by("resume-begins", LISTENER)
class AgreesToEverySession(Resumer):
    def agrees(self, hello: Hello) -> bool:
        return bool(hello.session)


@caught_by("resume-begins", DIALLER)
class SaysLastTextAtFirst(Resumer):
    def encode(self, message: Message) -> bytes:
        if isinstance(message, Hello) and message.last_text is None:
            message = replace(message, last_text=0)
        return super().encode(message)


@caught_by("resume", LISTENER)
class SendsNothingAgain(Resumer):
    def restore(self, outbox: Outbox, last_text: int) -> None:
        outbox.resume(last_text)
        while text := outbox.next():
            outbox.acknowledge(text.id)


@caught_by("resume", DIALLER)
class SendsAllAgain(Resumer):
    def restore(self, outbox: Outbox, last_text: int) -> None:
        if last_text < 1000:
            with contextlib.suppress(RemoteProtocolError):  # some of it was acknowledged before
                return outbox.resume(0)
        return outbox.resume(last_text)


@caught_by("resume", DIALLER)
class AsksBeforeThePreface(Resumer):
    def open(self) -> None:
        if self.kept and not self.code:
            self.ask()
        else:
            super().open()

    def take(self, message: Preface | Message) -> None:
        if isinstance(message, Preface):
            self.say()
        else:
            super().take(message)


@caught_by("resume", DIALLER, is_secure=True)
class SpeaksBeforeTheAnswer(Resumer):
    def ask(self) -> None:
        super().ask()
        self.say(TextAck(self.acknowledged))


@caught_by("resume-late", LISTENER)
class KeepsForHalfTheTime(Resumer):
    def is_over(self, kept: Kept) -> bool:
        return time.monotonic() - kept.carrier.heard > kept.grace / 2


@caught_by("resume-gone", LISTENER)
class TakesTheUnknownForNew(Resumer):
    def resume(self, hello: Hello) -> None:
        if (type(self), hello.session) in self.sessions:
            super().resume(hello)
        else:
            self.hello = Peer.hello
            Peer.greet(self, hello)


@caught_by("resume-gone", DIALLER)
class DoesNotBelieveThatItIsGone(Resumer):
    def take_goodbye(self, bye: Bye) -> None:
        if bye.code == ByeCode.GONE:
            self.is_lost = True
            Peer.take_goodbye(self, bye)
        super().take_goodbye(bye)


@caught_by("resume-wrong-key", LISTENER, DIALLER, is_secure=True)
class LooksAtNoKey(Resumer):
    def knows(self) -> bool:
        return True


@caught_by("resume-replaced", LISTENER)
class LeavesTheOldConnectionWithoutAWord(Resumer):
    def leave(self) -> None:
        raise Over


@caught_by("resume-replaced", DIALLER)
class ComesBackWhenReplaced(Resumer):
    def take_goodbye(self, bye: Bye) -> None:
        if bye.code == ByeCode.REPLACED:
            self.is_lost = True
            Peer.take_goodbye(self, bye)
        super().take_goodbye(bye)


@caught_by("resume-last-text", LISTENER, DIALLER)
class TakesEveryLastText(Resumer):
    def restore(self, outbox: Outbox, last_text: int) -> None:
        with contextlib.suppress(RemoteProtocolError):
            outbox.resume(last_text)


@caught_by("resume-last-text", LISTENER)
class EndsTheSessionForAWrongLastText(Resumer):
    def restore(self, outbox: Outbox, last_text: int) -> None:
        try:
            super().restore(outbox, last_text)
        except RemoteProtocolError:
            self.forget()
            raise


@caught_by("resume-old-connection", LISTENER, DIALLER)
class TakesTextFromOldConnections(Resumer):
    @property
    def carries(self) -> bool:
        return True

    def leave(self) -> None:
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            for message in self.messages():
                self.take(message)
            self.listen()
        super().leave()

    def ask(self) -> None:
        super().ask()
        deadline = time.monotonic() + 0.5
        while self.older and time.monotonic() < deadline:
            Peer.listen(self.older)
            for message in self.older.messages():
                if isinstance(message, Text):
                    self.older.take_text(message)


@caught_by("resume-overtaken", LISTENER)
class TakesWhatComesLate(Resumer):
    def resume(self, hello: Hello) -> None:
        self.number = next(NUMBERS)
        super().resume(hello)


@caught_by("resume-audio", LISTENER, DIALLER)
class GoesOnWithTheOldAudio(Resumer):
    heard_before: ClassVar[dict[Any, Audio]] = {}

    def take_audio(self, audio: Audio) -> None:
        before = self.heard_before.get(self.session)
        if self.session and before and audio.timestamp < before.timestamp:
            audio = before
        self.heard_before[self.session] = audio
        super().take_audio(audio)
