"""What carries a call: one stream, who writes to it and who reads from it, how the line does, and how it ends.

The call's `Conversation` outlives it.
"""

import threading
import time
from collections.abc import Callable

from voicemux.calls.ending import Ending
from voicemux.calls.sound_threads import SoundThreads
from voicemux.calls.vitals import LOOK_INTERVAL, Vitals
from voicemux.calls.voice import Player
from voicemux.calls.voice_states import VoiceStates
from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError
from voicemux.net.demultiplexer import demultiplex
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Conversation, Due, Happening
from voicemux.protocol.messages import (
    OWN_SOURCE,
    Arrivals,
    Audio,
    Bye,
    Message,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
)
from voicemux.sending.writer import Writer
from voicemux.trace.facts import Trace

REPORT_INTERVAL = 1.0  # seconds between REPORTs to a peer that goes by ARRIVALS; to others one goes at each look


class Carrier:
    """`read` is the body of the demultiplexer's thread, `writer.run` that of the writer's, `look` is the timer's."""

    def __init__(
        self,
        stream: Stream,
        sending: Sending,
        receiving: Receiving,
        conversation: Conversation,
        ending: Ending,
        states: VoiceStates,
        sound: SoundThreads,
        on_happening: Callable[[Happening], None],
        trace: Trace | None = None,
    ) -> None:
        """`on_happening` is called by the demultiplexer, and must not wait."""
        self._stream = stream
        self._receiving = receiving
        self._conversation = conversation
        self._ending = ending
        self._states = states
        self._sound = sound
        self._on_happening = on_happening
        self._changed = threading.Condition()  # guards the conversation, and what waits to be sent
        self.writer = Writer(stream, sending, conversation, self._changed, trace=trace)
        self.vitals = Vitals(stream, self.writer.counts, sound.transmitter, sound.player)
        self.read_to_the_end = threading.Event()
        self._feedback = self.writer.feedback
        self._next_report = 0.0

    # --- the demultiplexer: none of it waits, but for the peer

    def read(self) -> None:
        """Read and route until the peer's stream ends; an end that is not well is kept in the `Ending`."""
        routes: dict[type, Callable[..., None]] = {
            **dict.fromkeys((Text, TextAck, Ping, Bye), self._on_words),
            Audio: self._on_audio,
            VoiceState: self._states.on_state,
            Pong: self._on_pong,
            Report: self._feedback.on_report,
            Arrivals: self._feedback.on_arrivals,
        }
        try:
            demultiplex(self._stream, self._receiving, routes)
        except RemoteProtocolError as error:
            self._ending.by_error(error)
            self.writer.finish(Bye(error.code, str(error)), 0, peer_is_done=True)
            self._discard()
        except ConnectionLost as error:
            self._ending.by_error(self.writer.failure or error)
            self.writer.give_up()

    def _discard(self) -> None:
        """Read what still comes, so that our goodbye is not destroyed by a reset; the timer puts an end to it."""
        try:
            while self._stream.read():
                pass
        except ConnectionLost:
            pass

    def _on_words(self, message: Message) -> None:
        for each in self._feedback.received(message):
            self._on_happening(each)

    def _on_audio(self, audio: Audio) -> None:
        if audio.source == OWN_SOURCE:
            self._states.on_audio(audio)
            self._feedback.on_audio(audio)
        for player in self._sound.players:
            player.put(audio)

    def _on_pong(self, pong: Pong) -> None:
        round_trip = self.vitals.answered(pong)
        if round_trip is not None:
            self._feedback.on_round_trip(round_trip)
            for player in self._sound.players:
                player.round_trip(self.vitals.shortest_round_trip)

    # --- at the beginning

    def fail(self, bye: Bye) -> None:
        """The call cannot begin: say so if that is possible without waiting, and break off."""
        self.read_to_the_end.set()
        self.writer.finish(bye, 0, peer_is_done=True)
        self.writer.give_up()
        self._stream.cut()

    # --- the timer

    def tell_state(self) -> None:
        """Tell the peer what we do with voice, if that has changed: the timer's, after the call has begun."""
        if state := self._states.news():
            self.writer.send(state)

    def look(self, now: float) -> None:
        """See how the line does, and say what is to be said now. A peer that is silent for too long is lost."""
        transmitter, player = self._sound.transmitter, self._sound.player
        self.tell_state()
        self.vitals.look(now)
        with self._changed:
            quick = transmitter is not None and transmitter.eager
            due = self._conversation.tick(now, self._stream.bytes_read, quick=quick)
        if Due.PING in due:
            self.writer.send_ping(self.vitals.ping)
        if Due.SILENCE in due:
            silence = f"nothing came from the other side for {self._stream.timeout:.3g} s"
            self._ending.by_error(ConnectionLost(silence, kind=Kind.SILENCE))
            self.writer.give_up()
            self._stream.cut()
        if player:
            self._tell_of_voice(now, player)
        if transmitter:
            self.writer.judge(transmitter.ladder, calm=self.vitals.calm, roomy=self.vitals.roomy)

    def signs(self) -> tuple[int, float | None]:
        """How many bytes have come so far, and how many seconds later the peer's voice comes than at best."""
        way = self._feedback.peer_on_its_way()
        return self._stream.bytes_read, way.more if way else None

    def await_the_end(self, seconds: float) -> bool:
        """Wait for the end of the peer's stream for at most `seconds`, and no longer than the goodbye may take: then
        the stream is cut. Whether it has ended."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            with self._changed:
                due = self._conversation.tick(now, self._stream.bytes_read)
                deadline = self._conversation.next_deadline(now)
            if Due.CUT in due:
                self._stream.cut()
                return True
            # A goodbye that has only just begun may have no deadline yet.
            wait = LOOK_INTERVAL if deadline is None else max(LOOK_INTERVAL, deadline - now)
            if self.read_to_the_end.wait(min(wait, until - now)):
                return True
        return False

    def _tell_of_voice(self, now: float, player: Player) -> None:
        """Tell the peer what becomes of its voice: when it comes, and now and then what is done with it."""
        self.writer.tell_arrivals()
        self.vitals.heard(self._feedback.peer_on_its_way())
        if now >= self._next_report and (report := player.report()):
            self._next_report = now + (REPORT_INTERVAL if self._feedback.tells_arrivals else 0.0)
            self.writer.send(report)
