"""One call: the only place that knows the lives of its threads.

The threads of a call, and what wakes each when it is to end:

    demultiplexer   waits in the stream    the peer's end of stream, `Stream.cut()`
    writer          waits for messages     `Writer.finish()`, `Stream.cut()`
    timer           waits for the end      the end: pings and reports until then, then cuts a goodbye that hangs
    and those of the sound, see `sound_threads.py`

How it ends: any thread may ask (`hang_up`, the peer's BYE, a broken stream, a bug); the first reason is kept
(`Ending`). What may still be sent and awaited then is for the `Conversation` to say: our BYE goes out behind the last
text, the peer's last text still comes in. When the peer's stream has ended, `next_event` gives `Ended`. Then
`close()` joins everything.
"""

from collections.abc import Callable

from voicemux.calls.carrier import Carrier
from voicemux.calls.ending import Ending, Reason
from voicemux.calls.event_queue import EventQueue, Watcher
from voicemux.calls.sound_threads import SoundThreads
from voicemux.calls.timekeeper import SHORT, Timekeeper
from voicemux.calls.voice import Player, Transmitter
from voicemux.calls.voice_states import VoiceStates
from voicemux.errors import OutOfResources, VoicemuxError
from voicemux.events import Delivered, Ended, Event, Stats, TextReceived, Voice
from voicemux.net.reception import REPLACED
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Conversation, Happening, PeerHungUp, TextCompleted, TextDelivered
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT
from voicemux.protocol.messages import Bye, ByeCode, Hello
from voicemux.threads import Threads
from voicemux.trace.facts import Trace

REPLACED_PATIENCE = 0.3  # seconds for the goodbye to a peer who has called again meanwhile
DELIVERY_PATIENCE = 10.0  # seconds without an acknowledgement after which waiting for delivery is given up


class Call:
    """Make it, `start()`, take events from `next_event()` until it gives `Ended`, `close()`: the owner does."""

    def __init__(
        self,
        stream: Stream,
        sending: Sending,
        receiving: Receiving,
        hello: Hello,
        transmitter: Transmitter | None,
        player: Player | None,
        *,
        recorder: Player | None = None,
        status_interval: float = 0.0,
        trace: Trace | None = None,
    ) -> None:
        """`hello` is the peer's; `recorder` gets what `player` gets; `status_interval`: seconds between two `Status`
        events, or 0."""
        self.name = hello.name or stream.peer_address.host
        self._stream = stream
        self._conversation = Conversation(stream.timeout, GOODBYE_TIMEOUT)
        self._events = EventQueue(self._on_text_taken)
        self._ending = Ending()
        self._failure: BaseException | None = None
        self._states = states = VoiceStates(self.name, transmitter, player, recorder, peer_plays=bool(hello.playable))
        self._events.subscribe(states.on_event)
        self._sound = sound = SoundThreads(transmitter, player, recorder, self._ending, self.post)
        self._carrier = Carrier(
            stream, sending, receiving, self._conversation, self._ending, states, sound, self._on_happening, trace
        )
        self._writer = self._carrier.writer
        self._timekeeper = Timekeeper(
            self.name, self._carrier, states, self._ending, self.stats, self.post, status_interval
        )
        self._threads = Threads(self._on_failure)

    def start(self) -> None:
        """Raises OutOfResources if the system has no threads for it; then nothing is left of the call."""
        try:
            self._carrier.tell_state()  # ahead of all voice
            self._threads.start("demultiplexer", self._demultiplex)
            self._threads.start("writer", self._writer.run)
            self._threads.start("timer", self._timekeeper.run)
            self._sound.start(self._threads, self._writer.send_audio)
        except OutOfResources as error:
            self._ending.by_error(error)
            self._carrier.fail(Bye(ByeCode.INTERNAL, "it has no room for a call"))
            self._sound.stop()
            self._threads.join()
            self._stream.close()
            raise

    def next_event(self) -> Event:
        """Wait for what happens next. Asking says that the one before has been shown. The last is `Ended`."""
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
        """From now on, report what the peer does with voice; returns what it has said so far: `VoiceStates.watch`."""
        return self._states.watch(patience)

    def close(self) -> None:
        """End what has not ended, join every thread, close the stream. The owner only; once.

        A bug in a thread of the call is raised here.
        """
        self.hang_up()
        self._writer.finish(Bye(), GOODBYE_TIMEOUT, peer_is_done=self._carrier.read_to_the_end.is_set())
        self._sound.stop()
        self._writer.wait_until_finished(GOODBYE_TIMEOUT + 1)
        self._carrier.read_to_the_end.wait(GOODBYE_TIMEOUT + 1)
        self._stream.cut()
        self._threads.join()
        self._stream.close()
        if ended := self.ended:
            self._events.tell_the_last(ended)
        if self._failure is not None:
            raise self._failure

    # --- for any thread, as all that follows

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Have `watcher` see every event, as it happens and beside the reader, see `EventQueue.subscribe`."""
        return self._events.subscribe(watcher)

    def post(self, event: Event) -> None:
        """Give the owner an event."""
        self._events.put(event)

    def say(self, text: str, mark: str = "") -> bool:
        """Send a line of text; waits while too much is queued. False if the call ended before it could be. If it has
        a `mark`, `next_event` tells when it has been delivered."""
        while self.goes_on:
            if self._writer.wait_for_room(1.0):
                return self._writer.send_text(text, mark)
        return False

    def wait_for_delivery(self) -> bool:
        """Wait until the peer has acknowledged all text, as long as there is progress."""
        short = min(SHORT, DELIVERY_PATIENCE)
        if self._writer.wait_for_delivery(short):
            return True
        self._timekeeper.tell_of_waiting()
        return self._writer.wait_for_delivery(DELIVERY_PATIENCE - short)

    @property
    def undelivered(self) -> list[str]:
        """The texts that the peer has not acknowledged, or the rest of them, the oldest first."""
        return [text for _, text in self._writer.undelivered]

    def mute(self) -> None:
        """Stop sending voice, or send it again."""
        self.post(self._states.mute())

    def deafen(self) -> None:
        """Stop playing the peer's voice, or play it again."""
        self.post(self._states.deafen())

    @property
    def voice(self) -> Voice:
        """What we do with voice now."""
        return self._states.own

    def stats(self) -> Stats:
        """Figures of the call so far."""
        on_its_way = self._writer.feedback.peer_on_its_way()
        received, is_over = self._conversation.texts_received, self._ending.has_begun
        return self._carrier.vitals.stats(received, on_its_way, is_over=is_over)

    def hang_up(self, code: ByeCode = ByeCode.NORMAL, reason: str = "") -> None:
        """Say goodbye behind the text that still waits. Returns at once."""
        if self._ending.begin(Reason("us", reason)):
            self._writer.finish(Bye(code, reason), GOODBYE_TIMEOUT)

    def replace(self) -> None:
        """End it at once: the same peer has called again, so this connection is dead, or not wanted any more."""
        if self._ending.begin(Reason("them", "called again")):
            self._writer.finish(Bye(ByeCode.REPLACED, REPLACED), 0, peer_is_done=True, patience=REPLACED_PATIENCE)

    def abandon(self) -> None:
        """Break off: no goodbye, no waiting."""
        self._stream.cut()

    @property
    def goes_on(self) -> bool:
        """Whether there is no reason yet to end it."""
        return not self._ending.has_begun

    def wait_for_the_end(self, timeout: float) -> None:
        """Wait until there is a reason to end it, for at most `timeout` seconds."""
        self._ending.wait(timeout)

    @property
    def error(self) -> VoicemuxError | None:
        """Why the call ended, if not well."""
        return self._ending.error

    @property
    def ended(self) -> Ended | None:
        """How it ended, as far as is known; None as long as it goes on."""
        return None if self.goes_on else self._ending.event(self._writer.undelivered, self.stats())

    def _demultiplex(self) -> None:
        try:
            self._carrier.read()
        except BaseException as error:
            self._on_failure(error)  # here, so that the owner does not learn of the end before its reason is known
        finally:
            for each in self._writer.feedback.peer_ended():
                self._on_happening(each)
            self._events.close()
            self._states.release()
            self._carrier.read_to_the_end.set()

    def _on_failure(self, error: BaseException) -> None:
        """A bug. It ends the call and is raised where the owner sees it."""
        self._failure = error
        self._ending.begin(Reason("error", "internal error"))
        self._stream.cut()

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case TextCompleted():
                self.post(TextReceived(self.name, happening.text))
            case TextDelivered():
                self.post(Delivered(happening.mark))
            case PeerHungUp():
                self._ending.by_peer(happening.bye)

    def _on_text_taken(self) -> None:
        for each in self._writer.feedback.taken():
            self._on_happening(each)
