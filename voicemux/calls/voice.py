"""What a call needs of the audio package, which it does not import: there may be no sound here."""

from collections.abc import Callable
from typing import Protocol

from voicemux.protocol.messages import Audio, Report
from voicemux.sending.rungs import Rungs


class PlayerFigures(Protocol):
    """How the playing goes; `audio.playout.playout.Figures` says what each is."""

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
    """How loud sound is; `audio.levels.SoundLevels` says what each is."""

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
    """The device of a half, which may come later, break and come back, or be exchanged."""

    can_reopen: bool  # whether a broken or missing device may come

    @property
    def is_missing(self) -> bool:
        """Whether it has not been there yet."""

    @property
    def has_another(self) -> bool:
        """Whether another one waits to take its place."""

    def reopen(self) -> None:
        """Try to have it back, after `Half.run` has raised; then run again. Raises DeviceError."""


class MicrophoneGate(Protocol):
    """Decides what is sent of what a microphone hears: `audio.capture.gate.Gate`."""

    talks: bool  # with push to talk: the user is to be heard

    @property
    def mode(self) -> str:
        """What opens it: "open" (it is open), "voice" (speech) or "ptt" (the user)."""

    def choose(self, mode: str) -> None:
        """Raises LibraryMissing if there is no detector of speech for it."""

    @property
    def speaks(self) -> bool | None:
        """Whether the user does; None where there is no detector, or it is not asked."""

    @property
    def spoken(self) -> float | None:
        """Seconds for which the user has spoken so far, likewise."""


class Half(Protocol):
    """What the microphone's side and the loudspeaker's have in common, as the call sees them."""

    @property
    def in_use(self) -> DeviceInUse: ...

    @property
    def label(self) -> str:
        """The name of the source or sink."""

    def stop(self) -> None:
        """End `run`."""


class VoiceSender(Half, Protocol):
    """The microphone's side."""

    muted: bool

    @property
    def silent_for(self) -> float:
        """Seconds since the source gave anything but silence; 0 while it is muted."""

    @property
    def levels(self) -> Levels:
        """Of what the microphone hears."""

    @property
    def gate(self) -> MicrophoneGate:
        """What is sent of what the microphone hears."""

    @property
    def capture_ms(self) -> float:
        """From the mouth to the program."""

    @property
    def echo(self) -> str:
        """What becomes of echo: "on", "off", "not needed" or "not installed"."""

    @property
    def echo_db(self) -> float | None:
        """The level of the echo that the microphone hears, against what was played; None if not known."""

    @property
    def xruns(self) -> int:
        """Gaps in what was captured."""

    @property
    def eager(self) -> bool:
        """Whether the line gets more as soon as it is calm."""

    @property
    def ladder(self) -> Rungs:
        """How much is sent; it may be changed at any time, by one thread."""

    def run(self, send: Callable[[Audio], None], on_start: Callable[[float], None]) -> None:
        """Send voice until the source ends or `stop()`. Raises DeviceError."""


class LoudspeakerVolume(Protocol):
    """How loud the peer is played: `audio.playout.volume.Volume`."""

    @property
    def auto(self) -> bool:
        """Whether it is levelled."""

    @property
    def percent(self) -> int:
        """What the user wants, or, where it is levelled, what it is now."""

    def choose(self, percent: int) -> None: ...

    def choose_auto(self) -> None: ...


class Player(Half, Protocol):
    """The loudspeaker's side."""

    @property
    def volume(self) -> LoudspeakerVolume | None:
        """None of a file or pipe, which gets the sound as it came."""

    deafened: bool
    records: bool  # whether what is heard is kept

    @property
    def figures(self) -> PlayerFigures:
        """How it goes."""

    @property
    def levels(self) -> Levels:
        """Of the peer's voice as it came."""

    def put(self, audio: Audio, arrival: float | None = None) -> None:
        """Take a packet; does not wait. `arrival` is when it came, by `time.monotonic`; None is now."""

    def begin_again(self, *, goes_on: bool = False) -> None:
        """What comes from now on comes by another line; `goes_on`: behind what came before, without a gap."""

    def run(self, on_start: Callable[[float], None]) -> None:
        """Play until `stop()`. Raises DeviceError."""

    def report(self) -> Report | None: ...

    def round_trip(self, seconds: float) -> None:
        """The shortest recent one: a packet that TCP has to retransmit comes later by that."""
