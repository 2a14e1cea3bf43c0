"""One connection that carries a call: its stream, the threads that write and read it, and its measurements.

The call's `Conversation` outlives it. When another connection takes its place, this one is retired: what still comes
from it is dropped, and nothing goes out on it but a last BYE.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from voicemux.calls.handover import Handover
from voicemux.calls.parts import Parts
from voicemux.calls.vitals import LOOK_INTERVAL
from voicemux.calls.voice import Player
from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError
from voicemux.net.demultiplexer import demultiplex
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Due
from voicemux.protocol.messages import (
    OWN_SOURCE,
    Arrivals,
    Audio,
    Bye,
    Message,
    Paths,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
)
from voicemux.sending.writer import Writer
from voicemux.threads import Threads

# Seconds between REPORTs to a peer that uses ARRIVALS instead; a peer that does not gets one at every look.
REPORT_INTERVAL = 1.0


class Keeper(Protocol):
    """The owner of a call's connections, as each connection sees it (`lines.Lines`). The demultiplexer calls these
    methods, so none of them may wait."""

    def is_loss(self, bye: Bye) -> bool:
        """Whether that BYE ends the connection only, and not the call."""

    def failed(self, carrier: "Carrier", error: RemoteProtocolError) -> None:
        """The peer has broken the protocol."""

    on_paths: Callable[["Carrier", Paths], None]  # the peer has said where it may be reached

    def lost(self, carrier: "Carrier", error: ConnectionLost) -> None:
        """The peer has been silent for too long."""

    def ended(self, carrier: "Carrier", error: ConnectionLost | None) -> None:
        """The reading thread ends, and reads nothing more. `error` says why, if the connection did not end well."""


class Carrier:
    """One connection of a call. `start` it; the timer calls `look`. In the end, `cut` it, and `close` it when its
    threads have ended."""

    def __init__(self, stream: Stream, sending: Sending, receiving: Receiving, parts: Parts, keeper: Keeper) -> None:
        """`parts` belong to the call and outlive this connection; `keeper` is told what happens to it."""
        self.stream = stream
        self._receiving = receiving
        self._conversation, self._changed = parts.conversation, parts.changed
        self._keeper = keeper
        self._happened, self._broke = parts.hears.happened, parts.hears.broke
        self._states, self._sound, self._vitals = parts.states, parts.sound, parts.vitals
        self.writer = Writer(
            stream, sending, parts.conversation, parts.changed, trace=parts.trace, counts=parts.counts
        )
        self._feedback = self.writer.feedback
        self.is_heard = False  # its voice is played even though it is retired
        self._handover = Handover()  # belongs to the demultiplexer once it is started
        self._next_report = 0.0
        self._threads = Threads(parts.hears.broke)

    # --- its life

    def start(self) -> None:
        """Start the threads that read and write. Raises OutOfResources if the system has no thread left."""
        self.tell_state()  # STATE goes out before the first AUDIO
        self._threads.start("demultiplexer", self._read)
        self._threads.start("writer", self.writer.run)

    def cut(self) -> None:
        """End both directions at once."""
        if self.writer.is_retired:
            self.writer.end()
        self.stream.cut()

    def follow(self, other: "Carrier | None") -> None:
        """Play the rest of the voice of `other`, the connection before this one, before that of this one. None: there
        is none. Call it before `start`."""
        if other:
            self._handover.follow(lambda: other.is_over)

    @property
    def is_over(self) -> bool:
        """Whether its threads have ended, or were never started."""
        return self._threads.are_over

    def close(self) -> None:
        """Join its threads, which `cut` has woken, and close the stream."""
        self._threads.join()
        self.stream.close()

    # --- the demultiplexer's thread: nothing here waits, except for the peer's bytes

    def _read(self) -> None:
        """Read and route until the peer's stream ends."""
        routes: dict[type, Callable[..., None]] = {
            **dict.fromkeys((Text, TextAck, Ping, Bye), self._on_words),
            Audio: self._on_audio,
            VoiceState: self._on_state,
            Paths: self._on_paths,
            Pong: self._on_pong,
            Report: self._feedback.on_report,
            Arrivals: self._feedback.on_arrivals,
        }
        error = None
        try:
            demultiplex(self.stream, self._receiving, routes)
        except RemoteProtocolError as fault:
            self._keeper.failed(self, fault)
            self._discard()
        except ConnectionLost as lost:
            error = self.writer.failure or lost
        except BaseException as bug:
            self._broke(bug)  # here, and not in Threads: the reason must be known before the owner is told of the end
        finally:
            self._keeper.ended(self, error)

    def _discard(self) -> None:
        """Read and drop what still comes: if unread bytes are left when the socket closes, TCP resets the connection,
        and our BYE is lost. The timer cuts the stream in the end."""
        try:
            while self.stream.read():
                pass
        except ConnectionLost:
            pass

    def _on_words(self, message: Message) -> None:
        if isinstance(message, Bye) and not self.writer.is_retired and self._keeper.is_loss(message):
            raise ConnectionLost("the other side has given up this connection", kind=Kind.SILENCE)
        for each in self._feedback.received(message):
            self._happened(each)

    def _on_state(self, state: VoiceState) -> None:
        if not self.writer.is_retired:
            self._states.on_state(state)

    def _on_paths(self, paths: Paths) -> None:
        if not self.writer.is_retired:
            self._keeper.on_paths(self, paths)

    def _on_audio(self, audio: Audio) -> None:
        if self.writer.is_retired and not self.is_heard:
            return
        if audio.source == OWN_SOURCE:
            self._states.on_audio(audio)
            if not self.writer.is_retired:
                self._feedback.on_audio(audio)
        playable = self._handover.take(audio, time.monotonic())
        for player in self._sound.players:
            if playable.is_first:
                player.begin_again(goes_on=True)
            for packet, arrival in playable.packets:
                player.put(packet, arrival)

    def _on_pong(self, pong: Pong) -> None:
        if self.writer.is_retired:
            return
        round_trip = self._vitals.answered(pong)
        if round_trip is not None:
            self._feedback.on_round_trip(round_trip)
            for player in self._sound.players:
                player.round_trip(self._vitals.shortest_round_trip)

    # --- at the beginning

    def fail(self, bye: Bye) -> None:
        """The call cannot begin: send `bye` if the kernel takes it at once, and cut the stream."""
        self.writer.finish(bye, 0, peer_is_done=True)
        with self._changed:
            self._conversation.lose()
            self._changed.notify_all()
        self.stream.cut()

    # --- the timer

    def tell_state(self) -> None:
        """Send STATE if it has changed. Once the call has begun, only the timer calls this."""
        if state := self._states.news():
            self.writer.send(state)

    def look(self, now: float) -> None:
        """Measure the connection, and send what is due: PING, REPORT, ARRIVALS. Gives the connection up if the peer
        has been silent for too long. `now` is in seconds."""
        transmitter, player = self._sound.transmitter, self._sound.player
        self.tell_state()
        self._vitals.look(now)
        with self._changed:
            if self.writer.is_retired:
                return
            quick = transmitter is not None and transmitter.eager
            due = self._conversation.tick(now, self.stream.bytes_read, quick=quick)
        if Due.PING in due:
            self.writer.send_ping(self._vitals.ping)
        if Due.SILENCE in due:
            silence = f"nothing came from the other side for {self.stream.timeout:.3g} s"
            self._keeper.lost(self, ConnectionLost(silence, kind=Kind.SILENCE))
        if player:
            self._tell_of_voice(now, player)
        if transmitter:
            self.writer.judge(transmitter.ladder, calm=self._vitals.calm, roomy=self._vitals.roomy)

    def signs(self) -> tuple[int, float | None]:
        """Return how many bytes have come so far, and by how many seconds the peer's voice is later than it was at
        best."""
        way = self._feedback.peer_on_its_way()
        return self.stream.bytes_read, way.more if way else None

    def await_the_end(self, seconds: float, over: threading.Event) -> bool:
        """Wait at most `seconds` for the end of the peer's stream, which sets `over`. Returns True once it has ended.
        If the goodbye takes longer than it may, the stream is cut, which counts as the end."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            with self._changed:
                due = self._conversation.tick(now, self.stream.bytes_read)
                deadline = self._conversation.next_deadline(now)
            if Due.CUT in due:
                self.stream.cut()
                return True
            # A goodbye that has only just begun may have no deadline yet.
            wait = LOOK_INTERVAL if deadline is None else max(LOOK_INTERVAL, deadline - now)
            if over.wait(min(wait, until - now)):
                return True
        return False

    def _tell_of_voice(self, now: float, player: Player) -> None:
        """Tell the peer when its voice arrives (ARRIVALS), and now and then how it is played (REPORT)."""
        self.writer.tell_arrivals()
        self._vitals.heard(self._feedback.peer_on_its_way())
        if now >= self._next_report and (report := player.report()):
            self._next_report = now + (REPORT_INTERVAL if self._feedback.tells_arrivals else 0.0)
            self.writer.send(report)
