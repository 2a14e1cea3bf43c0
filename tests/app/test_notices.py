from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from voicemux.app.notices import Notices
from voicemux.console.plain import PlainConsole


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[TextIO]:
    """A file that can be read while it is written."""
    with (tmp_path / "shown").open("w+", encoding="utf-8") as file:
        yield file


def test_what_is_said_is_said_once_in_a_run(shown: TextIO) -> None:
    console = PlainConsole(notices=shown, texts=shown)
    notices = Notices(console)
    for text in ("no microphone", "no loudspeaker", "no microphone"):
        notices.once(text)
    console.close()
    shown.seek(0)
    assert [line.split(maxsplit=1)[1] for line in shown.read().splitlines()] == ["no microphone", "no loudspeaker"]


def test_what_somebody_has_been_told_is_new_no_more(shown: TextIO) -> None:
    notices = Notices(PlainConsole(notices=shown, texts=shown))
    assert [notices.is_new(text) for text in ("one", "two", "one")] == [True, True, False]
