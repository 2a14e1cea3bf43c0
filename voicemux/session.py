"""What the two commands do: dial somebody, or listen for callers one after the other. Calls are held here.

The owner of everything is the main thread. It takes one event after the other from the call and
shows it; what the user types is handled in the keyboard's thread.
"""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from voicemux.answering import GLANCE, NO_QUESTION, Answering, Asks
from voicemux.call import Call
from voicemux.console.commands import (
    Answer,
    Command,
    Deafen,
    EndOfInput,
    HangUp,
    Help,
    Interrupted,
    Mute,
    Say,
    ShowCode,
    ShowMissed,
    ShowStats,
    ShowWords,
    Unknown,
    Verify,
)
from voicemux.console.plain import Console
from voicemux.console.quoting import quoted_name
from voicemux.departure import Departure, Why
from voicemux.dialling import reach
from voicemux.errors import (
    ConnectionLost,
    DeviceError,
    OutOfResources,
    VoicemuxError,
)
from voicemux.events import (
    AudioStopped,
    Calling,
    Connected,
    Ended,
    Listening,
    MissedCalls,
    NewCode,
    Notice,
    Rejected,
    Ringing,
    Stats,
    Switched,
    TurnedAway,
)
from voicemux.introduction import (
    Introduced,
    Named,
    answer,
    is_known,
    name_caller,
    name_of,
    own_hello,
    receive,
    remember,
)
from voicemux.invitation import Invitation
from voicemux.net.address import Address, is_inside
from voicemux.net.listener import Listener
from voicemux.net.reception import Caller, Reception
from voicemux.net.refusals import Refusal
from voicemux.protocol.messages import Codec, Hello
from voicemux.remedies import hint
from voicemux.trust import Security, Trust
from voicemux.voice import USUAL_BITRATE, USUAL_FRAME_MS, Player

if TYPE_CHECKING:
    from voicemux.audio.stream import Stream
    from voicemux.audio.studio import Studio

# Seconds for the other side to say what it does with voice: it may have to make a codec first. Older programs never
# do.
STATE_PATIENCE = 0.8


WITHOUT_A_CALL: dict[type, str] = {  # what becomes of a command
    Say: "that was not sent",
    ShowStats: "there are no figures yet",
    ShowWords: "there are no words to compare",
    Verify: "there are no words to compare",
    Mute: "there is no voice to mute",
    Deafen: "there is no voice to hear",
}


@dataclass(frozen=True)
class Settings:
    """What the user chose, the same for both commands."""

    name: str
    input: str = ""
    output: str = ""
    record: str = ""  # a file for what is heard
    codec: Codec | None = None
    bitrate: int = USUAL_BITRATE
    frame_ms: float = USUAL_FRAME_MS
    max_delay: float = 0.3  # seconds of playout delay
    status_interval: float = 0.0  # seconds between figures that nobody asked for; 0: never
    verbose: bool = False
    silence_timeout: float = 15.0  # seconds
    security: Security | None = None  # None: calls are plain
    asks: Asks = Asks.STRANGERS  # a listener: whose calls ring until the user answers
    starts_muted: bool = False

    @property
    def wants_audio(self) -> bool:
        return not self.input == self.output == "none" or bool(self.record)


@dataclass(frozen=True)
class Outcome:
    """How the program's last call went. Nothing of it is set if there was none."""

    ended: Ended | None = None
    error: VoicemuxError | None = None
    interrupted: bool = False
    lost_text: bool = False  # some may not have arrived, or was not sent


class Session:
    """One run of the program: a console, and at most one call at a time."""

    def __init__(
        self, settings: Settings, console: Console, departure: Departure, *, reads_input: bool = True
    ) -> None:
        """`reads_input` is false where standard input is not for typing."""
        self._settings = settings
        self._console = console
        self._departure = departure
        self._invitation = Invitation(console)
        self._last: Stats | None = None  # figures of the call before
        self._interrupted: Call | None = None  # which Ctrl-C has hung up
        self._call: Call | None = None
        self._reception: Reception | None = None
        self._reads_input = reads_input
        self._typed_all = not reads_input
        self._typed_something = False
        self._finite = False  # the input has an end of its own
        self._heard_all = False  # and has reached it
        self._noticed: set[str] = set()
        self._unsent = 0  # texts that came when there was no call to send them in
        self._trust = Trust(settings.security) if settings.security else None
        self._met: Introduced | None = None  # in this call
        self._studio: Studio | None = None  # of this call
        self._stream: Stream | None = None  # of the whole run: a pipe is opened once
        self._broken: DeviceError | None = None  # a recording or pipe that was named, and took no more
        self._answering: Answering | None = None  # of a listener

    # --- the two commands, in the main thread ------------------------------------------------------

    def dial(
        self,
        target: str,
        ask_code: Callable[[str], str] = lambda _: "",
        interrupting: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> Outcome:
        """Call an address, or a contact, and hold the call. Raises VoicemuxError if it does not come about.

        `ask_code` is asked for the code of somebody unknown, before the console reads what is typed. `interrupting`
        is around what nothing but a KeyboardInterrupt can end.
        """
        with interrupting():
            self._check_audio()
        self._check_contacts()
        with self._sound():
            with interrupting():
                met = reach(
                    target,
                    self._trust,
                    self._hello,
                    lambda address: self._console.show(Calling(address)),
                    lambda address: self._console.show(Ringing("", address)),
                    ask_code,
                    patience=self._settings.silence_timeout,
                    tell=self._notice,
                )
            return self._hold(met)

    def listen(self, host: str | None, port: int, *, once: bool) -> Outcome:
        """Serve one caller after the other; only the first if `once`. Raises VoicemuxError if that cannot be."""
        self._check_audio()
        self._check_contacts()
        listener = Listener(host, port)
        addresses = listener.addresses()
        places = [Address(each, listener.port) for each in addresses]
        reception, admission = receive(
            listener,
            self._trust,
            self._on_turned_away,
            partial(self._on_code, places),
            self._notice,
            self._on_replaced,
        )
        self._reception = reception
        answering = self._answering = Answering(
            reception,
            self._settings.asks,
            self._console.show,
            self._console.ring,
            lambda caller: name_caller(caller, self._trust, self._notice),
            lambda caller: is_known(caller, self._trust, self._notice),
            self._start_console,
        )
        try:
            code = admission.code if admission else ""
            self._invitation.begin(self._dials(places, code), once=once)
            self._console.show(Listening(listener.port, addresses, self._dials(places, code), code))
            if self._trust and is_inside(addresses[0]) and not self._trust.contacts.all():
                self._notice(
                    f"{addresses[0]} works inside your own network only: from elsewhere it takes a VPN, a tunnel, or "
                    f"a router that forwards port {listener.port} to this machine, and the router's address"
                )
            reception.start()
            if self._console.eager:
                self._start_console()
            with self._departure.waking(lambda: reception.interrupt(_Leave())):
                while True:
                    try:
                        outcome = self._take(answering.next_caller())
                    except OutOfResources as error:
                        outcome = Outcome()
                        self._notice(f"{error}; that call was not answered")
                    has_no_reader = self._broken and self._is_piped
                    if self._departure.why or has_no_reader or (once and outcome.ended and not reception.is_replaced):
                        return outcome
                    reception.free()
        except _Leave:
            return Outcome()
        finally:
            self._reception = self._answering = None
            reception.close()
            self._invitation.close()

    def _dials(self, places: list[Address], code: str) -> list[str]:
        """What the other side types."""
        security = self._settings.security
        option = "--unencrypted " if security is None else "--open " if security.is_open and not code else ""
        return [f"voicemux dial {option}{place} {code}".rstrip() for place in places]

    def _on_code(self, places: list[Address], code: str, why: str) -> None:
        self._invitation.changed(NewCode(code, why, self._dials(places, code)))

    def _take(self, caller: Caller) -> Outcome:
        """Take a call: only now sound is opened."""
        with self._sound():
            try:
                with self._departure.waking(_nothing, caller.stream.cut):
                    met = answer(caller, self._hello_to_caller)
            except ConnectionLost as error:
                self._console.show(Notice(f"the caller has gone: {error}"))
                return Outcome()
            self._invitation.call_begins()
            try:
                return self._hold(met)
            finally:
                self._invitation.call_ended()

    def _hello_to_caller(self) -> Hello:
        hello = self._hello()
        if self._departure.why:
            raise _Leave
        return hello

    # --- one call --------------------------------------------------------------------------------------

    def _hold(self, met: Introduced) -> Outcome:
        """Hold a call from its first moment to its last."""
        settings, studio, stream = self._settings, self._studio, met.stream
        self._met = met
        named = name_of(met, self._trust, self._notice)
        hello = replace(met.hello, name=named.name)
        stream.set_timeout(settings.silence_timeout)
        transmitter = player = recorder = None
        self._finite = self._heard_all = False
        if studio:
            transmitter = studio.make_transmitter(hello.playable, settings.codec, settings.frame_ms, settings.bitrate)
            player, recorder = (self._made(make) for make in (studio.make_player, studio.make_recorder))
            for wanted, made in studio.renamed:
                self._notice(f"{wanted} is there already: recording to {made}")
            self._finite = studio.finite
            self._heard_all = self._finite and transmitter is None  # as of a file that has ended
        if transmitter:
            transmitter.muted = settings.starts_muted
        sends = transmitter.codec.name.lower() if transmitter else ""
        call = Call(
            stream,
            met.sending,
            met.receiving,
            hello,
            transmitter,
            player,
            recorder=recorder,
            status_interval=settings.status_interval,
        )
        with self._departure.waking(partial(self._hang_up, call), call.abandon), _collected_garbage():
            call.start()
            self._call = call  # before anybody is told: whoever answers at once is heard
            try:
                if self._reception and self._reception.is_replaced:
                    call.replace()
                self._console.show(self._connected(call, met, named, sends))
                if settings.verbose:
                    self._console.show(Notice(f"the connection has: {', '.join(stream.options) or 'no options'}"))
                if transmitter and settings.codec and transmitter.codec != settings.codec:
                    self._notice(f"the other side cannot play {settings.codec.name.lower()}: sending {sends}")
                if self._heard_all:
                    self._console.show(
                        Notice(f"the other side plays no voice: {studio.source if studio else ''} is not sent")
                    )
                    self._hang_up_if_all_is_said(call)
                if transmitter and transmitter.muted:
                    self._console.show(Switched("muted", True))
                self._start_console()
                return self._show_until_the_end(call)
            finally:
                self._call = self._met = None
                call.close()

    def _connected(self, call: Call, met: Introduced, named: Named, sends: str) -> Connected:
        """Who it is, and who hears whom, as far as the other side has said so."""
        told, came_as = call.watch_the_peer(STATE_PATIENCE)
        hears = ""
        if call.voice.plays and (came_as or (told and told.sends)):
            assert self._studio
            playable = self._studio.playable
            likely = next((each for each in playable if each in met.hello.playable), playable[0])
            hears = _codec_name(came_as or likely)
        return Connected(
            call.name,
            met.stream.peer.host,
            met.hello.agent,
            sends,
            hears,
            met.security,
            met.words,
            own=call.voice,
            peer=told,
            claims=named.claims,
            is_known=named.is_known,
        )

    def _verify(self) -> None:
        """The user has compared the words."""
        met = self._met  # looked at once: the call may end meanwhile
        if not (self._trust and met and met.words):
            self._reject("there are no words to compare in this call")
        elif name := remember(met, self._trust, self._notice):
            who = quoted_name(name)
            self._console.show(Notice(f"remembered as {who}: the next call needs neither code nor words"))

    def _show_until_the_end(self, call: Call) -> Outcome:
        while True:
            event = call.next_event()
            if isinstance(event, AudioStopped):
                event = replace(event, ends_call=self._is_for_nobody(event))
            if isinstance(event, Ended) and self._settings.verbose and not self._console.tells_at_once:
                self._console.show(event.stats)
            self._console.show(event)
            if isinstance(event, AudioStopped) and event.direction == "input" and self._finite:
                self._heard_all = True
                self._hang_up_if_all_is_said(call)
            if isinstance(event, AudioStopped) and event.error:
                self._on_broken(event, call)
            if isinstance(event, Ended):
                self._last = event.stats
                lost_text = bool(event.undelivered or self._unsent)
                return Outcome(event, call.error or self._broken, self._interrupted is call, lost_text)

    def _on_broken(self, stopped: AudioStopped, call: Call) -> None:
        """A file or pipe that was named is of no use any more. Without a reader behind it the call is for nobody."""
        if self._studio and not self._studio.may_come_back(stopped.direction):
            self._broken = DeviceError(stopped.error)
            if stopped.ends_call:
                call.hang_up()

    def _is_for_nobody(self, stopped: AudioStopped) -> bool:
        """Whether the program that was to hear the call has gone."""
        is_over = bool(stopped.error and self._studio and not self._studio.may_come_back(stopped.direction))
        return is_over and stopped.direction == "output" and self._is_piped

    @property
    def _is_piped(self) -> bool:
        """Whether what is heard goes to a program behind a pipe."""
        return self._settings.output == "-"

    def _made(self, make: Callable[[float], Player | None]) -> Player | None:
        """None if a recording cannot be made, which is said."""
        try:
            return make(self._settings.max_delay)
        except DeviceError as error:
            self._broken = error
            self._notice(f"{error}; the call goes on without it")
            return None

    def _hang_up(self, call: Call) -> None:
        """The user wants to be gone: what was typed still arrives, what is still to be shown is not waited for."""
        self._console.hurry()
        call.hang_up()

    def _hang_up_if_all_is_said(self, call: Call) -> None:
        """Where what is typed and what is heard come from files or pipes, the end of both ends the call.

        An input that was closed or empty from the beginning says nothing about the call.
        """
        if self._typed_all and (self._heard_all if self._finite else self._typed_something):
            call.hang_up()

    # --- what is typed, in the keyboard's thread ----------------------------------------------------------

    def handle(self, command: Command) -> None:
        """Do what the user wants. Called by the console."""
        call = self._heard_by(command)
        match command:
            case Say() if call is None and self._answering and self._answering.is_asking:
                if command.accepts is None:
                    slash = self._console.slash
                    self._reject(f"it rings, {slash}accept or {slash}decline: that was not sent", command)
                else:
                    self._answer(command.accepts)
            case Help():
                self._console.show(Notice(self._console.help(self._useless())))
            case Unknown():
                self._console.show(Rejected(command.why, command.id))
            case EndOfInput():
                if call:
                    call.wait_for_delivery()
                self._typed_all, self._typed_something = True, command.meant
                if call:
                    self._hang_up_if_all_is_said(call)
                elif command.meant:
                    self._departure.ask(Why.QUIT)
            case ShowCode():
                self._invitation.show()
            case Answer():
                self._answer(command.accepts)
            case ShowMissed():
                self._console.show(self._answering.missed() if self._answering else MissedCalls([]))
            case _ if call is None:
                if isinstance(command, HangUp):
                    self._departure.ask(Why.QUIT)
                elif isinstance(command, Interrupted):
                    self._departure.ask(Why.INTERRUPTED, break_off=self._departure.why is not None)
                elif isinstance(command, ShowStats) and self._last:
                    self._console.show(self._last)
                else:
                    self._reject(f"nobody is connected: {WITHOUT_A_CALL[type(command)]}", command)
            case Say():
                if not call.say(command.text, command.id):
                    self._reject("the call has ended: that was not sent", command)
            case ShowWords():
                met = self._met
                words = " ".join(met.words) if met else ""
                say = f"say them; if they are the same on both sides: {self._console.slash}verify"
                self._console.show(Notice(f"{words} ({say})" if words else "this call needs no words to compare"))
            case Verify():
                self._verify()
            case Mute():
                call.mute()
            case Deafen():
                call.deafen()
            case ShowStats():
                call.post(call.stats())
            case HangUp():
                call.hang_up()
            case Interrupted() if self._interrupted is call or not call.goes_on:
                self._departure.ask(Why.INTERRUPTED, break_off=True)
            case Interrupted():
                self._interrupted = call
                self._hang_up(call)

    def _useless(self) -> set[str]:
        """The commands that can do nothing here."""
        useless = set[str]()
        if not self._answering:
            useless |= {"code", "accept", "decline", "missed"}
        elif self._settings.asks is Asks.NOBODY:
            useless |= {"accept", "decline"}
        if not self._trust or (self._met and not self._met.words):
            useless |= {"words", "verify"}
        if not self._settings.wants_audio:
            useless |= {"mute", "deafen"}
        return useless

    def _reject(self, why: str, command: Command | None = None) -> None:
        """A command was not obeyed. Who pipes in a file is told once, and not for each of its lines."""
        is_text = isinstance(command, Say)
        self._unsent += is_text
        if self._console.eager or why not in self._noticed:
            self._noticed.add(why)
            self._console.show(Rejected(why, command.id if isinstance(command, Say) else ""))

    def _answer(self, accepts: bool) -> None:
        if why := self._answering.answer(accepts) if self._answering else NO_QUESTION:
            self._reject(why)

    def _heard_by(self, command: Command) -> Call | None:
        """The call in which the command is given. In a pipe, what is said waits for the call that rings."""
        if not self._console.eager and isinstance(command, Say | EndOfInput):
            answering = self._answering
            while self._call is None and answering and answering.is_settling:
                time.sleep(GLANCE)
        return self._call

    # --- shared --------------------------------------------------------------------------------------------

    def _start_console(self) -> None:
        if self._reads_input:
            self._reads_input = False
            self._console.start(self.handle)

    def _on_replaced(self) -> None:
        """The caller has called again. Called by the reception."""
        if call := self._call:  # before, it is asked for
            call.replace()

    def _on_turned_away(self, refusal: Refusal) -> None:
        """Somebody was not answered. Called by the reception."""
        if self._answering and refusal.name and refusal.why == "busy":
            self._answering.miss(refusal.name, refusal.address, "busy")
        else:
            self._console.show(TurnedAway(**vars(refusal)))

    def _hello(self) -> Hello:
        """Opens the sound of this call, which says what can be heard here."""
        if self._settings.wants_audio:
            self._open_studio()
        return own_hello(self._settings.name, self._studio.playable if self._studio else ())

    def _check_contacts(self) -> None:
        """Say whom we should know, and cannot."""
        if self._trust and (passed_over := self._trust.contacts.passed_over()):
            self._notice(passed_over)

    def _check_audio(self) -> None:
        """Raises DeviceError if the user named a device or file that cannot be used. Defaults may be missing."""
        settings = self._settings
        if settings.wants_audio:
            from voicemux.audio.studio import check_input, check_output

            for wanted in filter(None, (settings.output, settings.record)):
                check_output(wanted)
            self._stream = check_input(settings.input) if settings.input else None

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """Whatever sound is opened inside is closed at the end."""
        try:
            yield
        finally:
            studio, self._studio = self._studio, None
            if studio:
                try:
                    studio.close()
                except DeviceError as error:  # the end of a recording
                    self._broken = error
                    self._notice(str(error))

    def _open_studio(self) -> None:
        """The sound for this call, as far as there is any: what is missing is said, text goes on."""
        from voicemux.audio.studio import Studio

        studio = self._studio = Studio()
        steps: tuple[Callable[[], None], ...] = (
            partial(studio.open_input, self._settings.input, self._stream, late=self._settings.starts_muted),
            partial(studio.open_output, self._settings.output),
            *([partial(studio.record, self._settings.record)] if self._settings.record else []),
            studio.check_codec,
        )
        missing: list[str] = []
        advices: list[str] = []
        for step in steps:
            try:
                step()
            except DeviceError as error:
                missing.append(str(error))
                advices.append(hint(error) or "voicemux devices lists what there is")
        if missing:
            self._notice("; ".join(dict.fromkeys([*missing, *advices])))

    def _notice(self, text: str) -> None:
        """Say something once in this run."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._console.show(Notice(text))


def _codec_name(number: int) -> str:
    return Codec(number).name.lower() if number in list(Codec) else str(number)


@contextlib.contextmanager
def _collected_garbage() -> Iterator[None]:
    """During a call, garbage is looked for only in what the call makes: going through all that there is stops every
    thread for 20 ms or more."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _nothing() -> None:
    pass


class _Leave(Exception):
    """The user leaves a listener that is in no call."""
