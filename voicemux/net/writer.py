"""The shared locked writer: many threads send, one at a time writes, and no frame is ever torn.

The lock guards three short lanes (control, then audio, then text, then the goodbye) and whose turn it is,
and is never held across a write. A lock around the write itself would make voice wait behind a long text for as
long as the line takes. Every lane is bounded by what it is: of each kind of control message only
the newest waits, audio that has waited too long is dropped, text waits in the Outbox, which is full
at some point and says so.

Whatever waits is written by the writing thread. Voice that need not wait is written by the microphone's thread:
to wake another for each packet costs more than to write it.

Nor is a write the end of waiting: kernels and routers hold seconds of voice. So audio and text stay
in their lanes, where they can be dropped and overtaken, while `Flow` says that enough is under way.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from voicemux.errors import ConnectionLost
from voicemux.net.course import Course
from voicemux.net.flow import MAX_AUDIO_WAIT, Flow
from voicemux.net.line import Line
from voicemux.net.rungs import Rungs
from voicemux.protocol.connection import Sending
from voicemux.protocol.delivery import Outbox
from voicemux.protocol.messages import Arrivals, Audio, Bye, Message, Ping, Pong, Report, Text, TextAck, VoiceState

TEXT_TURN = 2.0  # seconds that text waits for voice at most: on a line too slow for both, one frame of it goes then
LOOK_AGAIN = 0.005  # seconds between two looks at what is under way, while something waits for that
CONTROL_WAIT = 0.1  # seconds that a control message may wait for something to travel with: alone it is mostly headers
NO_WAIT = 4096  # unacknowledged bytes: with a frame more they still fit the smallest buffer of a kernel
VOICE_FLOWS = 0.070  # seconds after a packet of voice in which the next is to be expected: 60 ms is the longest

# The peer is behind a tunnel if a PING takes so much longer than the kernel's round trip, by a factor and seconds:
# it travels with voice, and is answered by a program that may have to wait for its turn.
TUNNEL_FACTOR, TUNNEL_MORE = 1.5, 0.015

Control = Pong | TextAck | Report | Arrivals | VoiceState


@dataclass
class SentCounts:
    audio: int = 0  # AUDIO frames written that hold sound
    dropped: int = 0  # AUDIO frames that waited too long
    texts: int = 0  # messages given to the writer


class Writer:
    """`run()` is the body of the writing thread; everything else may be called by any thread and does not wait,
    but for `wait_for_room` and `wait_for_delivery`, which take a limit."""

    def __init__(
        self,
        line: Line,
        sending: Sending,
        on_delivered: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_delivered` gets the mark of each text that has one, once acknowledged, in the thread that says so:
        it must not wait."""
        self._clock = clock
        self._line = line
        self._sending = sending  # belongs to whoever has the turn
        self._changed = threading.Condition()  # its lock may be taken again by who has it
        self._is_taken = True  # the turn to write; before `run` nobody has it
        self._control: dict[type, Control | Callable[[], Ping | Arrivals | None]] = {}
        self._audio: deque[tuple[float, Audio]] = deque()
        self._outbox = Outbox()
        self._on_delivered = on_delivered
        self._marks: deque[tuple[int, str]] = deque()  # the last ids of marked texts that were not acknowledged
        self._near = Flow()  # as the kernel sees it, where that tells
        self._far = Flow(by_peer=True)  # as the peer sees it
        self._course = Course(self._near, self._far)
        self._has_left_bbr = False
        self._control_since = 0.0  # when the first control message that waits began to
        self._voiced_at = float("-inf")  # when voice was last queued
        self._text_since = 0.0  # when the text that waits began to, or the last of it went
        self._bye: Bye | None = None
        self._deadline = 0.0
        self._peer_is_done = False
        self._line_is_lost = False
        self._ended = False
        self._finished = threading.Event()
        self.failure: ConnectionLost | None = None
        self.counts = SentCounts()

    def send(self, message: Control) -> None:
        """Queue a control message; one of the same kind that still waits is replaced."""
        self._queue(type(message), message)

    def send_ping(self, make: Callable[[], Ping]) -> None:
        """Queue a PING, made when it is written, by the writing thread: waiting here is no part of a round trip."""
        self._queue(Ping, make)

    def tell_arrivals(self) -> None:
        """Tell the peer when its voice has come, if there is anything new to say when that is written."""
        with self._changed:
            if self._course.has_news:
                self._queue(Arrivals, self._course.arrivals)

    def _queue(self, kind: type, message: Control | Callable[[], Ping | Arrivals | None]) -> None:
        with self._changed:
            if not self._control:
                self._control_since = self._clock()
            self._control[kind] = message
            self._changed.notify_all()

    def send_audio(self, audio: Audio) -> None:
        """Queue one packet of voice, and drop what has waited too long. After `finish` nothing is taken: voice that
        goes on would keep the goodbye waiting on a slow line."""
        with self._changed:
            if self._bye:
                return
            self._voiced_at = now = self._clock()
            self._audio.append((now, audio))
            self._drop_stale_audio(now)
            messages = self._take_turn(now, may_wait=False)
            if not messages:
                self._changed.notify_all()
        if messages:
            self._write(messages)

    def send_text(self, text: str, mark: str = "") -> bool:
        """Queue a message; raises LocalProtocolError if it is not Unicode. False after `finish`: it is not taken."""
        with self._changed:
            if self._bye:
                return False
            if not self._outbox.can_send:
                self._text_since = self._clock()
            number = self._outbox.put(text)
            if mark:
                self._marks.append((number, mark))
            self.counts.texts += 1
            self._changed.notify_all()
            return True

    def acknowledge(self, number: int) -> None:
        """The peer has received the TEXT frames up to `number`."""
        with self._changed:
            self._outbox.acknowledge(number)
            self._far.heard(("text", number), self._clock())
            self._changed.notify_all()
            while self._marks and self._marks[0][0] <= number:
                self._on_delivered(self._marks.popleft()[1])

    def heard(self, report: Report) -> None:
        """What the peer says that it has received of our voice."""
        with self._changed:
            now = self._clock()
            self._far.heard(("audio", report.sequence), now)
            self._course.reported(report, now)
            self._changed.notify_all()

    def arrived(self, arrivals: Arrivals) -> None:
        """When, by the peer's clock, our voice has come."""
        with self._changed:
            now = self._clock()
            self._far.heard(("audio", arrivals.sequence), now)
            self._course.told(arrivals, now)
            self._changed.notify_all()

    def heard_voice(self, audio: Audio) -> None:
        """The peer's voice has come, and with it what it acknowledges."""
        with self._changed:
            self._course.heard(audio, self._clock())

    @property
    def peer_tells_arrivals(self) -> bool:
        """Whether the peer says when our voice comes: it need not say much else then."""
        return self._course.tells_arrivals

    def peer_on_its_way(self) -> float | None:
        """Seconds that the peer's voice is on its way now; None while none comes, or if that cannot be told."""
        with self._changed:
            way = self._course.peer_on_its_way(self._clock())
            return way.seconds if way else None

    def peer_lateness(self) -> float | None:
        """How much of that is more than at best."""
        with self._changed:
            way = self._course.peer_on_its_way(self._clock())
            return way.more if way else None

    def judge(self, rungs: Rungs, *, calm: bool, roomy: bool) -> None:
        """Send as much voice as the line can carry. `calm`: nothing waits on it; `roomy`: voice takes it no longer
        than an empty packet."""
        with self._changed:
            now = self._clock()
            self._near.backlog = self._line.unsent()
            self._course.judge(rungs, now, calm=calm, roomy=roomy)
            if self._course.bbr_starves and not self._has_left_bbr:
                self._has_left_bbr = True
                self._line.leave_bbr()

    def round_trip(self, seconds: float) -> None:
        """A PONG has come so long after its PING."""
        with self._changed:
            self._near.round_trip(seconds)
            self._far.round_trip(seconds)
            self._course.round_trip(seconds, self._clock())

    def wait_for_room(self, timeout: float) -> bool:
        """Whether another text may be queued, after waiting for it at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended or not self._outbox.full, timeout)

    def wait_for_delivery(self, timeout: float) -> bool:
        """Whether all text has been acknowledged, after waiting at most `timeout` seconds without progress."""
        with self._changed:
            while (before := self._outbox.undelivered) and not self._ended:
                if not self._changed.wait_for(partial(self._is_below, before), timeout):
                    return False
            return self._outbox.delivered

    @property
    def undelivered(self) -> list[tuple[str, str]]:
        """Texts that the peer has not acknowledged, or the rest of them, the oldest first, each behind its mark."""
        with self._changed:
            marks = dict(self._marks)
            return [(marks.get(number, ""), text) for number, text in self._outbox.undelivered_messages()]

    def finish(self, bye: Bye, timeout: float, *, peer_is_done: bool = False) -> None:
        """Send what text still waits, for at most `timeout` seconds, then `bye`, then nothing more.

        The first goodbye counts. If the peer is done, no acknowledgement will come: what the window has no room
        for is not waited for.
        """
        with self._changed:
            if self._bye is None:
                self._bye = bye
                self._deadline = self._clock() + timeout
            self._peer_is_done |= peer_is_done
            self._changed.notify_all()

    def give_up(self) -> None:
        """The line has been found lost by whoever reads it: no text can arrive any more."""
        with self._changed:
            self._line_is_lost = True
            self._changed.notify_all()

    def wait_until_finished(self, timeout: float) -> None:
        """Wait until the goodbye is out, or cannot get out, for at most `timeout` seconds."""
        self._finished.wait(timeout)

    def run(self) -> None:
        """Write until the goodbye is out, or the line breaks."""
        # A PING would tell later, and of a line that is full by then as if it had always been so.
        if (round_trip := self._line.round_trip()) is not None:
            with self._changed:
                self._near.round_trip(round_trip)
        self._is_taken = False
        try:
            while messages := self._next():
                self._write(messages)
        finally:
            self._line.finish()
            self._end()
            self._finished.set()

    def _next(self) -> list[Message]:
        """Wait for something to write, and take the turn; nothing after the goodbye, or where the line is broken."""
        with self._changed:
            while not (messages := self._take_turn(self._clock(), may_wait=True)) and not self._ended:
                self._changed.wait(self._patience())
            return messages

    def _take_turn(self, now: float, *, may_wait: bool) -> list[Message]:
        """What to write at once, in one piece: it is owed to `_write` then. `may_wait` is whether that may."""
        if self._is_taken or self._ended:
            return []
        try:
            unacknowledged = self._look_at_the_line(now)
        except ConnectionLost as error:
            self._fail(error)
            return []
        if not may_wait and (unacknowledged is None or unacknowledged > NO_WAIT):
            return []
        messages = self._choose(now)
        self._is_taken = bool(messages)
        return messages

    def _choose(self, now: float) -> list[Message]:
        """What to write now, voice or text last, the goodbye last of all."""
        self._drop_stale_audio(now)
        out_of_time = self._line_is_lost or (self._bye is not None and now >= self._deadline)
        message = (None if out_of_time else self._next_text(now)) or self._next_audio(now)
        if message or self._control_is_due(now):
            return [*self._take_control(), *([message] if message else [])]
        if self._bye and (out_of_time or not self._outbox.waiting_bytes or self._nothing_will_make_room):
            self._ended = True
            return [*self._take_control(), self._bye]
        return []

    def _write(self, messages: list[Message]) -> None:
        """Use the turn, and give it back."""
        before = self._line.bytes_written
        try:
            self._line.write(b"".join(map(self._sending.encode, messages)) + self._padding(messages[-1]))
            self._take_note(messages[-1], self._line.bytes_written - before)
        except ConnectionLost as error:
            self._fail(error)
        finally:
            with self._changed:
                self._is_taken = False
                if self._control or self._audio or self._outbox.can_send or self._bye:
                    self._changed.notify_all()

    def _padding(self, message: Message) -> bytes:
        """What tries out with it whether the line would carry more voice. None beside silence."""
        if not (isinstance(message, Audio) and message.data):
            return b""
        with self._changed:
            return self._course.padding(self._clock())

    def _fail(self, error: ConnectionLost) -> None:
        """The line is broken: it is cut, so that the reading side ends, too."""
        self.failure = error  # not raised: a reason of the peer's may still be on its way to the reading side
        self._line.cut()
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _look_at_the_line(self, now: float) -> int | None:
        """How much has not arrived. Raises ConnectionLost if nothing has for too long: no write waits to find out."""
        unacknowledged = self._line.unacknowledged()
        if unacknowledged is not None:
            self._near.acknowledge(unacknowledged, now)
            self._near.backlog = self._line.unsent()
            if self._near.age(now) > self._line.timeout:
                raise ConnectionLost(f"the other side takes nothing for {self._line.timeout:.3g} s")
        return unacknowledged

    @property
    def _nothing_will_make_room(self) -> bool:
        """For the text that waits: the peer has closed its window, and acknowledges no more."""
        return self._peer_is_done and not self._outbox.can_send

    def _next_audio(self, now: float) -> Audio | None:
        if self._audio and all(flow.may_send_voice(now) for flow in self._flows):
            return self._audio.popleft()[1]
        return None

    def _next_text(self, now: float) -> Text | None:
        """Only if no voice waits, and none would have to wait for it on its way; but now and then in any case."""
        would_disturb = self._audio or not all(flow.may_send_text(now) for flow in self._flows)
        if self._outbox.can_send and would_disturb and now - self._text_since < TEXT_TURN:
            return None
        self._text_since = now
        return self._outbox.next()

    def _control_is_due(self, now: float) -> bool:
        """While there is voice, all but the answer to a PING travels with it; a REPORT in any case with something."""
        waited = now - self._control_since >= CONTROL_WAIT
        voice_flows = now - self._voiced_at < VOICE_FLOWS
        return any(
            waited or kind is Pong or not (voice_flows or kind in (Report, Arrivals)) for kind in self._control
        )

    def _take_control(self) -> list[Message]:
        made = [each() if callable(each) else each for each in self._control.values()]
        self._control.clear()
        return [each for each in made if each is not None]

    def _take_note(self, message: Message, size: int) -> None:
        """`message` has been written, and what travelled with it: so many bytes in all."""
        with self._changed:
            is_voice = isinstance(message, Audio)
            now, mark = self._clock(), _mark(message)
            for flow in self._counted:
                flow.wrote(size, now, mark=mark, is_voice=is_voice)
            if isinstance(message, Audio):
                self._course.wrote(message, size, now)
                self.counts.audio += bool(message.data)

    def _patience(self) -> float | None:
        """How long to wait for a change: not long, if something waits for what is under way to arrive."""
        if self._audio or self._outbox.can_send:
            return LOOK_AGAIN
        if self._control:
            return CONTROL_WAIT
        return max(LOOK_AGAIN, self._deadline - self._clock()) if self._bye else None

    @property
    def _counted(self) -> tuple[Flow, ...]:
        """What follows all that is written: where the kernel tells nothing, only what the peer says."""
        return (self._near, self._far) if self._near.knows else (self._far,)

    @property
    def _flows(self) -> tuple[Flow, ...]:
        """What voice and text are held back by."""
        near, far = self._near.smallest_round_trip, self._far.smallest_round_trip
        if not self._near.knows or self._course.is_tunnelled or near is None or far is None:
            return self._counted
        is_all = far < near * TUNNEL_FACTOR + TUNNEL_MORE  # the peer is where our connection ends
        return (self._near,) if is_all else self._counted

    def _is_below(self, undelivered: int) -> bool:
        return self._ended or self._outbox.undelivered < undelivered

    def _drop_stale_audio(self, now: float) -> None:
        oldest = now - MAX_AUDIO_WAIT
        while self._audio and self._audio[0][0] < oldest:
            self._audio.popleft()
            self.counts.dropped += 1
            self._course.dropped(now)


def _mark(message: Message) -> tuple[str, int] | None:
    """What the peer's REPORT or TEXT_ACK will know a piece by."""
    match message:
        case Audio():
            return "audio", message.sequence
        case Text():
            return "text", message.id
        case _:
            return None
