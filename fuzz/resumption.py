"""A session over connections that break anywhere, whose every event the draws decide (protocol.md §17)."""

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from fuzz.draws import Draws
from voicemux.errors import RemoteProtocolError
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Conversation, Happening, Reply, TextCompleted, TextDelivered
from voicemux.protocol.encoding import from_frame, to_frame
from voicemux.protocol.messages import Hello, Message, Preface, Text, TextAck
from voicemux.protocol.wire import MAX_PAYLOAD, TEXT_WINDOW

SESSION = bytes(range(16))
SILENCE = 15.0  # seconds, which never pass here
MOST_SAID = 500_000  # bytes of text of each side
DIALLER, LISTENER = 0, 1
ENOUGH = 10_000  # turns after which all has arrived that will


class Act(IntEnum):
    SAY = 0
    WRITE = 1
    READ = 2
    SHOW = 3
    BREAK = 4
    DIAL = 5
    LIE = 6


class Line:
    """One connection: what is on its way to each side, and how each side encodes and decodes."""

    def __init__(self) -> None:
        self.bytes_to = bytearray(), bytearray()
        self.sending = Sending(), Sending()
        self.receiving = Receiving(), Receiving()
        self.is_open = False  # both HELLOs have been said
        self.is_broken = False
        for side in (DIALLER, LISTENER):
            self.bytes_to[1 - side].extend(self.sending[side].preface())

    def put(self, side: int, message: Message) -> None:
        encoded = self.sending[side].encode(message)
        if not self.is_broken:
            self.bytes_to[1 - side].extend(encoded)

    def break_off(self) -> None:
        self.is_broken = True
        for on_its_way in self.bytes_to:
            on_its_way.clear()

    def take(self, side: int, size: int) -> list[Preface | Message]:
        data = bytes(self.bytes_to[side][:size])
        del self.bytes_to[side][:size]
        return list(self.receiving[side].receive(data))


class Participant:
    """A conversation, and what a person and the peer have seen of it."""

    def __init__(self) -> None:
        self.conversation = Conversation(SILENCE)
        self.said: list[str] = []
        self.room = MOST_SAID
        self.untaken: deque[str] = deque()
        self.shown: list[str] = []
        self.delivered: list[str] = []
        self.sent = self.acknowledged = 0  # ids of TEXT
        self.line: Line | None = None  # on which it says and hears text
        self.asked: Line | None = None  # of the dialler: where its HELLO waits for an answer


class Resumption:
    """The dialler dials whenever the draws say so, also while the connection before is still up."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._sides = Participant(), Participant()
        self._newest = Line()
        self._older: list[Line] = []
        self._acts: dict[Act, Callable[[], None]] = {
            Act.SAY: self._say,
            Act.WRITE: self._write,
            Act.READ: self._read,
            Act.SHOW: self._show,
            Act.BREAK: self._break,
            Act.DIAL: self._dial,
            Act.LIE: self._lie,
        }
        for side, participant in enumerate(self._sides):
            self._newest.put(side, Hello(session=SESSION, grace=60))
            participant.line = self._newest
        self._newest.is_open = True

    def happen(self) -> None:
        """Something happens, and nothing is wrong afterwards."""
        self._acts[Act(self._draws.number() % len(Act))]()
        for side in (DIALLER, LISTENER):
            here, there = self._sides[side], self._sides[1 - side]
            seen = [*here.shown, *here.untaken]
            assert seen == there.said[: len(seen)]
            assert here.delivered == here.said[: len(here.delivered)]
            assert len(here.delivered) <= len(there.shown)
            assert here.conversation.text_bytes_in_flight <= TEXT_WINDOW

    def finish(self) -> None:
        """The last connection stays up, and everything that was said arrives."""
        self._dial()
        for _ in range(ENOUGH):
            for side in (DIALLER, LISTENER):
                self._send(side, 100)
                self._hear(self._newest, side, MAX_PAYLOAD)
                self._look(side, 100)
            if all(each.delivered == each.said for each in self._sides):
                break
        near, far = self._sides
        assert near.said == far.shown
        assert far.said == near.shown
        assert [near.delivered, far.delivered] == [near.said, far.said]

    # --- what may happen

    def _say(self) -> None:
        side = self._sides[self._draws.number() & 1]
        text = f"{len(side.said)} " + self._draws.piece(self._draws.number() % 32).decode(errors="replace")
        text *= self._draws.number()
        side.room -= len(text.encode())
        if side.room >= 0:
            side.said.append(text)
            side.conversation.say(text, text or " ")

    def _write(self) -> None:
        self._send(self._draws.number() & 1, self._draws.number())

    def _read(self) -> None:
        """Some bytes arrive on any connection, however old it is."""
        kind = self._draws.number()
        lines = [self._newest, *reversed(self._older)]
        self._hear(lines[(kind >> 1) % len(lines)], kind & 1, self._draws.number(2))

    def _show(self) -> None:
        self._look(self._draws.number() & 1, self._draws.number())

    def _break(self) -> None:
        """The newest connection breaks; what is on its way arrives in part."""
        kind = self._draws.number()
        for side in (DIALLER, LISTENER):
            self._hear(self._newest, side, self._draws.number(2))
        self._newest.break_off()
        for side in (DIALLER, LISTENER):
            if kind >> side & 1 and self._sides[side].line is self._newest:  # that side has noticed
                self._lose(side)

    def _dial(self) -> None:
        dialler = self._sides[DIALLER]
        self._older = [self._newest, *self._older][:3]
        self._newest = Line()
        self._hear(self._newest, LISTENER, 8)
        self._hear(self._newest, DIALLER, 8)  # the prefaces
        self._lose(DIALLER)
        dialler.asked = self._newest
        self._newest.put(DIALLER, Hello(session=SESSION, last_text=dialler.conversation.last_text))

    def _lie(self) -> None:
        """A HELLO that no honest side says is refused, and changes nothing."""
        side = self._sides[self._draws.number() & 1]
        frame = to_frame(Hello(session=SESSION, last_text=self._draws.number(4)))
        payload = bytearray(frame.payload)
        for _ in range(self._draws.number() % 3):
            place = self._draws.number() % (len(payload) + 1)
            payload[place : place + self._draws.number() % 8] = self._draws.piece(self._draws.number() % 8)
        try:
            hello = from_frame(frame._replace(payload=bytes(payload)))
        except RemoteProtocolError:
            return
        assert isinstance(hello, Hello)
        if hello.session != SESSION or hello.last_text is None:  # it resumes another session, or none
            return
        if not side.acknowledged <= hello.last_text <= side.sent:
            try:
                side.conversation.resume(hello.last_text)
            except RemoteProtocolError:
                return
            raise AssertionError("a last_text that cannot be was taken")

    # --- inside

    def _send(self, side: int, most: int) -> None:
        here = self._sides[side]
        if here.line is None or not here.line.is_open:
            return
        for _ in range(most):
            if (text := here.conversation.next_text()) is None:
                break
            here.sent = max(here.sent, text.id)
            here.line.put(side, text)

    def _hear(self, line: Line, side: int, size: int) -> None:
        for message in line.take(side, size):
            if isinstance(message, Hello) and message.last_text is not None:
                self._go_on(line, side, message.last_text)
            elif isinstance(message, Text | TextAck) and self._sides[side].line is line:
                if isinstance(message, TextAck):
                    self._sides[side].acknowledged = max(self._sides[side].acknowledged, message.id)
                self._do(side, self._sides[side].conversation.received(message, 0.0))

    def _go_on(self, line: Line, side: int, last_text: int) -> None:
        """A HELLO that resumes has come. Of two that are under way, the listener goes by the newer connection."""
        here = self._sides[side]
        if side == LISTENER:
            if line is not self._newest:
                return
            self._lose(side)
            line.put(side, Hello(session=SESSION, last_text=here.conversation.last_text))
            line.is_open = True
        elif here.asked is not line:
            return
        here.line, here.asked = line, None
        here.acknowledged = max(here.acknowledged, last_text)
        self._do(side, here.conversation.resume(last_text))

    def _lose(self, side: int) -> None:
        here = self._sides[side]
        here.line = here.asked = None
        here.conversation.lose()

    def _look(self, side: int, most: int) -> None:
        here = self._sides[side]
        for _ in range(min(most, len(here.untaken))):
            here.shown.append(here.untaken.popleft())
            self._do(side, here.conversation.taken(0.0))

    def _do(self, side: int, outcomes: list[Reply | Happening]) -> None:
        here = self._sides[side]
        for each in outcomes:
            if isinstance(each, TextCompleted):
                here.untaken.append(each.text)
            elif isinstance(each, TextDelivered):
                here.delivered.append(here.said[len(here.delivered)])
            elif isinstance(each, TextAck) and here.line:
                here.line.put(side, each)
