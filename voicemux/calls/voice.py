"""The interfaces that a call needs of the audio package. It does not import that package: a call of text loads no
sound."""

from collections.abc import Callable
from typing import Protocol

from voicemux.protocol.messages import Audio, Report
from voicemux.sending.rungs import Rungs


class PlayerFigures(Protocol):
    """Figures of the playout; `audio.playout.playout.Figures` explains each."""

    @property
    def received(self) -> int: ...

    @property
    def late(self) -> int: ...

    @property
    def concealed(self) -> int: ...

    @property
    def shortened_ms(self) -> float: ...

    @property
    def lengthened_ms(self) -> float: ...

    @property
    def packet_ms(self) -> float: ...

    @property
    def buffer_ms(self) -> float: ...

    @property
    def playout_ms(self) -> float: ...

    @property
    def drift_ppm(self) -> float | None: ...

    @property
    def xruns(self) -> int: ...


class Levels(Protocol):
    """Loudness of a sound; `audio.levels.SoundLevels` explains each."""

    @property
    def level_db(self) -> float | None: ...

    @property
    def peak_db(self) -> float | None: ...

    @property
    def speech_db(self) -> float | None: ...

    @property
    def noise_db(self) -> float | None: ...

    @property
    def clipped(self) -> int: ...

    @property
    def clips(self) -> int: ...


class DeviceInUse(Protocol):
    """The device of a half. It may appear later, break and come back, or be exchanged."""

    can_reopen: bool  # whether a broken or missing device may appear later

    @property
    def is_missing(self) -> bool:
        """Whether the device has not been opened yet."""

    @property
    def has_another(self) -> bool:
        """Whether another device waits to take its place."""

    def reopen(self) -> None:
        """Try to open the device again, after `Half.run` has raised; then call `run` again. Raises DeviceError."""


class MicrophoneGate(Protocol):
    """Decides which of the captured sound is sent: `audio.capture.gate.Gate`."""

    talks: bool  # with push to talk: the key is held, so the voice is sent

    @property
    def mode(self) -> str:
        """What opens it: "open" (it is open), "voice" (speech) or "ptt" (the user)."""

    def choose(self, mode: str) -> None:
        """Choose the mode. Raises LibraryMissing if the mode needs a speech detector and none is installed."""

    @property
    def speaks(self) -> bool | None:
        """Whether the user speaks; None without a detector, or while it does not run."""

    @property
    def spoken(self) -> float | None:
        """Seconds for which the user has spoken so far; None without a detector, or while it does not run."""


class Half(Protocol):
    """What the sending half and the playing half of a call's sound have in common."""

    @property
    def in_use(self) -> DeviceInUse: ...

    @property
    def label(self) -> str:
        """The name of the source or sink."""

    def stop(self) -> None:
        """End `run`."""


class VoiceSender(Half, Protocol):
    """The sending half: from the microphone to AUDIO messages."""

    muted: bool

    @property
    def silent_for(self) -> float | None:
        """Seconds since the source gave anything but silence; None while it is muted, or has just begun."""

    @property
    def levels(self) -> Levels:
        """The loudness of the captured sound."""

    @property
    def gate(self) -> MicrophoneGate:
        """What decides which of the captured sound is sent."""

    @property
    def capture_ms(self) -> float:
        """Delay from the mouth to the program, in milliseconds."""

    @property
    def echo(self) -> str:
        """State of the echo cancellation: "on", "off", "not needed" or "not installed"."""

    @property
    def echo_db(self) -> float | None:
        """Level of the echo that the microphone hears, in dB relative to what was played; None if not known."""

    @property
    def xruns(self) -> int:
        """Number of gaps in the captured sound."""

    @property
    def eager(self) -> bool:
        """Whether a higher bit rate is tried as soon as no queue stands on the line."""

    @property
    def ladder(self) -> Rungs:
        """The bitrate ladder. One thread may change its rung at any time."""

    def run(self, send: Callable[[Audio], None], on_start: Callable[[float], None]) -> None:
        """Send voice by `send` until the source ends or `stop()` is called. `on_start` gets the time at which sound
        begins. Raises DeviceError."""


class LoudspeakerVolume(Protocol):
    """How loud the peer is played: `audio.playout.volume.Volume`."""

    @property
    def auto(self) -> bool:
        """Whether the volume is set automatically, so that all peers sound equally loud."""

    @property
    def percent(self) -> int:
        """The volume in percent that the user chose, or that is set automatically now."""

    def choose(self, percent: int) -> None: ...

    def choose_auto(self) -> None: ...


class Player(Half, Protocol):
    """The playing half: from AUDIO messages to the loudspeaker or a file."""

    @property
    def volume(self) -> LoudspeakerVolume | None:
        """The volume; None for a file or pipe, which gets the sound as it came."""

    deafened: bool
    records: bool  # whether this player keeps what is heard, as a recorder does

    @property
    def figures(self) -> PlayerFigures:
        """Figures of the playout."""

    @property
    def levels(self) -> Levels:
        """The loudness of the peer's voice, before volume is applied."""

    def put(self, audio: Audio, arrival: float | None = None) -> None:
        """Queue a packet to be played; does not wait. `arrival` is when it came, in seconds by `time.monotonic`;
        None: now."""

    def begin_again(self, *, goes_on: bool = False) -> None:
        """From now on, packets come by another connection. `goes_on`: they follow those before without a gap."""

    def run(self, on_start: Callable[[float], None]) -> None:
        """Play until `stop()` is called. `on_start` gets the time at which sound begins. Raises DeviceError."""

    def report(self) -> Report | None:
        """Return how the voice is played, for the peer; None if there is nothing to report."""

    def round_trip(self, seconds: float) -> None:
        """Note the shortest recent round trip: a packet that TCP retransmits is late by about that much."""
