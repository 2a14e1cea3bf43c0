import pytest

from tests.console.strategies import make_stats
from voicemux.console.blanks import Blanks
from voicemux.console.rows import Screen
from voicemux.events import Ended, Event, Notice, TextReceived

SCREEN = Screen(lambda: 80, clips=True)
ENDED = Ended("them", "", 0, make_stats())


def shown(*events: Event, screen: Screen | None = SCREEN) -> list[str]:
    blanks = Blanks()
    return "".join(piece for event in events for piece in blanks.written(event, screen, "alice")).splitlines()


def said(*texts: str) -> list[TextReceived]:
    return [TextReceived("bob", text) for text in texts]


@pytest.mark.parametrize("nothing", ["", " ", "\n" * 300, "\u3000\n\u2028\t"], ids=ascii)
def test_of_many_empty_texts_one_is_shown_and_the_others_are_counted(nothing):
    rows = shown(*said("hi", *[nothing] * 300, "there"))
    assert rows[0] == "bob> hi"
    assert rows[-2:] == ["voicemux: bob has sent 299 more empty texts", "bob> there"]
    assert len(rows) <= 104  # one text has 100 rows at most
    if not nothing:
        assert rows[1:-2] == ["bob> "]


def test_the_end_of_a_call_counts_them_too():
    assert shown(*said("", ""), ENDED)[:2] == ["bob> ", "voicemux: bob has sent 1 more empty text"]
    assert shown(*said("", ""), ENDED, *said(""))[-1] == "bob> "


def test_one_empty_line_between_others_stays_where_it_is():
    assert shown(*said("one", "", "two", "", "three")) == ["bob> one", "bob> ", "bob> two", "bob> ", "bob> three"]


def test_a_notice_between_them_ends_nothing():
    assert shown(*said(""), Notice("to know"), *said("")) == ["bob> ", "voicemux: to know"]


def test_a_pipe_gets_each_of_them():
    assert shown(*said(*[""] * 300, "hi"), screen=None) == ["bob> "] * 300 + ["bob> hi"]
