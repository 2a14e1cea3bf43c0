"""Opens the microphones, loudspeakers, files and pipes that the user has chosen, and closes them."""

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.audio.absent import Absent
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.capture.wish import ANY, Wish
from voicemux.audio.cards import Cards
from voicemux.audio.choices import (
    Choice,
    DefaultDevice,
    EchoChoice,
    NamedDevice,
    NoiseChoice,
    Nothing,
    SoundFile,
    StandardStream,
)
from voicemux.audio.codec import check_opus, make_decoders, make_encoder, make_music_encoder
from voicemux.audio.devices import find_device
from voicemux.audio.echo.hands_free import HandsFree
from voicemux.audio.echo.verdict import EchoState, Names
from voicemux.audio.endpoints import Sink, Source
from voicemux.audio.mirror import Mirror
from voicemux.audio.noise import Quieting
from voicemux.audio.playout.account import Account
from voicemux.audio.playout.limiter import Limiter
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.audio.playout.tones import Tones
from voicemux.audio.portaudio import PortAudio
from voicemux.audio.processing import Processing
from voicemux.errors import DeviceError, LibraryMissing
from voicemux.protocol.messages import OWN_SOURCE, Codec
from voicemux.trace.facts import Trace

if TYPE_CHECKING:
    from voicemux.audio.recording import FileSink
    from voicemux.audio.stream import SoundStream


class Studio:
    """The sound of one call for users. One thread makes it, asks it for both halves, and closes it. Any thread may
    use `cards`."""

    def __init__(self, channels: int = 1) -> None:
        """With two `channels`, the call is for music: stereo is sent as stereo, without echo cancellation."""
        self._channels = channels
        self._captured_channels = channels  # channels of the source
        self.cards = Cards(channels)
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._kept: dict[str, str] = {"output": "", "record": ""}  # paths of recordings that are wanted
        self._recordings: list[FileSink] = []
        self._decoders = make_decoders(channels)
        self._processing = Processing()  # processing of what goes through the sound cards
        self._hands_free: HandsFree | None = None
        self.is_recorded = False  # both sides of the call are recorded
        # Recordings whose file existed already: the wanted path, and the one that was made.
        self.renamed: list[tuple[str, str]] = []

    def open_input(self, wanted: Choice, stream: "SoundStream | None" = None, *, late: bool = False) -> None:
        """Open the input. `stream` comes from `check_input`. With `late`, a microphone is only found, and opened once
        voice is to be sent.

        Raises DeviceError if there is no microphone; a device may come later.
        """
        if isinstance(wanted, DefaultDevice | NamedDevice):
            try:
                self.cards.open_source(wanted.name, late=late)
            finally:
                self._source = self.cards.source
        else:
            self._source, self._captured_channels = _open_source(wanted, stream, self._channels)

    def open_output(self, wanted: Choice) -> None:
        """Open the output. Raises DeviceError if there is no loudspeaker; a device may come later."""
        match wanted:
            case SoundFile(path):
                self._kept["output"] = path
            case StandardStream():
                from voicemux.audio.pipes import PipeSink

                self._sink = PipeSink()
            case DefaultDevice() | NamedDevice():
                try:
                    self.cards.open_sink(wanted.name)
                finally:
                    self._sink = self.cards.sink
            case Nothing():
                pass

    def reflect(self) -> None:
        """Let the peer hear itself some seconds later, in place of devices."""
        mirror = Mirror()
        self._source, self._sink = mirror.source, mirror

    def record(self, path: str) -> None:
        """Also record the peer's voice to a file, whatever plays it."""
        self._kept["record"] = path

    def cancel_echo(
        self, choice: EchoChoice, tell: Callable[[str], None], missing: Callable[[LibraryMissing], None]
    ) -> None:
        """Cancel the loudspeaker's echo in the microphone, if there are both and the user wants that; otherwise
        measure how loud it is. `tell` gets sentences for the user, and `missing` the error if it cannot be done; the
        microphone's thread calls them."""
        if self.cards.has("input") and self.cards.has("output"):
            self._hands_free = HandsFree(choice, self._names, tell, missing)
            self._processing = self._hands_free
            self.cards.listen_to_sink(self._hands_free.played)
            self.cards.on_change = self._hands_free.renew
        elif choice is EchoChoice.OFF:
            self._processing = Processing(EchoState.OFF)

    def leave_as_it_is(self) -> None:
        """Do not cancel echo, whatever the devices are."""
        self._processing = Processing(EchoState.OFF)

    def suppress_noise(self, choice: NoiseChoice, missing: Callable[[LibraryMissing], None]) -> None:
        """Suppress noise of the microphone, if there is one. Call it after `cancel_echo`. `missing` gets the error
        if it cannot be done; the microphone's thread calls it."""
        if choice is not NoiseChoice.OFF and self.cards.has("input"):
            self._processing = Quieting(self._processing, choice, missing)

    def _names(self) -> Names | None:
        """Return the names of both devices; None if the loudspeaker is missing."""
        if self.cards.device("output") is None:
            return None
        return Names(self.cards.names("input"), self.cards.names("output"))

    def check_codec(self) -> None:
        """Check that Opus can be used, if there is sound. Raises LibraryMissing; sound goes as PCM then."""
        if self._source or self._hears:
            check_opus()

    @property
    def playable(self) -> tuple[int, ...]:
        """The codecs for our HELLO, the best first; none if voice is neither played nor recorded."""
        return tuple(self._decoders) if self._hears else ()

    @property
    def _hears(self) -> bool:
        return self._sink is not None or any(self._kept.values()) or bool(self._recordings) or self.is_recorded

    @property
    def finite(self) -> bool:
        """Whether the input is a file or pipe, which ends."""
        return self._source is not None and self._source.finite

    @property
    def source(self) -> str:
        """The name of the input; empty if there is none."""
        source = self.cards.source or self._source
        return source.label if source else ""

    def make_player(self, max_delay: float, trace: Trace | None = None, tones: Tones | None = None) -> Mixer | None:
        """Return the playing half; None without a loudspeaker or recording. `max_delay` is in seconds. `trace` gets
        facts about the playout. Only a sound card plays the `tones`: what goes to a file or a program is what the
        peer said. A file is made only now, because only now there is a call. Raises DeviceError if that fails."""
        if self._sink is None:
            return self._make_recorder("output", max_delay, trace) or self._make_recorder("record", max_delay, trace)
        playouts = {OWN_SOURCE: Playout(self._decoders, max_delay, Account(trace, OWN_SOURCE), self._channels)}
        if not self.cards.has("output"):  # what is piped stays as it came, and no microphone hears it
            return Mixer(self._sink, playouts, channels=self._channels, mixes_down=self._channels == 2)
        return Mixer(
            self._sink,
            playouts,
            self.cards.reopen_sink,
            limiter=Limiter(),
            processing=self._processing,
            tones=tones,
            channels=self._channels,
        )

    def make_recorder(self, max_delay: float) -> Mixer | None:
        """Return the recorder beside the player, which does not depend on it; None if nothing is to be recorded.
        Raises DeviceError."""
        return self._make_recorder("record", max_delay)

    def _make_recorder(self, kind: str, max_delay: float, trace: Trace | None = None) -> Mixer | None:
        wanted, self._kept[kind] = self._kept[kind], ""
        if not wanted:
            return None
        from voicemux.audio.recording import FileSink

        sink = FileSink(wanted, self._channels)
        self._recordings.append(sink)
        if sink.path != wanted:
            self.renamed.append((wanted, sink.path))
        playout = Playout(make_decoders(self._channels), max_delay, Account(trace, OWN_SOURCE), self._channels)
        return Mixer(sink, {OWN_SOURCE: playout}, records=True, channels=self._channels)

    def make_transmitter(
        self, playable: tuple[int, ...], wanted: Codec | None = None, wish: Wish = ANY, *, in_stereo: bool = False
    ) -> Transmitter | None:
        """Return the sending half; None without a microphone, or if the peer can play no codec that we can make
        within the wish. `in_stereo` is whether the peer plays two channels."""
        if self._source is None:
            return None
        sent = self._captured_channels if in_stereo else 1
        if self._channels == 1:
            encoder = make_encoder(playable, wanted, wish)
        else:
            encoder, sent = make_music_encoder(playable, wanted, wish, sent) or (None, 1)
        if encoder is None:
            return None
        reopen = self.cards.reopen_source if self.cards.has("input") else None
        opens_late = isinstance(self._source, Absent) and bool(self._source.label)
        return Transmitter(
            self._source,
            encoder,
            reopen,
            wish=wish,
            opens_late=opens_late,
            processing=self._processing,
            channels=(self._captured_channels, sent),
        )

    def close(self) -> None:
        """Close everything. Raises DeviceError if the end of a recording cannot be written; the rest is closed
        nevertheless."""
        with contextlib.ExitStack() as stack:
            for each in (self.cards, *self._recordings, self._sink, self._source):
                if each is not None:
                    stack.callback(each.close)

    def may_come_back(self, direction: str) -> bool:
        """Whether a sound card has broken, and not a file or pipe. `direction` is that of `AudioStopped`."""
        if direction == "recording" or (direction == "output" and self._sink is None):
            return False
        return self.cards.has(direction)


def _open_source(
    wanted: SoundFile | StandardStream | Nothing, stream: "SoundStream | None", channels: int
) -> tuple[Source | None, int]:
    """Open a source that is not a device. Returns it and its number of channels. `stream` comes from
    `check_input`."""
    if stream:
        from voicemux.audio.pipes import PipeSource

        return PipeSource(stream), 1
    if isinstance(wanted, SoundFile):
        from voicemux.audio.files import FileSource

        file = FileSource(wanted.path, channels)
        return file, file.channels
    assert isinstance(wanted, Nothing), "check_input opens a standard stream"
    return None, 1


def check_input(wanted: Choice) -> "SoundStream | None":
    """Check the input that the user chose. Raises DeviceError if it cannot be used, or is not sound.

    A pipe is opened here, once for all calls, and returned; pass it to `open_input`, and close it in the end.
    """
    if isinstance(wanted, Nothing):
        return None
    if isinstance(wanted, DefaultDevice | NamedDevice):
        _check_device("input", wanted.name)
        return None
    from voicemux.audio.stream import open_stream, standard_input

    stream = standard_input() if isinstance(wanted, StandardStream) else open_stream(wanted.path)
    if stream is None:
        assert isinstance(wanted, SoundFile)
        from voicemux.audio.files import FileSource

        FileSource(wanted.path).close()
        return None
    try:
        stream.check()
    except DeviceError:
        stream.close()
        raise
    return stream


def check_output(wanted: Choice) -> None:
    """Check the output that the user chose. Raises DeviceError if it cannot be used.

    No device is opened, and no file written, before there is a call.
    """
    match wanted:
        case Nothing():
            pass
        case StandardStream():
            from voicemux.audio.pipes import PipeSink

            PipeSink().close()
        case DefaultDevice() | NamedDevice():
            _check_device("output", wanted.name)
        case SoundFile(path):
            _check_recording(path)


def _check_recording(path: str) -> None:
    if os.path.isdir(path):
        raise DeviceError(f"cannot write {path}: a folder of that name is there")
    from voicemux.audio.recording import ending_of

    ending_of(path)
    folder = os.path.dirname(path) or "."
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise DeviceError(f"cannot write {path}: {'not permitted' if os.path.isdir(folder) else 'no such folder'}")


def _check_device(kind: str, wanted: str) -> None:
    portaudio = PortAudio()
    try:
        find_device(portaudio, kind, wanted)
    finally:
        portaudio.close()
