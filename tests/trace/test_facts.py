import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from voicemux.protocol.frames import Frame
from voicemux.trace.facts import Chosen, Fact, FramePassed
from voicemux.trace.file import line_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trace.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.*) \|$", DOCUMENT, re.MULTILINE)
KINDS = [kind for kind in get_args(Fact) if kind is not FramePassed]


def event_of(kind: type) -> str:
    return str(line_of(0, kind(*[0] * len(fields(kind))))["event"])


def test_every_fact_and_each_of_its_fields_is_documented():
    documented = dict(ROWS)
    for kind in KINDS:
        told = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", documented[event_of(kind)]))
        assert {field.name for field in fields(kind)} <= set(told)


def test_every_documented_event_exists():
    events = {name for name, words in ROWS if name not in ("t", "event")}
    assert events == {"trace", "lost", "frame", *map(event_of, KINDS)}


@pytest.mark.parametrize("kind", [*KINDS, FramePassed])
def test_a_fact_stays_as_it_was(kind):
    assert kind.__dataclass_params__.frozen


def test_a_line_has_its_time_first_and_its_numbers_rounded():
    line = line_of(1.23456789, Chosen("voice", 7, 1 / 3))
    assert list(line.items()) == [
        ("t", 1.234568), ("event", "chosen"), ("what", "voice"), ("number", 7), ("waited_ms", 0.333),
    ]  # fmt: skip


def test_a_frame_of_an_unknown_type_has_its_tag():
    unknown = line_of(0, FramePassed("received", Frame(77, 0, b"secret"), None))
    assert unknown == {"t": 0, "event": "frame", "way": "received", "type": "unknown", "size": 10, "tag": 77}
