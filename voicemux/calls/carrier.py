"""What carries a call: one stream, who writes to it and who reads from it, how the line does, and how it ends.

The call's `Conversation` outlives it: when another connection has taken its place, this one is retired. What still
comes from it is dropped then, and nothing but a last BYE goes out.
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

REPORT_INTERVAL = 1.0  # seconds between REPORTs to a peer that goes by ARRIVALS; to others one goes at each look


class Keeper(Protocol):
    """Who keeps the connections of a call, as each of them sees it. None of it waits: the demultiplexer calls it."""

    def is_loss(self, bye: Bye) -> bool:
        """Whether that BYE ends the connection only, and not the call."""

    def failed(self, carrier: "Carrier", error: RemoteProtocolError) -> None:
        """The peer has broken the protocol."""

    on_paths: Callable[["Carrier", Paths], None]  # the peer has said where it may be reached

    def lost(self, carrier: "Carrier", error: ConnectionLost) -> None:
        """Nothing comes any more."""

    def ended(self, carrier: "Carrier", error: ConnectionLost | None) -> None:
        """Nothing more will be read: the reading thread ends. `error` says why, if the connection did not end
        well."""


class Carrier:
    """`start` it; `look` is the timer's. In the end `cut` it, and `close` it when its threads are over."""

    def __init__(self, stream: Stream, sending: Sending, receiving: Receiving, parts: Parts, keeper: Keeper) -> None:
        """`parts` are the call's."""
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
        self.is_heard = False  # also when it is retired
        self._handover = Handover()  # belongs to the demultiplexer once it is started
        self._next_report = 0.0
        self._threads = Threads(parts.hears.broke)

    # --- its life

    def start(self) -> None:
        """Raises OutOfResources if the system has no threads for it."""
        self.tell_state()  # ahead of all voice
        self._threads.start("demultiplexer", self._read)
        self._threads.start("writer", self.writer.run)

    def cut(self) -> None:
        """End both directions at once."""
        if self.writer.is_retired:
            self.writer.end()
        self.stream.cut()

    def follow(self, other: "Carrier | None") -> None:
        """Play the voice of `other`, if there is one, to its end before that of this one. Before `start`."""
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

    # --- the demultiplexer: none of it waits, but for the peer

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
            self._broke(bug)  # here, so that the owner does not learn of the end before its reason is known
        finally:
            self._keeper.ended(self, error)

    def _discard(self) -> None:
        """Read what still comes, so that our goodbye is not destroyed by a reset; the timer puts an end to it."""
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
        """The call cannot begin: say so if that is possible without waiting, and break off."""
        self.writer.finish(bye, 0, peer_is_done=True)
        with self._changed:
            self._conversation.lose()
            self._changed.notify_all()
        self.stream.cut()

    # --- the timer

    def tell_state(self) -> None:
        """Tell the peer what we do with voice, if that has changed: the timer's, after the call has begun."""
        if state := self._states.news():
            self.writer.send(state)

    def look(self, now: float) -> None:
        """See how the line does, and say what is to be said now. A peer that is silent for too long is lost."""
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
        """How many bytes have come so far, and how many seconds later the peer's voice comes than at best."""
        way = self._feedback.peer_on_its_way()
        return self.stream.bytes_read, way.more if way else None

    def await_the_end(self, seconds: float, over: threading.Event) -> bool:
        """Wait for the end of the peer's stream for at most `seconds`, and no longer than the goodbye may take: then
        the stream is cut. Whether it has ended. `over` is set when all is read."""
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
        """Tell the peer what becomes of its voice: when it comes, and now and then what is done with it."""
        self.writer.tell_arrivals()
        self._vitals.heard(self._feedback.peer_on_its_way())
        if now >= self._next_report and (report := player.report()):
            self._next_report = now + (REPORT_INTERVAL if self._feedback.tells_arrivals else 0.0)
            self.writer.send(report)
