"""Many threads may send, but only one writes at a time, so frames are never interleaved.

The lock guards the `Schedule` and the turn to write, and is never held during a write. A lock around the write itself
would make voice wait behind a long text for as long as the network takes.

The writer thread writes what had to wait. Voice that need not wait is written by the microphone's thread, because
waking another thread for each packet costs more than the write.
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

# Bytes in flight up to which one more frame fits the send buffer of any kernel, so that a write cannot block.
NO_WAIT = 4096


class Writer:
    """The sending end of one connection. The writer thread runs `run()`. Any thread may call the rest, which does not
    wait, except for the methods `wait_...`, which take a limit."""

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
        """`conversation` outlives the stream; `changed` guards it, and all that waits here. `counts` go on from an
        earlier connection."""
        self._clock = clock
        self._stream = stream
        self._sending = sending  # belongs to the thread that has the turn
        self._congestion = CongestionControl()
        self._schedule = Schedule(self._congestion, conversation, trace, counts)
        self._conversation = self._schedule.conversation
        # Its lock is re-entrant: `_fail` calls `end` while it is held.
        self._changed = changed or threading.Condition()
        self.feedback = Feedback(self._schedule, self._changed, clock)
        self._is_taken = True  # the turn to write; no thread has it before `run`
        self._has_left_bbr = False
        self._finished = threading.Event()
        self.failure: ConnectionLost | None = None

    # --- what is to be sent

    def send(self, message: Control) -> None:
        """Queue a control message. It replaces one of the same kind that still waits."""
        with self._changed:
            self._schedule.put_control(message, self._clock())
            self._changed.notify_all()

    def send_ping(self, make: Callable[[], Ping]) -> None:
        """Queue a PING. The thread that writes makes it: waiting here does not count as round trip."""
        with self._changed:
            self._schedule.put_ping(make, self._clock())
            self._changed.notify_all()

    def tell_arrivals(self) -> None:
        """Queue ARRIVALS, unless there is nothing new to tell."""
        with self._changed:
            if self._schedule.put_arrivals(self._clock()):
                self._changed.notify_all()

    def send_audio(self, audio: Audio) -> None:
        """Queue a packet of voice, or write it at once, and drop packets that have waited too long. After `finish`,
        it is ignored."""
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
        """Queue a text. Returns False after `finish`: the text is not taken. Raises LocalProtocolError if it is not
        valid Unicode."""
        with self._changed:
            self._changed.notify_all()
            return self._schedule.put_text(text, mark, self._clock())

    def finish(self, bye: Bye, timeout: float, *, peer_is_done: bool = False, patience: float | None = None) -> None:
        """Send the text that still waits, then `bye`, then nothing more: see `Conversation.hang_up`. Does not
        wait."""
        with self._changed:
            now = self._clock()
            self._conversation.hang_up(bye, now, timeout, peer_is_done=peer_is_done, patience=patience)
            self._changed.notify_all()

    def judge(self, rungs: Rungs, *, calm: bool, roomy: bool) -> None:
        """Choose the rung, so that as much voice is sent as the network path carries. `calm`: there is no queue on
        it; `roomy`: PINGs take no longer beside voice than empty packets."""
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
        """Wait until the BYE is written, or cannot be, for at most `timeout` seconds."""
        self._finished.wait(timeout)

    def run(self) -> None:
        """Write until the BYE is written, or the connection breaks."""
        with self._changed:
            # The first PING would be later, and might measure a path that is full by then as if it were always so.
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
        """Wait for something to write, and take the turn to write. Returns an empty list after the BYE, or if the
        connection broke."""
        with self._changed:
            while True:
                messages = self._take_turn(self._clock(), may_wait=True)
                if messages or self._schedule.ended:
                    return messages
                now = self._clock()
                deadline = self._schedule.next_deadline(now)
                self._changed.wait(None if deadline is None else deadline - now)

    def _take_turn(self, now: float, *, may_wait: bool) -> list[Message]:
        """Take the turn to write if it is free, and return the messages of one write; then `_write` must be called.
        Returns an empty list if there is nothing. `may_wait`: that write may block."""
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
        """Return the bytes in flight; None if the kernel does not tell. Raises ConnectionLost if they are too old:
        this is how a dead connection is found without a write that blocks."""
        in_flight = self._stream.bytes_in_flight()
        if in_flight is not None:
            self._congestion.on_kernel_ack(in_flight, now)
            self._congestion.on_unsent(self._stream.bytes_unsent())
            if self._congestion.oldest_in_flight(now) > self._stream.timeout:
                raise ConnectionLost(f"the other side takes nothing for {self._stream.timeout:.3g} s")
        return in_flight

    def _write(self, messages: list[Message]) -> None:
        """Write the messages, and give the turn back."""
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
        """The connection is broken: cut it, so that the reading side ends, too."""
        # Not raised, because the peer's BYE, with the reason, may still be on its way to the reading side.
        self.failure = error
        self._stream.cut()
        self.end()

    def end(self) -> None:
        """Write nothing more, not even a BYE."""
        with self._changed:
            self._schedule.end()
            self._changed.notify_all()
