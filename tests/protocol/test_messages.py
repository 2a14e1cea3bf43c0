import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import messages, u8
from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol import wire
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
    NetworkPath,
    Paths,
    Ping,
    Pong,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    Welcome,
    name_of,
)

DOCUMENT = (Path(__file__).parents[2] / "protocol.md").read_text(encoding="utf-8")
TAGS = (*range(1, 15), 19, 20)
(
    HELLO,
    TEXT,
    AUDIO,
    PING,
    PONG,
    BYE,
    TEXT_ACK,
    REPORT,
    RINGING,
    CLAIM,
    CHALLENGE,
    PROOF,
    WELCOME,
    PATHS,
    ARRIVALS,
    STATE,
) = TAGS
LONE_SURROGATE = "\ud800"


@given(messages)
def test_a_message_survives_being_a_frame(message):
    assert from_frame(to_frame(message)) == message


@given(messages)
def test_a_message_is_called_what_the_document_calls_it(message):
    called = dict(re.findall(r"^\| (\d+) \| \[(\w+)\]", DOCUMENT, re.MULTILINE))
    assert name_of(type(message)) == called[str(to_frame(message).tag)]


@given(st.binary(max_size=4096), st.integers(0, 255), u8)
def test_any_frame_is_a_message_or_unknown_or_refused(payload, tag, flags):
    try:
        message = from_frame(Frame(tag, flags, payload))
    except RemoteProtocolError:
        assert tag in TAGS
    else:
        assert (message is None) == (tag not in TAGS)


@pytest.mark.parametrize(
    ("tag", "payload", "sentence"),
    [
        (HELLO, "01", "HELLO of 1 bytes that do not fit its layout"),
        (HELLO, "01 03 62 6f", "HELLO of 4 bytes that do not fit its layout"),
        (HELLO, "01 02 c3 28", "HELLO that is not UTF-8"),
        (HELLO, "02 02 c3 28", "HELLO that is not UTF-8"),
        (HELLO, "01 41" + "61" * 65, "HELLO with a name of over 64 bytes"),
        (HELLO, "02 41" + "61" * 65, "HELLO with a name of over 64 bytes"),
        (HELLO, "04 0f" + "00" * 15, "HELLO with a session of 15 bytes, expected 16"),
        (HELLO, "04 00", "HELLO with a session of 0 bytes, expected 16"),
        (HELLO, "05 03 00 00 00", "HELLO of 5 bytes that do not fit its layout"),
        (HELLO, "05 05 00 00 00 00 00", "HELLO of 7 bytes that do not fit its layout"),
        (TEXT, "", "TEXT of 0 bytes that do not fit its layout"),
        (TEXT, "00 00 01", "TEXT of 3 bytes that do not fit its layout"),
        (TEXT, "00 00 00 01 c3", "TEXT that is not UTF-8"),
        (TEXT, "00 00 00 01 ed a0 80", "TEXT that is not UTF-8"),  # a surrogate
        (TEXT, "00 00 00 01 c0 80", "TEXT that is not UTF-8"),  # zero, the long way
        (AUDIO, "01 00 00 07 00 00 0d", "AUDIO of 7 bytes that do not fit its layout"),
        (PING, "00" * 7, "PING of 7 bytes that do not fit its layout"),
        (PING, "00" * 9, "PING of 9 bytes that do not fit its layout"),
        (PONG, "", "PONG of 0 bytes that do not fit its layout"),
        (PONG, "00" * 9, "PONG of 9 bytes that do not fit its layout"),
        (BYE, "00", "BYE of 1 bytes that do not fit its layout"),
        (BYE, "00 00 ff", "BYE that is not UTF-8"),
        (BYE, "00 00" + "61" * 257, "BYE with a reason of 257 bytes, the limit is 256"),
        (TEXT_ACK, "00 00 00", "TEXT_ACK of 3 bytes that do not fit its layout"),
        (TEXT_ACK, "00 00 00 00 00", "TEXT_ACK of 5 bytes that do not fit its layout"),
        (REPORT, "00" * 11, "REPORT of 11 bytes that do not fit its layout"),
        (REPORT, "00" * 13, "REPORT of 13 bytes that do not fit its layout"),
        (ARRIVALS, "00" * 7, "ARRIVALS of 7 bytes that do not fit its layout"),
        (ARRIVALS, "00" * 9, "ARRIVALS of 9 bytes that do not fit its layout"),
        (STATE, "00", "STATE of 1 bytes that do not fit its layout"),
        (STATE, "00 08 00", "STATE of 3 bytes that do not fit its layout"),
        (PATHS, "01", "PATHS of 1 bytes that do not fit its layout"),
        (PATHS, "01 05 21 f1 c0 a8 01 05", "PATHS of 8 bytes that do not fit its layout"),
        (PATHS, "01 04 21 f1 c0 a8 01", "PATHS of 7 bytes that do not fit its layout"),
        (PATHS, "01 04 21 f1 c0 a8 01 05" * 9, "PATHS with 9 addresses, the limit is 8"),
        (RINGING, "00", "RINGING of 1 bytes that do not fit its layout"),
        (CLAIM, "01" + "00" * 31, "CLAIM of 32 bytes that do not fit its layout"),
        (CLAIM, "02" + "00" * 32 + "21 41", "CLAIM of 35 bytes that do not fit its layout"),
        (CLAIM, "01" + "00" * 2082, "CLAIM with a certificate of 2049 bytes, the limit is 2048"),
        (CHALLENGE, "00" * 31, "CHALLENGE of 31 bytes that do not fit its layout"),
        (CHALLENGE, "00" * (32 + 256), "CHALLENGE with a share of 256 bytes, the limit is 255"),
        (PROOF, "00" * 32, "PROOF of 32 bytes that do not fit its layout"),
        (PROOF, "00" * 32 + "02 00", "PROOF of 34 bytes that do not fit its layout"),
        (WELCOME, "", "WELCOME of 0 bytes that do not fit its layout"),
    ],
)
def test_a_malformed_payload_is_refused_by_name(tag, payload, sentence):
    with pytest.raises(RemoteProtocolError) as refused:
        from_frame(Frame(tag, 0, bytes.fromhex(payload)))
    assert str(refused.value) == sentence
    assert refused.value.code == ByeCode.PROTOCOL


@pytest.mark.parametrize(
    "message",
    [
        Hello(name="n" * 65),
        Hello(agent="ü" * 33),
        Hello(name=LONE_SURROGATE),
        Hello(codecs=(256,)),
        Hello(codecs=(1,) * 256),
        Hello(session=b"too short"),
        Hello(session=bytes(16), last_text=2**32),
        Hello(session=bytes(16), grace=65536),
        Text(2**32, ""),
        Text(-1, ""),
        Text(1, LONE_SURROGATE),
        Audio(256, 0, 0, 0, b""),
        Audio(1, 0, 65536, 0, b""),
        Audio(1, 0, 0, 2**32, b""),
        Audio(1, 0, 0, 0, bytes(4089)),
        Ping(b"seven b"),
        Pong(b"nine byte"),
        Bye(0, "r" * 257),
        Bye(0, LONE_SURROGATE),
        Bye(65536),
        TextAck(-1),
        Report(0, 0, 0, 65536, 0),
        Report(0, 0, 0, 0, -1),
        Arrivals(0, 0, 65536, 0),
        Arrivals(0, 0, 0, -1),
        Paths((NetworkPath(1, "example.org", 8689),)),
        Paths((NetworkPath(1, "192.168.1.5", 65536),)),
        Paths((NetworkPath(1, "192.168.1.5", 8689),) * 9),
        Claim(0, bytes(31), b"", b""),
        Claim(256, bytes(32), b"", b""),
        Claim(0, bytes(32), bytes(256), b""),
        Challenge(bytes(33)),
        Proof(bytes(32), bytes(256), b""),
        Welcome(-1),
    ],
    ids=lambda message: repr(message)[:60],
)
def test_what_cannot_be_encoded_is_a_fault_of_our_own(message):
    with pytest.raises(LocalProtocolError):
        encode_frame(to_frame(message))


def hello_of(payload: str) -> Hello:
    hello = from_frame(Frame(HELLO, 0, bytes.fromhex(payload)))
    assert isinstance(hello, Hello)
    return hello


def test_an_empty_hello_is_a_nameless_peer_that_plays_pcm():
    hello = hello_of("")
    assert hello == Hello()
    assert hello.playable == (Codec.PCM,)


def test_a_hello_with_no_codecs_wants_no_audio():
    assert hello_of("03 00").playable == ()


def test_unknown_keys_are_skipped_and_of_a_key_that_comes_twice_the_first_counts():
    payload = bytes.fromhex("5a 02 ff ff  01 01 61  01 01 62  3a 00  03 01 02  03 00")
    assert from_frame(Frame(HELLO, 0, payload)) == Hello("a", codecs=(2,))


def test_the_last_text_and_the_grace_of_no_session_mean_nothing():
    assert from_frame(Frame(HELLO, 0, bytes.fromhex("01 01 61  05 04 00 00 00 07  07 02 00 3c"))) == Hello("a")


def test_a_last_text_that_is_absent_begins_a_session_and_one_of_0_resumes_it():
    session = "04 10" + 16 * "00"
    assert from_frame(Frame(HELLO, 0, bytes.fromhex(session))) == Hello(session=bytes(16), last_text=None)
    assert from_frame(Frame(HELLO, 0, bytes.fromhex(session + "05 04 00 00 00 00"))) == Hello(
        "", "", None, bytes(16), 0
    )


def test_a_certificate_and_a_share_have_room():
    claim = Claim(2, bytes(32), bytes(255), bytes(wire.MAX_CERTIFICATE))
    assert from_frame(to_frame(claim)) == claim
    proof = Proof(bytes(32), bytes(255), bytes(1000))
    assert from_frame(to_frame(proof)) == proof


def test_methods_that_a_later_version_may_have_are_passed_on_for_others_to_judge():
    claim, welcome = from_frame(Frame(CLAIM, 0, b"\x7f" + bytes(33))), from_frame(Frame(WELCOME, 0, b"\x7f"))
    assert isinstance(claim, Claim)
    assert claim.method == 0x7F
    assert isinstance(welcome, Welcome)
    assert welcome.admitted == 0x7F


def test_unknown_codecs_and_codes_are_passed_on_for_others_to_ignore():
    assert hello_of("03 02 fa 01").playable == (0xFA, Codec.PCM)
    assert from_frame(Frame(BYE, 0, bytes.fromhex("12 34"))) == Bye(0x1234)


@given(u8, messages)
def test_flags_without_a_definition_are_ignored(flags, message):
    frame = to_frame(message)
    undefined = flags & ~{TEXT: wire.FLAG_MORE, wire.TAG_PATHS: wire.FLAG_NOW}.get(frame.tag, 0)
    assert from_frame(Frame(frame.tag, frame.flags | undefined, frame.payload)) == message


def test_what_is_reserved_in_a_report_is_ignored():
    payload = bytes.fromhex("00 ff 00 07  00 00 0d 20  00 3c 00 28")
    assert from_frame(Frame(REPORT, 0, payload)) == Report(0, 7, 3360, 60, 40)


@pytest.mark.parametrize("tag", sorted({*range(256)} - {*TAGS}))
def test_an_unknown_tag_means_nothing_to_us(tag):
    assert from_frame(Frame(tag, 0, b"whatever")) is None


def test_every_frame_that_we_make_can_be_sent():
    assert len(encode_frame(to_frame(Text(1, "x" * 4092)))) == 4100
    assert to_frame(Ringing()) == Frame(RINGING, 0, b"")
