"""What the user may choose for an input or an output: each is a type of its own, made of the words at the edge."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

FILE_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")


@dataclass(frozen=True)
class DefaultDevice:
    """The microphone or loudspeaker that the system has chosen."""

    name: ClassVar[str] = ""  # as PortAudio's `find` has it


@dataclass(frozen=True)
class NamedDevice:
    """A device by its number, or by a part of its name."""

    name: str


@dataclass(frozen=True)
class SoundFile:
    """A file, or a named pipe; an output is a recording."""

    path: str


@dataclass(frozen=True)
class StandardStream:
    """Raw sound on standard input or standard output."""


@dataclass(frozen=True)
class Nothing:
    """No sound in this direction."""


class EchoChoice(StrEnum):
    """When echo is cancelled."""

    AUTO = "auto"  # if there is one: by the devices' names, and by what is measured
    ON = "on"
    OFF = "off"


class MicMode(StrEnum):
    """What opens the microphone."""

    OPEN = "open"  # nothing: it is open
    VOICE = "voice"  # that the user speaks
    PTT = "ptt"  # that the user wants it: push to talk


class NoiseChoice(StrEnum):
    """How much noise is taken out of what a microphone hears."""

    OFF = "off"
    LOW = "low"
    HIGH = "high"


Device = DefaultDevice | NamedDevice
Choice = Device | SoundFile | StandardStream | Nothing


def choice(words: str) -> Choice:
    """What the user means by the words of `--input` or `--output`.

    "" is the default device, "none" nothing, "-" a standard stream. Other words name a file (see `is_file`), or else
    a device.
    """
    match words:
        case "":
            return DefaultDevice()
        case "none":
            return Nothing()
        case "-":
            return StandardStream()
        case _:
            return SoundFile(words) if is_file(words) else NamedDevice(words)


def is_file(words: str) -> bool:
    """By its ending or a folder in it; or it has an ending and is there, as an input may."""
    is_there = "." in words and os.path.isfile(words)
    return has_file_ending(words) or os.sep in words or is_there


def has_file_ending(words: str) -> bool:
    """Whether it ends as sound files do."""
    return words.lower().endswith(FILE_ENDINGS)
