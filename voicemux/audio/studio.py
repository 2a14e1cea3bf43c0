"""Chooses microphones and loudspeakers by what the user wrote, opens them, and closes them.

What may be written for an input or output: nothing (the system's default), `none`, `-` (raw sound on
standard input or output), a file's name, a device's number or a part of its name.
"""

import os
import threading
from typing import TYPE_CHECKING

from voicemux.audio.codec import check_opus, make_decoders, make_encoder
from voicemux.audio.devices import PortAudio
from voicemux.audio.endpoints import Sink, Source
from voicemux.audio.player import Player
from voicemux.audio.transmitter import Transmitter
from voicemux.errors import DeviceError
from voicemux.protocol.messages import Codec

if TYPE_CHECKING:
    from voicemux.audio.files import Recorder

NONE = "none"
PIPE = "-"
FILE_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")


class Studio:
    """The sound of one call. One thread makes it, asks it for both halves, and closes it.

    The threads of the halves may have their broken devices opened again: what they share is under a lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = {"input": NONE, "output": NONE}
        self._portaudio: PortAudio | None = None
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._recorder: Recorder | None = None
        self._decoders = make_decoders()

    def open_input(self, wanted: str) -> None:
        """Raises DeviceError; there is no microphone then."""
        self._source = self._open_source(wanted)
        self._wanted["input"] = wanted

    def open_output(self, wanted: str) -> None:
        """Raises DeviceError; there is no loudspeaker then."""
        self._sink = self._open_sink(wanted)
        self._wanted["output"] = wanted

    def record(self, path: str) -> None:
        """Also keep in a file what the loudspeaker plays. Raises DeviceError."""
        if self._sink:
            from voicemux.audio.files import Recorder

            self._recorder = Recorder(self._sink, path)

    def check_codec(self) -> None:
        """Raises LibraryMissing if there is sound, and no Opus for it: it goes as PCM then."""
        if self._source or self._sink:
            check_opus()

    @property
    def playable(self) -> tuple[int, ...]:
        """The codecs for our HELLO, the best first; none without a loudspeaker."""
        return tuple(self._decoders) if self._sink else ()

    @property
    def finite(self) -> bool:
        """Whether the input has an end of its own."""
        return self._source is not None and self._source.finite

    def make_player(self, max_delay: float) -> Player | None:
        """None without a loudspeaker. `max_delay` is in seconds."""
        if self._sink is None:
            return None
        reopen = self._reopen_sink if self._has_device("output") else None
        player = Player(self._recorder or self._sink, self._decoders, max_delay, reopen)
        player.records = self._recorder is not None or is_file(self._wanted["output"])
        return player

    def make_transmitter(
        self, playable: tuple[int, ...], wanted: Codec | None, frame_ms: float, bitrate: int
    ) -> Transmitter | None:
        """None without a microphone, or if the peer can play nothing that we can make."""
        if self._source is None:
            return None
        encoder = make_encoder(playable, wanted, frame_ms, bitrate)
        if encoder is None:
            return None
        return Transmitter(self._source, encoder, self._reopen_source if self._has_device("input") else None)

    def close(self) -> None:
        for each in (self._source, self._recorder, self._sink, self._portaudio):
            if each is not None:
                each.close()

    def _has_device(self, kind: str) -> bool:
        """Whether it is a sound card, which may come back when it has broken."""
        wanted = self._wanted[kind]
        return wanted not in (NONE, PIPE) and not is_file(wanted)

    def _reopen_source(self) -> Source:
        """The microphone again, or what now goes by that name. Raises DeviceError."""
        with self._lock:
            assert self._source
            self._source.close()
            self._devices().look_again()
            self._source = self._devices().open_source(self._wanted["input"])
            return self._source

    def _reopen_sink(self) -> Sink:
        """The loudspeaker again, or what now goes by that name. Raises DeviceError."""
        with self._lock:
            assert self._sink
            self._sink.close()
            self._devices().look_again()
            self._sink = self._devices().open_sink(self._wanted["output"])
            if self._recorder:
                self._recorder.sink = self._sink
            return self._recorder or self._sink

    def _open_source(self, wanted: str) -> Source | None:
        if wanted == NONE:
            return None
        if wanted == PIPE:
            from voicemux.audio.pipes import PipeSource

            return PipeSource()
        if is_file(wanted):
            from voicemux.audio.files import FileSource

            return FileSource(wanted)
        return self._devices().open_source(wanted)

    def _open_sink(self, wanted: str) -> Sink | None:
        if wanted == NONE:
            return None
        if wanted == PIPE:
            from voicemux.audio.pipes import PipeSink

            return PipeSink()
        if is_file(wanted):
            from voicemux.audio.files import FileSink

            return FileSink(wanted)
        return self._devices().open_sink(wanted)

    def _devices(self) -> PortAudio:
        if self._portaudio is None:
            self._portaudio = PortAudio()
        return self._portaudio


def is_file(wanted: str) -> bool:
    return wanted.lower().endswith(FILE_ENDINGS) or os.sep in wanted


def check(kind: str, wanted: str) -> None:
    """Raises DeviceError if what the user wrote for `kind` ("input" or "output") cannot be had.

    No device is opened, and no file written, before there is a call.
    """
    if wanted == NONE:
        return
    if wanted == PIPE:
        from voicemux.audio.pipes import PipeSink, PipeSource

        (PipeSource() if kind == "input" else PipeSink()).close()
    elif not is_file(wanted):
        portaudio = PortAudio()
        try:
            portaudio.find(kind, wanted)
        finally:
            portaudio.close()
    elif kind == "input":
        from voicemux.audio.files import FileSource

        FileSource(wanted).close()
    elif not wanted.lower().endswith(FILE_ENDINGS):
        raise DeviceError(f"cannot write {wanted}: a recording's name ends in {', '.join(FILE_ENDINGS)}")
    else:
        folder = os.path.dirname(wanted) or "."
        if not (os.path.isdir(folder) and os.access(wanted if os.path.exists(wanted) else folder, os.W_OK)):
            raise DeviceError(
                f"cannot write {wanted}: {'not permitted' if os.path.isdir(folder) else 'no such folder'}"
            )
