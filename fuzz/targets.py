"""What is fuzzed: a target takes any bytes, and raises only if something is wrong with voicemux.

Wrong is every exception that a layer does not name, and what an assertion here says. Targets know nothing of the
fuzzer, so that what it has found can be tried anywhere.
"""

import contextlib
import math
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from fuzz.direction import Direction
from fuzz.draws import Draws
from fuzz.people import people
from fuzz.relaying import relay_desk, relay_stream
from fuzz.resumption import Resumption
from fuzz.tape import Tape
from tests.audio.null import Nowhere
from tests.console.screens import KINDS, drawn, impostors
from tests.console.strategies import make_stats
from voicemux.audio.codec import make_decoders
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.calls.call import RunningCall
from voicemux.console import printable as screen
from voicemux.console.rows import LEAST_COLUMNS, MOST_CELLS, MOST_MARKS, MOST_ROWS, OURS, Screen
from voicemux.console.wording import mark_of, written
from voicemux.errors import CallRefused, ConnectionLost, NotAdmitted, RemoteProtocolError, SecurityError, Unreachable
from voicemux.events import Connected, Ended, Event, TextReceived
from voicemux.net.address import Address
from voicemux.net.greeting import Greeting
from voicemux.net.tcp import TcpStream
from voicemux.protocol.connection import NOT_A_DIALLERS, NOT_A_LISTENERS, Receiving, Sending, State
from voicemux.protocol.delivery import Inbox
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import (
    OWN_SOURCE,
    Arrivals,
    Bye,
    ByeCode,
    Hello,
    Message,
    Method,
    Preface,
    Report,
    Text,
    VoiceState,
    Welcome,
)
from voicemux.protocol.wire import MAX_PAYLOAD, PREFACE, PREFACE_STEM, header_struct
from voicemux.security.admission import Admission
from voicemux.security.handshake import Dialler, Peer

LOST = -1  # in the place of a BYE code: there is nobody to send it to
FRAME = header_struct.size + MAX_PAYLOAD  # bytes of the longest
FIRST_STATES, UNFIT = (State.START, State.STRANGER), ((), NOT_A_DIALLERS, NOT_A_LISTENERS)
CODE, GUESS = "42-beeswax-caravan", "42-beeswax-carbon"
DOORS: tuple[dict[str, Any], ...] = ({"code": CODE}, {"words": 3}, {"is_open": True}, {})
MOST_CALLS = 5  # at one door
READ_SIZE = 65_536  # bytes

OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u2028\u2029"}
HIDDEN = {*"\xad\u200b\ufeff", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2060, 0x2070))}
OUR_MARKS = set("<>:|")
MOST_EVENTS = 3  # that are drawn: an emulator takes a while
MOST_SHOWN = MOST_ROWS + 20  # rows of an event; how much more there is takes several on a narrow screen


def preface(data: bytes) -> None:
    """A preface is told from another version's and from anything else, however it comes."""
    pieces = Draws(data).pieces()
    heard, begin = hear(pieces), b"".join(pieces)[: len(PREFACE)]
    assert (Preface() in heard.messages) == (begin == PREFACE)
    if not PREFACE.startswith(begin):
        is_voicemux, is_whole = begin.startswith(PREFACE_STEM), len(begin) == len(PREFACE)
        assert heard.code == (ByeCode.PROTOCOL if not is_voicemux else ByeCode.VERSION if is_whole else LOST)
        assert heard.why.isascii()
        assert is_harmless(heard.why)


def frames(data: bytes) -> None:
    """Frames are the bytes of the stream and nothing else; only a wrong header is a fault."""
    pieces = Draws(data).pieces()
    decoder, found, is_fault = FrameDecoder(), list[Frame](), False
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                found.append(frame)
            assert len(decoder._buffer) < FRAME
    except RemoteProtocolError:
        is_fault = True
    stream, cut = b"".join(pieces), b"".join(map(encode_frame, found))
    assert stream.startswith(cut)
    rest = stream[len(cut) :]
    has_header = len(rest) >= header_struct.size
    length, tag, _ = header_struct.unpack_from(rest) if has_header else (0, 1, 0)
    assert is_fault == (length > MAX_PAYLOAD or tag == 0)
    assert is_fault or len(rest) < header_struct.size + length
    assert is_fault or decoder.torn == bool(rest)


def messages(data: bytes) -> None:
    """What is read can be written, and says the same again."""
    draws = Draws(data)
    frame = Frame(draws.number(), draws.number(), draws.piece(MAX_PAYLOAD))
    with contextlib.suppress(RemoteProtocolError):
        if message := from_frame(frame):
            again = to_frame(message)
            assert from_frame(again) == message
            assert again.tag == frame.tag
            # These have parts that nobody reads.
            assert again.payload == frame.payload or isinstance(message, Hello | Report | Arrivals | VoiceState)


def connection(data: bytes) -> None:
    """It does not matter how a stream is cut, and what a peer may say we may say, too."""
    draws = Draws(data)
    kind, pieces = draws.number(), draws.pieces()
    first, unfit = FIRST_STATES[kind % 2], UNFIT[kind // 2 % 3]
    heard, whole = hear(pieces, first, unfit), hear([b"".join(pieces)], first, unfit)
    assert (heard.messages, heard.code) == (whole.messages, whole.code)
    assert heard.why == whole.why or not heard.messages
    sending = Sending(first)
    for message in heard.messages[1:]:
        assert not isinstance(message, Preface)
        assert type(message) not in unfit
        sending.encode(message)


def delivery(data: bytes) -> None:
    """Text is not lost, doubled or reordered, whatever happens in whatever order."""
    draws = Draws(data)
    direction = Direction(draws)
    while draws:
        direction.happen()
    direction.finish()


def resume(data: bytes) -> None:
    """A call goes on over the next connection, wherever the last one broke: no text is lost, doubled or reordered."""
    draws = Draws(data)
    resumption = Resumption(draws)
    while draws:
        resumption.happen()
    resumption.finish()


def authentication(data: bytes) -> None:
    """Only a contact, or who knows the code, gets in, and only if nobody has changed what they said."""
    draws, known = Draws(data), people()
    door = DOORS[draws.number() % len(DOORS)]
    admission = Admission(known.bob, known.contacts, lambda code, why: None, **door)
    for _ in range(MOST_CALLS):
        kind, right = draws.number(), admission.code
        caller, code = (known.alice, known.mallory)[kind & 1], (right or CODE, GUESS)[kind >> 1 & 1]
        method = Method((kind >> 2) % len(Method))
        dialler = Dialler(caller, known.bob.certificate, method, code)
        try:
            welcome, peer = knock(admission, dialler, draws)
            assert peer.fingerprint == caller.fingerprint
            if method is Method.CODE:
                assert code == right
                assert "words" not in door or admission.code != right
            else:
                assert caller is known.alice or (peer.method is Method.OPEN and "is_open" in door)
            believed = dialler.accept(changed(welcome, draws))
            assert believed.fingerprint == known.bob.fingerprint
            assert believed.words == peer.words
            assert believed.method in (method, Method.OPEN)
        except NotAdmitted as error:
            if method is not Method.CODE and error.code != ByeCode.UNKNOWN_CALLER:
                raise
        except (RemoteProtocolError, SecurityError):
            pass
        if not draws:
            break


def knock(admission: Admission, dialler: Dialler, draws: Draws) -> tuple[Welcome, Peer]:
    """What comes of a call with somebody in its middle. Raises RemoteProtocolError or NotAdmitted."""
    claim = dialler.claim()
    heard_claim = changed(claim, draws)
    try:
        listener = admission.begin(heard_claim, "192.0.2.1", 0.0)
    except NotAdmitted as error:
        if heard_claim.method != claim.method:
            raise SecurityError("another method was heard than was said") from error
        raise
    proof = dialler.prove(heard_challenge := changed(listener.challenge, draws))
    admitted = admission.finish(listener, heard_proof := changed(proof, draws), "192.0.2.1", 0.0)
    assert (heard_claim, heard_challenge, heard_proof) == (claim, listener.challenge, proof)
    admission.use(listener, admitted[1], 0.0)
    return admitted


def changed(message: Any, draws: Draws) -> Any:
    """The message with some bytes replaced by others, if the draws say so. Raises RemoteProtocolError."""
    frame = to_frame(message)
    payload = bytearray(frame.payload)
    for _ in range(draws.number() % 4):
        place, put = draws.number(2) % (len(payload) + 1), draws.piece(draws.number())
        payload[place : place + draws.number()] = put
    return from_frame(frame._replace(payload=bytes(payload[:MAX_PAYLOAD])))


def demultiplexer(data: bytes) -> None:
    """The reading side of a call shows the text that came, and answers what is wrong with a goodbye that says so."""
    hello = PREFACE + encode_frame(to_frame(Hello("peer")))
    with stream_that_brings(data) as (stream, far):
        sending, receiving = Sending(), Receiving()
        list(receiving.receive(hello))
        stream.write(sending.preface() + sending.encode(Hello("we")))
        player = Mixer(Nowhere(), {OWN_SOURCE: Playout(make_decoders())})
        call = RunningCall(stream, sending, receiving, Hello("peer"), None, player)
        call._first._read()
        shown = []
        while not isinstance(event := call.next_event(), Ended):
            shown += [event.text] if isinstance(event, TextReceived) else []
        call._first.writer.run()
        said = hear(iter(lambda: far.recv(READ_SIZE), b""))
    assert call._failure is None
    assert said.code == ByeCode.NORMAL
    goodbye = said.messages[-1]
    assert isinstance(goodbye, Bye)
    heard = hear([hello, data])
    if heard.code > 0:
        assert goodbye.code not in (ByeCode.NORMAL, ByeCode.INTERNAL)
    elif goodbye.code == ByeCode.NORMAL:
        came = {each.id: each.text for each in reversed(heard.messages) if isinstance(each, Text)}
        assert "".join(shown) == "".join(came[number] for number in range(1, 1 + max(came, default=0)))


def greeting(data: bytes) -> None:
    """A dialler gets a listener's HELLO, or a reason in words, from whatever answers."""
    draws, known = Draws(data), people()
    way, why = draws.number() % 3, ""
    is_tls, is_inside = way == 1, way == 2
    with stream_that_brings(draws.rest()) as (stream, _):
        greeting = Greeting(stream)
        try:
            if is_tls:
                greeting.secure()
            if is_inside:  # TLS, which is not there
                greeting.sending = Sending(State.STRANGER)
                greeting.receiving = Receiving(State.STRANGER, NOT_A_LISTENERS)
            greeting.open()
            if is_inside:
                greeting.authenticate(Dialler(known.alice, known.bob.certificate, Method.KNOWN))
            greeting.introduce(Hello("we"), lambda: None)
            assert not is_tls
        except (RemoteProtocolError, ConnectionLost, CallRefused, SecurityError, Unreachable) as error:
            why = str(error)
    assert is_harmless(screen.printable(why))


def audio(data: bytes) -> None:
    """Whatever is said to be voice is played, or something in its place, and what waits for it is bounded."""
    player = Tape(Draws(data)).player
    player.run(lambda since: None)
    report = player.report()
    assert report is None or from_frame(to_frame(report)) == report
    assert all(figure is None or math.isfinite(figure) for figure in vars(player.figures).values())


def printable(data: bytes) -> None:
    """Nothing that a terminal would obey comes out of a peer's text, nor a name that looks like a line of ours."""
    text = data.decode(errors="surrogateescape")
    shown, (name, tag) = screen.printable(text), screen.name_and_tag(text)
    assert screen.printable(shown) == shown
    assert all(map(is_harmless, [shown, name, tag, *screen.printable_lines(text)]))
    assert len(name) <= screen.MAX_NAME
    assert not set(name) & OUR_MARKS


def rows(data: bytes) -> None:
    """Whatever frames a peer sends, each row of a terminal says who speaks in it, and there are not many of them."""
    draws = Draws(data)
    columns, clips, kind = (
        1 + draws.number() % 140,
        bool(draws.number() & 1),
        list(KINDS)[draws.number() % len(KINDS)],
    )
    terminal = Screen(lambda: columns, clips=clips)
    name = "peer"
    inbox = Inbox()
    for message in hear([PREFACE + draws.rest()]).messages[:MOST_EVENTS]:
        match message:
            case Hello():
                name, event = message.name, Connected(message.name, "10.0.0.9", message.agent, "", "")
            case Text(text=text):
                with contextlib.suppress(RemoteProtocolError):
                    text = inbox.receive(message) or text
                event = TextReceived(name, text)
            case Bye():
                event = Ended("them", "", 0, make_stats(), said=message.reason)
            case _:
                continue
        drawn_rows(event, terminal, kind)


def drawn_rows(event: Event, terminal: Screen, kind: str) -> None:
    """Draw what is shown of an event, and look at every row."""
    columns, made = terminal.columns, list(written(event, terminal, "alice"))
    assert len(made) <= MOST_SHOWN
    assert sum(map(len, made)) <= MOST_SHOWN * MOST_CELLS * (1 + MOST_MARKS)
    output = "".join(made)
    shown = drawn(f"\x1b[?7l{output}\x1b[?7h" if terminal.clips else output, columns, kind)
    assert len(shown) <= len(made)
    marks = [OURS, mark_of(event.name, "alice") if isinstance(event, TextReceived) else OURS]
    begins = [
        fitted.before(separator)
        for fitted in (mark.fitted(terminal, columns) for mark in marks)
        for separator in (fitted.first, fitted.others)
    ]
    assert not impostors(shown, [">", "|", ":"] if columns < LEAST_COLUMNS else begins)


class Heard(NamedTuple):
    """What was understood of a stream, and how it ended: with which BYE it is to be answered, and why."""

    messages: list[Preface | Message]
    code: int
    why: str


def hear(pieces: Iterable[bytes], first: State = State.START, unfit: Collection[type] = ()) -> Heard:
    receiving, heard = Receiving(first, unfit), list[Preface | Message]()
    try:
        for piece in pieces:
            for message in receiving.receive(piece):
                heard.append(message)
            assert len(receiving._frames._buffer) < FRAME
        receiving.receive_end()
    except RemoteProtocolError as error:
        return Heard(heard, error.code, str(error))
    except ConnectionLost as error:
        return Heard(heard, LOST, str(error))
    return Heard(heard, ByeCode.NORMAL, "")


@contextlib.contextmanager
def stream_that_brings(data: bytes) -> Iterator[tuple[TcpStream, socket.socket]]:
    """A stream from which the data comes, and then its end; and the far end of it."""
    near, far = socket.socketpair()
    with contextlib.closing(TcpStream(near, Address("peer", 1))) as stream, far:
        far.sendall(data)  # the kernel has room for it
        far.shutdown(socket.SHUT_WR)
        yield stream, far


def is_harmless(shown: str) -> bool:
    """Whether a terminal takes it for one line of visible text."""
    return not set(shown) & (OBEYED | HIDDEN) and not any("\ud800" <= each <= "\udfff" for each in shown)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        preface,
        frames,
        messages,
        connection,
        delivery,
        resume,
        authentication,
        demultiplexer,
        greeting,
        audio,
        printable,
        rows,
        relay_stream,
        relay_desk,
    )
}
