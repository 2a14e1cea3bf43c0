"""Peers that are wrong in one thing each, and the case of `voicemux conform` that is meant for it."""

import contextlib
import math
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import ClassVar, NamedTuple

from tests.conform.peers import TONE, Over, Peer
from tests.peers import RESET
from voicemux.errors import NotAdmitted, RemoteProtocolError, SecurityError, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.tls import Context
from voicemux.protocol.connection import State
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Challenge,
    Codec,
    Hello,
    Message,
    Method,
    NetworkPath,
    PathKind,
    Paths,
    Ping,
    Preface,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    VoiceState,
    Welcome,
)
from voicemux.protocol.wire import (
    FLAG_MORE,
    KEY_LAST_TEXT,
    MAX_PAYLOAD,
    PREFACE,
    TAG_ARRIVALS,
    TAG_AUDIO,
    TAG_BYE,
    TAG_HELLO,
    TAG_PING,
    TAG_PONG,
    TAG_REPORT,
    TAG_RINGING,
    TAG_STATE,
    TAG_TEXT,
    TAG_TEXT_ACK,
    header_struct,
)
from voicemux.security import handshake

LISTENER, DIALLER = "listener", "dialler"


class Wrong(NamedTuple):
    """A fault as it is tried: in which role, over TLS or plain."""

    kind: type[Peer]
    role: str
    is_secure: bool
    case: str

    def __str__(self) -> str:
        return f"{self.role}-{'encrypted' if self.is_secure else 'plain'}-{self.kind.__name__}"


WRONG: list[Wrong] = []
FIRST_CALLS = 4


def caught_by(case: str, *roles: str, is_secure: bool = False) -> Callable[[type[Peer]], type[Peer]]:
    """The only case that may fail."""

    def enter(kind: type[Peer]) -> type[Peer]:
        WRONG.extend(Wrong(kind, role, is_secure, case) for role in roles)
        return kind

    return enter


# The preface (protocol.md §3)


@caught_by("silent-before-preface", LISTENER)
class SpeaksFirst(Peer):
    def begin(self) -> None:
        if not self.something_comes(0.15):
            self.say()
        super().begin()


@caught_by("garbage", LISTENER)
class AnswersGarbage(Peer):
    def is_whole(self, preface: bytes) -> bool:
        try:
            return super().is_whole(preface)
        except Over:
            self.part(Bye(ByeCode.PROTOCOL, "expected VMUX/1"))
            raise


@caught_by("another-version", DIALLER)
class TakesEveryVersion(Peer):
    def is_whole(self, preface: bytes) -> bool:
        return (preface.startswith(b"VMUX/2") and len(preface) == len(PREFACE)) or super().is_whole(preface)


@caught_by("preface-first", DIALLER)
class WaitsForTheOtherPreface(Peer):
    """In the first calls of a suite only, and not for ever: otherwise every case would wait, and end in vain."""

    calls: ClassVar[Counter[int]] = Counter()  # by the port of the suite

    def open(self) -> None:
        port = self.stream.peer_address.port
        self.calls[port] += 1
        if self.calls[port] <= FIRST_CALLS:
            self.something_comes(3.0)
        super().open()


# Frames (§4)


@caught_by("byte-by-byte", DIALLER)
class NeedsHeadersInOnePiece(Peer):
    def listen(self) -> None:
        super().listen()
        if self.is_greeted and 0 < len(self.buffer) < header_struct.size:
            raise RemoteProtocolError("expected a header, got a piece of it")


@caught_by("all-at-once", LISTENER)
class LosesWhatComesWithTheHello(Peer):
    def greet(self, hello: Hello) -> None:
        super().greet(hello)
        self.buffer.clear()


@caught_by("frame-too-long", LISTENER)
class TakesLongFrames(Peer):
    longest_payload = 5000


@caught_by("tag-zero", DIALLER)
class TakesTagZero(Peer):
    lowest_tag = 0


@caught_by("unknown-tags", LISTENER)
class EndsOnUnknownTags(Peer):
    def read(self, frame: Frame) -> Message | None:
        if (message := super().read(frame)) is None:
            raise RemoteProtocolError(f"expected a known tag, got {frame.tag}")
        return message


@caught_by("unknown-flags", DIALLER)
class EndsOnUnknownFlags(Peer):
    def read(self, frame: Frame) -> Message | None:
        message = super().read(frame)
        if message and frame.flags > (FLAG_MORE if isinstance(message, Text) else 0):
            raise RemoteProtocolError(f"expected no flags, got {frame.flags}")
        return message


@caught_by("clean-flags", LISTENER)
class SendsFlags(Peer):
    def encode(self, message: Message) -> bytes:
        if isinstance(message, Ping):
            return encode_frame(Frame(TAG_PING, 0x80, message.data))
        return super().encode(message)


SIZES = {TAG_PING: 8, TAG_PONG: 8, TAG_TEXT_ACK: 4, TAG_REPORT: 12, TAG_RINGING: 0}
HEADERS = {TAG_TEXT: 4, TAG_AUDIO: 8, TAG_BYE: 2}


@caught_by("payload-too-short", DIALLER)
class TakesShortPayloads(Peer):
    def read(self, frame: Frame) -> Message | None:
        size = SIZES.get(frame.tag, HEADERS.get(frame.tag, 0))
        return super().read(frame._replace(payload=frame.payload.ljust(size, b"\0")))


@caught_by("payload-too-long", LISTENER)
class TakesLongPayloads(Peer):
    def read(self, frame: Frame) -> Message | None:
        return super().read(frame._replace(payload=frame.payload[: SIZES.get(frame.tag)]))


# HELLO, order (§5.1, §6)


@caught_by("unknown-keys", DIALLER)
class EndsOnUnknownKeys(Peer):
    def read(self, frame: Frame) -> Message | None:
        if frame.tag == TAG_HELLO:
            payload = frame.payload
            while payload:
                if payload[0] > KEY_LAST_TEXT:
                    raise RemoteProtocolError(f"expected a known key, got {payload[0]}")
                payload = payload[2 + payload[1] :]
        return super().read(frame)


@caught_by("bad-hello", LISTENER)
class TakesEveryHello(Peer):
    def read(self, frame: Frame) -> Message | None:
        try:
            return super().read(frame)
        except RemoteProtocolError:
            if frame.tag == TAG_HELLO:
                return Hello()
            raise


@caught_by("text-before-hello", DIALLER)
class TakesTextBeforeHello(Peer):
    def follow(self, message: Message) -> None:
        if not (isinstance(message, Text) and self.state is State.START):
            super().follow(message)


@caught_by("second-hello", LISTENER)
class TakesASecondHello(Peer):
    def follow(self, message: Message) -> None:
        if not (isinstance(message, Hello) and self.state is State.OPEN):
            super().follow(message)


@caught_by("waits-for-hello", DIALLER)
class DoesNotWaitForHello(Peer):
    hurry = 0.5  # seconds

    def take(self, message: Preface | Message) -> None:
        if isinstance(message, Ringing):
            self.hurry = math.inf
        super().take(message)

    def speak(self, now: float) -> None:
        if self.other is None and self.is_greeted and now - self.started > self.hurry:
            self.hurry = math.inf
            self.say(*([] if self.is_dialler else [self.hello]), Ping(bytes(8)))
        super().speak(now)


@caught_by("ringing", DIALLER)
class EndsOnASecondRinging(Peer):
    rang = False

    def take(self, message: Preface | Message) -> None:
        if isinstance(message, Ringing):
            if self.rang:
                raise RemoteProtocolError("expected HELLO, got a second RINGING")
            self.rang = True
        super().take(message)


@caught_by("rings-for-long", DIALLER)
class LosesPatienceWhileItRings(Peer):
    answer_timeout = 12.0  # seconds


# Text (§5.2, §7)


@caught_by("text-not-utf-8", LISTENER)
class TakesTextThatIsNotUtf8(Peer):
    def read(self, frame: Frame) -> Message | None:
        if frame.tag == TAG_TEXT:
            frame = frame._replace(payload=frame.payload[:4] + frame.payload[4:].decode(errors="replace").encode())
        return super().read(frame)


@caught_by("text-numbers", DIALLER)
class NumbersTextFromZero(Peer):
    def encode(self, message: Message) -> bytes:
        return super().encode(replace(message, id=message.id - 1) if isinstance(message, Text) else message)


@caught_by("text-acknowledged", LISTENER)
class AcknowledgesInTens(Peer):
    """But the first two messages at once: most cases say no more."""

    said = untaken = 0

    def take_text(self, text: Text) -> None:
        if self.inbox.receive(text) is not None:
            self.said += 1
            self.untaken += 1
            while self.untaken and (self.said <= 2 or not self.said % 10):
                self.inbox.taken()
                self.untaken -= 1


@caught_by("text-in-parts", DIALLER)
class TakesTwoPartsAtMost(Peer):
    parts = 0

    def take_text(self, text: Text) -> None:
        self.parts = self.parts + 1 if text.more else 0
        if self.parts > 1:
            raise RemoteProtocolError("expected the end of a message, got more of it")
        super().take_text(text)


@caught_by("text-repeated", LISTENER)
class EndsOnRepeatedText(Peer):
    last = 0

    def take_text(self, text: Text) -> None:
        if text.id == self.last:
            raise RemoteProtocolError(f"expected a new TEXT, got {text.id} again")
        self.last = text.id
        super().take_text(text)


@caught_by("text-gap", DIALLER)
class TakesAGapInText(Peer):
    def take_text(self, text: Text) -> None:
        with contextlib.suppress(RemoteProtocolError):
            super().take_text(text)


@caught_by("lower-acknowledgement", LISTENER)
class EndsOnALowerAcknowledgement(Peer):
    highest = 0

    def take_acknowledgement(self, acknowledgement: TextAck) -> None:
        if acknowledgement.id < self.highest:
            raise RemoteProtocolError(f"expected a TEXT_ACK of over {self.highest}, got {acknowledgement.id}")
        self.highest = acknowledgement.id
        super().take_acknowledgement(acknowledgement)


@caught_by("acknowledgement-of-nothing", DIALLER)
class TakesAnAcknowledgementOfNothing(Peer):
    def take_acknowledgement(self, acknowledgement: TextAck) -> None:
        with contextlib.suppress(RemoteProtocolError):
            super().take_acknowledgement(acknowledgement)


@caught_by("text-window", LISTENER)
class SendsMoreThanTheWindow(Peer):
    def speak(self, now: float) -> None:
        super().speak(now)
        self.outbox.unacknowledged_bytes = 0


@caught_by("unknown-session", LISTENER)
class KnowsEverySession(Peer):
    def greet(self, hello: Hello) -> None:
        self.hello = replace(self.hello, session=hello.session)
        super().greet(hello)


# Sound (§5.3, §8)


@caught_by("no-audio-wanted", DIALLER)
class SendsSoundThatIsNotWanted(Peer):
    def sound(self, now: float, other: Hello) -> None:
        super().sound(now, other if other.playable else Hello())


@caught_by("only-offered-codecs", LISTENER)
class SendsACodecThatIsNotOffered(Peer):
    def encode(self, message: Message) -> bytes:
        if isinstance(message, Audio) and not message.sequence % 4:
            message = replace(message, codec=3)
        return super().encode(message)


@caught_by("plays-pcm", DIALLER)
class PlaysOpusOnly(Peer):
    hello = Hello("peer", "peer/1", (Codec.OPUS,))


@caught_by("audio-timestamps", LISTENER)
class CountsMilliseconds(Peer):
    def encode(self, message: Message) -> bytes:
        return super().encode(
            replace(message, timestamp=message.timestamp // 48) if isinstance(message, Audio) else message
        )


@caught_by("audio-timestamps", DIALLER)
class DoesNotCountPackets(Peer):
    def encode(self, message: Message) -> bytes:
        return super().encode(replace(message, sequence=7) if isinstance(message, Audio) else message)


@caught_by("audio-paced", DIALLER)
class SpeaksTooFast(Peer):
    """Five seconds of sound in four."""

    def sound(self, now: float, other: Hello) -> None:
        super().sound(now + (now - self.started) / 4, other)


@caught_by("audio-wraps", LISTENER)
class EndsOnTimestampsThatWrap(Peer):
    def take_audio(self, audio: Audio) -> None:
        if self.newest and audio.timestamp < self.newest.timestamp:
            raise RemoteProtocolError(f"expected a timestamp over {self.newest.timestamp}, got {audio.timestamp}")
        super().take_audio(audio)


@caught_by("audio-lengths", DIALLER)
class EndsOnUnusualLengths(Peer):
    def take_audio(self, audio: Audio) -> None:
        if audio.codec == Codec.PCM and len(audio.data) > len(TONE):
            raise RemoteProtocolError(f"expected {len(TONE)} bytes of sound, got {len(audio.data)}")
        super().take_audio(audio)


@caught_by("audio-channels", LISTENER)
class EndsWhereTheChannelsChange(Peer):
    hello = Hello("peer", "peer/1", (Codec.PCM_STEREO, Codec.PCM), channels=2)

    def take_audio(self, audio: Audio) -> None:
        if self.newest and {audio.codec, self.newest.codec} == {Codec.PCM, Codec.PCM_STEREO}:
            raise RemoteProtocolError("expected as many channels as before, got another number")
        super().take_audio(audio)


@caught_by("audio-unusable", LISTENER)
class EndsOnUnusableSound(Peer):
    def take_audio(self, audio: Audio) -> None:
        if audio.codec not in self.hello.playable or len(audio.data) % 2:
            raise RemoteProtocolError("expected sound, got something else")
        super().take_audio(audio)


@caught_by("reports", DIALLER)
class ReportsInLittleEndian(Peer):
    def encode(self, message: Message) -> bytes:
        if isinstance(message, Report):
            message = replace(message, sequence=int.from_bytes(message.sequence.to_bytes(2, "little"), "big"))
        return super().encode(message)


# When audio came (§5.14)


@caught_by("arrivals", LISTENER, DIALLER)
class SubtractsTicksFromMilliseconds(Peer):
    def encode(self, message: Message) -> bytes:
        if isinstance(message, Arrivals) and self.newest:
            transit = (round(time.monotonic() * 1000) - self.newest.timestamp) % 2**16
            message = replace(message, least=transit, most=transit)
        return super().encode(message)


@caught_by("arrivals", LISTENER)
class TellsOfArrivalsAllTheTime(Peer):
    def sound(self, now: float, other: Hello) -> None:
        super().sound(now, other)
        if self.newest:
            self.say(Arrivals(0, self.newest.sequence, self.transit, self.transit))


@caught_by("arrivals-untrue", LISTENER, DIALLER)
class ExpectsNoOtherSource(Peer):
    def read(self, frame: Frame) -> Message | None:
        if frame.tag == TAG_ARRIVALS and frame.payload[0]:
            raise RemoteProtocolError(f"expected ARRIVALS of source 0, got {frame.payload[0]}")
        return super().read(frame)


# Where a side may be reached (§5.15)


@caught_by("paths", LISTENER)
class SaysWhereItIs(Peer):
    def tell(self) -> None:
        super().tell()
        self.say(Paths((NetworkPath(PathKind.OWN, "192.0.2.1", 8689),)))


@caught_by("paths", DIALLER)
class GoesWhereItIsTold(Peer):
    def read(self, frame: Frame) -> Message | None:
        message = super().read(frame)
        if isinstance(message, Paths) and message.paths:
            connect(Address(message.paths[0].address, message.paths[0].port)).close()
        return message


# What is said of voice (§5.13)


@caught_by("states", LISTENER, DIALLER)
class SaysThatItIsMuted(Peer):
    def tell(self) -> None:
        self.say(VoiceState(voice=True, muted=True))


@caught_by("states", DIALLER)
class SaysThatItHasNoVoice(Peer):
    def tell(self) -> None:
        self.say(VoiceState())


@caught_by("states", LISTENER)
class SaysTheSameAllTheTime(Peer):
    def control(self, now: float) -> None:
        super().control(now)
        self.say(VoiceState(voice=True))


@caught_by("states", LISTENER)
class SaysMoreThanHasAName(Peer):
    def encode(self, message: Message) -> bytes:
        encoded = super().encode(message)
        return encoded[:-1] + bytes([encoded[-1] | 0x80]) if isinstance(message, VoiceState) else encoded


@caught_by("state-unknown-bits", LISTENER, DIALLER)
class KnowsEveryBit(Peer):
    def read(self, frame: Frame) -> Message | None:
        if frame.tag == TAG_STATE and frame.payload[1] > 15:
            raise RemoteProtocolError(f"expected bits of STATE, got {frame.payload[1]:#x}")
        return super().read(frame)


# Liveness, the end (§5.4, §5.5, §9, §10)


@caught_by("pong", DIALLER)
class TakesPingsForStrings(Peer):
    """As C has them: a zero ends them."""

    def take(self, message: Preface | Message) -> None:
        if isinstance(message, Ping):
            message = Ping(message.data.split(b"\0")[0].ljust(8, b"\0"))
        super().take(message)


@caught_by("pings", LISTENER)
class NeverPings(Peer):
    ping_interval = math.inf


@caught_by("pings", DIALLER)
class PingsFiftyTimesASecond(Peer):
    ping_interval = 0.02


@caught_by("silence", LISTENER)
class StaysInSilence(Peer):
    silence_timeout = 60.0


@caught_by("silence", DIALLER)
class LosesPatienceInSilence(Peer):
    silence_timeout = 10.0


@caught_by("unknown-goodbye-code", LISTENER)
class EndsOnUnknownGoodbyes(Peer):
    def take_goodbye(self, bye: Bye) -> None:
        if bye.code not in set(ByeCode):
            raise RemoteProtocolError(f"expected a known code, got {bye.code}")
        super().take_goodbye(bye)


@caught_by("after-goodbye", DIALLER)
class LooksAtWhatFollowsAGoodbye(Peer):
    def take_goodbye(self, bye: Bye) -> None:
        for message in self.messages():
            raise RemoteProtocolError(f"expected nothing after BYE, got {type(message).__name__}")
        super().take_goodbye(bye)


def is_simple(peer: Peer, bye: Bye) -> bool:
    """Whether nothing else is about this goodbye that another case could be about."""
    return bye == Bye() and not peer.buffer and not peer.acknowledged and not peer.inbox.acknowledgement


@caught_by("busy", LISTENER)
class LeavesSecondCallersWithoutAWord(Peer):
    free = threading.Semaphore()
    is_in_call = False

    def greet(self, hello: Hello) -> None:
        if not self.free.acquire(timeout=1.0):  # a call that is just about to end is not what this is about
            raise Over
        self.is_in_call = True
        super().greet(hello)

    def run(self) -> None:
        super().run()
        if self.is_in_call:
            self.free.release()


@caught_by("goodbye", LISTENER)
class ClosesWithoutAGoodbye(Peer):
    def take_goodbye(self, bye: Bye) -> None:
        if is_simple(self, bye):
            raise Over
        super().take_goodbye(bye)


@caught_by("goodbye", DIALLER)
class ResetsAtTheEnd(Peer):
    def take_goodbye(self, bye: Bye) -> None:
        if is_simple(self, bye):
            self.say(Bye())
            number = self.stream.fileno()
            assert number is not None
            with socket.socket(fileno=os.dup(number)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raise Over
        super().take_goodbye(bye)


@caught_by("text-before-goodbye", LISTENER)
class LosesTextBeforeTheGoodbye(Peer):
    def take_goodbye(self, bye: Bye) -> None:
        self.part(Bye())


# Security (§12)


@caught_by("old-tls", LISTENER, DIALLER, is_secure=True)
class TakesOldTls(Peer):
    def context(self) -> Context:
        context = super().context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@caught_by("wrong-nonce", LISTENER, is_secure=True)
class DoesNotCheckTheNonce(Peer):
    class challenger(handshake.Challenger):
        def judge(self, proof: Proof) -> handshake.Peer:
            committed = sha256(handshake.COMMITMENT + proof.nonce).digest()
            self._claim = replace(self._claim, commitment=committed)
            return super().judge(proof)


@caught_by("wrong-signature", LISTENER, is_secure=True)
class DoesNotCheckTheSignature(Peer):
    class challenger(handshake.Challenger):
        def judge(self, proof: Proof) -> handshake.Peer:
            try:
                return super().judge(proof)
            except RemoteProtocolError:
                if not (self._transcript and self._exchange):  # it is the nonce that is wrong
                    raise
                self._key = self._exchange.finish(self._claim.share)
                return handshake.Peer(self.fingerprint, self.method, (), b"")


@caught_by("wrong-confirmation", LISTENER, is_secure=True)
class TakesAWrongCode(Peer):
    def admit(self, proof: Proof) -> None:
        try:
            super().admit(proof)
        except NotAdmitted:
            self.say(self.theirs.welcome(Method.CODE))


@caught_by("wrong-confirmation", DIALLER, is_secure=True)
class BelievesAWrongWelcome(Peer):
    def believe(self, welcome: Welcome) -> None:
        try:
            super().believe(welcome)
        except SecurityError:
            self.say(self.hello)


@caught_by("hello-after-welcome", DIALLER, is_secure=True)
class SaysHelloBeforeTheWelcome(Peer):
    proved = math.inf

    def prove(self, challenge: Challenge) -> None:
        super().prove(challenge)
        self.proved = time.monotonic()

    def speak(self, now: float) -> None:
        if now - self.proved > 0.5:
            self.proved = math.inf
            self.say(self.hello)
        super().speak(now)

    def believe(self, welcome: Welcome) -> None:
        self.proved = math.inf
        super().believe(welcome)


@caught_by("plain-refused", LISTENER, is_secure=True)
class TakesPlainCalls(Peer):
    def pick_up(self, first: bytes) -> None:
        super().pick_up(first)
        self.is_wanted = True


@caught_by("no-fallback", DIALLER, is_secure=True)
class FallsBackToPlain(Peer):
    def secure(self, first: bytes) -> None:
        try:
            super().secure(first)
        except VoicemuxError:
            Peer(connect(self.stream.peer_address), self.identity, "", is_dialler=True).run()
            raise


@caught_by("flood", LISTENER)
class RemembersEverything(Peer):
    """Each frame in twice as many bytes as the longest may have."""

    remembered: ClassVar[list[bytes]] = []

    def read(self, frame: Frame) -> Message | None:
        self.remembered.append(frame.payload.ljust(2 * MAX_PAYLOAD, b"\0"))
        return super().read(frame)


@caught_by("flood", DIALLER)
class LeavesAFloodWithoutAWord(Peer):
    def listen(self) -> None:
        try:
            super().listen()
        except RemoteProtocolError as error:
            raise Over from error
