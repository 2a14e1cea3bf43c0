"""Parses a line into its command: typed, piped, or JSON. Also has the help, which lists the commands."""

import json
import re
from collections.abc import Callable, Collection

from voicemux.console.commands import (
    MIC_MODES,
    Answer,
    ChooseMic,
    ChooseVolume,
    Command,
    Deafen,
    HangUp,
    Help,
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

MOST_OF_AN_ID = 64  # characters
MOST_VOLUME = 400  # percent
_VOLUME = re.compile(r"([+-]?)(\d{1,3}) ?%?", re.ASCII)

_WORDS: dict[str, Command] = {
    "mute": Mute(),
    "deafen": Deafen(),
    "stats": ShowStats(),
    "level": ShowLevel(),
    "mic": ChooseMic(),
    "talk": PushToTalk(),
    "volume": ChooseVolume(),
    "code": ShowCode(),
    "words": ShowWords(),
    "verify": Verify(),
    "devices": ListDevices(),
    "accept": Answer(True),
    "decline": Answer(False),
    "missed": ShowMissed(),
    "help": Help(),
    "quit": HangUp(),
}


DIRECTIONS = ("input", "output")  # commands whose argument is the name of a device
_MORE_WORDS = ("record", "stop_recording", *DIRECTIONS)  # more commands of JSON, which have arguments
_HOW_TO_RECORD = "/record FILE records both sides, /record stop ends that"

_HELP = {
    "mute": "stop sending your voice, or send it again",
    "deafen": "stop playing their voice, or play it again",
    "record": "FILE: record both sides, and tell the other; stop: end it",
    "stats": "figures of the call, or of the last one",
    "level": "how loud you and they are",
    "mic": "what opens the microphone: /mic open, voice or ptt",
    "talk": "with /mic ptt: be heard, until the next /talk",
    "volume": "how loud they are: /volume 150, +10, -10 or auto",
    "code": "what a new caller has to type, once more",
    "words": "the words to compare, once more",
    "verify": "the words are the same on both sides: remember them",
    "devices": "list the microphones and loudspeakers",
    "input": "NAME: use that microphone from now on",
    "output": "NAME: use that loudspeaker from now on",
    "accept": "take the call that rings",
    "decline": "do not take it",
    "missed": "list the calls that were not answered",
    "help": "this",
    "quit": "hang up (so do: quit, Ctrl-D, Ctrl-C)",
}


def _choose_mic(mode: object) -> ChooseMic | Unknown:
    """Return the command for a mode that was typed or came in JSON; Unknown if it is not one of MIC_MODES."""
    if isinstance(mode, str) and mode in MIC_MODES:
        return ChooseMic(mode)
    return Unknown(f"expected the mode of the microphone to be one of {', '.join(MIC_MODES)}")


def parse_volume(to: object) -> ChooseVolume | None:
    """Parse a volume: 150, "150", "150 %", "+10", "-10" or "auto". Returns None for anything else, and above
    MOST_VOLUME."""
    if to == "auto":
        return ChooseVolume("auto")
    found = _VOLUME.fullmatch(str(to)) if isinstance(to, int | str) and not isinstance(to, bool) else None
    if not found or int(found[2]) > MOST_VOLUME:
        return None
    number = int(found[1] + found[2])
    if not found[1]:
        return ChooseVolume(number)
    return ChooseVolume(by=number) if isinstance(to, str) else None


def _choose_volume(to: object) -> ChooseVolume | Unknown:
    """Return the command for a volume that was typed or came in JSON; Unknown if it is not one."""
    return parse_volume(to) or Unknown(f'expected a volume of 0 to {MOST_VOLUME} percent, "+10", "-10" or "auto"')


# Commands that may have an argument, and the function that reads it.
_WITH_WORDS: dict[str, Callable[[str], Command]] = {"mic": _choose_mic, "volume": _choose_volume}


def typed_help(useless: Collection[str] = ()) -> str:
    """Return the help for people: one command a line, without those in `useless`."""
    commands = (f"  /{word:<7}  {does}" for word, does in _HELP.items() if word not in useless)
    return "\n".join(
        [
            "type a line to send it; these are commands:",
            *commands,
            "  //...     send a line that looks like a command",
        ]
    )


def json_help(useless: Collection[str] = ()) -> str:
    """Return the help for programs that write JSON: one sentence, without the commands in `useless`."""
    words = ", ".join(word for word in (*_WORDS, *_MORE_WORDS) if word not in useless)
    return (
        'a line of standard input is a JSON object: {"command": "say", "text": "hi"}, with an "id" if you want to '
        f'know it has been delivered; or with a "command" out of {words}'
    )


def parse_piped(line: str) -> Say:
    """Return a line of a pipe as a text: commands are text too, and an empty line is an empty text. If it looks like
    an answer to a ringing call, `accepts` is that answer."""
    command = parse_line(line)
    return Say(line, accepts=command.accepts if isinstance(command, Answer) else None)


def parse_line(line: str) -> Command | None:
    """Return the command of a typed line; None if the line is blank. Upper case is the same as lower case."""
    # Python gives bytes that are not in the terminal's encoding as surrogates; they become "?".
    text = line.rstrip("\r\n").encode(errors="replace").decode()
    if text.strip().lower() == "quit":
        return HangUp()
    if text.startswith("//"):
        return Say(text[1:])
    if text.startswith("/") and "\n" not in text and text[1:].lower().split(None, 1)[:1] == ["record"]:
        return _parse_record(text[1:].strip()[len("record") :].strip())
    if text.startswith("/") and (command := _parse_direction(text[1:])):
        return command
    if text.startswith("/") and "/" not in text[1:] and "\n" not in text:  # otherwise it is a path or pasted text
        word, *words = text[1:].lower().split() or [""]
        if words and word in _WITH_WORDS:
            return _WITH_WORDS[word](" ".join(words))
        word = " ".join((word, *words))
        return _WORDS.get(word) or Unknown(f"there is no command /{word}; /help lists them, // sends a slash")
    return Say(text) if text.strip() else None


def _parse_record(words: str) -> Command:
    if words.lower() == "stop":
        return StopRecording()
    return RecordBoth(words) if words else Unknown(_HOW_TO_RECORD)


def _parse_direction(text: str) -> Command | None:
    """Return the command of "input" or "output"; None if the line is another. `text` is the line without its slash.
    The name of a device may contain slashes."""
    word, *rest = text.strip().split(maxsplit=1)[:2] or [""]
    if word.lower() not in DIRECTIONS or "\n" in text:
        return None
    return UseDevice(word.lower(), rest[0].strip()) if rest else ListDevices()


def parse_json(line: str) -> Command | None:
    """Return the command of a line of JSON; None if the line is blank, Unknown if it is not a command.

    {"command": "say", "text": "hi"}, {"command": "say", "text": "hi", "id": "7"}, {"command": "mute"}
    """
    if not line.strip():
        return None
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return Unknown('expected a JSON object like {"command": "say", "text": "hi"}')
    word = given.get("command") if isinstance(given, dict) else None
    if word == "say":
        text, number = given.get("text"), given.get("id", "")
        if not isinstance(number, str) or not _is_unicode(number) or len(number) > MOST_OF_AN_ID:
            return Unknown(f'expected an "id" that is a string of at most {MOST_OF_AN_ID} characters')
        if not isinstance(text, str) or not _is_unicode(text):
            return Unknown('expected {"command": "say", "text": a string}', number)
        return Say(text, number)
    if word == "record":
        path = given.get("file")
        if isinstance(path, str) and path and _is_unicode(path) and "\0" not in path:
            return RecordBoth(path)
        return Unknown('expected {"command": "record", "file": the name of a file}')
    if word == "stop_recording":
        return StopRecording()
    if isinstance(word, str) and word in DIRECTIONS:
        name = given.get("device")
        if not isinstance(name, str) or not _is_unicode(name) or not name.strip():
            return Unknown(f'expected {{"command": "{word}", "device": a name or number}}')
        return UseDevice(word, name.strip())
    if word == "volume" and "to" in given:
        return _choose_volume(given["to"])
    if word == "mic" and "mode" in given:
        return _choose_mic(given["mode"])
    if word == "talk" and "on" in given:
        on = given["on"]
        return (
            PushToTalk(on) if isinstance(on, bool) else Unknown('expected {"command": "talk", "on": true or false}')
        )
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    return Unknown(f'expected a "command" out of say, {", ".join((*_WORDS, *_MORE_WORDS))}')


def _is_unicode(text: str) -> bool:
    """Whether the text can be encoded: JSON may contain half a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
