"""A small dialler and a small listener, right in everything, and made to be wrong in one thing.

They share layouts, the numbering of text and cryptography with voicemux, but neither its call nor its session. Every
rule is a number or a method of its own: a fault is a subclass that overrides one.
"""

import array
import contextlib
import math
import select
import threading
import time
from collections.abc import Iterator

from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError, Unreachable, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.listener import ListeningSockets, accept
from voicemux.net.stream import Stream
from voicemux.net.tcp import TcpStream
from voicemux.net.tls import HANDSHAKE, Context, TlsStream, dialler_context, listener_context
from voicemux.protocol.connection import TRANSITIONS, State
from voicemux.protocol.delivery import Inbox, Outbox
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Challenge,
    Claim,
    Codec,
    Hello,
    Message,
    Method,
    Ping,
    Pong,
    Preface,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    VoiceState,
    Welcome,
    name_of,
)
from voicemux.protocol.wire import GREASE_TAG, MAX_PAYLOAD, PREFACE, PREFACE_STEM, TICKS_PER_SECOND, header_struct
from voicemux.security import handshake
from voicemux.security.identity import Identity

PACKET = 960  # ticks of sound in an AUDIO frame: 20 ms
TONE = array.array("h", (round(8000 * math.sin(math.tau * i / 96)) for i in range(PACKET))).tobytes()  # 500 Hz
STALE = 0.1  # seconds after which sound is dropped rather than sent
SPEECH = "What two terminals have to say to each other. " * 1600  # more than a window of text
LOOK_AGAIN = 0.05  # seconds
GREASE = encode_frame(Frame(GREASE_TAG, 0, b"grease"))
FROM_DIALLERS, FROM_LISTENERS = {Claim, Proof}, {Challenge, Welcome, Ringing}


class Over(Exception):
    """The call has ended, or never was one."""


class Peer:
    """One side of one call. `run()` is all of it, from the first byte to the last."""

    challenger = handshake.Challenger
    hello = Hello("peer", "peer/1", (Codec.PCM,))
    longest_payload = MAX_PAYLOAD
    lowest_tag = 1
    preface_timeout = 5.0  # seconds
    hello_timeout = 10.0  # seconds, for a dialler's
    answer_timeout = 60.0  # seconds, for a listener's HELLO
    silence_timeout = 15.0  # seconds
    goodbye_timeout = 2.0  # seconds
    ping_interval = 1.0  # seconds
    report_interval = 0.5  # seconds
    rate = 400_000  # bytes a second that it takes
    burst = 500_000  # bytes that it takes at once
    tick = 0.01  # seconds that it waits for the network at a time

    def __init__(self, stream: Stream, identity: Identity, code: str, *, is_dialler: bool) -> None:
        """Without a `code` the call is plain."""
        self.stream = stream
        self.identity = identity
        self.code = code
        self.is_dialler = is_dialler
        self.is_wanted = True  # unless it is a plain call where an encrypted one is wanted
        self.state = State.STRANGER if code else State.START  # of the other side
        self.unsaid = PREFACE
        self.buffer = bytearray()
        self.received = 0  # bytes
        self.is_greeted = False
        self.other: Hello | None = None
        self.inbox, self.outbox = Inbox(), Outbox()
        self.acknowledged = 0
        self.pong: Pong | None = None
        self.started = self.heard = time.monotonic()
        self.pinged = self.reported = 0.0
        self.newest: Audio | None = None
        self.transit = 0  # its, in milliseconds
        self.captured = 0.0  # when the next packet of sound has been
        self.sequence, self.timestamp = 65_530, 2**32 - 9600  # both wrap around soon

    def run(self) -> None:
        with contextlib.closing(self.stream), contextlib.suppress(VoicemuxError, Over):
            try:
                self.begin()
                while True:
                    for message in self.messages():
                        self.take(message)
                    self.speak(time.monotonic())
                    self.listen()
            except RemoteProtocolError as error:
                self.answer()  # what came before the fault counts
                self.part(Bye(error.code, str(error)))
            except NotAdmitted as error:
                self.part(Bye(error.code))

    # The beginning: TLS if there is a code, prefaces, who is who, HELLO.

    def begin(self) -> None:
        self.stream.set_timeout(self.preface_timeout)
        if self.is_dialler:
            if self.code:
                self.secure(b"")
            self.open()
        else:
            self.pick_up(self.stream.read())

    def pick_up(self, first: bytes) -> None:
        """A listener tells by the first byte what kind of call it is."""
        is_tls = first[:1] == bytes([HANDSHAKE])
        if is_tls and self.code:
            self.secure(first)
        elif is_tls:
            self.part(Bye(ByeCode.SECURITY, "plain calls only"))
        else:
            self.is_wanted, self.state = not self.code, State.START
            self.buffer += first

    def secure(self, first: bytes) -> None:
        self.stream = secured = TlsStream(self.stream, self.context(), is_server=not self.is_dialler)
        data = secured.begin() if self.is_dialler else secured.answer(first)
        while not self.stream.is_secure:
            try:
                data = self.stream.receive()
            except RemoteProtocolError as error:
                raise Over from error
            if data == b"":
                raise Over
        self.buffer += data or b""

    def context(self) -> Context:
        return dialler_context() if self.is_dialler else listener_context(self.identity.path)

    def open(self) -> None:
        """What a dialler says before it has heard anything."""
        if self.code:
            self.mine = handshake.Dialler(self.identity, self.stream.peer_certificate, Method.CODE, self.code)
            self.say(self.mine.claim())
        else:
            self.say(self.hello)

    def challenge(self, claim: Claim) -> None:
        self.theirs = self.challenger(self.identity.certificate, claim, self.code)
        self.say(self.theirs.challenge)

    def admit(self, proof: Proof) -> None:
        self.theirs.judge(proof)
        if self.theirs.method is not Method.CODE:
            raise NotAdmitted("no code", ByeCode.UNKNOWN_CALLER)
        self.say(self.theirs.welcome(Method.CODE))

    def prove(self, challenge: Challenge) -> None:
        self.say(self.mine.prove(challenge))

    def believe(self, welcome: Welcome) -> None:
        self.mine.accept(welcome)
        self.say(self.hello)

    def greet(self, hello: Hello) -> None:
        self.other = hello
        self.captured = time.monotonic()
        if not self.is_dialler:
            self.say(Ringing(), self.hello)
        self.tell()
        self.outbox.put(SPEECH)

    # Hearing.

    def something_comes(self, seconds: float) -> bool:
        """Whether there is something to read, or will be before so many seconds have passed."""
        number = self.stream.fileno()
        assert number is not None
        return bool(select.select([number], [], [], seconds)[0])

    def listen(self) -> None:
        """Wait a moment for what comes."""
        now = time.monotonic()
        if not self.something_comes(self.tick):
            if now - self.heard > (self.silence_timeout if self.is_greeted else self.preface_timeout):
                raise ConnectionLost("nothing comes")
            return
        if (data := self.stream.receive()) == b"":
            raise ConnectionLost("it ends without a goodbye")
        self.heard = now
        self.received += len(data or b"")
        if self.received > self.burst + self.rate * (now - self.started):
            raise RemoteProtocolError("too much, too fast", ByeCode.FLOOD)
        self.buffer += data or b""

    def messages(self) -> Iterator[Preface | Message]:
        """What has come, judged."""
        if not self.is_greeted:
            if not self.is_whole(bytes(self.buffer[: len(PREFACE)])):
                return
            del self.buffer[: len(PREFACE)]
            self.is_greeted = True
            yield Preface()
        for frame in self.frames():
            if message := self.read(frame):
                self.follow(message)
                yield message

    def is_whole(self, preface: bytes) -> bool:
        if PREFACE.startswith(preface):
            return preface == PREFACE
        if not preface.startswith(PREFACE_STEM):
            raise Over
        if len(preface) < len(PREFACE):
            return False
        raise RemoteProtocolError(f"expected {PREFACE!a}, got {preface!a}", ByeCode.VERSION)

    def frames(self) -> Iterator[Frame]:
        while len(self.buffer) >= header_struct.size:
            length, tag, flags = header_struct.unpack_from(self.buffer)
            if length > self.longest_payload:
                raise RemoteProtocolError(f"expected at most {self.longest_payload} bytes of payload, got {length}")
            if tag < self.lowest_tag:
                raise RemoteProtocolError("expected a tag, got 0")
            end = header_struct.size + length
            if len(self.buffer) < end:
                return
            payload = bytes(self.buffer[header_struct.size : end])
            del self.buffer[:end]
            yield Frame(tag, flags, payload)

    def read(self, frame: Frame) -> Message | None:
        return from_frame(frame)

    def follow(self, message: Message) -> None:
        """Judge whether it is the message's turn."""
        following = TRANSITIONS[self.state].get(type(message))
        if following is None or type(message) in (FROM_DIALLERS if self.is_dialler else FROM_LISTENERS):
            raise RemoteProtocolError(f"{name_of(type(message))} out of order, in state {self.state.value}")
        self.state = following

    def take(self, message: Preface | Message) -> None:
        match message:
            case Preface():
                if not self.is_wanted:
                    self.part(Bye(ByeCode.SECURITY, "encrypted calls only"))
                self.say()
            case Claim():
                self.challenge(message)
            case Challenge():
                self.prove(message)
            case Proof():
                self.admit(message)
            case Welcome():
                self.believe(message)
            case Hello():
                self.greet(message)
            case Text():
                self.take_text(message)
            case TextAck():
                self.take_acknowledgement(message)
            case Audio():
                self.take_audio(message)
            case Ping():
                self.pong = Pong(message.data)
            case Bye():
                self.take_goodbye(message)

    def take_text(self, text: Text) -> None:
        if self.inbox.receive(text) is not None:
            self.inbox.taken()  # a program shows it

    def take_acknowledgement(self, acknowledgement: TextAck) -> None:
        self.outbox.acknowledge(acknowledgement.id)

    def take_audio(self, audio: Audio) -> None:
        self.newest = audio  # a program plays it
        self.transit = round(time.monotonic() * 1000 - audio.timestamp / 48) % 2**16

    def take_goodbye(self, bye: Bye) -> None:
        self.answer()
        self.part(Bye())

    # Speaking.

    def say(self, *messages: Message) -> None:
        self.stream.write(self.unsaid + b"".join(map(self.encode, messages)))
        self.unsaid = b""

    def encode(self, message: Message) -> bytes:
        encoded = encode_frame(to_frame(message))
        return encoded + GREASE if isinstance(message, Hello) else encoded

    def speak(self, now: float) -> None:
        """Say what is due."""
        if self.other is None:
            patience = self.answer_timeout if self.is_dialler else self.hello_timeout
            if self.is_greeted and now - self.started > patience:
                self.part(Bye(ByeCode.TIMEOUT, "expected a HELLO, got nothing"))
            return
        self.answer()
        self.sound(now, self.other)
        self.control(now)
        while text := self.outbox.next():
            self.say(text)

    def answer(self) -> None:
        """To the newest PING, and to what has been taken."""
        if self.pong:
            self.say(self.pong)
            self.pong = None
        if self.inbox.acknowledgement > self.acknowledged:
            self.acknowledged = self.inbox.acknowledgement
            self.say(TextAck(self.acknowledged))

    def sound(self, now: float, other: Hello) -> None:
        """A tone as a microphone hears it."""
        while Codec.PCM in other.playable and now >= self.captured:
            if now - self.captured < STALE:
                self.say(Audio(Codec.PCM, 0, self.sequence, self.timestamp, TONE))
            self.sequence = (self.sequence + 1) % 2**16
            self.timestamp = (self.timestamp + PACKET) % 2**32
            self.captured += PACKET / TICKS_PER_SECOND

    def tell(self) -> None:
        """What it does with voice."""
        assert self.other
        self.say(VoiceState(voice=Codec.PCM in self.other.playable))

    def control(self, now: float) -> None:
        if now - self.pinged >= self.ping_interval:
            self.pinged = now
            self.say(Ping(bytes(8)))
        if self.newest and now - self.reported >= self.report_interval:
            self.reported = now
            self.say(Report(0, self.newest.sequence, self.newest.timestamp, 60, 60))
            self.say(Arrivals(0, self.newest.sequence, self.transit, self.transit))

    # The end.

    def part(self, bye: Bye) -> None:
        """Say goodbye, hear the other side out, and end."""
        self.say(bye)
        self.stream.finish()
        deadline = time.monotonic() + self.goodbye_timeout
        while (left := deadline - time.monotonic()) > 0:
            self.stream.set_timeout(left)
            if not self.stream.read():
                break
        raise Over


@contextlib.contextmanager
def listening(kind: type[Peer], identity: Identity, code: str = "") -> Iterator[int]:
    """The port of somebody who takes any number of calls at once."""
    listener = ListeningSockets("127.0.0.1", 0)
    ends = threading.Event()
    streams: list[TcpStream] = []

    def wait_for_calls() -> None:
        while not ends.is_set():
            select.select(listener.sockets, [], [], LOOK_AGAIN)
            if stream := accept(listener.sockets[0]):
                streams.append(stream)
                threads.append(threading.Thread(target=kind(stream, identity, code, is_dialler=False).run))
                threads[-1].start()

    threads = [threading.Thread(target=wait_for_calls)]
    threads[0].start()
    try:
        yield listener.port
    finally:
        ends.set()
        threads[0].join()
        listener.close()
        for stream in streams:
            stream.cut()
        for thread in threads[1:]:
            thread.join()


@contextlib.contextmanager
def dialling(kind: type[Peer], port: int, identity: Identity, code: str = "") -> Iterator[None]:
    """Somebody who dials, and dials again when that call has ended."""
    ends = threading.Event()
    streams: list[TcpStream] = []

    def dial_again_and_again() -> None:
        while not ends.is_set():
            with contextlib.suppress(Unreachable):  # nobody listens yet, or any more
                streams.append(connect(Address("127.0.0.1", port)))
                kind(streams[-1], identity, code, is_dialler=True).run()
            ends.wait(LOOK_AGAIN)

    thread = threading.Thread(target=dial_again_and_again)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        while thread.is_alive():
            for stream in streams:
                stream.cut()
            thread.join(LOOK_AGAIN)
