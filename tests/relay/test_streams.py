"""Both clients and the relay, as bytes in and messages out."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay.notation import message, vectors
from voicemux.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from voicemux.net.address import Address
from voicemux.protocol.frames import FrameDecoder
from voicemux.relay.approach import Approach, NotARelay, OtherRelayVersion
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.guest import MOST_AHEAD, Guest
from voicemux.relay.ids import id_of_number
from voicemux.relay.messages import (
    CallFor,
    Moved,
    Paired,
    Parked,
    Refused,
    RefusedCode,
    RelayMessage,
    Reply,
    Token,
    Wait,
)
from voicemux.relay.wire import PREFACE

ID = id_of_number("4711")
ERRORS = {NotARelay: "stranger", OtherRelayVersion: "version", RemoteProtocolError: "protocol"}

ids = st.binary(min_size=32, max_size=32)
hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
addresses = st.builds(Address, hosts, st.integers(0, 65535))
texts = st.text(st.characters(codec="utf-8"), max_size=60)
messages = st.one_of(
    st.builds(Wait, st.binary(min_size=16, max_size=16), st.lists(ids, min_size=1, max_size=64).map(tuple)),
    st.builds(CallFor, st.lists(ids, min_size=1, max_size=8).map(tuple)),
    st.builds(Token, st.text(st.characters(codec="utf-8"), max_size=32)),
    st.builds(Parked, addresses),
    st.builds(Paired, ids, addresses),
    st.builds(Refused, st.integers(0, 65535), st.integers(0, 65535), texts),
    st.builds(Moved, st.builds(Address, st.just("relay.example.org"), st.integers(1, 65535))),
)


@given(messages)
def test_what_is_said_is_understood(said: RelayMessage) -> None:
    (frame,) = FrameDecoder().feed(encoded(said))
    assert decoded(frame) == said


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(data: bytes) -> None:
    for side in (Approach(CallFor((ID,))), Approach(Wait(bytes(16), (ID,))), Guest()):
        with contextlib.suppress(RemoteProtocolError):
            list(side.receive(PREFACE + data))


def parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("vector", vectors("streams"), ids=lambda each: each["name"])
def test_a_stream_means_what_the_vector_says(vector: dict[str, Any], size: int) -> None:
    request: Wait | CallFor = Wait(bytes(range(16)), (ID,)) if vector["to"] == "listener" else CallFor((ID,))
    side: Guest | Approach = Guest() if vector["to"] == "relay" else Approach(request)
    heard: list[RelayMessage] = []
    error = None
    try:
        for part in parts(bytes.fromhex(vector["bytes"]), size):
            heard += side.receive(part)
    except RemoteProtocolError as caught:
        error = ERRORS[type(caught)]
    assert error == vector.get("error")
    expected = [message(each) for each in vector["messages"]]
    if error:  # what came before the fault may have been heard
        assert heard[: len(expected)] == expected or not heard
    else:
        assert heard == expected
        assert (side.ahead if isinstance(side, Guest) else side.rest) == bytes.fromhex(vector["rest"])


@given(st.integers(1, 90), st.integers(1, 90), st.binary(max_size=50), st.text(max_size=8))
def test_clients_and_relay_understand_each_other_in_any_segmentation(
    there: int, back: int, ahead: bytes, token: str
) -> None:
    seen = Address("192.0.2.1", 7)
    for request in (Wait(bytes(16), (ID,)), CallFor((ID,))):
        client, relay = Approach(request, token), Guest()
        is_call = isinstance(request, CallFor)
        asked = [each for part in parts(client.opening() + ahead * is_call, there) for each in relay.receive(part)]
        assert asked == [*([Token(token)] if token else []), request]
        assert relay.ahead == ahead * is_call
        replies: list[Reply] = [*([] if is_call else [Parked(seen)]), Paired(ID, seen)]
        said = b"".join(relay.reply(each) for each in replies) + b"the peer's"
        assert [each for part in parts(said, back) for each in client.receive(part)] == replies
        assert client.rest == b"the peer's"


def test_a_relay_says_nothing_out_of_order() -> None:
    relay = Guest()
    with pytest.raises(LocalProtocolError):
        relay.reply(Paired(ID, Address("192.0.2.1", 7)))
    list(relay.receive(PREFACE + encoded(CallFor((ID,)))))
    with pytest.raises(LocalProtocolError):
        relay.reply(Parked(Address("192.0.2.1", 7)))
    relay.reply(Refused(RefusedCode.ABSENT))
    with pytest.raises(LocalProtocolError):
        relay.reply(Refused(RefusedCode.ABSENT))


def test_a_caller_cannot_have_the_relay_keep_more_than_a_little() -> None:
    relay = Guest()
    list(relay.receive(PREFACE + encoded(CallFor((ID,))) + bytes(MOST_AHEAD)))
    with pytest.raises(RemoteProtocolError):
        list(relay.receive(b"x"))


def test_an_end_without_a_word_is_a_loss() -> None:
    with pytest.raises(ConnectionLost):
        Approach(CallFor((ID,))).receive_end()
