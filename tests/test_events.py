import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given

from tests.console.strategies import KINDS, ONE_OF_EACH, any_event, make_stats
from voicemux import events
from voicemux.events import Ended, Stats, TextReceived, loudness, to_dict

DOCUMENT = (Path(__file__).parent.parent / "docs" / "json.md").read_text(encoding="utf-8")
TABLE = DOCUMENT.split("| event | fields |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]


def documented() -> dict[str, list[str]]:
    """{event: its fields} of the table in docs/json.md, without what it remarks on them in brackets."""
    rows = [re.sub(r"\([^)]*\)", "", row).strip("|").split("|") for row in TABLE]
    return {re.findall(r"`(\w+)`", name)[0]: re.findall(r"`(\w+)`", names) for name, names in rows}


def test_every_event_is_documented_and_every_documented_event_exists():
    assert {to_dict(event)["event"] for event in ONE_OF_EACH} == set(documented())


def test_the_figures_are_explained_by_name():
    section = DOCUMENT.partition("## The figures of a call\n")[2].partition("\n## ")[0]
    explained = [
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(explained) == sorted(documented()["stats"])


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_every_field_is_documented_and_every_documented_field_exists(event):
    name, *names = to_dict(event).items()
    assert name[0] == "event"
    assert sorted(key for key, _ in names) == sorted(documented()[name[1]])
    assert "event" not in documented()[name[1]]


def test_every_kind_is_an_event():
    classes = [each for each in vars(events).values() if isinstance(each, type) and is_dataclass(each)]
    assert set(classes) - {events.Voice, events.Undelivered, events.ListedDevice} == set(KINDS)  # parts of some


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_stays_as_it_was(kind):
    assert kind.__dataclass_params__.frozen


def test_a_text_has_the_short_name():
    assert to_dict(TextReceived("bob", "hi")) == {"event": "text", "name": "bob", "text": "hi"}


def test_the_end_carries_the_figures():
    ended = to_dict(Ended("them", "", 1, make_stats(texts_sent=3, round_trip_ms=1.5)))
    assert ended["by"] == "them"
    assert ended["undelivered"] == 1
    assert set(ended["stats"]) == {field.name for field in fields(Stats)}
    assert (ended["stats"]["texts_sent"], ended["stats"]["round_trip_ms"]) == (3, 1.5)
    assert ended["stats"]["mouth_to_ear_ms"] is None


@given(any_event)
def test_every_event_survives_json(event):
    assert json.loads(json.dumps(to_dict(event), allow_nan=False)) == to_dict(event)


@pytest.mark.parametrize(
    ("speech_db", "said"), [(-40.1, "soft"), (-40.0, "good"), (-28.0, "good"), (-15.0, "good"), (-14.9, "loud")]
)
def test_speech_is_soft_or_loud_by_one_measure_wherever_it_is_told(speech_db: float, said: str) -> None:
    assert loudness(speech_db) == said
