import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import byes, challenges, claims, cuts, hellos, in_call, proofs, welcomes
from tests.weight import weight
from voicemux.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from voicemux.protocol.connection import NOT_A_DIALLERS, NOT_A_LISTENERS, TRANSITIONS, Receiving, Sending, State
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Challenge,
    Claim,
    Hello,
    Message,
    Paths,
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
from voicemux.protocol.wire import PREFACE

EVERY_MESSAGE = [
    Hello(),
    Text(1, "hi"),
    Audio(1, 0, 0, 0, b""),
    Ping(bytes(8)),
    Pong(bytes(8)),
    Bye(),
    TextAck(1),
    Report(0, 0, 0, 0, 0),
    Arrivals(0, 0, 0, 0),
    VoiceState(),
    Paths(),
    Ringing(),
    Claim(0, bytes(32), b"", b""),
    Challenge(bytes(32)),
    Proof(bytes(32), b"", b""),
    Welcome(0),
]
CLAIM = Claim(1, bytes(32), b"", b"certificate")
WAYS: dict[State, list[Message]] = {
    State.STRANGER: [],
    State.CLAIMING: [CLAIM],
    State.START: [Ringing()],
    State.OPEN: [Hello()],
    State.DONE: [Hello(), Bye()],
}
UNKNOWN = encode_frame(Frame(0xFA, 7, b"from a later version"))

each_state = pytest.mark.parametrize("state", State, ids=lambda state: state.value)
each_message = pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: type(message).__name__)


def encode(*messages) -> bytes:
    return b"".join(encode_frame(to_frame(message)) for message in messages)


def first_before(state: State) -> State:
    return State.STRANGER if state in (State.STRANGER, State.CLAIMING) else State.START


def sending_in(state: State) -> Sending:
    sending = Sending(first_before(state))
    for message in WAYS[state]:
        sending.encode(message)
    assert sending.state is state
    return sending


def receiving_in(state: State) -> Receiving:
    receiving = Receiving(first_before(state))
    assert list(receiving.receive(PREFACE + encode(*WAYS[state]))) == [Preface(), *WAYS[state]]
    assert receiving.state is state
    return receiving


def test_the_table_speaks_of_every_state_and_every_message():
    assert set(TRANSITIONS) == set(State)
    assert set().union(*TRANSITIONS.values()) == {type(message) for message in EVERY_MESSAGE}


@each_state
@each_message
def test_what_may_be_sent(state, message):
    sending, following = sending_in(state), TRANSITIONS[state].get(type(message))
    if following is None:
        with pytest.raises(
            LocalProtocolError, match=f"{name_of(type(message))} cannot be sent in state {state.value}"
        ):
            sending.encode(message)
        assert sending.state is state
    else:
        assert sending.encode(message).startswith(encode(message))
        assert sending.state is following


@each_state
@each_message
def test_what_may_be_received(state, message):
    receiving, following = receiving_in(state), TRANSITIONS[state].get(type(message))
    if state is State.DONE:
        assert list(receiving.receive(encode(message))) == []
    elif following is None:
        with pytest.raises(RemoteProtocolError, match=f"{name_of(type(message))} out of order: .* {state.value}"):
            list(receiving.receive(encode(message)))
    else:
        assert list(receiving.receive(encode(message))) == [message]
        assert receiving.state is following


@given(st.sampled_from([State.STRANGER, State.START]), st.lists(st.sampled_from(EVERY_MESSAGE), max_size=12))
def test_what_one_side_may_say_the_other_takes_and_nothing_else(first, said):
    sending, receiving = Sending(first), Receiving(first)
    assert list(receiving.receive(sending.preface())) == [Preface()]
    for message in said:
        if sending.state is State.DONE:
            break
        try:
            encoded = sending.encode(message)
        except LocalProtocolError:
            with pytest.raises(RemoteProtocolError):
                list(receiving.receive(encode(message)))
            break
        assert list(receiving.receive(encoded)) == [message]
        assert receiving.state is sending.state


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (State.STRANGER, [Hello()]),
        (State.STRANGER, [Ringing()]),
        (State.STRANGER, [Proof(bytes(32), b"", b"")]),
        (State.STRANGER, [Welcome(2)]),
        (State.STRANGER, [CLAIM, Hello()]),
        (State.STRANGER, [CLAIM, CLAIM]),
        (State.STRANGER, [CLAIM, Challenge(bytes(32))]),
        (State.STRANGER, [CLAIM, Proof(bytes(32), b"", b""), Text(1, "hi")]),
        (State.STRANGER, [CLAIM, Proof(bytes(32), b"", b""), CLAIM]),
        (State.START, [CLAIM]),
        (State.START, [Welcome(2)]),
    ],
    ids=lambda value: value.value if isinstance(value, State) else " ".join(type(each).__name__ for each in value),
)
def test_nobody_gets_past_who_is_who_and_nobody_says_it_twice(first, said):
    receiving = Receiving(first)
    with pytest.raises(RemoteProtocolError, match=f"^{name_of(type(said[-1]))} out of order: "):
        list(receiving.receive(PREFACE + encode(*said)))
    sending = Sending(first)
    for message in said[:-1]:
        sending.encode(message)
    with pytest.raises(LocalProtocolError):
        sending.encode(said[-1])


def test_a_message_that_cannot_be_encoded_leaves_the_state_as_it_was():
    sending = Sending()
    with pytest.raises(LocalProtocolError):
        sending.encode(Hello(name="n" * 65))
    assert sending.state is State.START
    sending.encode(Hello(name="n"))


@pytest.mark.parametrize("state", [state for state in State if state is not State.DONE])
def test_unknown_tags_are_skipped(state):
    receiving = receiving_in(state)
    assert list(receiving.receive(UNKNOWN * 3)) == []
    assert receiving.state is state


def test_our_hello_is_followed_by_a_frame_that_peers_must_skip():
    sent = Sending().encode(Hello("a"))
    assert len(sent) > len(encode(Hello("a")))
    assert list(Receiving().receive(PREFACE + sent)) == [Preface(), Hello("a")]


@pytest.mark.parametrize("nonsense", [bytes(20), b"\xff" * 20, encode(Hello()), encode(Bye(3))], ids=bytes.hex)
def test_nothing_after_a_goodbye_counts(nonsense):
    receiving = receiving_in(State.OPEN)
    assert list(receiving.receive(encode(Text(1, "last"), Bye()) + nonsense)) == [Text(1, "last"), Bye()]
    assert list(receiving.receive(nonsense)) == []
    receiving.receive_end()


@given(hellos, st.lists(in_call, max_size=6), byes, st.data())
def test_a_conversation_survives_any_segmentation(hello, talk, bye, data):
    sending, receiving = Sending(), Receiving()
    said = [Ringing(), hello, *talk, bye]
    stream = sending.preface() + b"".join(map(sending.encode, said))
    heard = [message for piece in data.draw(cuts(stream)) for message in receiving.receive(piece)]
    assert heard == [Preface(), *said]
    receiving.receive_end()


@given(claims, proofs, challenges, welcomes, hellos, st.data())
def test_both_sides_of_who_is_who_survive_any_segmentation(claim, proof, challenge, welcome, hello, data):
    for said in ([claim, proof, hello, Bye()], [challenge, welcome, Ringing(), hello, Bye()]):
        sending, receiving = Sending(State.STRANGER), Receiving(State.STRANGER)
        stream = sending.preface() + b"".join(map(sending.encode, said))
        heard = [message for piece in data.draw(cuts(stream)) for message in receiving.receive(piece)]
        assert heard == [Preface(), *said]


@given(st.lists(st.binary(max_size=100), max_size=6), st.sampled_from(State))
def test_garbage_gives_messages_or_a_protocol_error_and_nothing_else(pieces, state):
    receiving = receiving_in(state)
    try:
        for piece in pieces:
            list(receiving.receive(piece))
    except RemoteProtocolError:
        assert state is not State.DONE


def test_messages_before_a_fault_are_given_before_it():
    messages = receiving_in(State.OPEN).receive(encode(Text(1, "a"), TextAck(1), Ringing()))
    assert [next(messages), next(messages)] == [Text(1, "a"), TextAck(1)]
    with pytest.raises(RemoteProtocolError):
        next(messages)


@pytest.mark.parametrize("first", [Preface(), Ringing(), Hello(), Text(1, "a")], ids=lambda each: type(each).__name__)
def test_a_reader_may_stop_at_any_message_and_go_on_later(first):
    said = [Preface(), Ringing(), Hello(), Text(1, "a"), Bye()]
    receiving, heard = Receiving(), []
    for message in receiving.receive(PREFACE + encode(*said[1:])):
        heard.append(message)
        if message == first:
            break
    heard += receiving.receive(b"")
    assert heard == said


def test_half_a_preface_is_no_greeting_yet():
    receiving = Receiving()
    for byte in PREFACE[:-1]:
        assert list(receiving.receive(bytes([byte]))) == []
    assert not receiving.greeted
    assert list(receiving.receive(PREFACE[-1:])) == [Preface()]
    assert receiving.greeted


@pytest.mark.parametrize(
    ("first", "sentence", "code"),
    [
        (b"VMUX/2\r\n", "version 2 of the protocol is spoken there, version 1 here", ByeCode.VERSION),
        (b"VMUX/12\r\n", "version 12 of the protocol is spoken there, version 1 here", ByeCode.VERSION),
        (b"VMUX/bob", "another version of the protocol is spoken there, version 1 here", ByeCode.VERSION),
        (b"HTTP/1.1 400 Bad Request\r\n", "that is not voicemux, it speaks HTTP", ByeCode.PROTOCOL),
        (b"GET / HTTP/1.1\r\n", "that is not voicemux, it speaks HTTP", ByeCode.PROTOCOL),
        (b"POST / HTTP/1.1\r\n", "that is not voicemux, it speaks HTTP", ByeCode.PROTOCOL),
        (b"HEAD / HTTP/1.1\r\n", "that is not voicemux, it speaks HTTP", ByeCode.PROTOCOL),
        (b"<!DOCTYPE HTML>", "that is not voicemux, it speaks HTTP", ByeCode.PROTOCOL),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "that is not voicemux, it speaks SSH", ByeCode.PROTOCOL),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "that is not voicemux, it speaks TLS", ByeCode.PROTOCOL),
        (b"\x15\x03\x01\x00\x02\x02\x46\x00", "that is not voicemux, it speaks TLS", ByeCode.PROTOCOL),
        (b"220 mail ESMTP\r\n", "that is not voicemux, it speaks SMTP or FTP", ByeCode.PROTOCOL),
        (b"\x1b[2J\xff\xfe\x00\x00", "that is not voicemux, it speaks something unknown", ByeCode.PROTOCOL),
        (b"vmux/1\r\n", "that is not voicemux, it speaks something unknown", ByeCode.PROTOCOL),
    ],
)
def test_whoever_does_not_speak_this_version_is_recognised(first, sentence, code):
    with pytest.raises(RemoteProtocolError) as refused:
        list(Receiving().receive(first))
    assert str(refused.value) == sentence
    assert refused.value.code == code


def test_another_version_is_judged_with_the_last_byte():
    receiving = Receiving()
    assert list(receiving.receive(b"VMUX/2\r")) == []
    with pytest.raises(RemoteProtocolError, match="version 2"):
        list(receiving.receive(b"\n"))


@pytest.mark.parametrize(
    ("state", "unfit", "message"),
    [
        (State.STRANGER, NOT_A_DIALLERS, Challenge(bytes(32))),
        (State.CLAIMING, NOT_A_DIALLERS, Welcome(1)),
        (State.START, NOT_A_DIALLERS, Ringing()),
        (State.STRANGER, NOT_A_LISTENERS, CLAIM),
        (State.CLAIMING, NOT_A_LISTENERS, Proof(bytes(32), b"", b"")),
    ],
    ids=repr,
)
def test_what_is_for_the_other_side_to_say_is_refused(state, unfit, message):
    said = PREFACE + encode_frame(to_frame(message))
    assert len(list(Receiving(state).receive(said))) == 2
    with pytest.raises(RemoteProtocolError, match=f"{name_of(type(message))} out of order: it is not for this side"):
        list(Receiving(state, unfit).receive(said))


def test_a_byte_that_cannot_belong_to_a_preface_is_enough():
    receiving = Receiving()
    assert list(receiving.receive(b"VMU")) == []
    with pytest.raises(RemoteProtocolError):
        list(receiving.receive(b"x"))


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (b"", "the connection ended without a goodbye"),
        (PREFACE[:3], "the connection broke in the middle of a frame"),
        (PREFACE, "the connection ended without a goodbye"),
        (PREFACE + encode(Hello()), "the connection ended without a goodbye"),
        (PREFACE + encode(Hello("bob"))[:2], "the connection broke in the middle of a frame"),
        (PREFACE + encode(Hello("bob"))[:-1], "the connection broke in the middle of a frame"),
    ],
)
def test_a_stream_that_ends_without_a_goodbye_is_a_lost_connection(stream, sentence):
    receiving = Receiving()
    list(receiving.receive(stream))
    with pytest.raises(ConnectionLost, match=sentence):
        receiving.receive_end()


@pytest.mark.parametrize(
    ("first", "before"),
    [(State.START, []), (State.START, [Hello()]), (State.STRANGER, []), (State.STRANGER, [CLAIM])],
    ids=["at once", "after a call", "as a stranger", "after a claim"],
)
def test_a_stream_that_ends_after_a_goodbye_ends_well(first, before):
    receiving = Receiving(first)
    list(receiving.receive(PREFACE + encode(*before, Bye())))
    receiving.receive_end()


def test_a_peer_that_never_ends_a_frame_costs_no_more_than_that_frame():
    receiving = receiving_in(State.OPEN)
    before = weight(receiving)
    for _ in range(200):
        list(receiving.receive(UNKNOWN * 400 + UNKNOWN[:-1]))
        assert weight(receiving) < before + 10 * len(UNKNOWN), "400 of them are not kept"
        list(receiving.receive(UNKNOWN[-1:]))
