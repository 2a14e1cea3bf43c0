import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.app.misuse import _RULES, contradiction


def facts(*options: str) -> dict[str, object]:
    return {name: value or True for name, _, value in (each.partition(" ") for each in options)}


@pytest.mark.parametrize(
    ("beside", "useless"), [(beside, each) for beside, useless, _, _ in _RULES for each in useless], ids=str
)
def test_an_option_that_means_nothing_is_named_with_the_one_that_makes_it_so(beside, useless):
    assert contradiction(facts(beside, useless)).startswith(f"{useless} means nothing beside {beside}: ")
    assert contradiction(facts(beside)) == contradiction(facts(useless)) == ""


@pytest.mark.parametrize(
    ("beside", "useless", "unless"),
    [(beside, next(iter(useless)), each) for beside, useless, _, rescue in _RULES for each in rescue],
    ids=str,
)
def test_what_a_third_option_gives_a_meaning_is_allowed(beside, useless, unless):
    assert contradiction(facts(beside, useless, unless)) == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--input none", "--codec opus")[:1],
        ("--codec opus", "--bitrate 64", "--frame-ms 60"),
        ("--codec pcm", "--frame-ms 40"),
        ("--input mic", "--codec pcm"),
        ("--output none", "--bitrate 64"),
        ("--json", "--status", "--verbose"),
        ("--line-mode", "--bell never"),
        ("--code 7-quiet-test", "--open"),
        ("--low-latency", "--bitrate 24"),
    ],
)
def test_what_means_something_is_allowed(options):
    assert contradiction(facts(*options)) == ""


def test_low_latency_of_which_nothing_is_left_is_refused():
    assert "--low-latency means nothing" in contradiction(facts("--low-latency", "--frame-ms 10"))


@given(
    st.dictionaries(st.text() | st.sampled_from([each[0].split()[0] for each in _RULES]), st.text() | st.integers())
)
def test_whatever_is_given_the_answer_is_one_line_or_nothing(given_options):
    assert "\n" not in contradiction(given_options)
