import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from tests.peers import (
    PATIENCE,
    Owner,
    Peer,
    Relay,
    encode,
    greeted,
    hear_hello,
    say_hello,
    sockets,
    stream_of,
    wait_until,
)
from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.audio.levels import SoundLevels
from voicemux.audio.playout.playout import Figures
from voicemux.calls import call as call_module
from voicemux.calls import carrier, sound_threads, timekeeper, vitals, watch
from voicemux.calls.call import RunningCall
from voicemux.errors import ConnectionLost, DeviceError, LocalProtocolError, RemoteProtocolError
from voicemux.events import (
    AudioStarted,
    AudioStopped,
    Ended,
    Event,
    Level,
    Notice,
    PeerSwitched,
    Quiet,
    Rejected,
    Status,
    Switched,
    TextReceived,
    Voice,
    Waiting,
)
from voicemux.net.tcp import TcpStream
from voicemux.protocol import liveness
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Hello,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
)
from voicemux.protocol.wire import TEXT_WINDOW

SILENCE = 1.9  # seconds without a byte, in calls that have to last longer than that
LONG = "grüße, " * 50_000  # several windows, and code points that a cut could split
VOICE = Audio(2, 0, 7, 6720, b"voice")


class Sound:
    """What both halves of the audio have in common: they run until they are stopped, or until `plan` ends it."""

    def __init__(self, plan: Callable[[], None] | None = None) -> None:
        self.label = "a device"
        self.in_use = self  # the device, too
        self.can_reopen = self.is_missing = self.has_another = False
        self.attempts: list[float] = []  # to have it back
        self.stopped = threading.Event()
        self._plan = plan or (lambda: None)

    def _run(self, on_start: Callable[[float], None]) -> None:
        on_start(time.monotonic())
        self._plan()
        self.stopped.wait()

    def reopen(self) -> None:
        self.attempts.append(time.monotonic())
        if len(self.attempts) == 1:
            raise DeviceError("not yet")
        self._plan = lambda: None

    def stop(self) -> None:
        self.stopped.set()


class Microphone(Sound):
    """A Transmitter: says what it is given."""

    def __init__(self, *voice: Audio, plan: Callable[[], None] | None = None) -> None:
        super().__init__(plan)
        self.muted = False
        self.capture_ms, self.xruns, self.eager, self.silent_for = 30.0, 5, False, 0.0
        self.echo, self.echo_db = "on", -14.21
        self.ladder = Ladder(Rung(20, 32_000))
        self.levels = SoundLevels(-30.04, -12.0, -24.04, -61.0, 7, 2)
        self.gate = SimpleNamespace(speaks=True, spoken=1.5, mode="open", talks=False, choose=lambda mode: None)
        self._voice = voice

    def run(self, send: Callable[[Audio], None], on_start: Callable[[float], None]) -> None:
        for audio in self._voice:
            send(audio)
        self._run(on_start)


class Speaker(Sound):
    """A Player: keeps what it gets."""

    def __init__(self, plan: Callable[[], None] | None = None, put: Callable[[Audio], None] | None = None) -> None:
        super().__init__(plan)
        self.deafened = self.records = False
        self.volume = None
        self.heard: list[Audio] = []
        self.round_trips: list[float] = []
        self._take = put or self.heard.append
        self.levels = SoundLevels(-27.0, -15.0, -22.96, -70.0, 0, 0)

    @property
    def figures(self) -> Figures:
        return Figures(
            received=len(self.heard),
            late=3,
            concealed=4,
            shortened_ms=11.4,
            lengthened_ms=12.4,
            packet_ms=26.5,
            buffer_ms=44.0,
            playout_ms=15.0,
            drift_ppm=-21.04,
            xruns=6,
        )

    def run(self, on_start: Callable[[float], None]) -> None:
        self._run(on_start)

    def report(self) -> Report | None:
        return Report(0, 7, 6720, 60, 40) if self.heard else None

    def put(self, audio: Audio, arrival: float | None = None) -> None:
        self._take(audio)

    def begin_again(self, *, goes_on: bool = False) -> None:
        pass

    def round_trip(self, seconds: float) -> None:
        self.round_trips.append(seconds)


def fail(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def error_of(owner: Owner) -> BaseException:
    assert owner.call.error
    return owner.call.error


def assert_nothing_is_left(*streams: TcpStream) -> None:
    assert [stream.fileno() for stream in streams] == [-1] * len(streams)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("voicemux-")]


@pytest.fixture(autouse=True)
def farewells_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits until a goodbye is given up is told from what does not, however slow the machine is."""
    monkeypatch.setattr(call_module, "GOODBYE_TIMEOUT", 3 * PATIENCE)


@contextlib.contextmanager
def in_call(
    transmitter: Microphone | None = None,
    player: Speaker | None = None,
    *,
    buffers: int = 0,
    silence: float = 2 * PATIENCE,
    status: float = 0.0,
    hello: Hello = Hello("peer"),  # noqa: B008
) -> Iterator[tuple[Owner, Peer]]:
    """A call with a peer that is held by hand."""
    with greeted(hello, buffers) as (stream, sending, receiving, peer):
        stream.set_timeout(silence)
        call = RunningCall(stream, sending, receiving, hello, transmitter, player, status_interval=status)
        with Owner(call) as owner, peer:
            yield owner, peer
        assert_nothing_is_left(stream)


def greet(near: TcpStream, far: TcpStream) -> tuple[RunningCall, RunningCall]:
    calls = []
    sendings = [say_hello(stream, Hello(name)) for stream, name in ((near, "near"), (far, "far"))]
    for stream, sending in zip((near, far), sendings, strict=True):
        receiving, hello = hear_hello(stream)
        calls.append(RunningCall(stream, sending, receiving, hello, None, None))
    return calls[0], calls[1]


@contextlib.contextmanager
def both_in_call() -> Iterator[tuple[Owner, Owner]]:
    """Two calls, one with the other."""
    near, far = map(stream_of, sockets())
    with contextlib.ExitStack() as stack:
        owners = [stack.enter_context(Owner(call)) for call in greet(near, far)]
        yield owners[0], owners[1]
    assert_nothing_is_left(near, far)


# --- text


def test_text_goes_both_ways_in_order():
    with both_in_call() as (near, far):
        for number in range(200):
            assert near.call.say(f"near {number}")
            assert far.call.say(f"far {number}")
        assert far.wait_for_texts(200) == [f"near {number}" for number in range(200)]
        assert near.wait_for_texts(200) == [f"far {number}" for number in range(200)]


def test_a_text_comes_with_the_name_of_who_wrote_it():
    with both_in_call() as (near, far):
        near.call.say("hi")
        assert far.wait_for(TextReceived) == TextReceived("near", "hi")


def test_a_peer_without_a_name_goes_by_its_address():
    with in_call(hello=Hello()) as (owner, peer):
        peer.send(Text(1, "hi"))
        assert owner.wait_for(TextReceived) == TextReceived("127.0.0.1", "hi")


@pytest.mark.parametrize("text", ["", "two\nlines", "\0\x1b[31m", "\u202egnirts", "😀" * 3000, LONG], ids=ascii)
def test_any_text_arrives_as_it_was(text):
    with both_in_call() as (near, far):
        near.call.say(text)
        assert near.call.wait_for_delivery()
        assert far.texts == [text]


def test_text_that_is_not_unicode_is_refused_and_the_call_goes_on():
    with both_in_call() as (near, far):
        with pytest.raises(LocalProtocolError):
            near.call.say("half a \ud834")
        near.call.say("whole")
        assert far.wait_for_texts(1) == ["whole"]


def test_a_text_is_acknowledged_only_once_it_has_been_shown():
    with greeted() as (stream, sending, receiving, peer):
        call = RunningCall(stream, sending, receiving, Hello("peer"), None, None)
        call.start()
        peer.send(Text(1, "one"), Text(2, "two"), Ping(b"12345678"))
        assert call.next_event() == TextReceived("peer", "one")
        assert isinstance(peer.hear(Pong, TextAck), Pong)
        assert call.next_event() == TextReceived("peer", "two")
        assert peer.hear(TextAck) == TextAck(1)
        peer.send(Bye())
        peer.finish()
        with contextlib.closing(call):
            ended = call.next_event()
            assert isinstance(ended, Ended)
            assert ended.by == "them"
            assert peer.hear(TextAck) == TextAck(2)


def test_the_parts_of_a_long_text_are_acknowledged_before_it_is_whole():
    with in_call() as (owner, peer):
        for number in range(1, 201):  # more than a window
            peer.send(Text(number, "x" * 1000, more=number < 200))
            while number % 50 == 0 and peer.hear(TextAck) != TextAck(number):
                pass
        assert owner.wait_for_texts(1) == ["x" * 200_000]


def test_a_text_whose_end_never_comes_is_shown_as_far_as_it_came():
    with in_call() as (owner, peer):
        peer.send(Text(1, "whole"), Text(2, "torn, ", more=True), Text(3, "but rea", more=True))
        peer.finish()
        owner.wait_for_end()
        assert owner.texts == ["whole", "torn, but rea"]


def test_a_text_that_came_twice_is_shown_once():
    with in_call() as (owner, peer):
        peer.send(Text(1, "one"), Text(1, "one"), Text(2, "two"), Text(1, "one"), Bye())
        peer.finish()
        owner.wait_for_end()
        assert owner.texts == ["one", "two"]


def test_delivery_is_what_the_peer_says_it_is():
    with in_call() as (owner, peer):
        delivered = []
        assert owner.call.wait_for_delivery()
        owner.call.say("hi")
        waiter = threading.Thread(target=lambda: delivered.append(owner.call.wait_for_delivery()))
        waiter.start()
        peer.hear(Text)
        waiter.join(0.05)
        assert not delivered
        peer.send(TextAck(1))
        waiter.join(PATIENCE)
        assert delivered == [True]


def test_delivery_without_progress_is_given_up(monkeypatch):
    monkeypatch.setattr(call_module, "DELIVERY_PATIENCE", 0.05)
    with in_call() as (owner, _):
        owner.call.say("hi")
        assert not owner.call.wait_for_delivery()


def test_the_end_of_a_call_wakes_whoever_waits_for_delivery():
    with in_call() as (owner, peer):
        delivered = []
        owner.call.say("hi")
        waiter = threading.Thread(target=lambda: delivered.append(owner.call.wait_for_delivery()))
        waiter.start()
        peer.hear(Text)
        peer.reset()
        waiter.join(PATIENCE)
        assert delivered == [False]


# --- how it ends


def test_hanging_up_ends_it_at_both_sides():
    with both_in_call() as (near, far):
        near.call.say("hi")
        far.wait_for_texts(1)
        near.call.hang_up(reason="so long")
        ends = near.wait_for_end(), far.wait_for_end()
        assert [(end.by, end.reason, end.undelivered) for end in ends] == [
            ("us", "so long", False),
            ("them", "", False),
        ]
        assert [end.said for end in ends] == ["", "so long"]
        assert near.call.error is far.call.error is None


def test_both_may_hang_up_at_once():
    with both_in_call() as (near, far):
        near.call.hang_up()
        far.call.hang_up()
        ends = near.wait_for_end(), far.wait_for_end()
        assert {end.by for end in ends} <= {"us", "them"}
        assert near.call.error is far.call.error is None


def test_hanging_up_again_is_nothing():
    with both_in_call() as (near, far):
        for _ in range(3):
            near.call.hang_up(reason="first")
        near.call.hang_up(ByeCode.INTERNAL, "second")
        assert near.wait_for_end().reason == far.wait_for_end().said == "first"


@pytest.mark.parametrize("last", ["last words", LONG], ids=["short", "long"])
def test_last_words_arrive(last):
    with both_in_call() as (near, far):
        near.call.say("first words")
        near.call.say(last)
        near.call.hang_up()
        assert not near.wait_for_end().undelivered
        far.wait_for_end()
        assert far.texts == ["first words", last]


def test_words_that_cross_a_goodbye_arrive():
    with in_call() as (owner, peer):
        owner.call.hang_up()
        assert peer.hear(Bye) == Bye()
        peer.send(Text(1, "but one"), Text(2, "thing more"), Bye())
        peer.finish()
        assert owner.wait_for_end().by == "us"
        assert owner.texts == ["but one", "thing more"]


def test_the_last_words_of_both_arrive_when_both_hang_up_at_once():
    with both_in_call() as (near, far):
        for owner in (near, far):
            assert owner.call.say("last words")
        for owner in (near, far):
            owner.call.hang_up()
        near.wait_for_end()
        far.wait_for_end()
        assert near.texts == far.texts == ["last words"]


def test_what_is_said_after_the_end_is_not_sent_and_one_is_told():
    with both_in_call() as (near, far):
        near.call.hang_up()
        assert not near.call.say("too late")
        assert not near.wait_for_end().undelivered
        far.wait_for_end()
        assert not far.call.say("too late")
        assert far.texts == []


def test_a_goodbye_is_answered():
    with in_call() as (owner, peer):
        peer.send(Bye(0, "so long"))
        assert peer.hear_to_the_end()[-1] == Bye()
        peer.finish()
        ended = owner.wait_for_end()
        assert (ended.by, ended.reason, ended.said, owner.call.error) == ("them", "", "so long", None)


@pytest.mark.parametrize(
    ("bye", "words"),
    [
        (Bye(ByeCode.FLOOD, "too much"), r"the other side ended the call \(flood\)"),
        (Bye(ByeCode.INTERNAL), r"the other side ended the call \(internal\)"),
        (Bye(4711), r"the other side ended the call \(internal\)"),
    ],
)
def test_a_goodbye_that_names_a_fault_is_an_error(bye, words):
    with in_call() as (owner, peer):
        peer.send(bye)
        peer.finish()
        ended = owner.wait_for_end()
        assert (ended.by, ended.said, bye.reason in ended.reason) == ("them", bye.reason, not bye.reason)
        with pytest.raises(ConnectionLost, match=f"^{words}$") as broken:
            raise error_of(owner)
        assert broken.value.said == bye.reason


def test_a_peer_that_never_says_goodbye_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(call_module, "GOODBYE_TIMEOUT", 0.1)
    with in_call() as (owner, peer):
        owner.call.hang_up()
        assert owner.wait_for_end().by == "us"
        assert peer.hear(Bye) == Bye()


@pytest.mark.parametrize("texts", [0, 2])
def test_the_user_is_told_once_what_a_call_waits_for_that_does_not_end(texts, monkeypatch):
    for module in (call_module, timekeeper):
        monkeypatch.setattr(module, "SHORT", 0.05)
    with in_call() as (owner, peer):
        for _ in range(texts):
            owner.call.say("hi")
        waiter = threading.Thread(target=owner.call.wait_for_delivery)
        waiter.start()
        if not texts:
            owner.call.hang_up()
        assert owner.wait_for(Waiting) == Waiting("peer", texts)
        owner.call.hang_up()
        peer.hear(Bye)
        assert owner.hears_none(Waiting, 0.1)
        peer.finish()
        owner.wait_for_end()
        waiter.join(PATIENCE)
        assert sum(isinstance(event, Waiting) for event in owner.events) == 1


def test_of_an_end_that_takes_no_time_nobody_is_told(monkeypatch):
    monkeypatch.setattr(call_module, "SHORT", PATIENCE)
    with in_call() as (owner, peer):
        owner.call.hang_up()
        peer.hear(Bye)
        peer.finish()
        owner.wait_for_end()
        assert not [event for event in owner.events if isinstance(event, Waiting)]


def test_a_peer_that_takes_nothing_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(call_module, "GOODBYE_TIMEOUT", 0.1)
    with in_call(buffers=4096) as (owner, _):
        owner.call.say(LONG)
        owner.call.hang_up()
        assert owner.wait_for_end().undelivered


def test_abandoning_ends_it_at_once_without_a_goodbye():
    with in_call() as (owner, peer):
        owner.call.abandon()
        owner.wait_for_end()
        assert Bye not in map(type, peer.hear_to_the_end())


def test_closing_ends_it_if_nobody_else_has():
    with greeted() as (stream, sending, receiving, peer):
        call = RunningCall(stream, sending, receiving, Hello(), None, None)
        call.start()
        threading.Timer(0.05, peer.finish).start()
        call.say("last words")
        call.close()
        assert peer.hear(Text, Bye) == Text(1, "last words")
        assert peer.hear(Text, Bye) == Bye()
        assert stream.fileno() == -1


def test_events_are_for_the_owner_in_the_order_in_which_they_were_posted():
    with in_call() as (owner, _):
        for event in (Notice("a"), Notice("b")):
            owner.call.post(event)
        assert owner.wait_for(Notice) == Notice("a")
        assert owner.wait_for(Notice) == Notice("b")


# --- watchers


def test_a_watcher_sees_what_happens_beside_the_reader_and_acknowledges_nothing():
    with greeted() as (stream, sending, receiving, peer):
        call = RunningCall(stream, sending, receiving, Hello("peer"), None, None)
        seen: list[Event] = []
        call.subscribe(seen.append)
        call.start()
        peer.send(Text(1, "hi"), Ping(b"12345678"))
        assert isinstance(peer.hear(Pong, TextAck), Pong)
        assert seen == [TextReceived("peer", "hi")], "though nobody has read it yet"
        peer.send(Bye())
        peer.finish()
        assert call.next_event() == seen[0]
        ended = call.next_event()
        call.close()
        assert seen == [TextReceived("peer", "hi"), ended]


def test_a_watcher_is_told_of_the_end_also_if_nobody_reads_the_events():
    with greeted() as (stream, sending, receiving, peer):
        call = RunningCall(stream, sending, receiving, Hello("peer"), None, None)
        seen: list[Event] = []
        call.subscribe(seen.append)
        call.start()
        peer.finish()
        call.close()
        assert [type(event) for event in seen] == [Ended]


def test_a_watcher_that_raises_does_not_hurt_the_call(caplog):
    with in_call(player=Speaker()) as (owner, peer):
        owner.call.subscribe(fail(ZeroDivisionError()))
        peer.send(Text(1, "one"), Text(2, "two"))
        assert owner.wait_for_texts(2) == ["one", "two"]
        peer.send(Bye())
        peer.finish()
        assert owner.wait_for_end().by == "them"
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


# --- a peer that fails


def lost(owner: Owner, words: str) -> None:
    """The call is lost, soon, as `words` say."""
    ended = owner.wait_for_end()
    assert ended.by == "error"
    with pytest.raises(ConnectionLost, match=words):
        raise error_of(owner)
    assert ended.reason == str(owner.call.error)


def test_a_peer_that_resets_is_lost_at_once():
    with in_call() as (owner, peer):
        peer.send(Text(1, "hi"))
        owner.wait_for_texts(1)
        peer.reset()
        lost(owner, r"^the connection broke: ")


def test_a_peer_that_vanishes_is_lost_at_once():
    with in_call() as (owner, peer):
        peer.finish()
        lost(owner, r"^the connection ended without a goodbye$")


def test_half_a_frame_and_then_the_end_is_a_torn_connection():
    with in_call() as (owner, peer):
        peer.send(Text(1, "whole"), encode(Text(2, "torn"))[:-1])
        peer.finish()
        lost(owner, r"^the connection broke in the middle of a frame$")
        assert owner.texts == ["whole"]


@pytest.mark.parametrize("last", [b"", encode(Text(1, "torn"))[:-1]], ids=["nothing", "half a frame"])
def test_a_silent_peer_is_lost_after_the_timeout(last):
    with in_call(silence=0.3) as (owner, peer):
        peer.send(last)
        lost(owner, r"^nothing came from the other side for 0\.3 s$")
        assert peer.hear(Ping)


def test_a_peer_that_takes_nothing_is_lost_after_the_timeout_also_if_it_goes_on_talking():
    with in_call(buffers=4096, silence=0.4) as (owner, peer):
        owner.call.say(LONG)
        with contextlib.suppress(ConnectionError):
            for number in range(1, 1000):
                peer.send(Text(number, "and so on"))
                if owner.ends_within(0.01):
                    break
        lost(owner, r"^the other side takes nothing for 0\.4 s$")


def test_any_byte_is_a_sign_of_life():
    with in_call(silence=SILENCE) as (owner, peer):
        for byte in encode(Text(1, "slow"), Text(2, "ly")):
            peer.send(bytes([byte]))
            assert not owner.ends_within(0.1)
        assert owner.wait_for_texts(2) == ["slow", "ly"]
        assert owner.ended is None


def test_two_that_are_silent_keep_each_other_alive():
    near, far = map(stream_of, sockets())
    for stream in (near, far):
        stream.set_timeout(SILENCE)
    near_call, far_call = greet(near, far)
    with Owner(near_call) as one, Owner(far_call) as other:
        assert not one.ends_within(1.5 * SILENCE)
        assert one.ended is other.ended is None
        assert near_call.stats().round_trip_ms is not None


def test_a_break_between_them_ends_it_at_both_sides():
    relay = Relay()
    near, far = stream_of(relay.near), stream_of(relay.far)
    with contextlib.ExitStack() as stack:
        owners = [stack.enter_context(Owner(call)) for call in greet(near, far)]
        owners[0].call.say("hi")
        owners[1].wait_for_texts(1)
        relay.reset()
        relay.close()
        for owner in owners:
            assert owner.wait_for_end().by == "error"
            assert isinstance(owner.call.error, ConnectionLost)


def test_text_that_was_not_acknowledged_is_owned_up_to():
    with in_call() as (owner, peer):
        owner.call.say("one")
        owner.call.say("two")
        assert [peer.hear(Text).id, peer.hear(Text).id] == [1, 2]
        peer.send(TextAck(1))
        peer.finish()
        assert owner.wait_for_end().undelivered


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (b"\x10\x01\x02\0", "a frame of 4097 bytes, the limit is 4096"),
        (bytes(4), "a frame of tag 0, which does not exist"),
        (encode_frame(Frame(2, 0, b"\0\0\0\2\xff")), "TEXT"),
        (encode_frame(Frame(2, 0, b"\0\0")), "TEXT"),
        (encode_frame(Frame(4, 0, bytes(9))), "PING"),
        (Hello("again"), "HELLO out of order: the peer is in state OPEN"),
        (Text(3, "gap"), "TEXT 3 after TEXT 1: something is missing"),
        (TextAck(1), "TEXT_ACK of 1, the last TEXT sent is 0"),
    ],
    ids=["length", "tag 0", "UTF-8", "short", "long", "order", "gap", "ack"],
)
def test_a_peer_that_breaks_the_protocol_is_told_how(fault, words):
    with in_call() as (owner, peer):
        peer.send(Text(1, "before"), fault, Text(2, "after"))
        bye = peer.hear(Bye)
        assert bye.code == ByeCode.PROTOCOL
        assert words in bye.reason
        assert peer.hear_to_the_end() == []
        peer.finish()
        ended = owner.wait_for_end()
        assert (ended.by, ended.reason) == ("error", bye.reason)
        assert isinstance(owner.call.error, RemoteProtocolError)
        assert owner.texts == ["before"]


def test_more_text_than_the_window_holds_is_a_flood():
    with greeted() as (stream, sending, receiving, peer):
        call = RunningCall(stream, sending, receiving, Hello(), None, None)
        call.start()
        for number in range(1, TEXT_WINDOW // 1004 + 2):  # nobody reads them
            peer.send(Text(number, "x" * 1000))
        assert peer.hear(Bye).code == ByeCode.FLOOD
        peer.finish()
        call.close()


def test_a_fault_is_told_also_to_a_peer_that_talks_on():
    with in_call() as (owner, peer):
        peer.send(bytes(4))
        for _ in range(30):  # unread bytes would make a close a reset, which destroys the goodbye
            peer.send(b"and so on" * 1000)
            assert not owner.ends_within(0.005)
        assert peer.hear(Bye).code == ByeCode.PROTOCOL
        peer.finish()
        assert owner.wait_for_end().by == "error"


def test_a_peer_that_breaks_the_protocol_and_stays_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(call_module, "GOODBYE_TIMEOUT", 0.1)
    with in_call() as (owner, peer):
        peer.send(bytes(4))
        assert owner.wait_for_end().by == "error"
        assert peer.hear(Bye).code == ByeCode.PROTOCOL


def test_what_nobody_knows_is_skipped():
    with in_call() as (owner, peer):
        for tag in (0x1A, 0x5A, 0xFF):
            peer.send(encode_frame(Frame(tag, 255, b"from a later version")))
        peer.send(encode_frame(Frame(2, 0xFE, b"\0\0\0\1unknown flags")))
        peer.send(Report(1, 2, 3, 4, 5), VOICE, Pong(b"unasked!"))
        peer.send(Text(2, "hi"))
        assert owner.wait_for_texts(2) == ["unknown flags", "hi"]
        assert owner.ended is None


# --- signs of life


def test_a_ping_is_answered_with_its_own_bytes():
    with in_call() as (_, peer):
        for number in range(3):
            peer.send(Ping(bytes([number] * 8)))
            assert peer.hear(Pong) == Pong(bytes([number] * 8))


def test_a_flood_of_pings_from_a_peer_that_does_not_read_costs_nothing():
    with in_call(buffers=4096) as (owner, peer):
        pings = [Ping(number.to_bytes(8, "big")) for number in range(3000)]
        peer.send(*pings, Text(1, "still there?"))
        assert owner.wait_for_texts(1) == ["still there?"]
        while peer.hear(Pong).data != pings[-1].data:
            pass


def test_the_answer_to_a_ping_gives_the_round_trip():
    with in_call() as (owner, peer):
        ping, heard_at = peer.hear(Ping), time.monotonic()
        peer.send(Pong(b"not mine"), Text(1, "behind it"))
        owner.wait_for_texts(1)
        assert owner.call.stats().round_trip_ms is None
        at_least = 1000 * (time.monotonic() - heard_at)
        peer.send(Pong(ping.data))
        wait_until(lambda: owner.call.stats().round_trip_ms)
        round_trip_ms = owner.call.stats().round_trip_ms
        assert round_trip_ms is not None
        assert round(at_least, 1) <= round_trip_ms < 1000 * PATIENCE


# --- voice


def test_voice_goes_both_ways():
    speaker = Speaker()
    with in_call(Microphone(VOICE), speaker) as (owner, peer):
        assert peer.hear(Audio) == VOICE
        peer.send(VOICE)
        wait_until(lambda: speaker.heard == [VOICE])
        assert {owner.wait_for(AudioStarted).direction, owner.wait_for(AudioStarted).direction} == {"input", "output"}
        peer.finish()
        owner.wait_for_end()


def test_what_the_player_makes_of_it_is_reported_to_the_peer():
    with in_call(player=Speaker()) as (_, peer):
        peer.send(VOICE)
        assert peer.hear(Report) == Report(0, 7, 6720, 60, 40)


def test_when_it_comes_is_told_to_the_peer_and_then_it_needs_no_other_report_ten_times_a_second():
    with in_call(Microphone(VOICE), Speaker()) as (_, peer):
        peer.hear(Audio)
        peer.send(VOICE)
        told = peer.hear(Arrivals)
        assert (told.source, told.sequence) == (0, VOICE.sequence)
        assert told.least == told.most
        peer.send(Arrivals(0, VOICE.sequence, 4660, 4700))
        peer.hear(Report)
        began = time.monotonic()
        peer.hear(Report)
        peer.hear(Report)
        assert time.monotonic() - began > carrier.REPORT_INTERVAL / 2
        peer.finish()


def test_the_player_is_told_how_long_a_repeated_packet_takes():
    speaker = Speaker()
    with in_call(player=speaker) as (_, peer):
        peer.send(Pong(peer.hear(Ping).data))
        wait_until(lambda: speaker.round_trips)
        assert 0 < speaker.round_trips[0] < PATIENCE


@pytest.mark.parametrize("direction", ["input", "output"])
def test_text_goes_on_when_a_sound_card_fails(direction):
    broken = fail(DeviceError("the plug was pulled"))
    sound = (Microphone(plan=broken), Speaker()) if direction == "input" else (Microphone(), Speaker(broken))
    with in_call(*sound) as (owner, peer):
        assert owner.wait_for(AudioStopped) == AudioStopped(direction, "the plug was pulled")
        peer.send(Text(1, "can you hear me?"))
        owner.wait_for_texts(1)
        owner.call.say("no")
        assert peer.hear(Text).text == "no"
        peer.send(Bye())
        peer.finish()
        assert owner.wait_for_end().by == "them"
        assert owner.call.error is None


def test_a_microphone_that_comes_to_its_end_is_no_error():
    class File(Microphone):
        def run(self, send, on_start) -> None:
            send(VOICE)

    with in_call(File()) as (owner, peer):
        assert owner.wait_for(AudioStopped) == AudioStopped("input", "")
        assert peer.hear(Audio) == VOICE
        assert owner.ended is None


def test_both_halves_are_stopped_at_the_end_and_nobody_is_told_that_they_were():
    halves = Microphone(), Speaker()
    with in_call(*halves) as (owner, peer):
        peer.send(Bye())
        peer.finish()
        owner.wait_for_end()
        assert all(half.stopped.is_set() for half in halves)
        assert AudioStopped not in map(type, owner.events)


def test_muting_and_deafening_switch_and_say_so():
    microphone, speaker = Microphone(), Speaker()
    with in_call(microphone, speaker) as (owner, _):
        for on in (True, False):
            owner.call.mute()
            assert owner.wait_for(Switched) == Switched("muted", on)
            assert microphone.muted is on
            owner.call.deafen()
            assert owner.wait_for(Switched) == Switched("deafened", on)
            assert speaker.deafened is on


def test_the_peer_is_told_what_we_do_with_voice_ahead_of_it_and_when_it_changes():
    microphone, speaker = Microphone(VOICE), Speaker()
    with in_call(microphone, speaker) as (owner, peer):
        assert peer.hear(Audio, VoiceState) == VoiceState(voice=True)
        owner.call.mute()
        assert peer.hear(VoiceState) == VoiceState(voice=True, muted=True)
        owner.call.deafen()
        assert peer.hear(VoiceState) == VoiceState(voice=True, muted=True, deafened=True)


def test_the_peer_is_told_where_there_is_no_voice_or_where_it_has_ended():
    with in_call() as (_, peer):
        assert peer.hear(VoiceState) == VoiceState()
    with in_call(Microphone(plan=fail(DeviceError("the plug was pulled")))) as (_, peer):
        assert peer.hear(VoiceState) == VoiceState(voice=True)
        assert peer.hear(VoiceState) == VoiceState()


def test_the_peer_is_not_told_of_each_of_many_changes():
    last = VoiceState(voice=True, deafened=True)
    told: list[VoiceState] = []
    with in_call(Microphone(), Speaker()) as (owner, peer):
        for _ in range(300):
            owner.call.mute()
        owner.call.deafen()
        while last not in told:
            told.append(peer.hear(VoiceState))
    assert len(told) <= 30  # four without a stall, and ten more for each second of one


def test_what_the_peer_says_of_its_voice_is_known_and_its_changes_are_told():
    with in_call(player=Speaker()) as (owner, peer):
        peer.send(VoiceState(source=3), VoiceState(voice=True))
        assert owner.call.watch_the_peer(PATIENCE) == (Voice(sends=True, plays=True), None)
        peer.send(VoiceState(voice=True, muted=True))
        assert owner.wait_for(PeerSwitched) == PeerSwitched("peer", "muted", True)


def test_of_a_peer_that_says_nothing_its_voice_shows_that_it_sends_some():
    with in_call(player=Speaker()) as (owner, peer):
        assert owner.call.watch_the_peer(0.05) == (None, None)
        peer.send(VOICE)
        assert owner.wait_for(PeerSwitched) == PeerSwitched("peer", "sends", True)
        assert owner.call.watch_the_peer(0) == (None, VOICE.codec)


def test_nobody_is_told_of_the_peer_who_did_not_ask():
    with in_call() as (owner, peer):
        peer.send(VoiceState(voice=True, records=True), VOICE)
        assert owner.hears_none(PeerSwitched, 0.3)


def test_a_peer_that_falls_silent_is_told_of_and_when_it_is_back(monkeypatch):
    monkeypatch.setattr(watch, "LINE_QUIET", 0.3)
    with in_call() as (owner, peer):
        owner.call.watch_the_peer(0)
        assert owner.wait_for(Quiet) == Quiet("line", True, "peer", 0.3)
        peer.send(Ping(bytes(8)))
        assert owner.wait_for(Quiet) == Quiet("line", False, "peer", 0.3)


def test_a_ping_tells_nothing_of_this_machine():
    with in_call() as (_, peer):
        pings = [peer.hear(Ping).data for _ in range(3)]
    numbers = [int.from_bytes(each, "big") for each in pings]
    assert min(abs(after - before) for before, after in itertools.pairwise(numbers)) > 10**12  # 20 minutes of ns


def test_without_voice_there_is_nothing_to_mute():
    with in_call() as (owner, _):
        owner.call.mute()
        assert owner.wait_for(Rejected).why == "you send no voice in this call"
        owner.call.deafen()
        assert owner.wait_for(Rejected).why == "you hear no voice in this call"


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_sound_card_that_comes_back_is_used_again(direction, monkeypatch):
    monkeypatch.setattr(sound_threads, "REOPEN_INTERVAL", 0.05)
    broken = fail(DeviceError("the plug was pulled"))
    sound = (Microphone(plan=broken), Speaker()) if direction == "input" else (Microphone(), Speaker(broken))
    half = sound[direction == "output"]
    half.can_reopen = True
    with in_call(*sound) as (owner, _):
        assert owner.wait_for(AudioStopped) == AudioStopped(direction, "the plug was pulled")
        assert owner.wait_for(Notice).text == f"the {direction} device works again: a device"
        assert owner.wait_for(AudioStarted).direction == direction
        assert len(half.attempts) == 2


def test_a_call_ends_also_while_a_sound_card_is_waited_for():
    speaker = Speaker(fail(DeviceError("the plug was pulled")))
    speaker.can_reopen = True
    with in_call(player=speaker) as (owner, peer):
        owner.wait_for(AudioStopped)
        peer.send(Bye())
        peer.finish()
        assert owner.wait_for_end().by == "them"
        assert not speaker.attempts


def test_the_figures_of_a_call_add_up():
    silence = Audio(2, 0, 8, 7680, b"")
    with in_call(Microphone(VOICE, silence, VOICE), Speaker()) as (owner, peer):
        peer.send(VOICE, VOICE, Text(1, "hi"))
        owner.wait_for_texts(1)
        owner.call.say("hi")
        owner.call.say("there")
        ping = peer.hear(Ping)
        peer.send(Pong(ping.data), Bye())
        peer.finish()
        stats = owner.wait_for_end().stats
        assert stats
        assert stats.round_trip_ms is not None
        assert (stats.audio_sent, stats.audio_received, stats.audio_late, stats.audio_concealed) == (2, 2, 3, 4)
        assert (stats.texts_sent, stats.texts_received) == (2, 1)
        assert (stats.shortened_ms, stats.lengthened_ms, stats.drift_ppm, stats.xruns) == (11, 12, -21.0, 5 + 6)
        assert (stats.echo, stats.echo_db) == ("on", -14.2)
        assert (stats.input_level_db, stats.input_peak_db, stats.input_clipped) == (-30.0, -12.0, 7)
        assert (stats.speaking, stats.their_level_db) == (True, -27.0)
        assert owner.call.states.level() == Level(-24.0, -61.0, 7, muted=False, their_speech_db=-23.0)
        parts = (stats.capture_ms, stats.packet_ms, stats.network_ms, stats.buffer_ms, stats.playout_ms)
        assert parts == (30.0, 26.5, pytest.approx(stats.round_trip_ms / 2, abs=0.1), 44.0, 15.0)
        assert stats.mouth_to_ear_ms == pytest.approx(sum(part or 0.0 for part in parts), abs=0.2)
        assert stats.bytes_sent > 0 < stats.bytes_received
        assert stats.kbit_sent > 0 < stats.kbit_received


def test_what_is_not_known_yet_is_no_figure():
    with in_call(Microphone(), Speaker()) as (owner, _):
        stats = owner.call.stats()
        assert stats.mouth_to_ear_ms is stats.network_ms is stats.round_trip_ms is stats.buffer_ms is None


def test_without_a_loudspeaker_there_is_no_delay_of_a_voice():
    with in_call(Microphone(VOICE)) as (owner, peer):
        peer.send(VOICE, Pong(peer.hear(Ping).data))
        wait_until(lambda: owner.call.stats().round_trip_ms)
        stats = owner.call.stats()
        assert stats.mouth_to_ear_ms is stats.buffer_ms is stats.drift_ppm is None
        assert (stats.audio_received, stats.audio_late, stats.xruns) == (0, 0, 5)


def test_whoever_wants_to_watch_gets_the_figures_again_and_again():
    with in_call(player=Speaker(), status=0.05) as (owner, _):
        first, second = owner.wait_for(Status), owner.wait_for(Status)
        assert first.seconds < second.seconds


def test_nobody_else_gets_them():
    with in_call(player=Speaker()) as (owner, _):
        assert owner.hears_none(Status, 3 * vitals.LOOK_INTERVAL)


def test_a_line_that_is_roomy_gets_more_voice_when_that_is_known():
    microphone = Microphone(VOICE)
    with in_call(microphone, status=vitals.LOOK_INTERVAL) as (owner, peer):
        for _ in range(3):
            owner.wait_for(Status)  # so the line has been looked at
        assert microphone.ladder.at, "nothing is known of the line yet, so it is not calm"

        def answer() -> bool:
            peer.send(Pong(peer.hear(Ping).data))
            return microphone.ladder.at == 0

        wait_until(answer)


def test_a_line_that_is_not_what_it_was_is_measured_more_often(monkeypatch):
    monkeypatch.setattr(liveness, "PINGS_AT_FIRST", 1)
    monkeypatch.setattr(liveness, "PING_INTERVAL", PATIENCE)
    microphone = Microphone()
    with in_call(microphone, silence=PATIENCE * liveness.PINGS_PER_SILENCE) as (_, peer):
        peer.hear(Ping)  # the next would come after the interval
        microphone.eager = True
        peer.hear(Ping)


# --- bugs


@pytest.mark.parametrize(
    "sound",
    [
        (Microphone(plan=fail(ZeroDivisionError())), None),
        (None, Speaker(plan=fail(ZeroDivisionError()))),
        (None, Speaker(put=fail(ZeroDivisionError()))),
    ],
    ids=["microphone", "speaker", "demultiplexer"],
)
def test_a_bug_in_a_thread_ends_the_call_and_is_raised_to_the_owner(sound):
    with in_call(*sound) as (owner, peer):
        peer.send(VOICE)
        with pytest.raises(ZeroDivisionError):
            owner.wait_for_end()
        assert owner.ended
        assert (owner.ended.by, owner.ended.reason) == ("error", "internal error")
