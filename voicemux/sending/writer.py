"""One writer at a time: many threads send, and no frame is ever torn.

The lock guards the `Schedule` and whose turn it is to write, and is never held across a write. A lock around the
write itself would make voice wait behind a long text for as long as the network takes.

What waits is written by the writer thread. Voice that need not wait is written by the microphone's thread:
to wake another for each packet costs more than to write it.
"""

import threading
import time
from collections.abc import Callable

from voicemux.errors import ConnectionLost
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Sending
from voicemux.protocol.conversation import Conversation
from voicemux.protocol.messages import Audio, Bye, Message, Ping
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.feedback import Feedback
from voicemux.sending.rungs import Rungs
from voicemux.sending.schedule import Control, Schedule, SentCounts
from voicemux.trace.facts import Trace

NO_WAIT = 4096  # bytes in flight: with a frame more they still fit the smallest buffer of a kernel


class Writer:
    """`run()` is the body of the writer thread; everything else may be called by any thread and does not wait,
    but for the methods `wait_...`, which take a limit."""

    def __init__(
        self,
        stream: Stream,
        sending: Sending,
        conversation: Conversation | None = None,
        changed: threading.Condition | None = None,
        clock: Callable[[], float] = time.monotonic,
        trace: Trace | None = None,
        counts: SentCounts | None = None,
    ) -> None:
        """`conversation` is what goes on, also if the stream breaks; `changed` guards it, and all that waits here.

        `counts` go on from an earlier connection."""
        self._clock = clock
        self._stream = stream
        self._sending = sending  # belongs to the thread that has the turn
        self._congestion = CongestionControl()
        self._schedule = Schedule(self._congestion, conversation, trace, counts)
        self._conversation = self._schedule.conversation
        self._changed = changed or threading.Condition()  # `end` takes its lock where it is held: it is re-entrant
        self.feedback = Feedback(self._schedule, self._changed, clock)
        self._is_taken = True  # the turn to write; no thread has it before `run`
        self._has_left_bbr = False
        self._finished = threading.Event()
        self.failure: ConnectionLost | None = None

    # --- what is to be sent

    def send(self, message: Control) -> None:
        """Queue a control message; one of the same kind that still waits is replaced."""
        with self._changed:
            self._schedule.put_control(message, self._clock())
            self._changed.notify_all()

    def send_ping(self, make: Callable[[], Ping]) -> None:
        """Queue a PING. The thread that writes makes it: waiting here does not count as round trip."""
        with self._changed:
            self._schedule.put_ping(make, self._clock())
            self._changed.notify_all()

    def tell_arrivals(self) -> None:
        """Tell the peer when its voice has come, if there is anything new to say when that is written."""
        with self._changed:
            if self._schedule.put_arrivals(self._clock()):
                self._changed.notify_all()

    def send_audio(self, audio: Audio) -> None:
        """Queue one packet of voice, and drop what has waited too long. After `finish` nothing is taken."""
        with self._changed:
            now = self._clock()
            if not self._schedule.put_audio(audio, now):
                return
            messages = self._take_turn(now, may_wait=False)
            if not messages:
                self._changed.notify_all()
        if messages:
            self._write(messages)

    def send_text(self, text: str, mark: str = "") -> bool:
        """Queue a message; raises LocalProtocolError if it is not Unicode. False after `finish`: it is not taken."""
        with self._changed:
            self._changed.notify_all()
            return self._schedule.put_text(text, mark, self._clock())

    def finish(self, bye: Bye, timeout: float, *, peer_is_done: bool = False, patience: float | None = None) -> None:
        """Send what text still waits, then `bye`, then nothing more: see `Conversation.hang_up`."""
        with self._changed:
            now = self._clock()
            self._conversation.hang_up(bye, now, timeout, peer_is_done=peer_is_done, patience=patience)
            self._changed.notify_all()

    def judge(self, rungs: Rungs, *, calm: bool, roomy: bool) -> None:
        """Send as much voice as the network path can carry. `calm`: nothing waits on it; `roomy`: voice takes it no
        longer than an empty packet."""
        with self._changed:
            self._congestion.on_unsent(self._stream.bytes_unsent())
            now = self._clock()
            self._congestion.judge(rungs, now, calm=calm, roomy=roomy)
            self._schedule.telling.line(rungs, now)
            if self._congestion.bbr_starves and not self._has_left_bbr:
                self._has_left_bbr = True
                self._stream.leave_bbr()

    # --- what is waited for, and the end

    def retire(self, bye: Bye | None = None, *, keeps_voice: bool = False) -> None:
        """Another connection has the conversation now: see `Schedule.retire`."""
        with self._changed:
            self._schedule.retire(bye, keeps_voice=keeps_voice)
            self._changed.notify_all()

    @property
    def is_retired(self) -> bool:
        """Whether another connection has the conversation."""
        return self._schedule.is_retired

    def wait_until_finished(self, timeout: float) -> None:
        """Wait until the goodbye is out, or cannot get out, for at most `timeout` seconds."""
        self._finished.wait(timeout)

    def run(self) -> None:
        """Write until the goodbye is out, or the connection breaks."""
        with self._changed:
            # A PING would tell later, and of a path that is full by then as if it had always been so.
            if (round_trip := self._stream.min_round_trip()) is not None:
                self._congestion.on_kernel_round_trip(round_trip)
            self._is_taken = False
        try:
            while messages := self._next():
                self._write(messages)
        finally:
            self._stream.finish()
            self.end()
            self._finished.set()

    def _next(self) -> list[Message]:
        """Wait for something to write, and take the turn; nothing after the goodbye, or if the connection broke."""
        with self._changed:
            while True:
                messages = self._take_turn(self._clock(), may_wait=True)
                if messages or self._schedule.ended:
                    return messages
                now = self._clock()
                deadline = self._schedule.next_deadline(now)
                self._changed.wait(None if deadline is None else deadline - now)

    def _take_turn(self, now: float, *, may_wait: bool) -> list[Message]:
        """What to write at once, in one piece: it is owed to `_write` then. `may_wait` is whether that may."""
        if self._is_taken or self._schedule.ended:
            return []
        try:
            in_flight = self._look_at_the_stream(now)
        except ConnectionLost as error:
            self._fail(error)
            return []
        if not may_wait and (in_flight is None or in_flight > NO_WAIT):
            return []
        messages = self._schedule.choose(now)
        self._is_taken = bool(messages)
        return messages

    def _look_at_the_stream(self, now: float) -> int | None:
        """Bytes in flight, None if that cannot be told. Raises ConnectionLost if none has arrived for too long: no
        write waits to find out."""
        in_flight = self._stream.bytes_in_flight()
        if in_flight is not None:
            self._congestion.on_kernel_ack(in_flight, now)
            self._congestion.on_unsent(self._stream.bytes_unsent())
            if self._congestion.oldest_in_flight(now) > self._stream.timeout:
                raise ConnectionLost(f"the other side takes nothing for {self._stream.timeout:.3g} s")
        return in_flight

    def _write(self, messages: list[Message]) -> None:
        """Use the turn, and give it back."""
        before = self._stream.bytes_written
        try:
            data = b"".join(map(self._sending.encode, messages))
            with self._changed:
                padding = self._congestion.padding(messages[-1], self._clock())
            self._schedule.telling.padding(padding)
            self._stream.write(data + padding)
            with self._changed:
                self._schedule.on_sent(messages, self._stream.bytes_written - before, self._clock())
        except ConnectionLost as error:
            self._fail(error)
        finally:
            with self._changed:
                self._is_taken = False
                if self._schedule.is_waiting:
                    self._changed.notify_all()

    def _fail(self, error: ConnectionLost) -> None:
        """The connection is broken: it is cut, so that the reading side ends, too."""
        self.failure = error  # not raised: a reason of the peer's may still be on its way to the reading side
        self._stream.cut()
        self.end()

    def end(self) -> None:
        """Write nothing more, not even a BYE."""
        with self._changed:
            self._schedule.end()
            self._changed.notify_all()
