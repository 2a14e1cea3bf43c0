"""What the two commands do: dial somebody, or listen for callers one after the other. Calls are held here.

The owner of everything is the main thread. It takes one event after the other from the call and
shows it; what the user types is handled in the keyboard's thread.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from voicemux import __version__
from voicemux.call import Call, Interrupt
from voicemux.console.commands import (
    HELP,
    Command,
    Deafen,
    EndOfInput,
    HangUp,
    Help,
    Interrupted,
    Mute,
    Say,
    ShowStats,
    Unknown,
)
from voicemux.console.plain import Console
from voicemux.errors import (
    CallRefused,
    ConnectionLost,
    DeviceError,
    LibraryMissing,
    RemoteProtocolError,
    VoicemuxError,
)
from voicemux.events import (
    AudioStopped,
    Calling,
    Connected,
    Ended,
    Listening,
    Notice,
    Ringing,
    TurnedAway,
)
from voicemux.interrupts import interrupts_handled_by, interrupts_wait
from voicemux.net.address import Address
from voicemux.net.greeting import Greeting, part
from voicemux.net.line import Line, Listener, dial, local_addresses
from voicemux.net.reception import Caller, Reception
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Bye, ByeCode, Codec, Hello
from voicemux.protocol.messages import Ringing as RingingMessage
from voicemux.protocol.wire import MAX_NAME
from voicemux.remedies import remedy

if TYPE_CHECKING:
    from voicemux.audio.studio import Studio


EVERYWHERE = ("0.0.0.0", "::")  # hosts to listen on, but not to dial


@dataclass(frozen=True)
class Settings:
    """What the user chose, the same for both commands."""

    name: str
    input: str = ""
    output: str = ""
    record: str = ""  # a file for what is heard
    codec: Codec | None = None
    bitrate: int = 28_000  # bits a second: by PESQ as good as 36, and with its headers less than 64 on the line
    frame_ms: float = 20
    low_delay: bool = False  # of the codec
    max_delay: float = 0.3  # seconds of playout delay
    status_interval: float = 0.0  # seconds between figures that nobody asked for; 0: never
    verbose: bool = False
    silence_timeout: float = 15.0  # seconds

    @property
    def wants_audio(self) -> bool:
        return not self.input == self.output == "none"


@dataclass(frozen=True)
class Outcome:
    """How the program's last call went. Nothing of it is set if there was none."""

    ended: Ended | None = None
    error: VoicemuxError | None = None
    interrupted: bool = False


class Session:
    """One run of the program: a console, and at most one call at a time."""

    def __init__(self, settings: Settings, console: Console, *, reads_input: bool = True) -> None:
        """`reads_input` is false where standard input is not for typing."""
        self._settings = settings
        self._console = console
        self._call: Call | None = None
        self._reception: Reception | None = None
        self._calls = 0
        self._reads_input = reads_input
        self._typed_all = not reads_input
        self._typed_something = False
        self._finite = False  # the input has an end of its own
        self._heard_all = False  # and has reached it
        self._noticed: set[str] = set()

    # --- the two commands, in the main thread ------------------------------------------------------

    def dial(self, address: Address) -> Outcome:
        """Call `address` and hold the call. Raises VoicemuxError if it does not come about."""
        self._check_audio()
        self._console.show(Calling(str(address)))
        line = dial(address)
        greeting = Greeting(line)
        with contextlib.ExitStack() as stack:
            stack.callback(line.close)
            try:
                greeting.open()
                studio = stack.enter_context(self._studio())
                peer = greeting.introduce(self._hello(studio), lambda: self._console.show(Ringing("", str(address))))
            except CallRefused:
                part(line, greeting.sending, Bye())
                raise
            except RemoteProtocolError as error:
                if greeting.receiving.greeted or error.code == ByeCode.VERSION:
                    part(line, greeting.sending, Bye(error.code, str(error)))
                raise
            return self._hold(line, greeting.sending, greeting.receiving, peer, studio)

    def listen(self, host: str | None, port: int, *, once: bool) -> Outcome:
        """Serve one caller after the other; only the first if `once`. Raises VoicemuxError if that cannot be."""
        self._check_audio()
        listener = Listener(host, port)
        reception = self._reception = Reception(listener, self._on_turned_away)
        try:
            addresses = [host] if host and host not in EVERYWHERE else local_addresses()
            dials = [f"voicemux dial {Address(each, listener.port)}" for each in addresses or ["localhost"]]
            self._console.show(Listening(listener.port, addresses, dials))
            with interrupts_wait():
                reception.start()
                if self._console.eager:
                    self._start_console()
            while True:
                outcome = self._answer(reception.next_caller())
                if outcome.interrupted or (once and outcome.ended):
                    return outcome
                reception.free()
        except _Leave:
            return Outcome()
        finally:
            self._reception = None
            with interrupts_wait():
                reception.close()

    def _answer(self, caller: Caller) -> Outcome:
        self._console.show(Ringing(caller.hello.name, caller.line.peer.host))
        with contextlib.ExitStack() as stack:
            stack.callback(caller.line.close)
            try:
                caller.line.write(caller.sending.encode(RingingMessage()))
                studio = stack.enter_context(self._studio())
                caller.line.write(caller.sending.encode(self._hello(studio)))
            except ConnectionLost as error:
                self._console.show(Notice(f"the caller has gone: {error}"))
                return Outcome()
            return self._hold(caller.line, caller.sending, caller.receiving, caller.hello, studio)

    # --- one call --------------------------------------------------------------------------------------

    def _hold(
        self, line: Line, sending: Sending, receiving: Receiving, peer: Hello, studio: "Studio | None"
    ) -> Outcome:
        """Hold a call from its first moment to its last."""
        settings = self._settings
        line.set_timeout(settings.silence_timeout)
        transmitter = player = None
        self._finite = self._heard_all = False
        if studio:
            transmitter = studio.make_transmitter(
                peer.playable, settings.codec, settings.frame_ms, settings.bitrate, low_delay=settings.low_delay
            )
            player = studio.make_player(settings.max_delay)
            self._finite = studio.finite and transmitter is not None
        sends = transmitter.codec.name.lower() if transmitter else ""
        hears = Codec(studio.playable[0]).name.lower() if studio and player else ""
        call = Call(line, sending, receiving, peer, transmitter, player, status_interval=settings.status_interval)
        with _interrupts_to(call), _collected_garbage():
            call.start()
            self._call = call  # before anybody is told: whoever answers at once is heard
            try:
                self._console.show(Connected(call.name, line.peer.host, peer.agent, sends, hears))
                if settings.verbose:
                    self._console.show(Notice(f"the connection has: {', '.join(line.options) or 'no options'}"))
                if transmitter and settings.codec and transmitter.codec != settings.codec:
                    self._notice(f"the other side cannot play {settings.codec.name.lower()}: sending {sends}")
                self._start_console()
                return self._show_until_the_end(call)
            finally:
                self._call = None
                call.close()

    def _show_until_the_end(self, call: Call) -> Outcome:
        interrupted = False
        while True:
            event = call.next_event()
            if isinstance(event, Interrupt):
                if interrupted:
                    call.abandon()
                interrupted = True
                call.hang_up()
                continue
            self._console.show(event)
            if isinstance(event, AudioStopped) and event.direction == "input" and self._finite:
                self._heard_all = True
                self._hang_up_if_all_is_said(call)
            if isinstance(event, Ended):
                return Outcome(event, call.error, interrupted)

    def _hang_up_if_all_is_said(self, call: Call) -> None:
        """Where what is typed and what is heard come from files or pipes, the end of both ends the call.

        An input that was closed or empty from the beginning says nothing about the call.
        """
        if self._typed_all and (self._heard_all if self._finite else self._typed_something):
            call.hang_up()

    # --- what is typed, in the keyboard's thread ----------------------------------------------------------

    def handle(self, command: Command) -> None:
        """Do what the user wants. Called by the console."""
        call = self._call
        match command:
            case Help():
                self._console.show(Notice(HELP))
            case Unknown():
                self._console.show(Notice(command.why))
            case EndOfInput():
                if call:
                    call.wait_for_delivery()
                self._typed_all, self._typed_something = True, command.meant
                if call:
                    self._hang_up_if_all_is_said(call)
                elif command.meant:
                    self._leave(_Leave())
            case _ if call is None:
                if isinstance(command, HangUp):
                    self._leave(_Leave())
                elif isinstance(command, Interrupted):
                    self._leave(KeyboardInterrupt())
                else:
                    self._console.show(Notice("nobody is connected: that was not sent"))
            case Say():
                if not call.say(command.text):
                    self._notice("the call has ended: that was not sent")
            case Mute():
                call.mute()
            case Deafen():
                call.deafen()
            case ShowStats():
                call.post(call.stats())
            case HangUp():
                call.hang_up()
            case Interrupted():
                call.post(Interrupt())

    def _leave(self, why: BaseException) -> None:
        if self._reception:
            self._reception.interrupt(why)

    # --- shared --------------------------------------------------------------------------------------------

    def _start_console(self) -> None:
        if self._reads_input:
            self._reads_input = False
            self._console.start(self.handle)

    def _on_turned_away(self, host: str, why: str) -> None:
        self._console.show(TurnedAway(host, why))

    def _hello(self, studio: "Studio | None") -> Hello:
        name = self._settings.name.encode(errors="replace")[:MAX_NAME].decode(errors="ignore")
        return Hello(name, f"voicemux/{__version__}", studio.playable if studio else ())

    def _check_audio(self) -> None:
        """Raises DeviceError if the user named a device or file that cannot be used. Defaults may be missing."""
        settings = self._settings
        if settings.wants_audio:
            from voicemux.audio.studio import check

            named = (("input", settings.input), ("output", settings.output), ("output", settings.record))
            for kind, wanted in named:
                if wanted:
                    check(kind, wanted)

    @contextlib.contextmanager
    def _studio(self) -> "Iterator[Studio | None]":
        """The sound for the next call, as far as there is any: what is missing is said, text goes on."""
        if not self._settings.wants_audio:
            yield None
            return
        from voicemux.audio.studio import Studio

        self._calls += 1
        studio = Studio()
        try:
            steps: tuple[Callable[[], None], ...] = (
                partial(studio.open_input, self._settings.input),
                partial(studio.open_output, self._numbered(self._settings.output)),
                *([partial(studio.record, self._numbered(self._settings.record))] if self._settings.record else []),
                studio.check_codec,
            )
            missing: list[str] = []
            advices: list[str] = []
            for step in steps:
                try:
                    step()
                except DeviceError as error:
                    missing.append(str(error))
                    advices.append(advice(error))
            if missing:
                self._notice("; ".join(dict.fromkeys([*missing, *advices])))
            yield studio
        finally:
            studio.close()

    def _numbered(self, output: str) -> str:
        """The name of this call's recording: each call of a listener has a file of its own."""
        from voicemux.audio.studio import is_file

        if self._calls == 1 or not is_file(output):
            return output
        stem, ending = os.path.splitext(output)
        return f"{stem}-{self._calls}{ending}"

    def _notice(self, text: str) -> None:
        """Say something once in this run."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._console.show(Notice(text))


def advice(error: DeviceError) -> str:
    """What to do about sound that does not work."""
    if isinstance(error, LibraryMissing):
        return f"to have it: {remedy(error.library)}"
    return "voicemux devices lists what there is"


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


class _Leave(Exception):
    """The user leaves a listener that is in no call."""


@contextlib.contextmanager
def _interrupts_to(call: Call) -> Iterator[None]:
    """Ctrl-C and a request to end the process hang up. The second breaks off whatever is going on."""
    asked = False

    def post(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:  # the owner may hang in a write that nobody reads
            call.abandon()
            raise KeyboardInterrupt
        asked = True
        call.post(Interrupt())

    with interrupts_handled_by(post):
        yield
