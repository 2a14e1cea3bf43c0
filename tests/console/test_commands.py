import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.strategies import tricky_texts
from voicemux.console.commands import (
    Answer,
    ChooseMic,
    ChooseVolume,
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
from voicemux.console.parsing import parse_json, parse_line, parse_piped, typed_help

DOCS = Path(__file__).parents[2] / "docs"
WORDS = {
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


keys = st.sampled_from(["command", "text"]) | st.text()
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([*WORDS, "say"]),
    lambda values: st.lists(values) | st.dictionaries(keys, values),
)


def section(document: str, title: str) -> str:
    """The text of a document below a heading, up to the next one."""
    return re.split(r"^#+ ", (DOCS / document).read_text(encoding="utf-8").split(f"# {title}\n", 1)[1], flags=re.M)[0]


# --- a typed line


@pytest.mark.parametrize("word", WORDS)
def test_a_word_after_a_slash_is_a_command(word):
    for line in (f"/{word}", f"/{word}\n", f"/ {word} ", f"/{word.upper()}"):
        assert parse_line(line) == WORDS[word]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/input default", UseDevice("input", "default")),
        ("/OUTPUT  Built-in Audio Analog/Digital ", UseDevice("output", "Built-in Audio Analog/Digital")),
        ("/output 3", UseDevice("output", "3")),
        ("/input", ListDevices()),
        ("/output ", ListDevices()),
        ("/input a\nb", Say("/input a\nb")),
        ("/inputs a/b", Say("/inputs a/b")),
    ],
)
def test_a_device_is_named_behind_its_direction_also_with_slashes_in_it(line, command):
    assert parse_line(line) == command


def test_a_program_names_a_device_with_a_key_of_its_own():
    assert parse_json('{"command": "input", "device": " USB "}') == UseDevice("input", "USB")
    for device in ('""', "3", "null", '"\\ud800"'):
        unknown = parse_json(f'{{"command": "output", "device": {device}}}')
        assert unknown == Unknown('expected {"command": "output", "device": a name or number}')


@pytest.mark.parametrize("line", ["hi", " indented /mute", "a/b", "mute", "quit it", "😀"])
def test_everything_else_is_said(line):
    assert parse_line(line) == parse_line(f"{line}\r\n") == Say(line)


@pytest.mark.parametrize("line", ["", " ", "\t", "\n", "\u3000"])
def test_blanks_are_nothing_to_send(line):
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line", ["/home/x is ready", "/etc/passwd", "/a/b/c", "/ or /", "/one\ntwo", "/mute\nand more"]
)
def test_a_path_is_no_command_and_neither_is_what_was_pasted(line):
    assert parse_line(line) == Say(line)


@pytest.mark.parametrize("line", ["quit", " quit ", "quit\r\n", "/quit", "Quit", "QUIT", "/Quit"])
def test_quit_needs_no_slash(line):
    assert parse_line(line) == HangUp()


@pytest.mark.parametrize(
    ("line", "said"),
    [("//", "/"), ("//mute", "/mute"), ("///", "//"), ("//etc/passwd is a file", "/etc/passwd is a file")],
)
def test_two_slashes_say_one(line, said):
    assert parse_line(line) == Say(said)


@pytest.mark.parametrize("line", ["/mic voice", "/mic  Voice ", "/MIC VOICE\n"])
def test_a_command_may_have_a_word_behind_it(line):
    assert parse_line(line) == ChooseMic("voice")
    assert isinstance(parse_line("/mic loud"), Unknown)


@pytest.mark.parametrize("word", ["", "unknown", "mute me", "quiet"])
def test_a_command_that_there_is_not_is_never_sent(word):
    assert parse_line(f"/{word}") == Unknown(f"there is no command /{word}; /help lists them, // sends a slash")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/record /home/a b/call.wav", RecordBoth("/home/a b/call.wav")),
        ("/ Record  ~/call.opus \n", RecordBoth("~/call.opus")),
        ("/record stop", StopRecording()),
        ("/record STOP", StopRecording()),
        ("/record", Unknown("/record FILE records both sides, /record stop ends that")),
        ("/recorder /home", Say("/recorder /home")),
        ("/record a.wav\nand more", Say("/record a.wav\nand more")),
    ],
)
def test_a_recording_has_the_rest_of_the_line_as_its_name(line, command):
    assert parse_line(line) == command


@pytest.mark.parametrize("file", [None, "", 7, ["a.wav"], "\0", "\ud800"])
def test_a_recording_without_a_name_is_told_what_it_needs(file):
    line = json.dumps({"command": "record", "file": file})
    assert parse_json(line) == Unknown('expected {"command": "record", "file": the name of a file}')


def test_a_recording_of_a_program_begins_and_ends():
    assert parse_json('{"command": "record", "file": "call.wav"}') == RecordBoth("call.wav")
    assert parse_json('{"command": "stop_recording"}') == StopRecording()


def test_a_pasted_paragraph_is_one_text():
    assert parse_line("one\ntwo") == Say("one\ntwo")


@given(tricky_texts)
def test_what_is_said_can_be_sent_whatever_was_typed(line):
    command = parse_line(line)
    if isinstance(command, Say):
        assert command.text.encode().decode() == command.text
    else:
        assert command is None or command in WORDS.values() or isinstance(command, Unknown)


@given(st.text().filter(lambda text: text.strip().lower() not in ("", "quit") and not text.endswith(("\r", "\n"))))
def test_every_text_can_be_said(text):
    assert parse_line(f"/{text}" if text.startswith("/") else text) == Say(text)


# --- a line of JSON


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_a_command_for_programs_too(word):
    assert parse_json(json.dumps({"command": word})) == WORDS[word]


@given(st.text())
def test_a_program_can_say_every_text(text):
    assert parse_json(json.dumps({"command": "say", "text": text})) == Say(text)
    assert parse_json(json.dumps({"command": "say", "text": text}, ensure_ascii=False) + "\r") == Say(text)


def test_what_programs_say_is_no_typed_command():
    for text in ("quit", "/quit", "//"):
        assert parse_json(json.dumps({"command": "say", "text": text})) == Say(text)


@pytest.mark.parametrize(
    ("line", "accepts"), [("/accept", True), ("/DECLINE ", False), ("accept", None), ("/quit", None)]
)
def test_in_a_pipe_all_is_text_and_some_of_it_an_answer_to_a_call_that_rings(line, accepts):
    assert parse_piped(line) == Say(line, accepts=accepts)


@pytest.mark.parametrize(
    ("to", "command"),
    [
        ("150", ChooseVolume(150)),
        ("0%", ChooseVolume(0)),
        ("400 %", ChooseVolume(400)),
        ("+10", ChooseVolume(by=10)),
        ("-25", ChooseVolume(by=-25)),
        ("auto", ChooseVolume("auto")),
        (150, ChooseVolume(150)),
        *((each, None) for each in ("401", "loud", "1.5", "", "--5", "\u0665", True, 1.5, None, -5, [1])),
    ],
)
def test_a_volume_is_in_percent_or_a_change_or_auto(to, command):
    given = parse_json(json.dumps({"command": "volume", "to": to}))
    assert given == command if command else isinstance(given, Unknown)
    if isinstance(to, str) and to:
        typed = parse_line(f"/volume {to}")
        assert typed == command if command else isinstance(typed, Unknown)


def test_a_mode_and_a_switch_are_told_by_programs_as_data():
    assert parse_json('{"command": "mic", "mode": "ptt"}') == ChooseMic("ptt")
    assert parse_json('{"command": "talk", "on": true}') == PushToTalk(True)
    for line in (
        '{"command": "mic", "mode": 7}',
        '{"command": "mic", "mode": "loud"}',
        '{"command": "talk", "on": 1}',
    ):
        assert isinstance(parse_json(line), Unknown)


def test_an_empty_line_means_nothing_to_programs():
    assert parse_json("") is parse_json(" \r\n") is None


def test_keys_that_a_later_version_may_have_are_ignored():
    assert parse_json('{"command": "mute", "id": 7}') == Mute()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello", "a JSON object"),
        ("{", "a JSON object"),
        ("[" * 100_000, "a JSON object"),
        ("1" * 5000, "a JSON object"),
        ("1", '"command" out of'),
        ("null", '"command" out of'),
        ('["command", "mute"]', '"command" out of'),
        ("{}", '"command" out of'),
        ('{"command": "dance"}', '"command" out of'),
        ('{"command": "Mute"}', '"command" out of'),
        ('{"command": ["mute"]}', '"command" out of'),
        ('{"command": null, "text": "hi"}', '"command" out of'),
        ('{"command": "say"}', '"text": a string'),
        ('{"command": "say", "text": 7}', '"text": a string'),
        ('{"command": "say", "text": "half a \\ud834"}', '"text": a string'),
    ],
    ids=lambda value: value[:30],
)
def test_nonsense_from_a_program_is_answered_with_what_was_expected(line, expected):
    command = parse_json(line)
    assert isinstance(command, Unknown)
    assert command.why.startswith("expected ")
    assert expected in command.why
    assert "\n" not in command.why


@given(json_values)
def test_every_value_of_json_is_a_command_or_nonsense(value):
    assert isinstance(parse_json(json.dumps(value)), (Say, Unknown, UseDevice, *map(type, WORDS.values())))


# --- what the documents say


def test_every_documented_json_command_exists_and_every_one_is_documented():
    text = section("json.md", "Commands")
    example = re.findall(r"`(\{.*?\})`", text)[0]
    words = [word for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)]
    assert parse_json(example) == Say("hi")
    more = ["record", "stop_recording", "input", "output"]
    assert sorted(words) == sorted([*WORDS, *more])
    unknown = parse_json("{}")
    assert isinstance(unknown, Unknown)
    assert unknown.why == f'expected a "command" out of say, {", ".join([*WORDS, *more])}'


def test_every_documented_typed_command_exists_and_every_one_is_documented():
    text = section("command-line.md", "During a call")
    documented = re.findall(r"^\| `/(\w+)( FILE| NAME)?` \|", text, re.MULTILINE)
    more = [("record", " FILE"), ("input", " NAME"), ("output", " NAME")]
    assert sorted(documented) == sorted([*((word, "") for word in WORDS), *more])


def test_help_lists_every_command():
    shown = typed_help()
    listed = re.findall(r"^  /(\w+) ", shown, re.MULTILINE)
    assert sorted(listed) == sorted([*WORDS, "record", "input", "output"])
    assert "  //" in shown
    assert max(map(len, shown.splitlines())) < 70
