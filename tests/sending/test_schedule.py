from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.conversation import TextDelivered
from voicemux.protocol.delivery import payload_size, split_text
from voicemux.protocol.messages import Arrivals, Audio, Bye, Message, Ping, Pong, Report, Text, TextAck, VoiceState
from voicemux.protocol.wire import MAX_TEXT_PART, TEXT_WINDOW
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.flow import MAX_AUDIO_WAIT, Obstacle
from voicemux.sending.schedule import (
    CONTROL_WAIT,
    LOOK_AGAIN,
    TEXT_TURN,
    VOICE_FLOWS,
    Control,
    Schedule,
)
from voicemux.trace.facts import Chosen, Dropped, Fact, HeldBack

LONG = "x" * 300_000
PATIENCE = 10.0
REPORT = Report(0, 1, 2, 3, 4)


class Gate(CongestionControl):
    """Lets voice and text go where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open_for_audio = self.is_open_for_text = True
        self.why = Obstacle.AGE

    def obstacle(self, now: float) -> Obstacle | None:
        return None if self.is_open_for_audio else self.why

    def may_send_audio(self, now: float) -> bool:
        return self.is_open_for_audio

    def may_send_text(self, now: float) -> bool:
        return self.is_open_for_text


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def schedule(gate: Gate) -> Schedule:
    return Schedule(gate)


def audio(sequence: int, size: int = 80) -> Audio:
    return Audio(2, 0, sequence % 65536, sequence * 960 % 2**32, bytes(size))


def said(schedule: Schedule, now: float) -> list[Message]:
    """All that goes at that time, where every write succeeds at once."""
    everything = []
    while messages := schedule.choose(now):
        schedule.on_sent(messages, 100 * len(messages), now)
        everything += messages
    return everything


def texts_of(messages: list[Message]) -> list[Text]:
    """These messages, which must be nothing but texts."""
    texts = [message for message in messages if isinstance(message, Text)]
    assert texts == messages
    return texts


def test_control_goes_before_text_before_the_goodbye(schedule):
    schedule.put_text("first", "", 0)
    schedule.put_text("second", "", 0)
    schedule.conversation.hang_up(Bye(), 0, PATIENCE)
    schedule.put_control(TextAck(7), 0)
    schedule.put_ping(lambda: Ping(bytes(8)), 0)
    assert said(schedule, 0) == [TextAck(7), Ping(bytes(8)), Text(1, "first"), Text(2, "second"), Bye()]
    assert schedule.ended


def test_voice_goes_before_text(schedule):
    schedule.put_text("text", "", 0)
    schedule.put_audio(audio(1), 0)
    schedule.put_audio(audio(2), 0)
    schedule.put_control(REPORT, 0)
    schedule.conversation.hang_up(Bye(), 0, PATIENCE)
    assert said(schedule, 0) == [REPORT, audio(1), audio(2), Text(1, "text"), Bye()]


def test_of_each_kind_of_control_message_only_the_newest_waits(schedule):
    for number in range(1000):
        schedule.put_control(Pong(number.to_bytes(8, "big")), 0)
        schedule.put_control(TextAck(number), 0)
    assert schedule.choose(0) == [Pong((999).to_bytes(8, "big")), TextAck(999)]


def test_each_choice_holds_one_packet_of_voice_or_one_frame_of_text(schedule):
    schedule.put_text("x" * 2000, "", 0)
    schedule.put_audio(audio(1), 0)
    schedule.put_audio(audio(2), 0)
    schedule.put_control(Pong(bytes(8)), 0)
    assert schedule.choose(0) == [Pong(bytes(8)), audio(1)]
    assert schedule.choose(0) == [audio(2)]
    assert [type(each) for each in schedule.choose(0)] == [Text]
    assert [type(each) for each in schedule.choose(0)] == [Text]
    assert schedule.choose(0) == []


# --- voice


def test_voice_that_has_waited_too_long_is_dropped_and_counted(schedule):
    for number in range(3):
        schedule.put_audio(audio(number), 0)
    later = MAX_AUDIO_WAIT + 0.001
    fresh = [audio(3), audio(4, size=0), audio(5)]
    for each in fresh:
        schedule.put_audio(each, later)
    assert said(schedule, later) == fresh
    assert (schedule.counts.dropped, schedule.counts.audio) == (3, 2)  # an empty packet holds no sound


def test_voice_that_may_not_go_is_dropped_and_not_sent_late(schedule, gate):
    gate.is_open_for_audio = False
    for sequence in range(5):
        schedule.put_audio(audio(sequence), 0)
    assert said(schedule, MAX_AUDIO_WAIT) == []
    gate.is_open_for_audio = True
    schedule.put_audio(audio(5), 2 * MAX_AUDIO_WAIT)
    assert said(schedule, 2 * MAX_AUDIO_WAIT) == [audio(5)]
    assert schedule.counts.dropped == 5


# --- text


def test_text_larger_than_the_window_flows_as_it_is_acknowledged(schedule):
    schedule.put_text(LONG, "mark", 0)
    got: list[Text] = []
    while not got or got[-1].more:
        window = texts_of(said(schedule, 0))
        assert TEXT_WINDOW - 1028 < sum(map(payload_size, window)) <= TEXT_WINDOW or not window[-1].more
        got += window
        assert schedule.conversation.undelivered
        delivered = schedule.received(TextAck(got[-1].id), 0)
        assert delivered == ([] if got[-1].more else [TextDelivered("mark")])
    assert "".join(text.text for text in got) == LONG
    assert schedule.conversation.undelivered == []
    assert schedule.conversation.frames_undelivered == 0


def test_text_that_was_never_sent_cannot_be_acknowledged(schedule):
    schedule.put_text("a", "", 0)
    with pytest.raises(RemoteProtocolError):
        schedule.received(TextAck(1), 0)


def test_text_that_is_not_unicode_is_refused_where_it_is_said(schedule):
    with pytest.raises(LocalProtocolError):
        schedule.put_text("half a \ud834", "", 0)
    schedule.put_text("whole", "", 0)
    assert said(schedule, 0) == [Text(1, "whole")]
    assert schedule.counts.texts == 1


def test_each_mark_comes_back_once_when_all_of_its_text_is_acknowledged(schedule):
    for number, mark in enumerate(("a", "", "c"), 1):
        schedule.put_text(f"text {number}", mark, 0)
    said(schedule, 0)
    assert schedule.conversation.undelivered == [("a", "text 1"), ("", "text 2"), ("c", "text 3")]
    assert schedule.received(TextAck(2), 0) == [TextDelivered("a")]
    assert schedule.received(TextAck(2), 0) == []
    assert schedule.conversation.undelivered == [("c", "text 3")]
    assert schedule.received(TextAck(3), 0) == [TextDelivered("c")]


def test_text_gets_its_turn_also_where_there_is_no_room_beside_voice(schedule, gate):
    gate.is_open_for_text = False
    schedule.put_text("first", "", 1)
    schedule.put_text("second", "", 1)
    assert said(schedule, 1 + TEXT_TURN - 0.001) == []
    assert said(schedule, 1 + TEXT_TURN) == [Text(1, "first")]
    assert said(schedule, 1 + 2 * TEXT_TURN - 0.001) == []
    assert said(schedule, 1 + 2 * TEXT_TURN) == [Text(2, "second")]


def test_text_gets_its_turn_also_where_voice_always_waits(schedule, gate):
    gate.is_open_for_audio = False
    schedule.put_text("text", "", 0)
    for sequence in range(round(TEXT_TURN / 0.02)):
        schedule.put_audio(audio(sequence), sequence * 0.02)
        assert said(schedule, sequence * 0.02) == []
    assert said(schedule, TEXT_TURN) == [Text(1, "text")]


# --- control


def test_a_report_travels_with_voice_if_it_can(schedule):
    schedule.put_control(REPORT, 0)
    assert schedule.choose(CONTROL_WAIT - 0.001) == []
    schedule.put_audio(audio(0), CONTROL_WAIT - 0.001)
    assert schedule.choose(CONTROL_WAIT - 0.001) == [REPORT, audio(0)]
    schedule.put_control(REPORT, 1)
    assert schedule.choose(1) == []
    assert schedule.choose(1 + CONTROL_WAIT) == [REPORT]


def test_while_there_is_voice_a_ping_travels_with_it_and_is_made_then(schedule):
    made = []
    schedule.put_audio(audio(0), 0)
    said(schedule, 0)
    schedule.put_ping(lambda: made.append("ping") or Ping(bytes(8)), 0.001)
    assert schedule.choose(VOICE_FLOWS - 0.001) == []
    assert not made
    schedule.put_audio(audio(1), VOICE_FLOWS - 0.001)
    assert schedule.choose(VOICE_FLOWS - 0.001) == [Ping(bytes(8)), audio(1)]
    assert made == ["ping"]


def test_where_voice_has_ended_a_ping_does_not_wait_for_it(schedule):
    schedule.put_audio(audio(0), 0)
    said(schedule, 0)
    schedule.put_ping(lambda: Ping(bytes(8)), 0.001)
    assert schedule.choose(VOICE_FLOWS) == [Ping(bytes(8))]


def test_the_answer_to_a_ping_waits_for_nothing(schedule):
    schedule.put_audio(audio(0), 0)
    said(schedule, 0)
    schedule.put_control(REPORT, 0.001)
    schedule.put_control(Pong(bytes(8)), 0.001)
    assert schedule.choose(0.001) == [REPORT, Pong(bytes(8))], "what waits goes with it"


def test_arrivals_are_told_only_if_there_are_any(schedule):
    assert not schedule.put_arrivals(0)
    assert not schedule.is_waiting
    for sequence in range(3):
        schedule.congestion.on_audio(audio(sequence), 0.02 * sequence)
    assert schedule.put_arrivals(0.06)
    assert schedule.is_waiting
    assert [type(each) for each in said(schedule, 1)] == [Arrivals]


# --- the goodbye


def test_after_the_goodbye_nothing_is_taken_or_chosen_and_only_the_first_goodbye_counts(schedule):
    schedule.conversation.hang_up(Bye(0, "first"), 0, PATIENCE)
    schedule.conversation.hang_up(Bye(3, "second"), 0, PATIENCE)
    assert not schedule.put_audio(audio(1), 0)
    assert not schedule.put_text("too late", "", 0)
    assert said(schedule, 0) == [Bye(0, "first")]
    schedule.put_control(Pong(bytes(8)), 0)
    assert said(schedule, 1) == []
    assert not schedule.conversation.undelivered


def test_a_goodbye_waits_only_so_long_for_text_that_the_peer_does_not_acknowledge(schedule):
    schedule.put_text(LONG, "", 0)
    schedule.conversation.hang_up(Bye(), 1, 0.3)
    assert TEXT_WINDOW - 1028 < sum(map(payload_size, texts_of(said(schedule, 1)))) <= TEXT_WINDOW
    assert schedule.next_deadline(1.1) == 1.3
    assert said(schedule, 1.299) == []
    assert said(schedule, 1.3) == [Bye()]
    assert schedule.conversation.undelivered


def test_a_goodbye_without_patience_goes_before_all_text(schedule):
    schedule.put_text("too late", "", 0)
    schedule.conversation.hang_up(Bye(), 0, 0)
    assert said(schedule, 0) == [Bye()]
    assert schedule.conversation.undelivered


def test_a_goodbye_to_a_peer_that_is_done_waits_for_no_acknowledgement(schedule):
    schedule.put_text(LONG, "", 0)
    schedule.conversation.hang_up(Bye(0, "when all is said"), 0, PATIENCE)
    schedule.conversation.hang_up(Bye(0, "now"), 0, PATIENCE, peer_is_done=True)
    *texts, bye = said(schedule, 0)
    assert bye == Bye(0, "when all is said")
    assert TEXT_WINDOW - 1028 < sum(map(payload_size, texts_of(texts))) <= TEXT_WINDOW


def test_a_goodbye_on_a_connection_that_is_lost_waits_for_no_text(schedule):
    schedule.put_text("too late", "", 0)
    schedule.conversation.hang_up(Bye(), 0, PATIENCE)
    schedule.conversation.lose()
    assert said(schedule, 0) == [Bye()]


def test_a_goodbye_waits_behind_voice_no_longer_than_that_is_fresh(schedule, gate):
    gate.is_open_for_audio = False
    schedule.put_audio(audio(0), 0)
    schedule.put_text("last words", "", 0)
    schedule.conversation.hang_up(Bye(), 0, PATIENCE)
    assert said(schedule, MAX_AUDIO_WAIT + 0.001) == [Text(1, "last words"), Bye()]


# --- when to ask again


def test_the_next_deadline_is_as_near_as_what_waits_needs_it(schedule, gate):
    assert schedule.next_deadline(5) is None
    schedule.put_control(REPORT, 5)
    assert schedule.next_deadline(5) == 5 + CONTROL_WAIT
    gate.is_open_for_audio = False
    schedule.put_audio(audio(0), 5)
    assert schedule.next_deadline(5) == 5 + LOOK_AGAIN


def test_what_may_go_once_time_has_passed_goes_at_the_next_deadline(schedule):
    schedule.put_control(REPORT, 3)
    now, asked = 3.0, 0
    while not (messages := schedule.choose(now)):
        deadline = schedule.next_deadline(now)
        assert deadline is not None
        assert deadline > now
        now, asked = deadline, asked + 1
    assert (messages, asked) == ([REPORT], 1)


class Talk(RuleBasedStateMachine):
    """Whatever is put in, and however the network behaves: the promises of the schedule hold."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.schedule = Schedule(self.gate)
        self.now = 0.0
        self.put: list[str] = []  # texts that were taken
        self.waiting: deque[Text] = deque()  # frames of them that were not sent
        self.got: list[Text] = []  # frames that the peer has
        self.acknowledged = 0
        self.audio: list[tuple[float, int]] = []  # packets that wait: since when, which
        self.sequence = 0
        self.text_turn = 0.0  # when text last went, or nothing of it could
        self.bye_until: float | None = None
        self.is_lost = self.peer_is_done = False

    @rule(seconds=st.floats(0.001, 0.2) | st.floats(0.2, 3))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(for_audio=st.booleans(), for_text=st.booleans())
    def network_changes(self, for_audio: bool, for_text: bool) -> None:
        self.gate.is_open_for_audio, self.gate.is_open_for_text = for_audio, for_text

    @rule(length=st.integers(0, 3000) | st.just(40_000))
    def say(self, length: int) -> None:
        text = f"{len(self.put)}:".ljust(length, "x")
        could_send = self.text_can_go
        if self.schedule.put_text(text, str(len(self.put)), self.now):
            if not could_send:
                self.text_turn = self.now
            self.put.append(text)
            parts = split_text(text, MAX_TEXT_PART)
            for number, part in enumerate(parts, 1):
                last = self.waiting[-1].id if self.waiting else len(self.got)
                self.waiting.append(Text(last + 1, part, more=number < len(parts)))
        else:
            assert self.bye_until is not None

    @rule(size=st.integers(0, 200))
    def speak(self, size: int) -> None:
        self.sequence += 1
        if self.schedule.put_audio(audio(self.sequence, size), self.now):
            self.audio.append((self.now, self.sequence))
        else:
            assert self.bye_until is not None

    @rule(message=st.sampled_from([Pong(bytes(8)), REPORT, TextAck(1), VoiceState(0, True, False, False, False)]))
    def control(self, message: Control) -> None:
        self.schedule.put_control(message, self.now)

    @rule()
    def ping(self) -> None:
        self.schedule.put_ping(lambda: Ping(bytes(8)), self.now)

    @precondition(lambda self: self.got and self.acknowledged < self.got[-1].id)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        self.acknowledged = data.draw(st.integers(self.acknowledged + 1, self.got[-1].id))
        self.schedule.received(TextAck(self.acknowledged), self.now)
        self.check_that_no_text_is_lost()

    @rule(timeout=st.floats(0, 3), peer_is_done=st.booleans())
    def hang_up(self, timeout: float, peer_is_done: bool) -> None:
        self.schedule.conversation.hang_up(Bye(), self.now, timeout, peer_is_done=peer_is_done)
        if self.bye_until is None:
            self.bye_until = self.now + timeout
        self.peer_is_done |= peer_is_done

    @precondition(lambda self: self.sequence % 7 == 6)
    @rule()
    def lose(self) -> None:
        self.schedule.conversation.lose()
        self.is_lost = True

    @rule()
    def write(self) -> None:
        ended, could_send = self.schedule.ended, self.text_can_go
        messages = self.schedule.choose(self.now)
        self.audio = [each for each in self.audio if each[0] >= self.now - MAX_AUDIO_WAIT]
        if ended:
            assert messages == []
        if messages:
            self.check_order(messages)
            self.schedule.on_sent(messages, 100, self.now)
            if isinstance(messages[-1], Audio):
                self.check_audio(messages[-1])
            if isinstance(messages[-1], Text):
                self.check_text(messages[-1])
            if isinstance(messages[-1], Bye):
                self.check_bye()
        if not could_send:
            self.text_turn = self.now

    def check_order(self, messages: list[Message]) -> None:
        control = messages[:-1] if isinstance(messages[-1], Audio | Text | Bye) else messages
        assert not any(isinstance(each, Audio | Text | Bye) for each in control)
        assert len({type(each) for each in control}) == len(control)

    def check_audio(self, message: Audio) -> None:
        assert self.gate.is_open_for_audio
        _, sequence = self.audio.pop(0)
        assert message.sequence == sequence, "the oldest that is fresh goes first, and none that is older than that"

    def check_text(self, text: Text) -> None:
        disturbs = self.audio or not self.gate.is_open_for_text
        assert not disturbs or self.now - self.text_turn >= TEXT_TURN
        self.text_turn = self.now
        assert text == self.waiting.popleft()
        self.got.append(text)

    def check_bye(self) -> None:
        assert self.bye_until is not None
        out_of_time = self.is_lost or self.now >= self.bye_until
        assert out_of_time or not self.waiting or (self.peer_is_done and not self.text_can_go)
        assert not (self.audio and self.gate.is_open_for_audio)

    @property
    def in_flight(self) -> int:
        """Bytes of text that the peer has and did not acknowledge."""
        return sum(map(payload_size, self.got[self.acknowledged :]))

    @property
    def text_can_go(self) -> bool:
        """Whether text waits that the window has room for."""
        return bool(self.waiting) and self.in_flight + payload_size(self.waiting[0]) <= TEXT_WINDOW

    @staticmethod
    def text_of(frames: list[Text]) -> str:
        return "".join(frame.text for frame in frames)

    def teardown(self) -> None:
        self.check_that_no_text_is_lost()
        if not self.schedule.ended:
            self.hang_up(0, peer_is_done=False)
            self.now = max(self.now, self.bye_until or 0.0) + MAX_AUDIO_WAIT + 0.001
            self.write()
            self.write()  # the first may have been of control only
            assert self.schedule.ended, "a BYE can always be said in the end"

    def check_that_no_text_is_lost(self) -> None:
        undelivered = "".join(text for _, text in self.schedule.conversation.undelivered)
        delivered = self.text_of(self.got[: self.acknowledged])
        assert delivered + undelivered == "".join(self.put)

    @invariant()
    def window_is_kept(self) -> None:
        assert self.in_flight <= TEXT_WINDOW

    @invariant()
    def what_waits_is_asked_for_again(self) -> None:
        deadline = self.schedule.next_deadline(self.now)
        if self.schedule.is_waiting and not self.schedule.ended:
            assert deadline is not None
            assert deadline > self.now


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=settings().max_examples, stateful_step_count=40, deadline=None)


# --- what a trace is told


@pytest.fixture
def told() -> list[Fact]:
    return []


@pytest.fixture
def traced(gate: Gate, told: list[Fact]) -> Schedule:
    return Schedule(gate, trace=told.append)


def test_what_goes_is_told_with_how_long_it_has_waited(traced, told):
    traced.put_text("first", "", 0)
    traced.put_audio(audio(7), 0)
    said(traced, 0.05)
    assert told == [HeldBack("text", "voice"), Chosen("voice", 7, 50.0), Chosen("text", 1, 50.0)]


def test_what_waits_is_told_once_as_long_as_the_reason_is_the_same(traced, gate, told):
    gate.is_open_for_text = False
    traced.put_text("first", "", 0)
    for look in range(10):
        traced.choose(look * LOOK_AGAIN)
    assert told == [HeldBack("text", Obstacle.MUCH)]
    gate.is_open_for_text = True
    said(traced, 0.06)
    assert told[1:] == [Chosen("text", 1, 60.0)]
    traced.put_text("second", "", 1.0)
    gate.is_open_for_text = False
    traced.choose(1.0)
    assert told[2:] == [HeldBack("text", Obstacle.MUCH)]


def test_voice_that_was_too_old_is_told_with_why_it_waited(traced, gate, told):
    gate.is_open_for_audio = False
    gate.why = Obstacle.AGE
    traced.put_audio(audio(7), 0)
    traced.choose(0)
    traced.choose(MAX_AUDIO_WAIT + 0.01)
    held_back, dropped = told
    assert held_back == HeldBack("voice", "age")
    assert isinstance(dropped, Dropped)
    assert (dropped.number, dropped.waited_ms, dropped.why) == (7, pytest.approx(130), "age")


def test_voice_for_which_the_writer_had_no_time_is_told_as_that(traced, told):
    traced.put_audio(audio(7), 0)
    traced.choose(MAX_AUDIO_WAIT + 0.01)
    [dropped] = told
    assert isinstance(dropped, Dropped)
    assert (dropped.number, dropped.waited_ms, dropped.why) == (7, pytest.approx(130), "turn")


@given(st.lists(st.sampled_from(["audio", "text", "shut", "open", "look"]), max_size=60))
def test_what_was_put_in_is_told_as_chosen_or_dropped_each_once(steps):
    gate, now, put = Gate(), 0.0, 0
    told: list[Fact] = []
    gate.why = Obstacle.RATE
    schedule, plain = Schedule(gate, trace=told.append), Schedule(gate)
    for step in [*steps, "open", "look"]:
        now += 0.03
        match step:
            case "audio":
                put += 1
                schedule.put_audio(audio(put), now)
                plain.put_audio(audio(put), now)
            case "text":
                schedule.put_text("hi", "", now)
                plain.put_text("hi", "", now)
            case "look":
                assert said(schedule, now) == said(plain, now), "a trace changes nothing"
            case _:
                gate.is_open_for_audio = gate.is_open_for_text = step == "open"
    dropped = [each.number for each in told if isinstance(each, Dropped)]
    voice = [each.number for each in told if isinstance(each, Chosen) and each.what == "voice"]
    assert sorted(voice + dropped) == list(range(1, put + 1))
    assert len(dropped) == schedule.counts.dropped


def test_a_connection_that_is_left_for_a_better_one_still_takes_voice_and_nothing_else(schedule):
    schedule.put_text("hello", "", 0.0)
    schedule.put_control(REPORT, 0.0)
    schedule.retire(keeps_voice=True)
    assert schedule.choose(0.0) == []
    assert schedule.put_audio(audio(1), 0.0)
    schedule.put_control(REPORT, 0.0)
    assert schedule.is_waiting
    assert schedule.choose(0.0) == [audio(1)]
    assert (schedule.choose(10.0), schedule.next_deadline(10.0), schedule.is_waiting) == ([], None, False)


def test_a_connection_that_is_retired_takes_nothing(schedule):
    schedule.put_audio(audio(1), 0.0)
    schedule.retire(Bye(8))
    assert not schedule.put_audio(audio(2), 0.0)
    assert schedule.choose(0.0) == [Bye(8)]
