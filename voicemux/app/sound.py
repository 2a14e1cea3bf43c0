"""Checks the devices and files that the user named before the first call, and opens the sound of each call."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from voicemux.app.exchanging import DeviceExchange
from voicemux.app.settings import Settings
from voicemux.audio.choices import (
    Choice,
    DefaultDevice,
    MicMode,
    NamedDevice,
    SoundFile,
    StandardStream,
    has_file_ending,
)
from voicemux.calls.voice import Player
from voicemux.console.remedies import hint
from voicemux.errors import DeviceError, LibraryMissing
from voicemux.events import AudioStopped, Event, Interrupted, Resumed

if TYPE_CHECKING:
    from voicemux.audio.both_sides import BothSides
    from voicemux.audio.capture.gate import Gate
    from voicemux.audio.capture.transmitter import Transmitter
    from voicemux.audio.playout.mixer import Mixer
    from voicemux.audio.playout.tones import Tones
    from voicemux.audio.stream import SoundStream
    from voicemux.audio.studio import Studio
    from voicemux.trace.facts import Trace

DTX_REVEALS = "--dtx sends next to nothing while you are silent: an observer of the line sees when you speak"


@dataclass(frozen=True)
class Halves:
    """The sender and the players of voice in one call, as far as there are any."""

    transmitter: "Transmitter | None" = None
    player: Player | None = None
    recorder: Player | None = None
    is_finite: bool = False  # the input is a file or pipe, which ends
    tones: "Tones | None" = None  # tones that the player plays for the user
    sides: "BothSides | None" = None  # records the call; None if it has no sound
    exchange: DeviceExchange | None = None  # exchanges its devices; None if the call has no sound

    def on_event(self, event: Event) -> None:
        """Play a tone when the connection is lost, and when it is back. Any thread may call it."""
        if self.tones and isinstance(event, Interrupted):
            self.tones.fall()
        elif self.tones and isinstance(event, Resumed):
            self.tones.rise()


class Sound:
    """The sound of one run of the program. Only the main thread uses it."""

    def __init__(self, settings: Settings, tell: Callable[[str], None], trace: "Trace | None" = None) -> None:
        """`tell` gets sentences for the user about what cannot be used. `trace` gets facts about the playout."""
        self._wanted = settings.sound
        self._voice = settings.voice
        self._tell = tell
        self._trace = trace
        self._stream: SoundStream | None = None  # for the whole run: a pipe can be opened only once
        self._studio: Studio | None = None  # studio of this call
        self._sides: BothSides | None = None  # of this call
        self._exchange: DeviceExchange | None = None  # exchange of devices in this call
        self.broken: DeviceError | None = None  # the error of a recording or pipe that the user named, if it failed

    def check(self) -> None:
        """Check the devices and files that the user named. Raises DeviceError if one cannot be used. Default devices
        may be missing."""
        wanted = self._wanted
        if wanted.is_wanted:
            from voicemux.audio.studio import check_input, check_output

            source, sink = (
                _device_or_file(each, check)
                for each, check in ((wanted.input, check_input), (wanted.output, check_output))
            )
            self._wanted = wanted = replace(wanted, input=source, output=sink)
            if wanted.output != DefaultDevice():
                check_output(wanted.output)
            for each in (wanted.record, wanted.record_call):
                if each:
                    check_output(each)
            self._stream = None if wanted.input == DefaultDevice() else check_input(wanted.input)

    @contextlib.contextmanager
    def of_a_call(self) -> Iterator[None]:
        """Close at the end all sound that is opened inside."""
        try:
            yield
        finally:
            exchange, self._exchange = self._exchange, None
            if exchange:
                exchange.close()
            closing = [each.close for each in (self._sides, self._studio) if each]
            self._sides = self._studio = None
            for close in closing:
                try:
                    close()
                except DeviceError as error:  # a recording whose end could not be written
                    self.broken = error
                    self._tell(str(error))

    def open(self) -> tuple[int, ...]:
        """Open the sound of this call. The user is told what is missing; text works without it.

        Returns the codecs that can be played, for our HELLO.
        """
        if self._wanted.is_wanted:
            self._open_studio()
        return self.playable

    @property
    def playable(self) -> tuple[int, ...]:
        """The codecs for our HELLO, the best first."""
        return self._studio.playable if self._studio else ()

    @property
    def source(self) -> str:
        """The name of the input; empty if there is none."""
        return self._studio.source if self._studio else ""

    @property
    def is_piped(self) -> bool:
        """Whether the peer's voice goes to standard output."""
        return isinstance(self._wanted.output, StandardStream)

    def make_halves(self, playable: tuple[int, ...], *, in_stereo: bool = False) -> Halves:
        """Make the halves for a peer that plays these codecs; `in_stereo`: in two channels. If a recording cannot be
        made, the user is told, and the call goes on."""
        studio, voice = self._studio, self._voice
        if not studio:
            return Halves()
        transmitter = studio.make_transmitter(playable, voice.codec, voice.wish, in_stereo=in_stereo)
        tones = self._make_tones()
        make_player = partial(studio.make_player, trace=self._trace, tones=tones)
        player, recorder = (self._made(make) for make in (make_player, studio.make_recorder))
        sides = self._make_sides(transmitter)
        self._exchange = DeviceExchange(studio.cards, transmitter, player, self._choose)
        for wanted, made in studio.renamed:
            self._tell(f"{wanted} is there already: recording to {made}")
        if voice.wish.bandwidth and playable and studio.source and not transmitter:
            self._tell("the other side plays nothing that --bandwidth has room for: your voice is not sent")
        if transmitter:
            transmitter.muted = voice.starts_muted
            self._choose_mode(transmitter.gate)
            self._tell_of_dtx(transmitter)
        return Halves(transmitter, player, recorder, studio.finite, tones, sides, self._exchange)

    def _make_sides(self, transmitter: "Transmitter | None") -> "BothSides":
        from voicemux.audio.both_sides import BothSides

        self._sides = BothSides(transmitter, self._wanted.max_delay, 2 if self._voice.music else 1)
        if wanted := self._wanted.record_call:
            try:
                self._sides.start(wanted.path)
                if self._sides.path != wanted.path:
                    self._tell(f"{wanted.path} is there already: recording to {self._sides.path}")
            except DeviceError as error:
                self._miss(error)
        return self._sides

    def _choose(self, direction: str, name: str) -> None:
        """Note that the user wants this device, also in later calls. The exchange's thread calls this."""
        chosen = NamedDevice(name) if name else DefaultDevice()
        if direction == "input":
            self._wanted = replace(self._wanted, input=chosen)
        else:
            self._wanted = replace(self._wanted, output=chosen)

    def _choose_mode(self, gate: "Gate") -> None:
        if self._voice.mic_mode is MicMode.OPEN:
            return
        try:
            gate.choose(self._voice.mic_mode)
        except LibraryMissing as error:
            self._tell(f"{error}; your microphone is open all the time; {hint(error)}")

    def _tell_of_dtx(self, transmitter: "Transmitter") -> None:
        """Tell the user what DTX reveals, and if it has no effect because no speech detector is installed."""
        if not self._voice.wish.dtx:
            return
        self._tell(DTX_REVEALS)
        if transmitter.in_use.can_reopen and self._voice.mic_mode is MicMode.OPEN:  # a device, not a file
            from voicemux.audio.echo.canceller import check_canceller

            try:
                check_canceller()  # the speech detector comes from the same library
            except LibraryMissing as error:
                self._tell(f"{error}: an open microphone sends all the time, also with --dtx; {hint(error)}")

    def _make_tones(self) -> "Tones | None":
        if not self._wanted.tones:
            return None
        from voicemux.audio.playout.tones import Tones

        return Tones()

    def is_over(self, stopped: AudioStopped) -> bool:
        """Whether a file or pipe has failed: a sound card may come back, those cannot."""
        return bool(stopped.error and self._studio and not self._studio.may_come_back(stopped.direction))

    def is_for_nobody(self, stopped: AudioStopped) -> bool:
        """Whether the program that reads the voice from our pipe has gone."""
        return self.is_over(stopped) and stopped.direction == "output" and self.is_piped

    def _made(self, make: "Callable[[float], Mixer | None]") -> "Mixer | None":
        try:
            return make(self._wanted.max_delay)
        except DeviceError as error:
            self._miss(error)
            return None

    def _miss(self, error: DeviceError) -> None:
        self.broken = error
        self._tell(f"{error}; the call goes on without it")

    def _miss_canceller(self, error: LibraryMissing) -> None:
        self._tell(f"{error}: wear headphones, or the other side hears itself; {hint(error)}")

    def _open_studio(self) -> None:
        from voicemux.audio.studio import Studio

        studio, wanted = Studio(2 if self._voice.music else 1), self._wanted
        studio.is_recorded = wanted.record_call is not None
        self._studio = studio
        steps: tuple[Callable[[], None], ...] = (
            partial(studio.open_input, wanted.input, self._stream, late=self._voice.starts_muted),
            partial(studio.open_output, wanted.output),
            *([studio.reflect] if wanted.echo_test else []),
            *([partial(studio.record, wanted.record.path)] if wanted.record else []),
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
        if self._voice.music:
            studio.leave_as_it_is()
        else:
            studio.cancel_echo(self._voice.echo, self._tell, self._miss_canceller)
        studio.suppress_noise(self._voice.noise, lambda error: self._tell(f"{error}; {hint(error)}"))
        if missing:
            self._tell("; ".join(dict.fromkeys([*missing, *advices])))


def _device_or_file(wanted: Choice, check: Callable[[Choice], object]) -> Choice:
    """Return the device of that name if what looks like the path of a file is not one: names of devices have slashes,
    too."""
    if isinstance(wanted, SoundFile) and not os.path.exists(wanted.path) and not has_file_ending(wanted.path):
        with contextlib.suppress(DeviceError):
            check(NamedDevice(wanted.path))
            return NamedDevice(wanted.path)
    return wanted
