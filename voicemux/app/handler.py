"""Obeys typed commands, in the keyboard's thread, while the main thread holds the call."""

import time

from voicemux.app.answering import GLANCE, NO_QUESTION, Answering, Asks
from voicemux.app.call_recording import begin_recording, end_recording
from voicemux.app.departure import Departure, Why
from voicemux.app.exchanging import obey
from voicemux.app.held import Held, hurry_away
from voicemux.app.invitation import Inviter
from voicemux.app.notices import Notices
from voicemux.app.settings import Settings
from voicemux.calls.call import RunningCall
from voicemux.calls.introduction import remember
from voicemux.calls.trust import Trust
from voicemux.console.commands import (
    Answer,
    ChooseMic,
    ChooseVolume,
    Command,
    Deafen,
    EndOfInput,
    HangUp,
    Help,
    Interrupt,
    ListDevices,
    Mute,
    PushToTalk,
    RecordBoth,
    Say,
    ShowCode,
    ShowLevel,
    ShowMissed,
    ShowStats,
    ShowWords,
    StopRecording,
    Unknown,
    UseDevice,
    Verify,
)
from voicemux.console.plain import Console
from voicemux.console.quoting import quoted_name
from voicemux.events import MissedCalls, Notice, Rejected, VolumeChosen

WITHOUT_A_CALL: dict[type, str] = {  # why a command cannot be obeyed
    Say: "that was not sent",
    ShowLevel: "there is nothing to measure",
    ShowStats: "there are no figures yet",
    ShowWords: "there are no words to compare",
    Verify: "there are no words to compare",
    ChooseMic: "there is no microphone to open",
    PushToTalk: "there is no microphone to open",
    ChooseVolume: "there is no voice to hear",
    Mute: "there is no voice to mute",
    Deafen: "there is no voice to hear",
    RecordBoth: "there is no call to record",
    StopRecording: "there is no call to record",
    UseDevice: "the next call takes --input and --output",
    ListDevices: "voicemux devices lists them",
}


class CommandHandler:
    """Obeys commands. The keyboard's thread calls `handle`, the main thread the rest."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        departure: Departure,
        trust: Trust | None,
        invitation: Inviter,
        held: Held,
        notices: Notices,
        *,
        reads_input: bool,
    ) -> None:
        """`reads_input` is False if standard input is not for typing."""
        self._settings = settings
        self._console = console
        self._departure = departure
        self._trust = trust
        self._invitation = invitation
        self._held = held
        self._notices = notices
        self._is_to_start = reads_input
        self.answering: Answering | None = None  # set for a listener

    def start(self) -> None:
        """Let the console read what is typed from now on. Calling it again does nothing."""
        if self._is_to_start:
            self._is_to_start = False
            self._console.start(self.handle)

    def handle(self, command: Command) -> None:
        """Obey one command. The console calls this."""
        call, answering = self._heard_by(command), self.answering
        match command:
            case Say() if call is None and answering and answering.is_asking:
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
                self._held.has_typed_all, self._held.has_typed_something = True, command.meant
                if not command.meant:
                    self._stop_asking()
                if call:
                    self._held.hang_up_if_all_is_said(call)
                elif command.meant:
                    self._departure.ask(Why.QUIT)
            case ShowCode():
                self._invitation.show()
            case Answer():
                self._answer(command.accepts)
            case ShowMissed():
                self._console.show(answering.missed() if answering else MissedCalls([]))
            case _ if call is None:
                if isinstance(command, HangUp):
                    self._departure.ask(Why.QUIT)
                elif isinstance(command, Interrupt):
                    self._departure.ask(Why.INTERRUPTED, break_off=self._departure.why is not None)
                elif isinstance(command, ShowStats) and self._held.last:
                    self._console.show(self._held.last)
                else:
                    self._reject(f"nobody is connected: {WITHOUT_A_CALL[type(command)]}", command)
            case Say():
                if not call.say(command.text, command.id):
                    self._reject("the call has ended: that was not sent", command)
            case ShowWords():
                met = self._held.met
                words = " ".join(met.words) if met else ""
                say = f"say them; if they are the same on both sides: {self._console.slash}verify"
                self._console.show(Notice(f"{words} ({say})" if words else "this call needs no words to compare"))
            case Verify():
                self._verify()
            case Mute():
                call.mute()
            case Deafen():
                call.deafen()
            case RecordBoth():
                self._console.show(begin_recording(call, self._held.sides, command.path))
            case StopRecording():
                self._console.show(end_recording(call, self._held.sides))
            case UseDevice() | ListDevices():
                obey(command, self._held.exchange, call.post)
            case ShowStats():
                call.post(call.stats())
            case ChooseMic():
                call.post(call.states.choose_mode(command.mode))
            case ChooseVolume():
                chosen = call.states.choose_volume(command.to, command.by)
                call.post(chosen)
                if isinstance(chosen, VolumeChosen) and command != ChooseVolume() and self._held.volumes:
                    self._held.volumes.keep(chosen, self._held.met)
            case PushToTalk():
                call.post(call.states.talk(command.on))
            case ShowLevel():
                call.post(call.states.level())
            case HangUp():
                call.hang_up()
            case Interrupt() if self._held.interrupted is call or not call.goes_on:
                self._departure.ask(Why.INTERRUPTED, break_off=True)
            case Interrupt():
                self._held.interrupted = call
                hurry_away(call, self._console)

    def _verify(self) -> None:
        """Save the peer as a contact: the user has compared the words."""
        met = self._held.met  # read only once: the call may end meanwhile
        if not (self._trust and met and met.words):
            self._reject("there are no words to compare in this call")
        elif name := remember(met, self._trust, self._notices.once):
            who = quoted_name(name)
            self._console.show(Notice(f"remembered as {who}: the next call needs neither code nor words"))

    def _useless(self) -> set[str]:
        """Return the commands that can do nothing in this session or call."""
        useless, met = set[str](), self._held.met
        if not self.answering:
            useless |= {"code", "accept", "decline", "missed"}
        elif self._settings.ring.asks is Asks.NOBODY:
            useless |= {"accept", "decline"}
        if not self._trust or (met and not met.words):
            useless |= {"words", "verify"}
        if not self._settings.sound.is_wanted:
            useless |= {"mute", "deafen", "level", "mic", "talk", "volume", "record", "stop_recording"}
            useless |= {"devices", "input", "output"}
        return useless

    def _reject(self, why: str, command: Command | None = None) -> None:
        """Tell the user why a command was not obeyed. In a pipe, that is told once, and not for each line."""
        is_text = isinstance(command, Say)
        self._held.unsent += is_text
        if self._notices.is_new(why) or self._console.eager:
            self._console.show(Rejected(why, command.id if isinstance(command, Say) else ""))

    def _answer(self, accepts: bool) -> None:
        answering = self.answering
        if why := answering.answer(accepts) if answering else NO_QUESTION:
            self._reject(why)

    def _stop_asking(self) -> None:
        """Send away each call that rings, because nothing will ever be typed to take it."""
        answering, asks, security = self.answering, self._settings.ring.asks, self._settings.security
        if answering and (asks is Asks.EVERYBODY or (asks is Asks.STRANGERS and security and security.is_open)):
            answering.stop_asking()
            self._notices.once(
                "standard input has ended, so no call that rings can be taken; --auto-accept takes every call"
            )

    def _heard_by(self, command: Command) -> RunningCall | None:
        """Return the call for which the command is meant, or None. In a pipe, a text waits until it is decided
        whether the ringing call is taken."""
        if not self._console.eager and isinstance(command, Say | EndOfInput):
            answering = self.answering
            while self._held.call is None and answering and answering.is_settling:
                time.sleep(GLANCE)
        return self._held.call
