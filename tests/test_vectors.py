"""The test vectors are for strangers; here they judge us."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import spake2
from cryptography.hazmat.primitives.asymmetric import ec

from tests.audio.listening import Ear, on_time
from tests.console.screens import drawn, impostors
from tests.notation import VECTORS, characters, message, octets, vectors
from tests.vectors.generate import generate
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import SAMPLE_BYTES
from voicemux.audio.pcm import UndecodableError
from voicemux.audio.playout.jitter import Conceal, Pause, Play
from voicemux.calls.establishing import greet
from voicemux.calls.target import resolve
from voicemux.calls.trust import Security, Trust
from voicemux.console.printable import printable, printable_lines, printable_name
from voicemux.console.rows import Screen
from voicemux.console.wording import written
from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.events import TextReceived
from voicemux.net.address import Address
from voicemux.net.greeting import Greeting
from voicemux.net.paths import Rounds
from voicemux.protocol.connection import NOT_A_DIALLERS, NOT_A_LISTENERS, Receiving, Sending, State
from voicemux.protocol.delivery import Inbox, Outbox
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import Audio, ByeCode, Method, NetworkPath, Paths, Preface, Text
from voicemux.protocol.wire import GREASE_TAG
from voicemux.security.admission import Admission
from voicemux.security.contacts import Contacts
from voicemux.security.handshake import Dialler
from voicemux.security.identity import Identity

GREASE = encode_frame(Frame(GREASE_TAG, 0, b"grease"))  # which we send behind a HELLO
UNFIT = {"dialler": NOT_A_DIALLERS, "listener": NOT_A_LISTENERS}
ERRORS: dict[int, str] = {ByeCode.PROTOCOL: "protocol", ByeCode.VERSION: "version", ByeCode.FLOOD: "flood"}
REFUSED: dict[int, str] = {
    ByeCode.WRONG_CODE: "wrong-code",
    ByeCode.UNKNOWN_CALLER: "unknown-caller",
    ByeCode.LATER: "later",
}
ADDRESS = Address("192.0.2.1", 8689)


def each(file: str, **wanted: Any):
    """A test for each vector of a file; of those that have these values, if there are any."""
    found = [vector for vector in vectors(file) if wanted.items() <= vector.items()]
    return pytest.mark.parametrize("vector", found, ids=lambda vector: vector["name"])


each_cut = pytest.mark.parametrize("size", [1, 3, 1_000_000], ids=["byte by byte", "in threes", "whole"])


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def named(error: Exception) -> str:
    """The class of an error as the vectors name it."""
    if isinstance(error, ConnectionLost):
        return "torn" if "middle" in str(error) else "lost"
    if isinstance(error, NotAdmitted):
        return REFUSED[error.code]
    if isinstance(error, RemoteProtocolError):
        return "not-voicemux" if str(error).startswith("that is not voicemux") else ERRORS[error.code]
    return "key-changed" if "has changed" in str(error) else "wrong-code"


def hear(receiving: Receiving, stream: bytes, size: int, *, ends: bool) -> tuple[list[Any], str | None]:
    """What a stream means, and how it fails if it does."""
    heard: list[Any] = []
    try:
        for piece in pieces(stream, size):
            for each in receiving.receive(piece):
                heard.append(each)
        if ends:
            receiving.receive_end()
    except (RemoteProtocolError, ConnectionLost) as error:
        return heard, named(error)
    return heard, None


def test_the_vectors_are_what_their_generator_makes(tmp_path):
    generate(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in VECTORS.glob("*.json")}


@each_cut
@each("prefaces")
def test_a_preface_is_judged_as_it_should(vector, size):
    if vector.get("error") in ("lost", "torn"):
        assert hear(Receiving(), octets(vector["bytes"]), size, ends=True) == ([], vector["error"])
    else:
        heard = [Preface(vector["version"])] if "version" in vector else []
        assert hear(Receiving(), octets(vector["bytes"]), size, ends=False) == (heard, vector.get("error"))
        assert hear(Receiving(), octets(vector["bytes"]) + b"\0", size, ends=False)[0] == heard


@pytest.mark.parametrize("behind", [b"", b"\0\0\x09\0\0\0"], ids=["nothing behind", "more behind"])
@each_cut
@each("frames")
def test_frames_are_cut_as_they_should(vector, size, behind):
    decoder, stream, found, failed = FrameDecoder(), octets(vector["bytes"]), [], None
    whole = [Frame(frame["tag"], frame["flags"], octets(frame["payload"])) for frame in vector["frames"]]
    if sum(len(encode_frame(frame)) for frame in whole) == len(stream) and behind:
        stream, whole = stream + behind, [*whole, Frame(9, 0, b"")]
    try:
        for piece in pieces(stream, size):
            for frame in decoder.feed(piece):
                found.append(frame)
    except RemoteProtocolError as error:
        failed = named(error)
    assert failed == vector.get("error")
    assert found == whole


@each_cut
@each("messages")
def test_a_message_means_what_it_should(vector, size):
    """Alone, and followed by more."""
    encoded = octets(vector["bytes"])
    decoder, frames = FrameDecoder(), list[Frame]()
    for piece in pieces(encoded + b"\0\0\x09", size):
        frames.extend(decoder.feed(piece))
    (frame,) = frames
    assert decoder.torn
    if "error" in vector:
        with pytest.raises(RemoteProtocolError) as failed:
            from_frame(frame)
        assert named(failed.value) == vector["error"]
    elif "skipped" in vector:
        assert from_frame(frame) is None
    else:
        meant = message(vector["message"])
        assert not isinstance(meant, Preface)
        assert from_frame(frame) == meant
        assert (encode_frame(to_frame(meant)) == encoded) == vector["canonical"]


@each_cut
@each("order")
def test_a_stream_is_taken_in_order(vector, size):
    receiving = Receiving(State.STRANGER if vector["encrypted"] else State.START, UNFIT[vector["from"]])
    assert list(receiving.receive(Sending().preface())) == [Preface()]
    heard, error = hear(receiving, octets(vector["bytes"]), size, ends=True)
    assert heard == [message(each) for each in vector["messages"]]
    assert error == vector.get("error")


@each("conversations")
def test_both_sides_of_a_conversation_say_and_understand_it(vector):
    first = State.STRANGER if vector["encrypted"] else State.START
    sendings = {side: Sending(first) for side in UNFIT}
    receivings = {side: Receiving(first, unfit) for side, unfit in UNFIT.items()}
    time, ended, failed = 0.0, set(), set()
    for line in vector["script"]:
        side, said = line["from"], octets(line["bytes"])
        assert line["at"] >= time
        time = line["at"]
        assert side not in ended, "it has closed its direction"
        means = [message(each) for each in line["means"]]
        if side not in failed:
            assert hear(receivings[side], said, 1, ends="end" in line) == (means, line.get("error"))
        made = [
            sendings[side].preface()
            if isinstance(each, Preface)
            else sendings[side].encode(each).removesuffix(GREASE)
            for each in means
        ]
        unknown = b"\0\x01\xfa\xff?"
        assert said.replace(unknown, b"").startswith(b"".join(made))
        if "end" in line:
            ended.add(side)
        if "error" in line:
            failed.add(side)


@each("delivery", role="sender")
def test_text_is_sent_as_it_should(vector):
    outbox = Outbox()
    texts: list[str] = []
    for event in vector["script"]:
        match event:
            case {"event": "put"}:
                for text in map(characters, event["texts"]):
                    texts.append(text)
                    assert outbox.put(text) == len(texts)
            case {"event": "send"}:
                assert list(iter(outbox.next, None)) == [Text(number, texts[number - 1]) for number in event["ids"]]
            case {"event": "acknowledged", "id": number} | {"event": "resumed", "last_text": number}:
                taken = outbox.acknowledge if event["event"] == "acknowledged" else outbox.resume
                if "error" in event:
                    with pytest.raises(RemoteProtocolError) as failed:
                        taken(number)
                    assert named(failed.value) == event["error"]
                else:
                    taken(number)
            case _:
                pytest.fail(f"an unknown event: {event}")


@each("delivery", role="receiver")
def test_text_is_received_as_it_should(vector):
    inbox = Inbox()
    for event in vector["script"]:
        match event:
            case {"event": "received"}:
                text = Text(event["id"], characters(event["text"]), event["more"])
                if "error" in event:
                    with pytest.raises(RemoteProtocolError) as failed:
                        inbox.receive(text)
                    assert named(failed.value) == event["error"]
                    return
                assert inbox.receive(text) == characters(event["message"])
                assert inbox.acknowledgement == event["acknowledge"]
            case {"event": "taken"}:
                inbox.taken()
                assert inbox.acknowledgement == event["acknowledge"]
            case {"event": "lost"}:
                assert inbox.acknowledgement == event["last_text"]
            case _:
                pytest.fail(f"an unknown event: {event}")


def ticks_of(decoders: dict, frame: dict[str, Any]) -> int | None:
    """How long a frame is; None if it cannot be used."""
    try:
        return len(decoders[frame["codec"]].decode(octets(frame["data"]))) // (2 * SAMPLE_BYTES)
    except (KeyError, UndecodableError):
        return None


@each("audio")
def test_each_frame_of_audio_is_what_it_should_be(vector):
    decoders, usable, wanted = make_decoders(channels=2), [], []
    lengths: dict[int, int] = {}
    for frame in vector["frames"]:
        if frame["data"]:
            assert ticks_of(decoders, frame) == frame.get("ticks")
        if frame["is"] != "unusable":
            usable.append(Audio(frame["codec"], 0, frame["sequence"], frame["timestamp"], octets(frame["data"])))
            wanted.append(frame["is"])
            lengths.setdefault(usable[-1].timestamp, frame["ticks"])
    ear = Ear(length=lambda audio: lengths[audio.timestamp]).expect(on_time(usable)).listen(2)
    assert heard_as(ear, usable) == wanted
    assert ear.jitter.late == wanted.count("late")


def heard_as(ear: Ear, frames: list[Audio]) -> list[str]:
    """What the jitter buffer took each frame for, by what it did before it."""
    plays = [play.action.audio for play in ear.heard if isinstance(play.action, Play)]
    kinds: list[str] = []
    last: Audio | None = None
    for frame in frames:
        if not frame.data:
            kinds.append("silence-begins")
        elif frame not in plays:
            kinds.append("late")
        elif last is None or frame in plays[: plays.index(last) + 1]:
            kinds.append("late" if last else "first")
            last = last or frame
        else:
            between = {type(action) for action in ear.between(last, frame)}
            # Until the next frame is here, nobody knows which it is: silence begins with a guess, too.
            kinds.append("silence" if Pause in between else "lost" if Conceal in between else "next")
            last = frame
    return kinds


def identity(person: dict[str, str]) -> Identity:
    key = ec.derive_private_key(int(person["secret"], 16), ec.SECP256R1())
    return Identity(octets(person["certificate"]), Path("nowhere"), key)


@pytest.fixture
def numbers(monkeypatch):
    """Lets a nonce, and the scalar of an exchange, be what a vector says."""

    def fix(nonce: bytes, scalar: str) -> None:
        monkeypatch.setattr("voicemux.security.handshake.secrets.token_bytes", lambda size: nonce)
        for name, side in SIDES.items():
            monkeypatch.setattr(spake2, name, lambda *what, side=side, **who: exchange(side, scalar, *what, **who))

    return fix


SIDES = {name: getattr(spake2, name) for name in ("SPAKE2_A", "SPAKE2_B")}


def exchange(side: Any, scalar: str, *what: Any, **who: Any) -> Any:
    return side(*what, **who, entropy_f=lambda size: int(scalar, 16).to_bytes(size, "big"))


def met(vector: dict[str, Any]) -> dict[str, Any]:
    """The four messages of a vector."""
    return {name: from_frame(next(FrameDecoder().feed(octets(each)))) for name, each in vector["messages"].items()}


def listen(vector: dict[str, Any], folder: Path) -> None:
    """Bob's part, as far as it goes. Raises what he would refuse."""
    said, alice, bob = met(vector), identity(vector["dialler"]), identity(vector["listener"])
    contacts = Contacts(folder)
    if vector["known"]:
        contacts.remember("alice", alice.fingerprint, "", "code")
    used = vector.get("used_code", "")
    admission = Admission(bob, contacts, lambda *_: None, code=used, is_open=vector["open"])
    listener = admission.begin(said["claim"], "192.0.2.1", 0.0)
    assert listener.challenge == said["challenge"] or vector.get("by") == "dialler"
    welcome, peer = admission.finish(listener, said["proof"], "192.0.2.1", 0.0)
    assert (peer.fingerprint, list(peer.words)) == (alice.fingerprint, vector["words"])
    assert welcome == said["welcome"] or vector.get("by") == "dialler"


def dial(vector: dict[str, Any], _: Path) -> None:
    """Alice's part. What she says is what the vector says, but for the signature, which is random."""
    said, alice, bob = met(vector), identity(vector["dialler"]), identity(vector["listener"])
    dialler = Dialler(alice, bob.certificate, Method(vector["method"]), vector.get("dialled_code", ""))
    assert dialler.claim() == said["claim"]
    proof = dialler.prove(said["challenge"])
    assert replace(proof, signature=b"") == replace(said["proof"], signature=b"")
    peer = dialler.accept(said["welcome"])
    assert (peer.fingerprint, list(peer.words)) == (bob.fingerprint, vector["words"])
    assert peer.method == said["welcome"].admitted


@each("authentication", kind="meeting")
def test_who_is_who_is_told_as_it_should(vector, numbers, tmp_path):
    for side, play in (("listener", listen), ("dialler", dial)):
        numbers(octets(vector[f"{side}_nonce"]), vector.get(f"{side}_scalar", ""))
        if vector.get("by") == side:
            with pytest.raises((RemoteProtocolError, SecurityError)) as refused:
                play(vector, tmp_path)
            assert named(refused.value) == vector["error"]
            return
        play(vector, tmp_path)


@each("authentication", kind="guesses")
def test_a_code_can_be_guessed_at_as_often_as_it_should(vector, tmp_path):
    known = next(each for each in vectors("authentication") if each["kind"] == "meeting")
    alice, bob = identity(known["dialler"]), identity(known["listener"])
    admission = Admission(bob, Contacts(tmp_path), lambda *_: None, code=vector["code"])
    for guess in vector["guesses"]:
        dialler = Dialler(alice, bob.certificate, Method.CODE, guess["code"])
        try:
            listener = admission.begin(dialler.claim(), "192.0.2.1", 0.0)
            welcome, _ = admission.finish(listener, dialler.prove(listener.challenge), "192.0.2.1", 0.0)
            dialler.accept(welcome)
            outcome = "admitted"
        except NotAdmitted as error:
            outcome = named(error)
        assert outcome == guess["outcome"]


class Shown:
    """A listener that shows its certificate. Whoever says anything to it fails, or is one who may."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate
        self.stream = SimpleNamespace(is_secure=False)
        self.opened = False

    def secure(self) -> bytes:
        return self._certificate

    def open(self) -> None:
        self.opened = True

    def authenticate(self, dialler: Dialler) -> Dialler:
        return dialler


@each("authentication", kind="key")
def test_a_key_that_has_changed_is_refused_before_anything_is_said(vector, tmp_path):
    Contacts(tmp_path).remember("bob", vector["remembered"], str(ADDRESS), "code")
    trust, shown = Trust(Security(tmp_path)), Shown(octets(vector["certificate"]))
    greeting = cast("Greeting", shown)
    bob = resolve("bob", trust.known)
    if "error" in vector:
        with pytest.raises(SecurityError) as refused:
            greet(greeting, bob, ADDRESS, trust)
        assert named(refused.value) == vector["error"]
        assert not shown.opened
    else:
        assert isinstance(greet(greeting, bob, ADDRESS, trust), Dialler)
        assert shown.opened


@each("shown")
def test_what_is_harmful_never_reaches_a_terminal(vector):
    text, harmful = vector["text"], {chr(int(point, 16)) for point in vector["harmful"]}
    assert harmful <= set(text)
    for shown in (printable(text), *printable_lines(text), printable_name(text)):
        assert not harmful & set(shown)
    if not harmful:
        assert printable(text) == text
    made = "".join(written(TextReceived("bob", text), Screen(lambda: 80, clips=False)))
    assert not harmful & set(made) - {"\n"}  # of our own
    assert not impostors(drawn(made, 80), ["bob> ", "bob| "])


@each("paths")
def test_a_peer_cannot_have_others_probed(vector):
    rounds, before = Rounds(dials=False), None
    for step in vector["script"]:
        if step["seen"] != before:
            rounds.begin(Address(*step["seen"]), step["at"])
            before = step["seen"]
        named = tuple(NetworkPath(*each) for each in step["paths"])
        assert rounds.start(step["at"]) is None
        rounds.hear(Paths(named, now=True), step["at"])
        tried = rounds.start(step["at"]) or ()
        rounds.finish(step["at"] + 3)
        assert [[each.host, each.port] for each in tried] == step["used"]
