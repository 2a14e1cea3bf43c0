"""One call: the one module that starts, wakes and joins all of its threads.

The threads of a call, and what wakes each when it is to end:

    timer           waits for the end      the end: pings and reports until then, then cuts a goodbye that hangs
    redial          waits for the line     the end, or `Redialling.stop()`; only of a dialler
    move            waits for a round      `Moving.stop()`; only of a call through a relay
    those of each connection, see `carrier.py`: they end with it
    and those of the sound, see `sound_threads.py`

How it ends: any thread may ask (`hang_up`, the peer's BYE, a broken stream, a bug). The first reason is kept
(`Ending`). The `Conversation` decides what is still sent and awaited: our BYE is sent after the last text, and the
peer's last text is still received. When the peer's stream has ended, `next_event` returns `Ended`. Then `close()`
joins all threads.

A broken stream ends a call only if there is no `Bond`. Otherwise another stream takes its place, see `lines.py`.
"""

from collections.abc import Callable
from dataclasses import replace

from voicemux.calls.bond import Bond
from voicemux.calls.ending import Reason
from voicemux.calls.event_queue import EventQueue, Watcher
from voicemux.calls.lines import Lines
from voicemux.calls.parts import Hears, SoundHalves, make_parts
from voicemux.calls.resuming import Resuming
from voicemux.calls.timekeeper import SHORT, Timekeeper
from voicemux.calls.voice import Player, VoiceSender
from voicemux.errors import OutOfResources, VoicemuxError
from voicemux.events import Delivered, Ended, Event, Stats, TextReceived, Voice
from voicemux.net.reception import REPLACED
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Happening, PeerHungUp, TextCompleted, TextDelivered
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT
from voicemux.protocol.messages import Bye, ByeCode, Hello
from voicemux.threads import Threads
from voicemux.trace.facts import Trace

REPLACED_PATIENCE = 0.3  # seconds for the goodbye to a peer who has called again meanwhile
DELIVERY_PATIENCE = 10.0  # seconds without an acknowledgement after which waiting for delivery is given up


class RunningCall:
    """One call. Its owner calls `start()`, takes events from `next_event()` up to `Ended`, and calls `close()`."""

    def __init__(
        self,
        stream: Stream,
        sending: Sending,
        receiving: Receiving,
        hello: Hello,
        transmitter: VoiceSender | None,
        player: Player | None,
        *,
        recorder: Player | None = None,
        status_interval: float = 0.0,
        trace: Trace | None = None,
        bond: Bond | None = None,
    ) -> None:
        """`hello` is the peer's. `recorder` gets every packet that `player` gets. `status_interval` is the number of
        seconds between two `Status` events; 0: there are none. With a `bond`, the call outlives its stream."""
        self.name = hello.name or stream.place
        self._events = EventQueue(self._on_text_taken)
        self._failure: BaseException | None = None
        halves = SoundHalves(transmitter, player, recorder)
        hears = Hears(self._on_happening, self.post, self._on_failure)
        plays = bool(hello.playable)
        parts = make_parts(self.name, stream, halves, hears, bond, trace, peer_plays=plays, goodbye=GOODBYE_TIMEOUT)
        self._survival, self._vitals, self._texts = parts.survival, parts.vitals, parts.texts
        self._ending, self.states, self._sound = parts.ending, parts.states, parts.sound
        self.record = self._sound.record  # any thread may have the call recorded, or no longer
        self._events.subscribe(self.states.on_event)
        self._lines = Lines(parts, self._on_over)
        self._closing = self._lines.closing
        self._first = self._lines.seat(stream, sending, receiving)
        self._resuming = Resuming(bond, parts, self._lines, stream)
        self._timekeeper = Timekeeper(
            parts, self._lines, self.stats, status_interval, self._resuming.line_has_changed
        )
        self._threads = Threads(self._on_failure)

    def start(self) -> None:
        """Start the threads. Raises OutOfResources; then the call has ended, and its stream is closed."""
        try:
            self._first.start()
            self._threads.start("timer", self._timekeeper.run)
            self._sound.start(self._threads, self._lines.send_audio)
            self._resuming.start(self._threads)
        except OutOfResources as error:
            self._ending.by_error(error)
            self._first.fail(Bye(ByeCode.INTERNAL, "it has no room for a call"))
            self._sound.stop()
            self._closing.finish()
            self._close_all()
            raise

    def next_event(self) -> Event:
        """Wait for the next event. Asking for it says that the user has been shown the one before. The last is
        `Ended`."""
        event = self._events.next()
        if event is None:
            event = self.ended
            assert event
            self._events.tell_the_last(event)
        return event

    def took(self) -> None:
        """Say that the last event has been shown, without asking for the next. Any thread may."""
        self._events.took()

    def watch_the_peer(self, patience: float) -> tuple[Voice | None, int | None]:
        """Report from now on what the peer does with voice. Returns what it has said so far: `VoiceStates.watch`."""
        return self.states.watch(patience, of_line=not self._survival.may_survive)

    def close(self) -> None:
        """Hang up, join every thread and close the stream. Only the owner may call it, once.

        Raises the exception of a bug in a thread of the call.
        """
        self.hang_up()
        self._closing.say_goodbye(GOODBYE_TIMEOUT)
        self._sound.stop()
        self._closing.await_the_goodbye(GOODBYE_TIMEOUT + 1)
        self._close_all()
        if ended := self.ended:
            self._events.tell_the_last(ended)
        if self._failure is not None:
            raise self._failure

    def _close_all(self) -> None:
        self._resuming.stop()
        self._lines.cut()
        self._threads.join()
        self._lines.close()

    # --- any thread may call what follows

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Have `watcher` called with every event, independently of the reader: see `EventQueue.subscribe`."""
        return self._events.subscribe(watcher)

    def post(self, event: Event) -> None:
        """Queue an event for the owner."""
        self._events.put(event)

    def say(self, text: str, mark: str = "") -> bool:
        """Send a line of text, after waiting while too much is queued. False if the call ended before. With a `mark`,
        `Delivered` names it once the peer has acknowledged the text."""
        while self.goes_on:
            if self._texts.wait_for_room(1.0):
                return self._texts.say(text, mark)
        return False

    def wait_for_delivery(self) -> bool:
        """Wait until the peer has acknowledged all text; False after DELIVERY_PATIENCE without progress."""
        short = min(SHORT, DELIVERY_PATIENCE)
        if self._texts.wait_for_delivery(short):
            return True
        self._timekeeper.tell_of_waiting()
        return self._texts.wait_for_delivery(DELIVERY_PATIENCE - short)

    @property
    def undelivered(self) -> list[str]:
        """The texts that the peer has not acknowledged, the oldest first; of the first, perhaps the rest."""
        return [text for _, text in self._texts.undelivered]

    def mute(self) -> None:
        """Stop sending voice, or send it again."""
        self.post(self.states.mute())

    def deafen(self) -> None:
        """Stop playing the peer's voice, or play it again."""
        self.post(self.states.deafen())

    @property
    def voice(self) -> Voice:
        """What we do with voice now."""
        return self.states.own

    def stats(self) -> Stats:
        """Figures of the call so far."""
        stats = self._vitals.stats(
            self._texts.received, self._lines.peer_on_its_way(), is_over=self._ending.has_begun
        )
        return replace(stats, interruptions=self._survival.interruptions, texts_waiting=self._texts.waiting)

    def hang_up(self, code: ByeCode = ByeCode.NORMAL, reason: str = "") -> None:
        """Send BYE behind the text that is still queued, or end at once if there is no connection. Does not wait."""
        self._closing.hang_up(Reason("us", reason), Bye(code, reason), GOODBYE_TIMEOUT)

    def replace(self) -> None:
        """End the call at once, because the same peer has called again: it no longer uses this connection."""
        bye = Bye(ByeCode.REPLACED, REPLACED)
        self._closing.hang_up(Reason("them", "called again"), bye, 0, patience=REPLACED_PATIENCE)

    def abandon(self) -> None:
        """Cut the connection: no BYE is sent."""
        self._closing.abandon()

    @property
    def goes_on(self) -> bool:
        """Whether the call goes on: there is no reason yet to end it."""
        return not self._ending.has_begun

    def wait_for_the_end(self, timeout: float) -> None:
        """Wait until there is a reason to end it, for at most `timeout` seconds."""
        self._ending.wait(timeout)

    @property
    def error(self) -> VoicemuxError | None:
        """The error that ended the call; None if it goes on or ended well."""
        return self._ending.error

    @property
    def ended(self) -> Ended | None:
        """How the call ended, as far as is known; None while it goes on."""
        return None if self.goes_on else self._ending.event(self._texts.undelivered, self.stats())

    def _on_over(self) -> None:
        """The peer's stream has ended."""
        self._resuming.end()
        self._events.close()
        self.states.release()

    def _on_failure(self, error: BaseException) -> None:
        """A thread of the call has raised what no code expects: end the call; `close` raises it to the owner."""
        self._failure = error
        self._ending.begin(Reason("error", "internal error"))
        self._closing.abandon()

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case TextCompleted():
                self.post(TextReceived(self.name, happening.text))
            case TextDelivered():
                self.post(Delivered(happening.mark))
            case PeerHungUp():
                self._ending.by_peer(happening.bye)

    def _on_text_taken(self) -> None:
        for each in self._texts.taken():
            self._on_happening(each)
