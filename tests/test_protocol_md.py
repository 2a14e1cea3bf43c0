import json
import re
from pathlib import Path

import pytest

from tests.notation import CLASSES, VECTORS, meant, vectors
from voicemux.conform import runner  # noqa: F401  # which brings the modules that have the cases
from voicemux.conform.verdict import CASES
from voicemux.errors import RemoteProtocolError
from voicemux.net import address, greeting, stream, visitor
from voicemux.protocol import goodbye, liveness, messages, wire
from voicemux.protocol.connection import TRANSITIONS, Receiving, Sending, State
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import Preface
from voicemux.security import words

DOCUMENT = (Path(__file__).parent.parent / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```example\nbytes +([0-9a-f ]+)\n(\w+) +(.+)\n```$", DOCUMENT, re.MULTILINE)
SIZES = {"u8": 1, "u16": 2, "u32": 4}


def section(title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    return re.split(r"^#+ ", DOCUMENT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def sections(text: str) -> list[tuple[str, str]]:
    """Every heading, with the text below it up to the next."""
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def tables(text: str) -> list[list[list[str]]]:
    """Each table as rows of cells, without its head."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in one.splitlines()[2:]] for one in found]


def numbered(rows: list[list[str]]) -> dict[int, str]:
    """{number: name} of a registry."""
    return {int(number): re.sub(r"\[(\w+)\].*", r"\1", name) for number, name, *_ in rows}


@pytest.mark.parametrize(("encoded", "kind", "meaning"), EXAMPLES)
def test_an_example_is_true(encoded, kind, meaning):
    encoded, meaning = bytes.fromhex(encoded), json.loads(meaning)
    if kind == "preface":
        assert list(Receiving().receive(encoded)) == [Preface(**meaning)]
        assert Sending().preface() == encoded
        return
    decoder = FrameDecoder()
    (frame,) = decoder.feed(encoded)
    assert not decoder.torn
    match kind:
        case "frame":
            assert frame == Frame(**meant(meaning))
            assert encode_frame(frame) == encoded
        case "message":
            message = CLASSES[meaning.pop("type")](**meant(meaning))
            assert from_frame(frame) == message
            assert encode_frame(to_frame(message)) == encoded
        case "invalid":
            with pytest.raises(RemoteProtocolError, match=meaning):
                from_frame(frame)
        case "skipped":
            assert from_frame(frame) is None
        case _:
            pytest.fail(f"an example of an unknown kind: {kind}")


def test_no_example_escapes():
    assert len(EXAMPLES) == DOCUMENT.count("```example") > 10


def test_every_message_has_an_example():
    ((*rows,),) = tables(section("5. Messages"))
    shown = {json.loads(meaning)["type"] for _, kind, meaning in EXAMPLES if kind == "message"}
    assert shown == set(numbered(rows).values()) == set(CLASSES)


def test_the_tags_are_those_of_the_code():
    ((*rows,),) = tables(section("5. Messages"))
    assert numbered(rows) == {value: name[4:] for name, value in vars(wire).items() if name.startswith("TAG_")}


def test_the_hello_keys_are_those_of_the_code():
    _, keys = tables(section("5.1 HELLO (tag 1)"))
    documented = {number: name.upper() for number, name in numbered(keys).items()}
    assert documented == {value: name[4:] for name, value in vars(wire).items() if name.startswith("KEY_")}


def test_the_codecs_and_codes_are_those_of_the_code():
    codecs, codes = tables(section("14. Registries"))
    assert {number: name.upper() for number, name in numbered(codecs).items()} == {
        each.value: each.name for each in messages.Codec
    }
    assert numbered(codes) == {each.value: each.name for each in messages.ByeCode}


def test_no_number_is_greasy():
    keys = {value for name, value in vars(wire).items() if name.startswith(("TAG_", "KEY_"))}
    assert not [number for number in keys if number & 0x1F == 0x1A]


def test_the_limits_are_those_of_the_code():
    ((*rows,),) = tables(section("11. Limits"))
    assert {what: int(limit.split()[0].replace(",", "")) for what, limit in rows} == {
        "payload of a frame": wire.MAX_PAYLOAD,
        "name, agent": wire.MAX_NAME,
        "reason of a BYE": wire.MAX_REASON,
        "certificate": wire.MAX_CERTIFICATE,
        "items of a PATHS": wire.MAX_PATHS,
        "text of a message": wire.MAX_MESSAGE,
        "text sent and not acknowledged": wire.TEXT_WINDOW,
        "a dialler's wait for TLS": greeting.TLS_TIMEOUT,
        "a dialler's wait for a preface": greeting.GREETING_TIMEOUT,
        "a listener's wait for TLS and a preface": greeting.PREFACE_TIMEOUT,
        "a dialler's wait for WELCOME": greeting.PROOF_TIMEOUT,
        "a listener's wait for HELLO": visitor.HELLO_TIMEOUT,
        "a dialler's wait for HELLO": greeting.ANSWER_TIMEOUT,
        "time without a byte until the connection is lost": stream.SILENCE_TIMEOUT,
        "reading after the BYE": goodbye.GOODBYE_TIMEOUT,
    }


@pytest.mark.parametrize(
    ("title", "sentence", "value"),
    [
        ("3. The connection and the preface", r"port (\d+) by default", address.DEFAULT_PORT),
        ("5.2 TEXT (tag 2)", r"no more than (\d+) bytes of text into a frame", wire.MAX_TEXT_PART),
        ("5.3 AUDIO (tag 3)", r"ticks of 1/(\d+) s", wire.TICKS_PER_SECOND),
        ("9. Liveness", r"a PING at least every (\d+) seconds", liveness.PING_INTERVAL),
    ],
)
def test_what_is_said_in_passing_is_true_too(title, sentence, value):
    found = re.search(sentence, " ".join(section(title).split()))
    assert found
    assert int(found[1]) == value


@pytest.mark.parametrize(
    ("title", "layout"),
    [
        ("4. Frames", wire.HEADER),
        ("5.2 TEXT (tag 2)", wire.TEXT_HEADER),
        ("5.3 AUDIO (tag 3)", wire.AUDIO_HEADER),
        ("5.5 BYE (tag 6)", wire.BYE),
        ("5.6 TEXT_ACK (tag 7)", wire.TEXT_ACK),
        ("5.7 REPORT (tag 8)", wire.REPORT),
        ("5.13 STATE (tag 20)", wire.STATE),
        ("5.14 ARRIVALS (tag 19)", wire.ARRIVALS),
    ],
)
def test_the_layouts_are_those_of_the_code(title, layout):
    documented = [(name, SIZES[kind]) for name, kind, _ in tables(section(title))[0] if kind in SIZES]
    fields = [field for field in layout.subcons if field.name not in (None, "reason")]
    assert [(field.name, field.sizeof()) for field in fields] == documented


def test_the_order_is_that_of_the_code():
    ((*rows,),) = tables(section("6. Order"))
    documented: dict[State, dict[type, State]] = {each: {} for each in State}
    state = State.START
    for name, sent, following in rows:
        state = State[name.split()[0]] if name else state
        if following:
            documented[state] |= {CLASSES[each]: State[following] for each in sent.split(", ")}
    assert documented == TRANSITIONS


def test_the_bytes_of_the_minimal_client_mean_what_it_says():
    client = section("16. A minimal client")
    frames = [bytes.fromhex(each) for each in re.findall(r"`((?:[0-9a-f]{2} ?)+)`", client)]
    hello, ack, pong, bye, ping, refusal = (next(FrameDecoder().feed(each.ljust(12, b"\0"))) for each in frames)
    assert from_frame(hello) == messages.Hello(codecs=())
    assert (ack.tag, len(ack.payload)) == (wire.TAG_TEXT_ACK, 4)
    assert (pong.tag, len(pong.payload)) == (wire.TAG_PONG, 8)
    assert from_frame(bye) == messages.Bye()
    assert (ping.tag, len(ping.payload)) == (wire.TAG_PING, 8)
    assert from_frame(refusal) == messages.Bye(messages.ByeCode.PROTOCOL)


def test_the_words_are_those_of_the_code():
    lines = (Path(__file__).parent.parent / "pgp-words.txt").read_text(encoding="ascii").splitlines()
    assert [line.split() for line in lines] == [
        [f"{byte:02x}", words.EVEN[byte], words.ODD[byte]] for byte in range(256)
    ]
    assert "88 a6 46 4b is `" + " ".join(words.spoken(bytes.fromhex("88a6464b"))) in re.sub(r"\s+", " ", DOCUMENT)


RULES = "".join(part for title, part in sections(DOCUMENT) if not title.startswith(("1. ", "18. ")))
PROOFS = tables(section("18. What proves it"))[0]


def named(cell: str) -> set[str]:
    """The vectors, files of vectors or cases that a cell of section 18 names."""
    return set(re.findall(r"`([\w-]+)`", cell))


def test_every_must_has_a_number_of_its_own_and_section_18_has_them_all():
    musts = re.findall(r"\bMUST\b(?:\s+NOT\b)?(?:\s+\[(\d+)\])?", RULES)
    assert sorted(map(int, musts)) == list(range(1, len(musts) + 1))  # MUSTs that came later stand anywhere
    assert [int(row[0]) for row in PROOFS] == list(range(1, len(musts) + 1))


def test_something_proves_every_must():
    assert not [number for number, _, *proofs in PROOFS if not any(map(named, proofs))]


def test_the_vectors_that_prove_something_exist():
    every = [vector["name"] for path in VECTORS.glob("*.json") for vector in vectors(path.stem)]
    assert len(every) == len(set(every))
    assert set().union(*(named(row[2]) for row in PROOFS)) <= {
        *every,
        *(path.stem for path in VECTORS.glob("*.json")),
    }


def test_every_vector_names_a_section_that_exists():
    numbers = {title.split()[0].rstrip(".") for title, _ in sections(DOCUMENT)}
    assert {each["section"] for path in VECTORS.glob("*.json") for each in vectors(path.stem)} <= numbers


def test_every_message_has_vectors_and_faults_of_its_own():
    found = vectors("messages")
    assert {vector["message"]["type"] for vector in found if "message" in vector} == set(CLASSES)
    described = {title.split()[0] for title, _ in sections(DOCUMENT) if title.startswith("5.")} - {"5."}
    for outcome in ("message", "error"):
        assert {vector["section"] for vector in found if outcome in vector} >= described


def test_the_cases_that_prove_something_exist():
    assert set().union(*(named(row[3]) for row in PROOFS)) <= {case.name for case in CASES}
