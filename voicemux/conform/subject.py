"""The program under test, and how to get a connection with it: by dialling it, or by waiting for it."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from voicemux.conform.link import Link, encode
from voicemux.conform.record import Talk
from voicemux.conform.verdict import DIALLER, LISTENER, Failed
from voicemux.errors import ConnectionLost, RemoteProtocolError, SecurityError, Unreachable, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.listener import ListeningSockets, accept
from voicemux.net.stream import Stream
from voicemux.net.tls import Context, TlsStream, dialler_context, listener_context
from voicemux.protocol.messages import (
    Bye,
    ByeCode,
    Challenge,
    Claim,
    Hello,
    Message,
    Method,
    Proof,
    Ringing,
    Welcome,
)
from voicemux.protocol.wire import PREFACE
from voicemux.security import handshake
from voicemux.security.identity import Identity, load_identity

OWN_HELLO = Hello(name="conform", agent="voicemux conform", codecs=())
CALL_PATIENCE = 30.0  # seconds for the dialler under test to dial
PATIENCE = 12.0  # seconds for TLS: a listener may make a caller wait that has failed before
ANSWER_PATIENCE = 10.0  # seconds for a listener's HELLO
BUSY_PATIENCE = 5.0  # seconds in which a listener may still be busy with the call before
AGAIN = 0.2  # seconds between two tries
MOST_FIRST = 65_536  # bytes; more than the first message of TLS has
END_PATIENCE = 3.0  # seconds that a program may take to end after it was told to

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Keys:
    """What encrypted calls need: our own key, and the code; "" for calls without one (--open)."""

    identity: Identity
    code: str = ""


class Subject:
    """The program under test, for the cases. `open` makes a connection up to the prefaces and the handshake, `call`
    up to both HELLOs."""

    role: str

    def __init__(self, keys: Keys | None) -> None:
        self.keys = keys
        self.process_id: int | None = None  # of the program, whose memory is watched; None if it is not known
        self.acknowledges = True  # whether connections acknowledge text; a case may change it
        self._links: list[Link] = []

    def connect(self, context: Context | None = None) -> Link:
        """Return a connection on which nothing of voicemux was sent; for encrypted calls, TLS is established."""
        link = self.connect_plain()
        if self.keys:
            self._secure(self.keys, link, context)
        return link

    def connect_plain(self) -> Link:
        """Return a connection on which nothing was sent, never inside TLS."""
        link = Link(self._stream())
        link.acknowledges = self.acknowledges
        self._links.append(link)
        return link

    def open(self, *behind: Message, trickles: bool = False) -> Link:
        """Return a connection on which both prefaces were sent, and in an encrypted call the handshake is done.
        `behind` is sent together with our last message."""
        raise NotImplementedError

    def call(self, hello: Hello = OWN_HELLO, *, trickles: bool = False) -> Link:
        """Return a connection on which both HELLOs were sent."""
        raise NotImplementedError

    @property
    def is_encrypted(self) -> bool:
        """Whether the calls of the program are encrypted."""
        return self.keys is not None

    @property
    def was_busy(self) -> bool:
        """Whether the program has said that it is busy, because the case before has not ended there yet."""
        return self.heard(ByeCode.BUSY)

    def heard(self, code: ByeCode) -> bool:
        """Whether the program has sent a BYE of that code on a connection of this case."""
        return any(bye.code == code for link in self._links for bye in link.all(Bye))

    def said(self) -> tuple[Talk, ...]:
        """Return the records of all connections of this case."""
        return tuple(link.record.talk() for link in self._links)

    def close_all(self) -> None:
        self.acknowledges = True
        while self._links:
            self._links.pop().close()

    @contextlib.contextmanager
    def with_another_key(self) -> Iterator[None]:
        """Use a key that the program does not know, inside this `with`: a code is used between strangers only, and a
        second call of the same key replaces the first. Plain calls have no key."""
        keys = self.keys
        with tempfile.TemporaryDirectory(prefix="voicemux-conform-") as folder:
            if keys:
                self.keys = replace(keys, identity=load_identity(Path(folder) / "key"))
            try:
                yield
            finally:
                self.keys = keys

    def _stream(self) -> Stream:
        raise NotImplementedError

    def _secure(self, keys: Keys, link: Link, context: Context | None) -> None:
        raise NotImplementedError


class ListenerSubject(Subject):
    """A program that listens; the cases dial it."""

    role = LISTENER

    def __init__(self, address: Address, keys: Keys | None, process_id: int | None = None) -> None:
        super().__init__(keys)
        self.address = address
        self.process_id = process_id

    def open(self, *behind: Message, trickles: bool = False) -> Link:
        return self._open(*behind, trickles=trickles)

    def again(self) -> Link:
        """Like `open`, but authenticated by the known keys, for a HELLO that resumes a session."""
        return self._open(method=Method.KNOWN)

    def _open(self, *behind: Message, trickles: bool = False, method: Method | None = None) -> Link:
        link = self.connect()
        link.trickles = trickles
        if not self.keys:
            link.write(PREFACE + encode(*behind))
            link.expect_preface()
            return link
        dialler = self.dialler(link, method)
        link.write(PREFACE + encode(dialler.claim()))
        link.expect_preface()
        link.say(dialler.prove(link.expect(Challenge)))
        welcome = link.expect(Welcome)
        _judged(lambda: dialler.accept(welcome))
        link.say(*behind)
        return link

    def reach(self) -> None:
        """Check that the program answers. Raises Unreachable if none is there, Failed if it is something else."""
        link = self.connect()
        link.write(PREFACE)
        link.expect_preface(ANSWER_PATIENCE)

    def dialler(self, link: Link, method: Method | None = None) -> handshake.Dialler:
        """Return the dialler's part of the handshake: by `method`, or if that is None by the code, or open without
        one."""
        assert self.keys
        usual = Method.CODE if self.keys.code else Method.OPEN
        method = usual if method is None else method
        code = self.keys.code if method is Method.CODE else ""
        return handshake.Dialler(self.keys.identity, link.stream.peer_certificate, method, code)

    def call(self, hello: Hello = OWN_HELLO, *, trickles: bool = False) -> Link:
        deadline = time.monotonic() + BUSY_PATIENCE
        while True:
            link = self.open(hello, trickles=trickles)
            try:
                link.hello = link.expect(Hello, ANSWER_PATIENCE)
            except Failed:
                if not self.was_busy or time.monotonic() > deadline:
                    raise
                self._links.pop().close()
                time.sleep(AGAIN)
            else:
                return link

    def _stream(self) -> Stream:
        return connect(self.address)

    def _secure(self, keys: Keys, link: Link, context: Context | None) -> None:
        link.stream = secured = TlsStream(link.stream, context or dialler_context(), is_server=False)
        secured.begin()
        link.finish_tls(PATIENCE)


class DiallerSubject(Subject):
    """A program that dials; the cases listen. A command makes it dial; without one, it has to dial again and again by
    itself."""

    role = DIALLER

    def __init__(self, listener: ListeningSockets, keys: Keys | None, command: str = "") -> None:
        """`command` is a shell command, with {port} and {code} in it."""
        super().__init__(keys)
        self._listener = listener
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._next: Stream | None = None  # a connection that `wait` has already got

    def open(self, *behind: Message, trickles: bool = False) -> Link:
        link = self.connect()
        link.trickles = trickles
        link.expect_preface()
        self.answer(link, *behind)
        return link

    def answer(self, link: Link, *behind: Message) -> None:
        """Do the rest of `open`, after the program's preface has come."""
        if not self.keys:
            link.write(PREFACE + encode(*behind))
            return
        link.write(PREFACE)
        listener = self.challenge(link)
        link.say(listener.welcome(listener.method), *behind)

    def called_within(self, seconds: float) -> Link | None:
        """Return a connection that the program makes in that time by itself, on which nothing of voicemux was
        sent."""
        stream = self.wait(seconds)
        if stream is None:
            return None
        self._next = stream
        return self.connect()

    def challenge(self, link: Link) -> handshake.Challenger:
        """Do the listener's part of the handshake, up to the program's PROOF, which is judged."""
        assert self.keys
        claim, keys = link.expect(Claim), self.keys
        listener = _judged(lambda: handshake.Challenger(keys.identity.certificate, claim, keys.code or None))
        link.say(listener.challenge)
        proof = link.expect(Proof)
        _judged(lambda: listener.judge(proof))
        return listener

    def call(self, hello: Hello = OWN_HELLO, *, trickles: bool = False) -> Link:
        link = self.open(trickles=trickles)
        link.hello = link.expect(Hello)
        link.say(Ringing(), hello)
        return link

    def wait(self, seconds: float) -> Stream | None:
        """Return the next connection; None if none comes in time."""
        if select.select(self._listener.sockets, [], [], seconds)[0]:
            for each in self._listener.sockets:
                if stream := accept(each):
                    return stream
        return None

    def close_all(self) -> None:
        super().close_all()
        if self._process:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(END_PATIENCE)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
            assert self._process.stdin
            self._process.stdin.close()
            self._process = None
            while stream := self.wait(0):  # calls that came too late to be answered
                stream.close()

    def _stream(self) -> Stream:
        if stream := self._next:
            self._next = None
            return stream
        if self._command and not self._process:
            code = self.keys.code if self.keys else ""
            command = self._command.replace("{port}", str(self._listener.port)).replace("{code}", shlex.quote(code))
            self._process = subprocess.Popen(
                ["sh", "-c", f"exec {command.removeprefix('exec ')}"],
                stdin=subprocess.PIPE,  # kept open while the program runs: the end of its input may tell it to end
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that a pipeline can be ended as a whole
            )
            self.process_id = self._process.pid
        stream = self.wait(CALL_PATIENCE)
        if stream is None:
            raise Unreachable(f"no call has come to port {self._listener.port} within {CALL_PATIENCE:g} s")
        return stream

    def _secure(self, keys: Keys, link: Link, context: Context | None) -> None:
        first = link.take_bytes(1, PATIENCE) + link.take_bytes(MOST_FIRST, 0)
        if not first:
            raise Failed("expected TLS, got nothing")
        link.stream = secured = TlsStream(
            link.stream, context or listener_context(keys.identity.path), is_server=True
        )
        try:
            secured.answer(first)
        except (RemoteProtocolError, SecurityError, ConnectionLost) as error:
            raise Failed(f"expected TLS 1.3, got: {error}") from error
        link.finish_tls(PATIENCE)

    def _signal(self, number: int) -> None:
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _judged(act: Callable[[], Answer]) -> Answer:
    try:
        return act()
    except VoicemuxError as error:
        raise Failed(f"expected to find out who is there, got: {error}") from error
