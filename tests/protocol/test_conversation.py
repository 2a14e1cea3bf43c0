"""Two conversations over lines that keep the order, take any time, and break. No clock: time is a number."""

from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.conversation import (
    Conversation,
    Due,
    Happening,
    PeerHungUp,
    Reply,
    TextCompleted,
    TextDelivered,
)
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT
from voicemux.protocol.messages import Audio, Bye, ByeCode, Message, Ping, Pong, Text, TextAck
from voicemux.protocol.wire import TEXT_WINDOW

SILENCE = 15.0
PATIENCE = 2 * GOODBYE_TIMEOUT
LONG = "x" * (3 * TEXT_WINDOW)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation(SILENCE)


def said(conversation: Conversation, now: float = 0.0) -> list[Text | Bye]:
    """All that goes at that time."""
    messages: list[Text | Bye] = []
    while conversation.waits_for_text(now) and (text := conversation.next_text()):
        messages.append(text)
    return [*messages, bye] if (bye := conversation.take_bye(now)) else messages


# --- text


def test_a_text_is_acknowledged_when_it_was_taken_and_not_before(conversation):
    assert conversation.received(Text(1, "one"), 0) == [TextCompleted("one")]
    assert conversation.received(Text(2, "two"), 0) == [TextCompleted("two")]
    assert conversation.taken(0) == [TextAck(1)]
    assert conversation.taken(0) == [TextAck(2)]
    assert conversation.texts_received == 2


def test_the_parts_of_a_text_are_acknowledged_as_they_come(conversation):
    assert conversation.received(Text(1, "in ", more=True), 0) == [TextAck(1)]
    assert conversation.received(Text(2, "parts"), 0) == [TextCompleted("in parts")]


def test_a_text_that_came_twice_is_acknowledged_again_and_not_shown(conversation):
    conversation.received(Text(1, "one"), 0)
    conversation.taken(0)
    assert conversation.received(Text(1, "one"), 0) == [TextAck(1)]


def test_nothing_is_acknowledged_before_anything_came(conversation):
    assert conversation.received(Text(0, "none"), 0) == []


def test_a_mark_comes_back_when_its_text_is_acknowledged(conversation):
    for text in ("a", "", "c"):
        assert conversation.say(f"text {text}", text)
    said(conversation)
    assert conversation.undelivered == [("a", "text a"), ("", "text "), ("c", "text c")]
    assert conversation.received(TextAck(2), 0) == [TextDelivered("a")]
    assert conversation.received(TextAck(2), 0) == []
    assert conversation.received(TextAck(3), 0) == [TextDelivered("c")]
    assert conversation.undelivered == []


@pytest.mark.parametrize("message", [Text(2, "gap"), TextAck(1)])
def test_what_cannot_be_is_refused(conversation, message):
    with pytest.raises(RemoteProtocolError):
        conversation.received(message, 0)


def test_text_that_is_not_unicode_is_refused_where_it_is_said(conversation):
    with pytest.raises(LocalProtocolError):
        conversation.say("half a \ud834", "mark")
    assert conversation.say("whole")
    assert said(conversation) == [Text(1, "whole")]


def test_what_is_not_about_text_life_or_the_end_changes_nothing(conversation):
    assert conversation.received(Audio(1, 0, 0, 0, b"voice"), 0) == []
    assert conversation.received(Pong(bytes(8)), 0) == []


# --- signs of life


def test_a_ping_is_answered_with_its_own_bytes(conversation):
    assert conversation.received(Ping(b"12345678"), 0) == [Pong(b"12345678")]


def test_pings_are_due_at_the_deadlines_as_long_as_bytes_come(conversation):
    now, dues = 0.0, []
    while now < 60:
        dues += conversation.tick(now, round(now * 1000))
        now = max(conversation.next_deadline(now), now + 0.1)
    assert set(dues) == {Due.PING}
    assert len(dues) > 60 / 2


def test_a_peer_of_which_no_byte_comes_is_silent_in_the_end(conversation):
    now = 0.0
    while Due.SILENCE not in conversation.tick(now, 100):
        now += 0.1
    assert now == pytest.approx(SILENCE, abs=0.2)


def test_no_ping_is_due_and_no_silence_counts_once_a_side_has_hung_up(conversation):
    conversation.hang_up(Bye(), 0, GOODBYE_TIMEOUT, patience=100)
    assert all(conversation.tick(tick / 10, 0) == [] for tick in range(999))


# --- the goodbye


def test_our_goodbye_goes_behind_all_text_and_only_the_first_counts(conversation):
    conversation.say("last words")
    conversation.hang_up(Bye(0, "first"), 0, GOODBYE_TIMEOUT)
    conversation.hang_up(Bye(3, "second"), 0, GOODBYE_TIMEOUT)
    assert not conversation.say("too late")
    assert said(conversation) == [Text(1, "last words"), Bye(0, "first")]
    assert said(conversation, 100) == []


def test_our_goodbye_waits_for_the_window_and_not_for_ever(conversation):
    conversation.say(LONG)
    conversation.hang_up(Bye(), 1, GOODBYE_TIMEOUT)
    assert Bye() not in said(conversation, 1)
    assert conversation.bye_deadline == 1 + GOODBYE_TIMEOUT
    assert said(conversation, 1 + GOODBYE_TIMEOUT - 0.001) == []
    assert said(conversation, 1 + GOODBYE_TIMEOUT) == [Bye()]
    assert conversation.bye_deadline is None


def test_our_goodbye_follows_the_peers_at_once_if_all_was_taken(conversation):
    assert conversation.received(Bye(0, "so long"), 0) == [PeerHungUp(Bye(0, "so long"))]
    assert said(conversation) == [Bye()]


def test_our_goodbye_follows_the_peers_when_all_that_it_said_was_taken_and_acknowledged(conversation):
    for number in (1, 2):
        conversation.received(Text(number, "words"), 0)
    conversation.received(Bye(), 0)
    assert conversation.taken(1) == [TextAck(1)]
    assert said(conversation, 1) == []
    assert conversation.taken(1) == [TextAck(2)]
    assert said(conversation, 1) == [Bye()]


def test_a_peer_that_has_said_goodbye_acknowledges_nothing_so_no_window_is_waited_for(conversation):
    conversation.say(LONG)
    conversation.received(Bye(), 0)
    *texts, bye = said(conversation)
    assert bye == Bye()
    assert texts


def test_a_text_that_the_end_of_the_stream_cuts_is_shown_as_far_as_it_came(conversation):
    conversation.received(Text(1, "torn, ", more=True), 0)
    conversation.received(Text(2, "but rea", more=True), 0)
    assert conversation.peer_ended(0) == [TextCompleted("torn, but rea")]
    assert said(conversation) == [], "it has not been shown yet"
    assert conversation.taken(0) == [TextAck(2)]
    assert said(conversation) == [Bye()]


def test_text_that_crosses_our_goodbye_is_shown(conversation):
    conversation.hang_up(Bye(), 0, GOODBYE_TIMEOUT)
    said(conversation)
    assert conversation.received(Text(1, "one thing more"), 1) == [TextCompleted("one thing more")]


@pytest.mark.parametrize("who", ["we", "the peer"])
def test_the_end_of_the_peers_stream_is_awaited_for_as_long_as_both_sides_last_words_may_take(conversation, who):
    if who == "we":
        conversation.hang_up(Bye(), 1, GOODBYE_TIMEOUT)
    else:
        conversation.received(Bye(), 1)
    assert conversation.next_deadline(1) == 1 + PATIENCE
    assert conversation.tick(1 + PATIENCE - 0.001, 0) == []
    assert conversation.tick(1 + PATIENCE, 0) == [Due.CUT]


def test_less_patience_counts_also_later(conversation):
    conversation.hang_up(Bye(), 0, GOODBYE_TIMEOUT)
    conversation.hang_up(Bye(ByeCode.REPLACED), 1, 0, peer_is_done=True, patience=0.3)
    assert conversation.tick(1.3, 0) == [Due.CUT]


def test_a_goodbye_on_a_lost_connection_waits_for_no_text(conversation):
    conversation.say("too late")
    conversation.hang_up(Bye(), 0, GOODBYE_TIMEOUT)
    conversation.lose()
    assert said(conversation) == [Bye()]
    assert conversation.undelivered == [("", "too late")]


# --- a break


def test_while_there_is_no_connection_text_is_taken_and_nothing_is_due(conversation):
    conversation.tick(0, 0)
    conversation.lose()
    assert conversation.say("meanwhile")
    assert said(conversation) == []
    assert conversation.tick(100, 0) == []
    assert conversation.next_deadline(100) is None
    conversation.resume(0)
    assert said(conversation) == [Text(1, "meanwhile")]
    assert conversation.tick(100, 0) == [Due.PING]


def test_what_the_peer_had_taken_before_a_break_is_delivered_by_the_resume(conversation):
    for mark in "abc":
        conversation.say(mark, mark)
    said(conversation)
    conversation.lose()
    assert conversation.resume(2) == [TextDelivered("a"), TextDelivered("b")]
    assert said(conversation) == [Text(3, "c")]


def test_a_resume_from_what_was_never_sent_or_is_known_to_be_there_is_refused(conversation):
    for text in "abc":
        conversation.say(text)
    said(conversation)
    conversation.received(TextAck(2), 0)
    conversation.lose()
    for last_text in (1, 4):
        with pytest.raises(RemoteProtocolError):
            conversation.resume(last_text)
    assert said(conversation) == [], "it is still lost"


def test_a_side_that_says_goodbye_or_hears_one_is_not_to_resume(conversation):
    assert not conversation.is_ending
    conversation.received(Bye(), 0)
    assert conversation.is_ending
    other = Conversation(SILENCE)
    other.hang_up(Bye(), 0, GOODBYE_TIMEOUT)
    assert other.is_ending


def test_a_resume_that_is_refused_changes_nothing_on_the_connection_that_is_up(conversation):
    for text in "abc":
        conversation.say(text)
    assert len(said(conversation)) == 3
    conversation.received(TextAck(1), 0)
    with pytest.raises(RemoteProtocolError):
        conversation.resume(0)
    assert said(conversation) == []
    conversation.received(TextAck(3), 0)
    assert not conversation.undelivered


class Side:
    """A conversation, and all that was to be seen of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.conversation = Conversation(SILENCE)
        self.line: deque[Message] = deque()  # what is on its way to it
        self.said: list[str] = []
        self.shown: list[str] = []
        self.untaken: deque[str] = deque()
        self.delivered: list[str] = []
        self.hung_up_by_peer = False
        self.is_up = True


class Talk(RuleBasedStateMachine):
    """What two people say to each other, over a line that keeps the order, and is replaced when it breaks.

    Near dials: its HELLO on another line takes the old one from it at once, and from far when it arrives; so far may
    go on reading and writing the old line for a while. A HELLO may also be given up, and arrive late all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sides = Side("near"), Side("far")
        self.hello: int | None = None  # of near, on its way to far: its last_text
        self.stale: list[int] = []  # of those that were given up
        self.now = 0.0

    def other(self, side: Side) -> Side:
        near, far = self.sides
        return far if side is near else near

    def side(self, is_near: bool) -> Side:
        return self.sides[not is_near]

    def do(self, side: Side, outcomes: Iterable[Reply | Happening]) -> None:
        for each in outcomes:
            match each:
                case TextCompleted():
                    side.untaken.append(each.text)
                case TextDelivered():
                    side.delivered.append(each.mark)
                case PeerHungUp():
                    side.hung_up_by_peer = True
                case _:
                    self.put(side, each)

    def put(self, side: Side, message: Message) -> None:
        if side.is_up and self.other(side).is_up:
            self.other(side).line.append(message)

    @property
    def is_up(self) -> bool:
        return all(side.is_up for side in self.sides)

    @property
    def may_resume(self) -> bool:
        return not any(side.conversation.is_ending for side in self.sides)

    def lose(self, side: Side) -> None:
        side.is_up = False
        side.line.clear()
        side.conversation.lose()

    @rule(seconds=st.floats(0.01, 1))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(is_near=st.booleans(), sizes=st.lists(st.sampled_from([0, 10, 100, 1000, 3000, 40_000]), max_size=5))
    def say(self, is_near: bool, sizes: list[int]) -> None:
        side = self.side(is_near)
        for size in sizes:
            text = f"{side.name} {len(side.said)} ".ljust(size, "x")
            if side.conversation.say(text, text):
                side.said.append(text)

    @rule(is_near=st.booleans(), written=st.integers(0, 50), read=st.integers(0, 100), shown=st.integers(0, 5))
    def carry(self, is_near: bool, written: int, read: int, shown: int) -> None:
        """One side writes frames of text; the other reads messages, some of them written before, and shows texts."""
        side = self.side(is_near)
        if side.is_up:
            self.write(side, written)
        self.read(self.other(side), read)
        self.show(not is_near, shown)

    def write(self, side: Side, most: int) -> None:
        """The goodbye goes behind all text."""
        conversation = side.conversation
        for _ in range(most):
            if not conversation.waits_for_text(self.now) or (text := conversation.next_text()) is None:
                break
            self.put(side, text)
        else:
            return
        if bye := conversation.take_bye(self.now):
            self.put(side, bye)

    def read(self, side: Side, most: int) -> None:
        for _ in range(min(most, len(side.line))):
            if side.hung_up_by_peer:
                side.line.clear()
                break
            self.do(side, side.conversation.received(side.line.popleft(), self.now))

    def show(self, is_near: bool, most: int) -> None:
        side = self.side(is_near)
        for _ in range(min(most, len(side.untaken))):
            side.shown.append(side.untaken.popleft())
            self.do(side, side.conversation.taken(self.now))

    @precondition(lambda self: self.is_up)
    @rule(is_back=st.sampled_from([True, True, False]))
    def break_off(self, is_back: bool) -> None:
        """What is on its way either way is lost; the next connection may be there at once."""
        for side in self.sides:
            self.lose(side)
        if is_back:
            self.resume()

    @precondition(lambda self: self.may_resume)
    @rule()
    def say_hello(self) -> None:
        """Near has another line, and says HELLO on it: the old one is lost to it. An earlier HELLO is given up."""
        near, _ = self.sides
        if self.hello is not None:
            self.stale.append(self.hello)
        self.lose(near)
        self.hello = near.conversation.last_text

    @precondition(lambda self: self.hello is not None and self.may_resume)
    @rule()
    def answer(self) -> None:
        """The HELLO arrives, whether or not far had lost its old line."""
        near, far = self.sides
        hello, self.hello = self.hello, None
        assert hello is not None
        self.lose(far)
        last_text = far.conversation.last_text
        outcomes = far.conversation.resume(hello)
        for side in self.sides:
            side.is_up = True
        self.do(far, outcomes)
        self.do(near, near.conversation.resume(last_text))

    @precondition(lambda self: self.stale and self.may_resume)
    @rule()
    def answer_too_late(self) -> None:
        """A HELLO that was given up arrives: it is refused, or takes the line from both."""
        _, far = self.sides
        try:
            outcomes = far.conversation.resume(self.stale.pop())
        except RemoteProtocolError:
            return
        self.do(far, outcomes)
        for side in self.sides:
            self.lose(side)

    def resume(self) -> None:
        if self.may_resume:
            self.say_hello()
            self.answer()

    @rule(is_near=st.booleans(), roll=st.integers(0, 99))
    def hang_up(self, is_near: bool, roll: int) -> None:
        """Seldom, for little is left to happen then."""
        if roll > 90:
            self.side(is_near).conversation.hang_up(Bye(), self.now, GOODBYE_TIMEOUT)

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self) -> None:
        for side in self.sides:
            seen = [*side.shown, *side.untaken]
            assert seen == self.other(side).said[: len(seen)]

    @invariant()
    def what_is_delivered_was_shown_and_what_is_not_is_owned_up_to(self) -> None:
        for side in self.sides:
            count = len(side.delivered)
            assert side.delivered == side.said[:count]
            assert side.delivered == self.other(side).shown[:count]
            undelivered = side.conversation.undelivered
            assert [mark for mark, _ in undelivered] == side.said[count:]
            assert all(mark.endswith(text) for mark, text in undelivered)

    @invariant()
    def window_is_kept(self) -> None:
        assert all(side.conversation.text_bytes_in_flight <= TEXT_WINDOW for side in self.sides)

    @invariant()
    def nothing_is_said_while_there_is_no_line(self) -> None:
        assert all(side.is_up or side.conversation.next_text() is None for side in self.sides)

    def teardown(self) -> None:
        """Once the line stays up, all arrives: all that was said if no side has hung up, and a goodbye if one has."""
        if not self.is_up:
            self.resume()
        has_hung_up = any(side.conversation.has_hung_up for side in self.sides)
        if self.is_up:
            while self.carry_all():
                pass
            if has_hung_up:
                self.now += GOODBYE_TIMEOUT
                while self.carry_all():
                    pass
                assert all(side.hung_up_by_peer for side in self.sides)
        self.nothing_is_lost_doubled_or_reordered()
        self.what_is_delivered_was_shown_and_what_is_not_is_owned_up_to()
        if not has_hung_up:
            assert all(side.delivered == side.said == self.other(side).shown for side in self.sides)
        self.now += PATIENCE
        for side in self.sides:
            if side.conversation.has_hung_up:
                assert side.conversation.tick(self.now, 0) == [Due.CUT]

    def carry_all(self) -> bool:
        """Whether anything was under way, or has been shown."""
        before = [(side.shown.copy(), side.delivered.copy(), side.hung_up_by_peer) for side in self.sides]
        for is_near in (True, False):
            self.carry(is_near, 1000, 1000, 1000)
        return before != [(side.shown, side.delivered, side.hung_up_by_peer) for side in self.sides]


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=50, deadline=None)
