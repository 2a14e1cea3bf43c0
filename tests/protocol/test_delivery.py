from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.weight import outgrows
from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol import delivery
from voicemux.protocol.delivery import Inbox, Outbox, payload_size, split_text
from voicemux.protocol.messages import ByeCode, Text
from voicemux.protocol.wire import MAX_MESSAGE, MAX_TEXT_PART, TEXT_WINDOW

CLEF = "\N{MUSICAL SYMBOL G CLEF}"  # four bytes
huge = st.builds(
    lambda unit, times: unit * times, st.sampled_from(["x", "ü", "€", CLEF, "a€"]), st.integers(0, 40_000)
)
texts = st.just("") | st.text(max_size=40) | huge


def send_all(outbox: Outbox) -> list[Text]:
    return list(iter(outbox.next, None))


class Delivery(RuleBasedStateMachine):
    """One direction of a call: the line in between loses nothing, but may be cut and taken up again."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.inbox = Outbox(), Inbox()
        self.put: list[str] = []
        self.last_ids: list[int] = []  # of each text in `put`
        self.shown: list[str] = []
        self.due = 1  # the id that is to be sent next
        self.line: deque[Text] = deque()
        self.acknowledgements: deque[int] = deque([0])
        self.untaken: deque[str] = deque()
        self.waiting: dict[int, int] = {}  # bytes of each frame that is to be sent
        self.in_flight: dict[int, int] = {}  # of each that was sent, and not acknowledged

    @rule(text=texts)
    def write(self, text):
        self.put.append(text)
        last = self.outbox.put(text)
        self.last_ids.append(last)
        parts = [part for message in split_text(text, MAX_MESSAGE) for part in split_text(message, MAX_TEXT_PART)]
        for number, part in enumerate(parts, last - len(parts) + 1):
            self.waiting[number] = payload_size(Text(number, part))

    @rule(limit=st.integers(1, 100))
    def send(self, limit):
        for _ in range(limit):
            if (frame := self.outbox.next()) is None:
                break
            assert frame.id == self.due
            self.due += 1
            self.in_flight[frame.id] = self.waiting.pop(frame.id)
            self.line.append(frame)

    @precondition(lambda self: self.line)
    @rule(limit=st.integers(1, 100))
    def receive(self, limit):
        for _ in range(min(limit, len(self.line))):
            if (message := self.inbox.receive(self.line.popleft())) is not None:
                self.untaken.append(message)
            self.acknowledgements.append(self.inbox.acknowledgement)

    @precondition(lambda self: self.untaken)
    @rule()
    def show(self):
        self.shown.append(self.untaken.popleft())
        self.inbox.taken()
        self.acknowledgements.append(self.inbox.acknowledgement)

    @rule(newest=st.booleans())
    def acknowledge(self, newest):
        number = self.acknowledgements[-1 if newest else 0]
        self.outbox.acknowledge(number)
        self.arrived(number)
        self.due = max(self.due, number + 1)
        if len(self.acknowledgements) > 1:
            self.acknowledgements.popleft()

    @rule()
    def resume(self):
        """What was on the line is lost in both directions, and what was received and not taken comes again."""
        self.line.clear()
        self.acknowledgements = deque([self.inbox.acknowledgement])
        self.outbox.resume(self.inbox.acknowledgement)
        self.arrived(self.inbox.acknowledgement)
        self.waiting, self.in_flight = self.in_flight | self.waiting, {}
        self.due = self.inbox.acknowledgement + 1

    def arrived(self, last: int) -> None:
        for frames in (self.waiting, self.in_flight):
            for number in [each for each in frames if each <= last]:
                del frames[number]

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self):
        assert self.shown + list(self.untaken) == self.put[: len(self.shown) + len(self.untaken)]

    @invariant()
    def what_is_acknowledged_was_shown(self):
        acknowledged = max(self.last_ids, default=0) - self.outbox.undelivered
        assert sum(last <= acknowledged for last in self.last_ids) <= len(self.shown)

    @invariant()
    def the_window_is_kept(self):
        assert sum(self.in_flight.values()) == self.outbox.unacknowledged_bytes <= TEXT_WINDOW
        assert sum(self.waiting.values()) == self.outbox.waiting_bytes

    def teardown(self):
        while not self.outbox.delivered:
            self.send(1000)
            while self.line:
                self.receive(1000)
            while self.untaken:
                self.show()
            self.acknowledge(newest=True)
        assert self.shown == self.put
        assert self.outbox.unacknowledged_bytes == self.outbox.waiting_bytes == 0
        assert self.inbox.acknowledgement == max(self.last_ids, default=0)
        assert self.inbox.end() is None


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40, deadline=None)


@given(texts, st.integers(4, 50))
def test_a_split_text_is_whole_code_points_within_the_limit(text, limit):
    parts = split_text(text, limit)
    assert "".join(parts) == text
    assert all(limit - 3 <= len(part.encode()) <= limit for part in parts[:-1])
    assert len(parts[-1].encode()) <= limit
    assert all(parts) or parts == [""]


def test_a_text_that_is_longer_than_a_message_may_be_becomes_several():
    outbox, inbox, messages = Outbox(), Inbox(), []
    text = CLEF * (MAX_MESSAGE // 2)
    outbox.put(text)
    while frames := send_all(outbox):
        for frame in frames:
            assert payload_size(frame) <= MAX_TEXT_PART + 4
            if (message := inbox.receive(frame)) is not None:
                messages.append(message)
                inbox.taken()
        outbox.acknowledge(inbox.acknowledgement)
    assert [len(message.encode()) for message in messages] == [MAX_MESSAGE, MAX_MESSAGE]
    assert "".join(messages) == text
    assert outbox.delivered


def test_text_that_is_not_unicode_cannot_be_put():
    outbox = Outbox()
    with pytest.raises(LocalProtocolError, match="text that is not Unicode"):
        outbox.put("half a \ud834")
    assert outbox.delivered
    assert outbox.put("whole") == 1


def test_an_outbox_says_when_it_is_full(monkeypatch):
    monkeypatch.setattr(delivery, "MAX_WAITING", 2000)
    outbox = Outbox()
    outbox.put("x" * 1000)
    assert not outbox.full
    outbox.put("x" * 1000)
    assert outbox.full
    outbox.next()
    assert not outbox.full


def test_ids_end_somewhere(monkeypatch):
    monkeypatch.setattr(delivery, "MAX_ID", 2)
    outbox = Outbox()
    assert [outbox.put("a"), outbox.put("b")] == [1, 2]
    with pytest.raises(LocalProtocolError, match="more than 2"):
        outbox.put("c")


def test_what_was_never_sent_cannot_be_acknowledged():
    outbox = Outbox()
    outbox.put("sent")
    outbox.put("waiting")
    outbox.next()
    with pytest.raises(RemoteProtocolError, match="TEXT_ACK of 2, the last TEXT sent is 1"):
        outbox.acknowledge(2)


def test_an_acknowledgement_that_falls_back_is_ignored():
    outbox = Outbox()
    outbox.put("a")
    outbox.put("b")
    send_all(outbox)
    outbox.acknowledge(2)
    outbox.acknowledge(1)
    assert outbox.delivered


def test_what_the_peer_has_not_acknowledged_goes_out_again_under_the_same_ids():
    outbox = Outbox()
    for text in "abcd":
        outbox.put(text)
    first = [outbox.next() for _ in range(3)]
    outbox.acknowledge(1)
    outbox.resume(2)
    assert outbox.undelivered == 2
    assert send_all(outbox) == [first[2], Text(4, "d")]


def test_what_was_taken_while_it_is_sent_again_is_not_sent_any_more():
    outbox = Outbox()
    for text in "abc":
        outbox.put(text)
    send_all(outbox)
    outbox.resume(0)
    assert outbox.next() == Text(1, "a")
    outbox.acknowledge(2)
    assert send_all(outbox) == [Text(3, "c")]
    assert outbox.waiting_bytes == 0


@pytest.mark.parametrize("last_text", [0, 3, 0xFFFFFFFF])
def test_nobody_can_resume_where_nothing_was_or_what_was_acknowledged_is_missing(last_text):
    outbox = Outbox()
    for text in "abc":
        outbox.put(text)
    outbox.next(), outbox.next()
    outbox.acknowledge(1)
    with pytest.raises(RemoteProtocolError, match=f"HELLO with last_text {last_text}, expected 1 to 2"):
        outbox.resume(last_text)
    assert outbox.undelivered == 2


def test_a_message_that_was_cut_by_the_loss_of_the_connection_goes_on():
    outbox, inbox = Outbox(), Inbox()
    text = "x" * (MAX_TEXT_PART + 1)
    outbox.put(text)
    assert (first := outbox.next())
    assert inbox.receive(first) is None
    outbox.resume(inbox.acknowledgement)
    assert [inbox.receive(frame) for frame in send_all(outbox)] == [text]


@pytest.mark.parametrize("number", [4, 5, 0xFFFFFFFF])
def test_a_gap_is_refused(number):
    inbox = Inbox()
    inbox.receive(Text(1, "a"))
    inbox.receive(Text(2, "b"))
    with pytest.raises(RemoteProtocolError, match=f"TEXT {number} after TEXT 2: something is missing"):
        inbox.receive(Text(number, "c"))
    assert inbox.receive(Text(3, "c")) == "c"


def test_the_number_zero_is_none_that_is_new():
    inbox = Inbox()
    assert inbox.receive(Text(0, "a")) is None
    assert inbox.acknowledgement == 0


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_peer_that_does_not_wait_for_acknowledgements_is_stopped(size):
    inbox, whole_window = Inbox(), TEXT_WINDOW // (size + 4)
    for number in range(1, whole_window + 1):
        inbox.receive(Text(number, "x" * size))
    with pytest.raises(RemoteProtocolError, match=f"more than {TEXT_WINDOW} bytes") as flood:
        inbox.receive(Text(whole_window + 1, "x" * size))
    assert flood.value.code == ByeCode.FLOOD


def test_a_message_that_is_too_long_is_stopped():
    inbox, number = Inbox(), 0
    for number in range(1, MAX_MESSAGE // 4096 + 1):
        inbox.receive(Text(number, "x" * 4096, more=True))
    assert inbox.acknowledgement == number
    with pytest.raises(RemoteProtocolError, match=f"a text of more than {MAX_MESSAGE} bytes") as flood:
        inbox.receive(Text(number + 1, "x"))
    assert flood.value.code == ByeCode.FLOOD


def test_a_message_that_never_ends_costs_no_memory():
    inbox = Inbox()

    def receive(number: int) -> None:
        assert inbox.receive(Text(number + 1, "", more=True)) is None

    assert outgrows(inbox, receive, 2500) < 1.1
    assert inbox.receive(Text(8 * 2500 + 1, "at last")) == "at last"


def test_parts_are_acknowledged_as_they_come_but_not_before_the_messages_in_front_of_them():
    inbox = Inbox()
    assert inbox.receive(Text(1, "gr", more=True)) is None
    assert inbox.acknowledgement == 1
    assert inbox.receive(Text(2, "ü")) == "grü"
    assert inbox.receive(Text(3, "ne", more=True)) is None
    assert inbox.acknowledgement == 1
    inbox.taken()
    assert inbox.acknowledgement == 3


def test_the_part_of_a_message_whose_end_never_comes_is_shown_at_the_end():
    inbox = Inbox()
    assert inbox.receive(Text(1, "whole")) == "whole"
    inbox.receive(Text(2, "half ", more=True))
    inbox.receive(Text(3, "a line", more=True))
    assert inbox.end() == "half a line"
    inbox.taken()
    inbox.taken()
    assert inbox.acknowledgement == 3
    assert inbox.end() is None
