"""The examples as they would be run, and the shipped program that calls them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import ALIKE, DIALLER, RATE, SYLLABLE, likeness, speech
from tests.running import CODE, Program
from voicemux.audio.measure import compare

EXAMPLES = Path(__file__).parent.parent / "examples"
ALIKE_TWICE = 0.6  # of what went as Opus there and back
DELAY = 0.5  # seconds after which the echo bot repeats what it hears
ON_THE_WAY = 1.5  # seconds that both ways may take on a busy machine; 0.15 here
FEW_WORDS = speech(seconds=2)


class Bot(Program):
    """An example with arguments."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.python = (str(EXAMPLES / name),)
        root = str(EXAMPLES.parent)
        super().__init__(*arguments, env={"PYTHONPATH": root})


@contextlib.contextmanager
def running(name: str, *arguments: str) -> Iterator[str]:
    """The address of a bot that listens; it ends well when it is interrupted."""
    with Bot(name, "--host", "127.0.0.1", "--port", "0", "--code", CODE, *arguments) as bot:
        line = bot.read()
        assert line.endswith(f"code {CODE}")
        yield f"127.0.0.1:{line.split()[1].rstrip(',')}"
        assert bot.process.poll() is None
        bot.interrupt()
        assert (bot.wait(), bot.err) == (0, [])


@pytest.fixture
def few_words(tmp_path: Path) -> str:
    file = tmp_path / "few_words.wav"
    soundfile.write(file, FEW_WORDS, RATE, subtype="PCM_16")
    return str(file)


@pytest.mark.parametrize("name", ["echo_bot.py", "answer_bot.py"])
def test_an_example_is_short_and_says_what_it_does(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 60
    with Bot(name, "--help") as bot:
        assert bot.wait() == 0
        assert "Listens, " in "".join(bot.out)


def test_the_echo_bot_sends_text_back_to_one_caller_after_the_other() -> None:
    with running("echo_bot.py") as address:
        for text in ("hello?", "grüße 😀"):
            with Program("dial", address, "--no-audio") as caller:
                caller.notice_with("connected to echo")
                caller.write(f"{text}\n")
                assert caller.read() == f"echo> {text}"
                caller.close_input()
                assert caller.wait() == 0


def test_the_echo_bot_says_what_it_hears_half_a_second_later(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    with (
        running("echo_bot.py") as address,
        Program("dial", address, "--json", "--input", str(DIALLER), "--output", str(heard)) as caller,
    ):
        since = {}
        for _ in range(2):
            started = caller.event("audio_started")
            since[started["direction"]] = started["since"]
        caller.close_input()
        assert caller.event("audio_stopped", timeout=60)["error"] == ""
        assert caller.wait() == 0
    echo = compare(str(DIALLER), since["input"], str(heard), since["output"])
    assert echo.likeness > ALIKE_TWICE
    assert DELAY < np.median(echo.delays) < DELAY + ON_THE_WAY


def test_the_answer_bot_is_heard_and_says_goodbye(few_words: str, tmp_path: Path) -> None:
    with running("answer_bot.py", few_words, "--text", "closed") as address:
        for number in range(2):
            heard = tmp_path / f"heard-{number}.wav"
            with Program("dial", address, "--input", "none", "--output", str(heard)) as caller:
                assert caller.read() == "answer> closed"
                assert caller.wait() == 0
            assert likeness(FEW_WORDS, soundfile.read(heard, dtype="int16")[0], SYLLABLE) > ALIKE


def test_the_answer_bot_does_not_hang_where_nobody_hears_it(few_words: str) -> None:
    with (
        running("answer_bot.py", few_words, "--text", "closed") as address,
        Program("dial", address, "--no-audio") as caller,
    ):
        assert caller.read() == "answer> closed"
        assert caller.wait() == 0


def test_the_answer_bot_says_which_files_it_takes(tmp_path: Path) -> None:
    file = tmp_path / "slow.wav"
    soundfile.write(file, FEW_WORDS, 8000, subtype="PCM_16")
    with Bot("answer_bot.py", str(file)) as bot:
        assert bot.wait() == 1
        assert bot.err == [f"{file}: expected 16 bits, 48000 Hz, 1 channel, got 16, 8000, 1"]
