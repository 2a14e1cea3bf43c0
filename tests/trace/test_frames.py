import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.protocol.strategies import messages
from voicemux.errors import RemoteProtocolError
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Audio, Bye, Hello, Message, Ping, Pong, Text, name_of
from voicemux.protocol.wire import TAG_AUDIO, TAG_TEXT
from voicemux.trace.facts import Fact, FramePassed
from voicemux.trace.frames import described, watch

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trace.md").read_text(encoding="utf-8")
TABLE = DOCUMENT.split("| type | further fields |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
EVERY_FRAME = {"way", "type", "size"}
SECRET = "swordfish"


def documented() -> dict[str, set[str]]:
    rows = [row.strip("|").split("|") for row in TABLE]
    return {
        name: set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", told)))
        for names, told in rows
        for name in names.replace(" ", "").split(",")
    }


@given(messages)
def test_of_every_message_the_documented_fields_are_written_and_no_other(message):
    shown = described(FramePassed("sent", to_frame(message), message))
    assert set(shown) - EVERY_FRAME == documented().get(shown["type"], set())
    assert shown["type"] == name_of(type(message))
    assert shown["size"] == len(encode_frame(to_frame(message)))
    json.dumps(shown)


@given(messages)
def test_what_users_write_say_and_are_called_and_keys_are_not_written(message):
    """What is put into every field that holds words or bytes, but for the name of a program and a PING's number."""
    if isinstance(message, Ping | Pong):
        return
    marked = {
        field.name: SECRET if isinstance(getattr(message, field.name), str) else SECRET.encode().ljust(32)
        for field in fields(message)
        if isinstance(getattr(message, field.name), str | bytes) and field.name not in ("agent", "session")
    }
    secret = replace(message, **marked)
    shown = json.dumps(described(FramePassed("sent", to_frame(secret), secret)))
    assert SECRET not in shown
    assert SECRET.encode().hex() not in shown


def watched() -> tuple[Sending, Receiving, list[Fact]]:
    told: list[Fact] = []
    sending, receiving = Sending(), Receiving()
    watch(sending, receiving, told.append)
    return sending, receiving, told


def ways(told: list[Fact]) -> list[tuple[str, str]]:
    lines = [described(each) for each in told if isinstance(each, FramePassed)]
    return [(line["way"], line["type"]) for line in lines]


def test_each_frame_is_told_both_ways_with_those_that_are_ignored():
    sending, receiving, told = watched()
    said: list[Message] = [Hello("alice"), Text(1, "hi"), Audio(2, 0, 1, 0, b"x"), Bye()]
    data = sending.preface() + b"".join(map(sending.encode, said))
    types = ["HELLO", "padding", "TEXT", "AUDIO", "BYE"]
    assert ways(told) == [("sent", each) for each in types]
    told.clear()
    assert list(receiving.receive(data))[1:] == said
    assert ways(told) == [("received", each) for each in types]


def test_what_was_kept_while_it_rang_is_told_when_the_call_takes_it():
    _, receiving, told = watched()
    receiving.keep([Text(1, "hi")])
    receiving.greeted = True
    list(receiving.receive(b""))
    assert ways(told) == [("received", "TEXT")]


@pytest.mark.parametrize("payload", [b"\0", b"\0\0\0\1\xff"])
def test_a_frame_that_ends_the_call_is_told(payload):
    sending, receiving, told = watched()
    greeting = sending.preface() + sending.encode(Hello())
    with pytest.raises(RemoteProtocolError):
        list(receiving.receive(greeting + encode_frame(Frame(TAG_TEXT, 0, payload))))
    assert described(told[-1]) == {  # type: ignore[arg-type]
        "way": "received", "type": "TEXT", "size": 4 + len(payload), "malformed": True,
    }  # fmt: skip


def test_an_empty_packet_of_voice_says_that_silence_begins():
    silence = Audio(2, 0, 1, 0, b"")
    assert described(FramePassed("sent", Frame(TAG_AUDIO, 0, bytes(8)), silence))["silence"]
