"""What is shown of a case that failed."""

import json
import re

import pytest

from tests.conform.test_closing_peers import HELLO, TWO_TEXTS, listener_that, says
from tests.running import run
from voicemux.conform.record import MOST_LINES, Record
from voicemux.conform.report import as_json
from voicemux.conform.rules import PACKAGE, rules
from voicemux.conform.verdict import CASES, FAIL, Result
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Text
from voicemux.protocol.wire import PREFACE

SHOULD_ONLY = {"busy", "plain-refused", "reports"}  # protocol.md §18 says so


def test_frames_are_shown_with_time_direction_bytes_and_meaning():
    record = Record()
    record.sent(0.5, PREFACE + encode_frame(Frame(4, 0, bytes(8))))
    record.received(1.25, Frame(2, 0, b"\0\0\0\1hi"), Text(1, "hi"))
    assert [str(line) for line in record.lines] == [
        "   0.500 --> 56 4d 55 58 2f 31 0d 0a  the preface",
        "   0.500 --> 00 08 04 00 00 00 00 00 00 00 00 00  Ping(data=b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00')",
        "   1.250 <-- 00 06 02 00 00 00 00 01 68 69  Text(id=1, text='hi', more=False)",
    ]


@pytest.mark.parametrize(
    ("data", "meaning"),
    [
        (b"\0\0\0\0", "bytes"),  # tag 0
        (b"\x10\x01\2\0", "bytes"),  # a header that says 4097
        (b"\0\1\x5a\0?", "tag 90, which has no meaning here"),
        (b"\0\1\4\0?", "tag 4: "),
        (b"GET /", "bytes"),
    ],
)
def test_what_is_wrong_on_purpose_is_shown_as_well(data, meaning):
    record = Record()
    record.sent(0, data)
    assert [line.data for line in record.lines] == [data]
    assert record.lines[0].means.startswith(meaning)


def test_what_a_peer_says_is_quoted():
    record = Record()
    record.received(0, Frame(2, 0, b"\0\0\0\1\x1b[2J"), Text(1, "\x1b[2J\u202e"))
    assert str(record.lines[0]).isprintable()


def test_the_oldest_are_forgotten():
    record = Record()
    for _ in range(MOST_LINES + 7):
        record.sent(0, b"x")
    assert (len(record.lines), record.forgotten) == (MOST_LINES, 7)


def test_the_page_for_client_authors_knows_what_every_skip_is_about():
    page = (PACKAGE.parent / "docs" / "clients.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "conform").glob("*.py"))
    skips = re.findall(r'raise Skipped\("([^"]+)", ', sources)
    assert len(skips) >= 8
    for skip in skips:
        assert skip.replace("no more than", "less than") in page


@pytest.mark.parametrize("case", sorted({case.name for case in CASES} - SHOULD_ONLY))
def test_every_case_has_the_sentence_that_it_is_about(case):
    found = rules(case)
    assert found
    for sentence in found:
        assert "MUST" in sentence
        assert len(sentence) < 400
        assert "\n" not in sentence


def test_verbose_shows_the_rule_and_the_frames_of_a_case_that_failed():
    answers = iter([says()])
    with listener_that(lambda line: next(answers, says(HELLO, *TWO_TEXTS))(line)) as port:
        address = f"127.0.0.1:{port}"
        code, out, _ = run("conform", "listener", address, "--plain", "-v", "--case", "pong", "--case", "tag-zero")
    assert code == 1
    failed = [number for number, line in enumerate(out) if line.startswith("FAIL")]
    assert len(failed) == 2
    shown = "\n".join(out)
    assert 'protocol.md, section 4: "Tag 0 MUST [7] be taken for a protocol error' in shown
    assert "<-- 00 07 02 00 00 00 00 01 6f 6e 65  Text(id=1, text='one', more=False)" in shown
    assert "--> 00 00 00 00  bytes" in shown
    assert "the end of its direction" in shown or "a reset" in shown


def test_verbose_json_has_the_same_as_data():
    answers = iter([says()])
    with listener_that(lambda line: next(answers, says(HELLO, *TWO_TEXTS))(line)) as port:
        address = f"127.0.0.1:{port}"
        chosen = ("--plain", "--json", "--case", "pong", "--case", "tag-zero")
        code, out, _ = run("conform", "listener", address, *chosen, "-v")
    assert code == 1
    names = {"name", "section", "verdict", "detail", "seconds"}
    zero, pong = json.loads(out[0])["cases"]
    assert set(zero) == set(pong) == names | {"rules", "connections"}
    assert zero["rules"][0].startswith("Tag 0 MUST [7] be taken for a protocol error")
    frames = zero["connections"][0]["frames"]
    assert all(set(frame) == {"time", "from", "bytes", "means"} for frame in frames)
    said = {(frame["from"], frame["bytes"], frame["means"]) for frame in frames}
    assert ("tester", PREFACE.hex(), "the preface") in said
    assert ("tester", "00000000", "bytes") in said
    assert ("program", "0007020000000001" + b"one".hex(), "Text(id=1, text='one', more=False)") in said


def test_json_without_verbose_is_short():
    told = json.loads(as_json([Result("pong", 5, FAIL, "expected a PONG", 1, (Record().talk(),))]))
    assert set(told["cases"][0]) == {"name", "section", "verdict", "detail", "seconds"}


def test_how_much_was_forgotten_and_all_bytes_are_data_too():
    record = Record()
    for _ in range(MOST_LINES + 7):
        record.sent(0, b"x" * 100)
    data = record.talk().as_data()
    assert data["forgotten"] == 7
    assert data["frames"] == [{"time": 0, "from": "tester", "bytes": b"x".hex() * 100, "means": "bytes"}] * MOST_LINES
