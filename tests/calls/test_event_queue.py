import logging
import threading

import pytest

from voicemux.calls.event_queue import EventQueue
from voicemux.events import Event, Notice, TextReceived

HI = TextReceived("bob", "hi")


class Taken:
    """Counts the texts that were acknowledged."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def events(taken: Taken) -> EventQueue:
    return EventQueue(taken)


def test_the_reader_gets_all_events_in_their_order_and_then_learns_of_the_end(events):
    put = [Notice("a"), HI, Notice("b")]
    for event in put:
        events.put(event)
    events.close()
    assert [events.next() for _ in range(4)] == [*put, None]


def test_a_text_is_acknowledged_when_the_reader_asks_for_the_next_event(events, taken):
    for event in (HI, HI, Notice("a")):
        events.put(event)
    events.next()
    assert taken.count == 0
    events.next()
    assert taken.count == 1
    events.next()
    assert taken.count == 2
    events.close()
    events.next()
    assert taken.count == 2, "a notice needs no acknowledgement"


def test_a_text_is_acknowledged_once_by_whichever_thread_says_that_it_was_shown(events, taken):
    events.put(HI)
    events.next()
    threads = [threading.Thread(target=events.took) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events.took()
    assert taken.count == 1


def test_watchers_see_every_event_at_once_and_acknowledge_nothing(events, taken):
    seen: list[list[Event]] = [[], []]
    for each in seen:
        events.subscribe(each.append)
    events.put(HI)
    events.put(Notice("a"))
    assert seen == [[HI, Notice("a")]] * 2
    assert taken.count == 0
    assert [events.next(), events.next()] == [HI, Notice("a")]


def test_a_watcher_sees_nothing_from_before_and_nothing_once_it_has_ended_its_subscription(events):
    seen: list[Event] = []
    events.put(Notice("before"))
    end = events.subscribe(seen.append)
    events.put(Notice("while"))
    end()
    end()
    events.put(Notice("after"))
    assert seen == [Notice("while")]


def test_a_watcher_may_end_its_own_subscription(events):
    seen: list[Event] = []

    def once(event: Event) -> None:
        seen.append(event)
        end()

    end = events.subscribe(once)
    other: list[Event] = []
    events.subscribe(other.append)
    events.put(Notice("a"))
    events.put(Notice("b"))
    assert (seen, other) == ([Notice("a")], [Notice("a"), Notice("b")])


def test_a_watcher_that_raises_is_logged_and_dropped_and_hurts_nobody_else(events, caplog):
    attempts: list[Event] = []
    seen: list[Event] = []

    def broken(event: Event) -> None:
        attempts.append(event)
        raise ZeroDivisionError

    events.subscribe(broken)
    events.subscribe(seen.append)
    with caplog.at_level(logging.ERROR, "voicemux"):
        events.put(HI)
        events.put(Notice("a"))
    assert attempts == [HI]
    assert seen == [HI, Notice("a")] == [events.next(), events.next()]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_the_watchers_are_told_of_the_end_once(events):
    seen: list[Event] = []
    events.subscribe(seen.append)
    for _ in range(2):
        events.tell_the_last(Notice("the end"))
    assert seen == [Notice("the end")]
