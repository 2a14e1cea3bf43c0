"""The sound of a run: what the user named is checked before the first call, and opened for each."""

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


@dataclass(frozen=True)
class Halves:
    """What sends and plays voice in one call, as far as there is any."""

    transmitter: "Transmitter | None" = None
    player: Player | None = None
    recorder: Player | None = None
    is_finite: bool = False  # the input has an end of its own
    tones: "Tones | None" = None  # in the player, for the user
    sides: "BothSides | None" = None  # to record the call; None if it has no sound
    exchange: DeviceExchange | None = None  # of its devices, likewise

    def on_event(self, event: Event) -> None:
        """Let the user hear that the line is lost, or back. Any thread."""
        if self.tones and isinstance(event, Interrupted):
            self.tones.fall()
        elif self.tones and isinstance(event, Resumed):
            self.tones.rise()


class Sound:
    """Belongs to the main thread."""

    def __init__(self, settings: Settings, tell: Callable[[str], None], trace: "Trace | None" = None) -> None:
        """`tell` is given what cannot be had, for the user. `trace` hears how voice is played."""
        self._wanted = settings.sound
        self._voice = settings.voice
        self._tell = tell
        self._trace = trace
        self._stream: SoundStream | None = None  # of the whole run: a pipe is opened once
        self._studio: Studio | None = None  # of this call
        self._sides: BothSides | None = None  # of this call
        self._exchange: DeviceExchange | None = None  # of devices in this call
        self.broken: DeviceError | None = None  # a recording or pipe that was named, and took no more

    def check(self) -> None:
        """Raises DeviceError if the user named a device or file that cannot be used. Defaults may be missing."""
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
        """Whatever sound is opened inside is closed at the end."""
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
                except DeviceError as error:  # the end of a recording
                    self.broken = error
                    self._tell(str(error))

    def open(self) -> tuple[int, ...]:
        """Open the sound of this call, as far as there is any: what is missing is said, text goes on.

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
        """Whether what is heard goes to a program behind a pipe."""
        return isinstance(self._wanted.output, StandardStream)

    def make_halves(self, playable: tuple[int, ...], *, in_stereo: bool = False) -> Halves:
        """For a peer that plays these codecs, `in_stereo` two channels. A recording that cannot be made is said, and
        the call goes on."""
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
        """The user wants that device from now on, also in the calls that follow. By the thread of the exchange."""
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

    def _make_tones(self) -> "Tones | None":
        if not self._wanted.tones:
            return None
        from voicemux.audio.playout.tones import Tones

        return Tones()

    def is_over(self, stopped: AudioStopped) -> bool:
        """Whether it broke, and is a file or pipe: a sound card may come back."""
        return bool(stopped.error and self._studio and not self._studio.may_come_back(stopped.direction))

    def is_for_nobody(self, stopped: AudioStopped) -> bool:
        """Whether the program that was to hear the call has gone."""
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
    """The device of that name, if what looks like the path of a file is none: names of devices have slashes, too."""
    if isinstance(wanted, SoundFile) and not os.path.exists(wanted.path) and not has_file_ending(wanted.path):
        with contextlib.suppress(DeviceError):
            check(NamedDevice(wanted.path))
            return NamedDevice(wanted.path)
    return wanted
