"""The choices for an input or an output, one type each, made from the user's words at the edge of the program."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

FILE_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")


@dataclass(frozen=True)
class DefaultDevice:
    """The microphone or loudspeaker that the system has chosen."""

    name: ClassVar[str] = ""  # as `PortAudio.find` takes it


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

    AUTO = "auto"  # if there is echo, by the names of the devices and by measurement
    ON = "on"
    OFF = "off"


class MicMode(StrEnum):
    """What opens the microphone."""

    OPEN = "open"  # always open
    VOICE = "voice"  # open while the user speaks
    PTT = "ptt"  # open while the user wants it: push to talk


class NoiseChoice(StrEnum):
    """How strongly noise of a microphone is suppressed."""

    OFF = "off"
    LOW = "low"
    HIGH = "high"


Device = DefaultDevice | NamedDevice
Choice = Device | SoundFile | StandardStream | Nothing


def choice(words: str) -> Choice:
    """Return the choice that the words of `--input` or `--output` mean.

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
    """Whether the words name a file: they have a known ending, contain a folder, or have an ending and exist."""
    is_there = "." in words and os.path.isfile(words)
    return has_file_ending(words) or os.sep in words or is_there


def has_file_ending(words: str) -> bool:
    """Whether it ends as sound files do."""
    return words.lower().endswith(FILE_ENDINGS)
