import json
import re
from pathlib import Path

import pytest

from tests.relay.notation import CLASSES, VECTORS, message, vectors
from tests.test_protocol_md import SIZES, numbered, sections, tables
from tests.vectors.making.relay import write
from voicemux.conform.runner import Selection
from voicemux.conform.verdict import RELAY
from voicemux.errors import RemoteProtocolError
from voicemux.protocol.frames import FrameDecoder
from voicemux.protocol.wire import MAX_PAYLOAD
from voicemux.relay import desk, guest, messages, server, wire
from voicemux.relay.approach import RelayOpening
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.ids import id_of_number
from voicemux.relay.places import RELAY_PORT

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "relay.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```example\nbytes +([0-9a-f ]+)\n(\w+) +(.+)\n```$", DOCUMENT, re.MULTILINE)
PROOFS = tables(DOCUMENT.split("## 11. ")[2 if DOCUMENT.count("## 11. ") > 1 else 1])[0]


def section(title: str) -> str:
    return next(text for each, text in sections(DOCUMENT) if each == title)


@pytest.mark.parametrize(("data", "kind", "meaning"), EXAMPLES)
def test_an_example_is_true(data: str, kind: str, meaning: str) -> None:
    raw, told = bytes.fromhex(data), json.loads(meaning)
    if kind == "preface":
        assert (raw, told) == (wire.PREFACE, {"version": wire.VERSION})
        assert RelayOpening().take(raw + b"x") == b"x"
        return
    (frame,) = FrameDecoder().feed(raw)
    if kind == "invalid":
        with pytest.raises(RemoteProtocolError, match=told):
            decoded(frame)
        return
    assert kind == "message"
    assert decoded(frame) == message(told)
    assert encoded(message(told)) == raw


def test_no_example_escapes_and_every_message_has_one() -> None:
    assert len(EXAMPLES) == DOCUMENT.count("```example")
    assert {json.loads(meaning)["type"] for _, kind, meaning in EXAMPLES if kind == "message"} == set(CLASSES)


def test_the_numbers_are_those_of_the_code() -> None:
    ((*tags,),) = tables(section("4. Messages"))
    assert numbered(tags) == {value: name[4:] for name, value in vars(wire).items() if name.startswith("TAG_")}
    ((*codes,),) = tables(section("7. Refusals"))
    assert numbered(codes) == {each.value: each.name for each in messages.RefusedCode}
    assert f"port {RELAY_PORT} by default" in section("3. The connection")
    assert id_of_number("4711").hex() in DOCUMENT


def test_the_limits_are_those_of_the_code() -> None:
    ((*rows,),) = tables(section("8. Limits"))
    assert {what: int(limit.split()[0].replace(",", "")) for what, limit in rows} == {
        "payload of a frame": MAX_PAYLOAD,
        "ids of a WAIT": wire.MOST_WAITED,
        "ids of a CALL": wire.MOST_CALLED,
        "token": wire.MAX_TOKEN,
        "reason of a REFUSED": wire.MAX_REASON,
        "host of a MOVED": wire.MAX_HOST,
        "bytes of a dialler before PAIRED": guest.MOST_AHEAD,
        "frames of unknown tags before WAIT or CALL": guest.MOST_SKIPPED,
        "the relay's wait for WAIT or CALL": desk.ASK_PATIENCE,
        "time for which a CALL is kept": desk.CALL_PATIENCE,
        "time without a byte until the relay ends a pair": server.IDLE,
    }


def test_the_layouts_are_those_of_the_code() -> None:
    documented = tables(section("4.6 REFUSED (tag 19)"))[0]
    assert [SIZES[kind] for _, kind, _ in documented if kind in SIZES] == [
        field.sizeof() for field in wire.REFUSED.subcons[:2]
    ]


def test_every_must_has_a_number_of_its_own_and_is_proved() -> None:
    rules = "".join(text for title, text in sections(DOCUMENT) if not title.startswith(("1. ", "11. ")))
    numbers = re.findall(r"\bMUST\b(?:\s+NOT\b)?(?:\s+\[(\d+)\])?", rules)
    assert sorted(map(int, numbers)) == list(range(1, len(numbers) + 1)) == [int(row[0]) for row in PROOFS]
    named = [set(re.findall(r"`([\w-]+)`", " ".join(row[2:]))) for row in PROOFS]
    assert all(named)
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = (
        {case.name for case in Selection().cases(RELAY, encrypted=False)}
        | {each["name"] for each in vectors("streams")}
        | set(re.findall(r"def (test_\w+)\(", tests))
    )
    assert set().union(*named) <= known


def test_the_vectors_are_those_that_are_made(tmp_path: Path) -> None:
    write(tmp_path)
    assert (tmp_path / "streams.json").read_bytes() == (VECTORS / "streams.json").read_bytes()
