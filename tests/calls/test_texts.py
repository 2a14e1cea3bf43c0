"""The texts of a call: said, waited for, and kept while there is no line."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.peers import PROMPTLY, greeted
from voicemux.calls.texts import Texts
from voicemux.protocol import delivery
from voicemux.protocol.conversation import Conversation
from voicemux.protocol.messages import Text, TextAck
from voicemux.sending.schedule import SentCounts
from voicemux.sending.writer import Writer

PATIENCE = 10.0  # seconds: more than any of this takes
LONG = "x" * 100_000


class Side:
    """One side's texts, and the writer of a connection that comes and goes: what is written is taken by hand."""

    def __init__(self) -> None:
        self.conversation = Conversation(PATIENCE)
        self.changed = threading.Condition()
        self.counts = SentCounts()
        self.is_in_doubt = False  # the line
        self.texts = Texts(self.conversation, self.changed, self.counts, is_in_doubt=lambda: self.is_in_doubt)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Writer]:
        with greeted() as (stream, sending, _, _peer):
            writer = Writer(stream, sending, self.conversation, self.changed, counts=self.counts)
            with self.changed:
                self.texts.carry_by(writer)
            yield writer
            with self.changed:
                self.texts.carry_by(None)

    def sent(self) -> Text | None:
        with self.changed:
            return self.conversation.next_text()

    def acknowledge(self, writer: Writer, number: int) -> None:
        writer.feedback.received(TextAck(number))


@pytest.fixture
def side() -> Side:
    return Side()


def waiting(wait: object) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(wait()))  # type: ignore[operator]
    thread.start()
    return thread, results


def test_room_is_waited_for_only_so_long(side, monkeypatch):
    monkeypatch.setattr(delivery, "MAX_WAITING", 50_000)
    assert side.texts.wait_for_room(0)
    side.texts.say(LONG)
    assert not side.texts.wait_for_room(0.05)
    thread, made = waiting(lambda: side.texts.wait_for_room(PATIENCE))
    with side.connected() as writer:
        while not made and (text := side.sent()):
            side.acknowledge(writer, text.id)
        thread.join()
    assert made == [True]


def test_delivery_is_waited_for_as_long_as_there_is_progress(side):
    with side.connected() as writer:
        assert side.texts.wait_for_delivery(0)
        for text in ("a", "b", "c", "d"):
            side.texts.say(text)
        assert not side.texts.wait_for_delivery(0.05)
        thread, delivered = waiting(lambda: side.texts.wait_for_delivery(PROMPTLY))
        for _ in range(4):
            thread.join(0.3 * PROMPTLY)
            assert not delivered
            text = side.sent()
            assert text
            side.acknowledge(writer, text.id)
        thread.join()
        assert delivered == [True]


def test_time_without_a_line_does_not_count(side):
    side.texts.say("a")
    thread, delivered = waiting(lambda: side.texts.wait_for_delivery(0.2))
    thread.join(0.6)
    assert not delivered
    side.texts.end()
    thread.join()
    assert delivered == [False]
    assert side.texts.undelivered == [("", "a")]


def test_time_with_a_line_in_doubt_does_not_count(side):
    side.texts.say("a")
    side.is_in_doubt = True
    with side.connected():
        thread, delivered = waiting(lambda: side.texts.wait_for_delivery(0.2))
        thread.join(0.6)
        assert not delivered
        side.is_in_doubt = False
        thread.join()
    assert delivered == [False]


def test_what_is_said_without_a_line_waits_and_goes_when_there_is_one(side):
    assert side.texts.say("a", "first")
    assert side.texts.say("b")
    assert (side.texts.waiting, side.counts.texts) == (2, 2)
    with side.connected():
        assert side.texts.say("c")
        assert [text.text for text in iter(side.sent, None)] == ["a", "b", "c"]
    assert side.counts.texts == 3


@pytest.mark.parametrize("wait", [Texts.wait_for_delivery, Texts.wait_for_room])
def test_the_end_wakes_whoever_waits(side, wait, monkeypatch):
    monkeypatch.setattr(delivery, "MAX_WAITING", 50_000)
    side.texts.say(LONG)
    thread, results = waiting(lambda: wait(side.texts, PATIENCE))
    thread.join(0.05)
    assert not results
    side.texts.end()
    thread.join(PROMPTLY)
    assert results == [wait is Texts.wait_for_room]
    assert not side.texts.say("too late")
