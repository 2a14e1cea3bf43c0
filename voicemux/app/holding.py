"""Holds one call from its beginning to its end, in the main thread, and shows its events one after the other."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from voicemux.app.departure import Departure
from voicemux.app.echo_test import attend
from voicemux.app.held import Held, hurry_away
from voicemux.app.notices import Notices
from voicemux.app.settings import Settings
from voicemux.app.sound import Halves, Sound
from voicemux.app.volumes import VolumeMemory
from voicemux.audio.choices import MicMode
from voicemux.calls.call import RunningCall
from voicemux.calls.introduction import Introduced, Named, name_peer
from voicemux.calls.trust import Trust
from voicemux.console.plain import Console
from voicemux.errors import DeviceError, VoicemuxError
from voicemux.events import AudioStopped, Connected, Ended, MicModeChosen, Notice, Switched
from voicemux.protocol.messages import Codec
from voicemux.threads import Threads
from voicemux.trace.facts import CallBegan, CallEnded, Trace
from voicemux.trace.frames import watch

# Seconds to wait for the peer's first STATE: it may have to start a codec first. Older programs never send one.
STATE_PATIENCE = 0.8


@dataclass(frozen=True)
class Outcome:
    """How the program's last call went; all defaults if there was none."""

    ended: Ended | None = None
    error: VoicemuxError | None = None
    interrupted: bool = False
    lost_text: bool = False  # some text was not sent, or may not have arrived


class Holding:
    """Holds one call at a time."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        departure: Departure,
        trust: Trust | None,
        sound: Sound,
        held: Held,
        notices: Notices,
        start_console: Callable[[], None],
        trace: Trace | None = None,
    ) -> None:
        self._settings = settings
        self._console = console
        self._departure = departure
        self._trust = trust
        self._sound = sound
        self._held = held
        self._notices = notices
        held.volumes = VolumeMemory(settings.sound.volume, trust, notices.once)
        self._start_console = start_console
        self._trace = trace

    def hold(self, met: Introduced, is_replaced: Callable[[], bool] = lambda: False) -> Outcome:
        """Hold a call until it has ended. `is_replaced` returns whether the peer has called again before the call
        began."""
        held, line, display = self._held, met.stream, self._settings.display
        held.met = met
        named = name_peer(met, self._trust, self._notices.once)
        hello = replace(met.hello, name=named.name)
        line.set_timeout(self._settings.silence_timeout)
        halves = self._sound.make_halves(hello.playable, in_stereo=hello.plays_stereo)
        volume = held.volumes.begin(halves.player, met) if held.volumes else None
        held.is_finite = halves.is_finite
        held.has_sent_all = halves.is_finite and halves.transmitter is None  # as if it were a file that has ended
        if self._trace:
            watch(met.sending, met.receiving, self._trace)
            sends = halves.transmitter.codec.name.lower() if halves.transmitter else ""
            self._trace(CallBegan(met.security, met.hello.agent, sends, halves.player is not None))
        call = RunningCall(
            line,
            met.sending,
            met.receiving,
            hello,
            halves.transmitter,
            halves.player,
            recorder=halves.recorder,
            status_interval=display.status_interval,
            trace=self._trace,
            bond=met.bond,
        )
        threads = Threads()
        with self._departure.waking(partial(hurry_away, call, self._console), call.abandon), _collected_garbage():
            call.subscribe(halves.on_event)
            if halves.sides and halves.sides.recorder:
                call.record(halves.sides.recorder)
            call.start()
            held.sides, held.exchange = halves.sides, halves.exchange
            if self._settings.sound.echo_test:
                threads.start("echo-test", partial(attend, call))
            if halves.exchange and halves.exchange.has_cards:
                halves.exchange.follow(call.post)
            held.call = call  # before the user is told, so that what is typed at once goes to this call
            try:
                if is_replaced():
                    call.replace()
                self._tell_how_it_begins(call, met, named, halves)
                if volume:
                    self._console.show(volume)
                self._start_console()
                return self._show_until_the_end(call)
            finally:
                held.call = held.met = held.sides = held.exchange = None
                call.close()
                threads.join()

    def _tell_how_it_begins(self, call: RunningCall, met: Introduced, named: Named, halves: Halves) -> None:
        transmitter, wanted = halves.transmitter, self._settings.voice.codec
        sends = transmitter.codec.name.lower() if transmitter and not transmitter.in_use.is_missing else ""
        self._console.show(self._connected(call, met, named, sends))
        if self._settings.display.verbose:
            self._console.show(Notice(f"the connection has: {', '.join(met.stream.options) or 'no options'}"))
        if transmitter and wanted and transmitter.codec not in _forms_of(wanted):
            self._notices.once(f"the other side cannot play {wanted.name.lower()}: sending {sends}")
        if self._held.has_sent_all:
            self._console.show(Notice(f"the other side plays no voice: {self._sound.source} is not sent"))
            self._held.hang_up_if_all_is_said(call)
        if transmitter and transmitter.muted:
            self._console.show(Switched("muted", True))
        if transmitter and transmitter.gate.mode != MicMode.OPEN:
            self._console.show(MicModeChosen(transmitter.gate.mode))

    def _connected(self, call: RunningCall, met: Introduced, named: Named, sends: str) -> Connected:
        """Return the event that says who the peer is, and who hears whom, as far as the peer has said so."""
        told, came_as = call.watch_the_peer(STATE_PATIENCE)
        hears = ""
        if call.voice.plays and (came_as or (told and told.sends)):
            playable = self._sound.playable
            likely = next((each for each in playable if each in met.hello.playable), playable[0])
            hears = _codec_name(came_as or likely)
        return Connected(
            call.name,
            met.stream.place,
            met.hello.agent,
            sends,
            hears,
            met.security,
            met.words,
            own=call.voice,
            peer=told,
            claims=named.claims,
            is_known=named.is_known,
            relay=met.stream.relay,
        )

    def _show_until_the_end(self, call: RunningCall) -> Outcome:
        held = self._held
        while True:
            event = call.next_event()
            if isinstance(event, AudioStopped):
                event = replace(event, ends_call=self._sound.is_for_nobody(event))
            if isinstance(event, Ended) and self._settings.display.verbose and not self._console.tells_at_once:
                self._console.show(event.stats)
            self._console.show(event)
            if isinstance(event, AudioStopped) and event.direction == "input" and held.is_finite:
                held.has_sent_all = True
                held.hang_up_if_all_is_said(call)
            if isinstance(event, AudioStopped) and self._sound.is_over(event):
                self._on_broken(event, call)
            if isinstance(event, Ended):
                held.last = event.stats
                if self._trace:
                    self._trace(CallEnded(event.by, event.kind, event.undelivered))
                lost_text = bool(event.undelivered or held.unsent)
                return Outcome(event, call.error or self._sound.broken, held.interrupted is call, lost_text)

    def _on_broken(self, stopped: AudioStopped, call: RunningCall) -> None:
        """Note that a file or pipe that the user named has failed. If a pipe has lost its reader, the call ends."""
        self._sound.broken = DeviceError(stopped.error)
        if stopped.ends_call:
            call.hang_up()


def _forms_of(wanted: Codec) -> tuple[Codec, ...]:
    """Return the codecs that fulfil a wish: PCM has one channel or two."""
    return (Codec.PCM, Codec.PCM_STEREO) if wanted is Codec.PCM else (wanted,)


def _codec_name(number: int) -> str:
    return Codec(number).name.lower() if number in list(Codec) else str(number)


@contextlib.contextmanager
def _collected_garbage() -> Iterator[None]:
    """Restrict garbage collection during a call to objects that the call makes: examining all others stops every
    thread for 20 ms or more."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
