"""What is typed for a call, as settings."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest

from voicemux.app.call_options import ECHO_TEST_GRACE, CallOptions, call_options, settings_of
from voicemux.app.cli import cli
from voicemux.app.settings import RingSettings, Settings, SoundSettings, VoiceSettings
from voicemux.audio.capture.wish import Wish
from voicemux.audio.choices import DefaultDevice, NamedDevice, Nothing, SoundFile, StandardStream
from voicemux.calls.trust import Security
from voicemux.protocol.messages import Codec


def commands(among: click.Command) -> Iterator[click.Command]:
    yield among
    for each in among.commands.values() if isinstance(among, click.Group) else ():
        yield from commands(each)


def test_no_command_takes_nan_for_a_number() -> None:
    taken = []
    for command in commands(cli):
        for option in command.params:
            if isinstance(option.type, click.types.FloatParamType):
                with contextlib.suppress(click.BadParameter):
                    taken.append((command.name, option.name, option.process_value(click.Context(command), "nan")))
    assert taken == []


def typed(*words: str) -> CallOptions:
    """As click understands them."""
    found: list[CallOptions] = []

    @click.command()
    @call_options
    def command(**options: object) -> None:
        found.append(CallOptions(**options))  # type: ignore[arg-type]

    command.main(list(words), standalone_mode=False)
    return found[0]


def settings(*words: str) -> Settings:
    options = typed(*words)
    return settings_of(options, options.sound(), RingSettings(), partial(Security))


@pytest.mark.parametrize(
    ("words", "stdio", "grace"),
    [([], False, ECHO_TEST_GRACE), (["--grace", "60"], False, 60), (["--grace", "0"], False, 0), ([], True, 0)],
)
def test_an_echo_test_keeps_its_place_for_seconds_only_unless_the_user_wants_more(
    words: list[str], stdio: bool, grace: int
) -> None:
    @click.command()
    @call_options
    def command(**options: object) -> int:
        chosen = CallOptions(**options)  # type: ignore[arg-type]
        return settings_of(chosen, chosen.echoed_sound(), RingSettings(), partial(Security), stdio=stdio).grace

    assert command.main(words, standalone_mode=False) == grace


def test_without_options_all_is_as_the_settings_have_it() -> None:
    usual = Settings(name="ann")
    made = settings("--name", "ann")
    assert replace(made, security=None) == usual
    assert made.security
    assert made.security.own_name == "ann"


@pytest.mark.parametrize(
    ("words", "sound"),
    [
        ("--input none --output none", SoundSettings(Nothing(), Nothing())),
        ("--no-audio", SoundSettings(Nothing(), Nothing())),
        ("--input -", SoundSettings(StandardStream(), DefaultDevice())),
        ("--input /dev/stdin", SoundSettings(StandardStream(), DefaultDevice())),
        ("--output - --input 3", SoundSettings(NamedDevice("3"), StandardStream())),
        ("--record a.flac --output b.wav", SoundSettings(output=SoundFile("b.wav"), record=SoundFile("a.flac"))),
        ("--record-call both.opus", SoundSettings(record_call=SoundFile("both.opus"))),
        ("--max-delay 60", SoundSettings(max_delay=0.06)),
        ("--no-tones", SoundSettings(tones=False)),
    ],
)
def test_an_input_and_an_output_are_of_the_type_that_is_meant(words: str, sound: SoundSettings) -> None:
    assert settings(*words.split()).sound == sound


@pytest.mark.parametrize(
    ("words", "is_wanted"),
    [("", True), ("--no-audio", False), ("--input none", True), ("--input none --output none --record a.wav", True)],
)
def test_sound_is_wanted_if_any_of_it_is(words: str, is_wanted: bool) -> None:
    assert settings(*words.split()).sound.is_wanted == is_wanted


@pytest.mark.parametrize(
    ("words", "voice"),
    [
        ("--low-latency", VoiceSettings(wish=Wish(at_once=True))),
        ("--music", VoiceSettings(wish=Wish(96_000, 20, at_once=True), music=True)),
        ("--music --bitrate 128 --frame-ms 40", VoiceSettings(wish=Wish(128_000, 40, at_once=True), music=True)),
        ("--music --low-latency", VoiceSettings(wish=Wish(96_000, at_once=True), music=True)),
        ("--dtx", VoiceSettings(wish=Wish(dtx=True))),
        ("--bandwidth 100", VoiceSettings(wish=Wish(bandwidth=100_000))),
        ("--low-latency --bitrate 24", VoiceSettings(wish=Wish(24_000, at_once=True))),
        ("--codec pcm --frame-ms 40 --start-muted", VoiceSettings(Codec.PCM, Wish(frame_ms=40), starts_muted=True)),
    ],
)
def test_voice_is_sent_as_it_was_typed(words: str, voice: VoiceSettings) -> None:
    assert settings(*words.split()).voice == voice


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            "--no-audio --record a.wav",
            "--no-audio goes with none of --input, --output, --record and --record-call",
        ),
        (
            "--no-audio --record-call a.wav",
            "--no-audio goes with none of --input, --output, --record and --record-call",
        ),
        ("--json --input -", "--json and raw sound cannot share standard input and output"),
        ("--json --output -", "--json and raw sound cannot share standard input and output"),
        ("--record a.mp3", "--record takes a file that ends in .wav or .flac or .ogg"),
    ],
)
def test_what_contradicts_itself_is_misuse(words: str, complaint: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        typed(*words.split()).sound()
    assert str(caught.value) == complaint


def test_a_call_without_encryption_has_no_security() -> None:
    assert settings("--unencrypted").security is None


def test_the_security_of_a_call_has_the_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOICEMUX_HOME", str(tmp_path))
    options = typed("--name", "ann")
    made = settings_of(options, options.sound(), RingSettings(), partial(Security, code="7-quiet-test"))
    assert made.security == Security(tmp_path, code="7-quiet-test", own_name="ann")
