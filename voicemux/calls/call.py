"""One call: the only place that knows the lives of its threads, and the first reason why it ended.

The threads of a call, and what wakes each when it is to end:

    demultiplexer   waits in the stream    the peer's end of stream, `Stream.cut()`
    writer          waits for messages     `Writer.finish()`, `Stream.cut()`
    timer           waits for the end      the end: pings and reports until then, then cuts a goodbye that hangs
    microphone      waits for the source   `Transmitter.stop()`
    speaker         waits for the sink     `Player.stop()`
    recorder        likewise: a second player, whose sink is a file

How it ends: anybody may ask (`hang_up`, the peer's BYE, a broken stream, a bug); the first reason is
kept. The goodbye goes out behind the last text, the peer's last text still comes in, and when its
stream has ended `next_event` gives `Ended`. Then `close()` joins everything.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from voicemux.calls.vitals import LOOK_INTERVAL, Vitals
from voicemux.calls.voice import Half, Player, Transmitter
from voicemux.calls.watch import Signs, Watch
from voicemux.console.remedies import hint
from voicemux.errors import ConnectionLost, DeviceError, OutOfResources, RemoteProtocolError, VoicemuxError
from voicemux.events import (
    AudioStarted,
    AudioStopped,
    Delivered,
    Ended,
    Event,
    Notice,
    Rejected,
    Stats,
    Status,
    Switched,
    TextReceived,
    Undelivered,
    Voice,
    Waiting,
)
from voicemux.net.demultiplexer import demultiplex
from voicemux.net.reception import REPLACED
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.delivery import Inbox
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    ByeCode,
    Hello,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
)
from voicemux.sending.writer import Writer
from voicemux.threads import Threads, take
from voicemux.trace.facts import Trace

REPORT_INTERVAL = 1.0  # seconds between REPORTs to a peer that goes by ARRIVALS; to others one goes at each look
REOPEN_INTERVAL = 2.0  # seconds between two attempts to have a broken device back
REPLACED_PATIENCE = 0.3  # seconds for the goodbye to a peer who has called again meanwhile
GOODBYE_TIMEOUT = 2.0  # seconds for our last text, and as long again for the peer's (protocol.md §10)
MOST_UNDELIVERED_SHOWN = 20  # texts that may not have arrived: who pipes a file does not want all of it again
MOST_OF_A_TEXT_SHOWN = 200  # characters of each
OWN_SOURCE = 0  # whose AUDIO and STATE the peer's own are; others are for relays to come
SHORT = 1.0  # seconds for which the user waits without being told what for
DELIVERY_PATIENCE = 10.0  # seconds without an acknowledgement after which waiting for delivery is given up


class _Over:
    """The peer's stream has been read to its end: nothing more will come."""


@dataclass(frozen=True)
class _Reason:
    by: str
    text: str
    error: VoicemuxError | None = None
    said: str = ""  # the peer's words


class Call:
    """Make it, `start()`, take events from `next_event()` until it gives `Ended`, `close()`."""

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
        """`recorder` gets what `player` gets. `status_interval` is the seconds between two `Status` events, or 0."""
        self.hello = hello
        self.name = hello.name or stream.peer_address.host
        self._stream = stream
        self._receiving = receiving
        self._transmitter = transmitter
        self._player = player
        self._recorder = recorder
        self._writer = Writer(stream, sending, lambda mark: self.post(Delivered(mark)), trace=trace)
        self._inbox = Inbox()  # filled by the demultiplexer, emptied by the owner, both under the lock
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[Event | Bye | _Over] = queue.SimpleQueue()
        self._unacknowledged = False  # the owner holds a text that is acknowledged when it asks for the next event
        self._ending = threading.Event()
        self._read_to_the_end = threading.Event()
        self._reason: _Reason | None = None
        self._failure: BaseException | None = None
        self._texts_received = 0
        self._speaks = transmitter is not None  # until its source ends or breaks
        self._told: VoiceState | None = None  # what the peer was told last; the timer's, after `start`
        self._peer_voice: Voice | None = None  # what the peer has told
        self._packets = 0  # of the peer's voice
        self._newest: Audio | None = None
        self._tells_of_waiting = False
        self._peer_told = threading.Event()  # it has said what it does with voice, or shown it, or never will
        self._watch: Watch | None = None
        self._vitals = Vitals(stream, self._writer.counts, transmitter, player)
        self._status_interval = status_interval
        self._patience = 2 * GOODBYE_TIMEOUT  # seconds for what is left once there is a reason to end
        self._next_status = time.monotonic() + status_interval
        self._next_report = 0.0
        self._threads = Threads(self._on_failure)

    # --- for the owner -------------------------------------------------------------------------

    def start(self) -> None:
        """Raises OutOfResources if the system has no threads for it; then nothing is left of the call."""
        try:
            self._start()
        except OutOfResources:
            self._ending.set()
            self._read_to_the_end.set()
            self._writer.finish(Bye(ByeCode.INTERNAL, "it has no room for a call"), 0, peer_is_done=True)
            self._writer.give_up()
            self._stream.cut()
            self._stop_sound()
            self._threads.join()
            self._stream.close()
            raise

    def _start(self) -> None:
        self._tell_state()  # ahead of all voice
        self._threads.start("demultiplexer", self._demultiplex)
        self._threads.start("writer", self._writer.run)
        self._threads.start("timer", self._keep_time)
        if self._transmitter:
            self._threads.start("microphone", self._transmit)
        if self._player:
            self._threads.start("speaker", self._play)
        if self._recorder:
            self._threads.start("recorder", self._record)

    def _stop_sound(self) -> None:
        for half in (self._transmitter, self._player, self._recorder):
            if half:
                half.stop()

    def next_event(self) -> Event:
        """Wait for what happens next. Asking says that the one before has been shown. The last is `Ended`."""
        while True:
            self.took()
            event = take(self._events)
            if isinstance(event, Bye):  # the peer's: by now all text that came before it has been shown
                self._writer.finish(Bye(), GOODBYE_TIMEOUT, peer_is_done=True)
            elif isinstance(event, _Over):
                self._writer.finish(Bye(), GOODBYE_TIMEOUT, peer_is_done=True)  # so that no text is taken any more
                assert self.ended
                return self.ended
            else:
                self._unacknowledged = isinstance(event, TextReceived)
                return event

    def watch_the_peer(self, patience: float) -> tuple[Voice | None, int | None]:
        """From here on, `next_event` tells of what the peer does with voice, of silence where there should be none.

        What it has said so far, after waiting for that for at most `patience` seconds, and the codec in which its
        voice has come; None for what is not known.
        """
        self._peer_told.wait(patience)
        voice, newest = self._peer_voice, self._newest
        watch = Watch(self.name, hears=self._player is not None)
        watch.begin(voice, hears=newest is not None)
        self._watch = watch
        return voice, newest.codec if newest else None

    def took(self) -> None:
        """Say that the last event has been shown, without asking for the next. Any thread may."""
        with self._lock:
            if not self._unacknowledged:
                return
            self._unacknowledged = False
            self._inbox.taken()
        self._acknowledge()

    def close(self) -> None:
        """End whatever has not ended, join every thread, close the stream. The owner only; once.

        A bug in a thread of the call is raised here.
        """
        self.hang_up()
        self._writer.finish(Bye(), GOODBYE_TIMEOUT, peer_is_done=self._read_to_the_end.is_set())
        self._stop_sound()
        self._writer.wait_until_finished(GOODBYE_TIMEOUT + 1)
        self._read_to_the_end.wait(GOODBYE_TIMEOUT + 1)
        self._stream.cut()
        self._threads.join()
        self._stream.close()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Break off: no goodbye, no waiting."""
        self._stream.cut()

    @property
    def error(self) -> VoicemuxError | None:
        """Why the call ended, if not well."""
        return self._reason.error if self._reason else None

    @property
    def goes_on(self) -> bool:
        """Whether there is no reason yet to end it."""
        return not self._ending.is_set()

    def wait_for_the_end(self, timeout: float) -> None:
        """Wait until there is a reason to end it, at most so many seconds."""
        self._ending.wait(timeout)

    @property
    def ended(self) -> Ended | None:
        """How it ended, as far as is known; None as long as it goes on."""
        reason = self._reason
        if reason is None:
            return None
        kind, advice = (str(reason.error.kind or ""), hint(reason.error)) if reason.error else ("", "")
        texts = self._writer.undelivered
        return Ended(
            reason.by,
            reason.text,
            len(texts),
            self.stats(),
            said=reason.said,
            kind=kind,
            hint=advice,
            undelivered_texts=[Undelivered(_shortened(text), mark) for mark, text in texts[:MOST_UNDELIVERED_SHOWN]],
        )

    @property
    def undelivered(self) -> list[str]:
        """The texts that the peer has not acknowledged, or the rest of them, the oldest first."""
        return [text for _, text in self._writer.undelivered]

    # --- for any thread --------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Give the owner an event."""
        self._events.put(event)

    def say(self, text: str, mark: str = "") -> bool:
        """Send a line of text; waits while too much is queued. False if the call ended before it could be.

        If it has a `mark`, `next_event` tells when it has been delivered.
        """
        while not self._ending.is_set():
            if self._writer.wait_for_room(1.0):
                return self._writer.send_text(text, mark)
        return False

    def wait_for_delivery(self) -> bool:
        """Wait until the peer has acknowledged all text, as long as there is progress."""
        short = min(SHORT, DELIVERY_PATIENCE)
        if self._writer.wait_for_delivery(short):
            return True
        self._tell_of_waiting()
        return self._writer.wait_for_delivery(DELIVERY_PATIENCE - short)

    def hang_up(self, code: ByeCode = ByeCode.NORMAL, reason: str = "") -> None:
        """Say goodbye behind the text that still waits. Returns at once."""
        if self._end(_Reason("us", reason)):
            self._writer.finish(Bye(code, reason), GOODBYE_TIMEOUT)

    def replace(self) -> None:
        """End it at once: the same peer has called again, so this connection is dead, or not wanted any more."""
        self._patience = REPLACED_PATIENCE
        if self._end(_Reason("them", "called again")):
            self._writer.finish(Bye(ByeCode.REPLACED, REPLACED), 0, peer_is_done=True)

    def mute(self) -> None:
        """Stop sending voice, or send it again."""
        if self._transmitter:
            self._transmitter.muted = not self._transmitter.muted
            self.post(Switched("muted", self._transmitter.muted))
        else:
            self.post(Rejected("you send no voice in this call"))

    def deafen(self) -> None:
        """Stop playing the peer's voice, or play it again."""
        if self._player:
            self._player.deafened = not self._player.deafened
            self.post(Switched("deafened", self._player.deafened))
        else:
            self.post(Rejected("you hear no voice in this call"))

    @property
    def voice(self) -> Voice:
        """What we do with voice now."""
        transmitter, player = self._transmitter, self._player
        return Voice(
            sends=self._speaks,
            plays=player is not None,
            muted=bool(transmitter and transmitter.muted),
            deafened=bool(player and player.deafened),
            records=any(each.records for each in (player, self._recorder) if each),
        )

    def stats(self) -> Stats:
        is_over = self._reason is not None
        return self._vitals.stats(self._texts_received, self._writer.feedback.peer_on_its_way(), is_over=is_over)

    # --- the bodies of the threads -----------------------------------------------------------------

    def _demultiplex(self) -> None:
        routes: dict[type, Callable[..., None]] = {
            Text: self._on_text,
            TextAck: lambda ack: self._writer.feedback.on_text_ack(ack.id),
            Audio: self._on_audio,
            VoiceState: self._on_state,
            Ping: lambda ping: self._writer.send(Pong(ping.data)),
            Pong: self._on_pong,
            Report: self._writer.feedback.on_report,
            Arrivals: self._writer.feedback.on_arrivals,
            Bye: self._on_bye,
        }
        try:
            demultiplex(self._stream, self._receiving, routes)
        except RemoteProtocolError as error:
            self._end(_Reason("error", str(error), error))
            self._writer.finish(Bye(error.code, str(error)), 0, peer_is_done=True)
            self._discard()
        except ConnectionLost as error:
            why = self._writer.failure or error
            self._end(_Reason("error", str(why), why))
            self._writer.give_up()
        except BaseException as error:
            self._on_failure(error)  # here, so that the owner does not learn of the end before its reason is known
        finally:
            with self._lock:
                rest = self._inbox.end()
            if rest is not None:
                self._events.put(TextReceived(self.name, rest))
            self._events.put(_Over())
            self._peer_told.set()
            self._read_to_the_end.set()

    def _discard(self) -> None:
        """Read what still comes, so that our goodbye is not destroyed by a reset; the timer puts an end to it."""
        try:
            while self._stream.read():
                pass
        except ConnectionLost:
            pass

    def _keep_time(self) -> None:
        while not self._ending.wait(LOOK_INTERVAL):
            now = time.monotonic()
            self._tell_state()
            self._look_at_the_peer(now)
            if self._vitals.look(now):
                self._writer.send_ping(self._vitals.ping)
            if self._player:
                self._tell_of_voice(now, self._player)
            if self._transmitter:
                self._writer.judge(self._transmitter.ladder, calm=self._vitals.calm, roomy=self._vitals.roomy)
            if self._status_interval and now >= self._next_status:
                self._next_status = now + self._status_interval
                self.post(Status(**vars(self.stats())))
        short = min(SHORT, self._patience)
        if self._read_to_the_end.wait(short):
            return
        self._tell_of_waiting()
        if not self._read_to_the_end.wait(self._patience - short):
            self._stream.cut()

    def _tell_of_voice(self, now: float, player: Player) -> None:
        """Tell the peer what becomes of its voice: when it comes, and now and then what is done with it."""
        self._writer.tell_arrivals()
        self._vitals.heard(self._writer.feedback.peer_on_its_way())
        if now >= self._next_report and (report := player.report()):
            self._next_report = now + (REPORT_INTERVAL if self._writer.feedback.tells_arrivals else 0.0)
            self._writer.send(report)

    def _tell_of_waiting(self) -> None:
        """Once, as long as there is something to wait for."""
        if not (self._tells_of_waiting or self._read_to_the_end.is_set()):
            self._tells_of_waiting = True
            self.post(Waiting(self.name, len(self._writer.undelivered)))

    def _tell_state(self) -> None:
        """Tell the peer what we do with voice, if that has changed: never more often than the timer looks."""
        own = self.voice
        state = VoiceState(voice=own.sends, muted=own.muted, deafened=own.deafened, records=own.records)
        if state != self._told:
            self._told = state
            self._writer.send(state)

    def _look_at_the_peer(self, now: float) -> None:
        if self._watch is None:
            return
        newest, transmitter = self._newest, self._transmitter
        way = self._writer.feedback.peer_on_its_way()
        signs = Signs(
            bytes_read=self._stream.bytes_read,
            packets=self._packets,
            paused=newest is not None and not newest.data,
            peer=self._peer_voice,
            late=way.more if way else None,
            own_silence=transmitter.silent_for if transmitter and self._speaks else 0.0,
        )
        for event in self._watch.look(now, signs):
            self.post(event)

    def _transmit(self) -> None:
        assert self._transmitter
        self._run_audio("input", self._transmitter, partial(self._transmitter.run, self._writer.send_audio))

    def _play(self) -> None:
        assert self._player
        self._run_audio("output", self._player, self._player.run)

    def _record(self) -> None:
        assert self._recorder
        self._run_audio("recording", self._recorder, self._recorder.run)

    def _run_audio(self, direction: str, half: Half, body: Callable[[Callable[[float], None]], None]) -> None:
        """Voice may end for a reason of its own; the call goes on, and a device may come back."""
        while not self._ending.is_set():
            error = ""
            try:
                body(lambda since: self._on_start(direction, half, since))
            except DeviceError as failure:
                error = str(failure)
            if half is self._transmitter:
                self._speaks = False
            if not self._ending.is_set():
                self.post(AudioStopped(direction, error))
            if not error or not self._get_back(half):
                return
            self.post(Notice(f"the {direction} device works again: {half.label}"))

    def _on_start(self, direction: str, half: Half, since: float) -> None:
        if half is self._transmitter:
            self._speaks = True
        self.post(AudioStarted(direction, half.label, since))

    def _get_back(self, half: Half) -> bool:
        """Wait until a broken device is there again. False if it never will be, or the call ends."""
        while half.can_reopen and not self._ending.wait(REOPEN_INTERVAL):
            with contextlib.suppress(DeviceError):
                half.reopen()
                return True
        return False

    def _on_failure(self, error: BaseException) -> None:
        """A bug. It ends the call and is raised where the owner sees it."""
        self._failure = error
        self._end(_Reason("error", "internal error"))
        self._stream.cut()

    # --- what the demultiplexer routes here: none of it waits -----------------------------------------

    def _on_text(self, text: Text) -> None:
        with self._lock:
            message = self._inbox.receive(text)
        if message is None:
            self._acknowledge()
        else:
            self._texts_received += 1
            self._events.put(TextReceived(self.name, message))

    def _on_audio(self, audio: Audio) -> None:
        if audio.source == OWN_SOURCE:
            self._packets += 1
            self._newest = audio
            self._writer.feedback.on_audio(audio)
            self._peer_told.set()
        for player in (self._player, self._recorder):
            if player:
                player.put(audio)

    def _on_state(self, state: VoiceState) -> None:
        if state.source == OWN_SOURCE:
            plays = bool(self.hello.playable)
            self._peer_voice = Voice(state.voice, plays, state.muted, state.deafened, state.records)
            self._peer_told.set()

    def _on_pong(self, pong: Pong) -> None:
        round_trip = self._vitals.answered(pong)
        if round_trip is not None:
            self._writer.feedback.on_round_trip(round_trip)
            for player in (self._player, self._recorder):
                if player:
                    player.round_trip(self._vitals.shortest_round_trip)

    def _on_bye(self, bye: Bye) -> None:
        is_well = bye.code == ByeCode.NORMAL
        error = None if is_well else ConnectionLost(describe_bye(bye), said=bye.reason)
        self._end(_Reason("them", "" if is_well else name_of_code(bye), error, bye.reason))
        self._events.put(bye)

    # --- shared ---------------------------------------------------------------------------------------

    def _acknowledge(self) -> None:
        with self._lock:
            number = self._inbox.acknowledgement
        if number:
            self._writer.send(TextAck(number))

    def _end(self, reason: _Reason) -> bool:
        """Keep the first reason. Whether this was it."""
        with self._lock:
            first = self._reason is None
            if first:
                self._reason = reason
        self._ending.set()
        return first


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_OF_A_TEXT_SHOWN else text[: MOST_OF_A_TEXT_SHOWN - 1] + "…"


def describe_bye(bye: Bye) -> str:
    """What a goodbye with a code says of why. Its reason, a peer's text, is not part of it."""
    return f"the other side ended the call ({name_of_code(bye)})"


def name_of_code(bye: Bye) -> str:
    """In lower case: "flood"; unknown codes count as internal errors (protocol.md §5.5)."""
    try:
        name = ByeCode(bye.code).name
    except ValueError:
        name = ByeCode.INTERNAL.name
    return name.lower().replace("_", " ")
