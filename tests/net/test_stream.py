"""What every stream promises, of each of them: over TCP, in memory, and encrypted around both."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.memory import memory_streams
from tests.peers import PATIENCE, PROMPTLY, answering_tls, dialling_tls, hear_hello, say_hello, sockets, stream_of
from voicemux.calls.call import RunningCall
from voicemux.errors import ConnectionLost, Kind
from voicemux.events import Ended, TextReceived
from voicemux.net.stream import Stream, receive_within
from voicemux.net.tls import listener_context
from voicemux.protocol.messages import Hello
from voicemux.security.identity import Identity, load_identity

Both = tuple[Stream, Stream]
MUCH = 10_000_000  # bytes: more than any stream holds


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> Identity:
    return load_identity(tmp_path_factory.mktemp("identity"))


def tcp_streams() -> Both:
    near, far = map(stream_of, sockets())
    return near, far


def encrypted(below: Both, identity: Identity) -> Both:
    near = dialling_tls(below[0])
    far = answering_tls(below[1], listener_context(identity.path))
    for each in (near, far):
        while not each.is_secure:
            each.receive()
    return near, far


@pytest.fixture(params=["tcp", "memory", "tls over tcp", "tls in memory"])
def both(request, identity) -> Iterator[Both]:
    below: Both = tcp_streams() if "tcp" in request.param else memory_streams()
    try:
        yield encrypted(below, identity) if "tls" in request.param else below
    finally:
        for each in below:
            each.close()


def test_bytes_cross_both_ways_and_are_counted(both):
    for mouth, ear in (both, both[::-1]):
        before = mouth.bytes_written, ear.bytes_read
        mouth.write(b"there")
        assert ear.read() == b"there"
        assert mouth.bytes_written - before[0] == ear.bytes_read - before[1] >= 5


def test_nothing_to_write_is_no_end(both):
    near, far = both
    near.write(b"")
    near.write(b"something")
    assert far.read() == b"something"


def test_a_stream_that_was_finished_can_still_be_read(both):
    near, far = both
    near.write(b"the last")
    near.finish()
    assert (far.read(), far.read()) == (b"the last", b"")
    far.write(b"and back")
    assert near.read() == b"and back"
    far.finish()
    assert near.read() == b""


def test_a_silent_peer_is_a_lost_connection_of_that_kind(both):
    near, _ = both
    near.set_timeout(0.05)
    with pytest.raises(ConnectionLost, match=r"^nothing came from the other side for 0\.05 s$") as lost:
        near.read()
    assert lost.value.kind is Kind.SILENCE


def test_silence_can_be_waited_for_without_a_loss(both):
    near, far = both
    assert receive_within(near, 0.05) is None
    far.write(b"now")
    assert receive_within(near, PATIENCE) == b"now"


def test_a_peer_that_takes_nothing_is_a_lost_connection_of_that_kind(both):
    near, _ = both
    near.set_timeout(0.2)
    with pytest.raises(ConnectionLost, match=r"^the other side takes nothing for 0\.2 s$") as lost:
        near.write(bytes(MUCH))
    assert lost.value.kind is Kind.SILENCE


@pytest.mark.parametrize("waits", [lambda stream: stream.read(), lambda stream: stream.write(bytes(MUCH))])
def test_cutting_wakes_the_thread_that_waits_and_ends_the_other_side(both, waits: Callable[[Stream], object]):
    near, far = both

    def wait() -> None:
        with contextlib.suppress(ConnectionLost):
            waits(near)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    near.cut()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    with contextlib.suppress(ConnectionLost):
        while far.read():
            pass
    near.cut()
    assert near.read() == b""


def test_no_error_escapes_a_stream_whose_peer_has_gone(both):
    near, far = both
    far.cut()
    with pytest.raises(ConnectionLost):
        near.write(bytes(MUCH))
    near.finish()
    near.cut()


def test_facts_are_unknown_or_sound(both):
    near, _ = both
    near.write(b"something")
    in_flight, round_trip = near.bytes_in_flight(), near.min_round_trip()
    assert in_flight is None or 0 <= in_flight <= near.bytes_written
    assert round_trip is None or 0 < round_trip < PROMPTLY
    assert 0 <= near.bytes_unsent() <= near.bytes_written
    near.leave_bbr()
    assert all(isinstance(each, str) for each in near.options)


def test_a_call_needs_no_more_than_a_stream(both):
    sendings = [say_hello(stream, Hello(name)) for stream, name in zip(both, ("near", "far"), strict=True)]
    calls = []
    for stream, sending in zip(both, sendings, strict=True):
        receiving, hello = hear_hello(stream)
        calls.append(RunningCall(stream, sending, receiving, hello, None, None))
    near, far = calls
    for call in calls:
        call.start()
    try:
        near.say("hello")
        assert _next(far, TextReceived).text == "hello"
        far.say("hello, too")
        assert _next(near, TextReceived).text == "hello, too"
        near.hang_up()
        assert [_next(call, Ended).by for call in calls] == ["us", "them"]
    finally:
        for call in calls:
            call.close()


def _next(call: RunningCall, kind: type):
    while not isinstance(event := call.next_event(), kind):
        pass
    return event
