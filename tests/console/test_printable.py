import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.strategies import tricky_texts
from voicemux.console.printable import (
    DIRECTIONS,
    JOINERS,
    MAX_NAME,
    count_lines,
    few_marks,
    line_places,
    printable,
    printable_lines,
    printable_name,
    single_spaced,
)

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SEPARATORS = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
INVISIBLE = "\u200b\u2060\u2061\u2064\u180e\ufeff\ufff9\u034f\u115f\u1160\u17b4\u3164\uffa0\U000e0041\U0001d173"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # without the joiner it falls apart
JOINED = "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"


def is_harmless(text: str) -> bool:
    """Whether a terminal shows all of it, in one line and from left to right as far as its letters are."""
    categories = {unicodedata.category(character) for character in text if character not in f"{JOINERS}{DIRECTIONS}"}
    return not categories & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(tricky_texts)
def test_whatever_comes_is_one_harmless_line(text):
    shown = printable(text)
    assert is_harmless(shown)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & {*CONTROLS, *BIDIRECTIONAL, *SEPARATORS}
    assert shown.encode().decode() == shown


@given(tricky_texts)
def test_what_is_printable_stays_as_it_is(text):
    assert printable(printable(text)) == printable(text)


@given(tricky_texts)
def test_the_lines_of_a_text_are_harmless_each(text):
    lines = printable_lines(text)
    assert lines
    assert all(is_harmless(line) and len(line.splitlines()) <= 1 for line in lines)


@given(st.text("abc äöü ÀЖ漢字🎷!?\\", max_size=60))
def test_plain_text_is_not_touched(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "character", [*CONTROLS, *BIDIRECTIONAL, *SEPARATORS, *INVISIBLE, "\ud800", "\ue000"], ids=ascii
)
def test_what_could_be_obeyed_or_hide_is_spelt_out(character):
    shown = printable(f"a{character}b")
    if character == "\t":
        assert shown == "a    b"
    else:
        assert re.fullmatch(r"a\\([nr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})b", shown)


@pytest.mark.parametrize(
    ("sequence", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\rvoicemux: ", r"\rvoicemux: "),
        ("abc\x08\x08", r"abc\x08\x08"),
    ],
)
def test_an_escape_sequence_is_shown_and_not_obeyed(sequence, shown):
    assert printable(sequence) == shown


ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
HEBREW = "\u05e9\u05dc\u05d5\u05dd!\u200f (\u200eok\u200e)\u061c"  # as people type it


@pytest.mark.parametrize("text", [JOINED, PERSIAN, "❤\ufe0f", "e\u0301", ENGLAND, HEBREW], ids=ascii)
def test_emoji_and_scripts_that_need_invisible_characters_keep_them(text):
    assert printable(text) == text


def test_a_soft_hyphen_shows_nothing():
    assert printable("Donau\xaddampf\xadschiff") == "Donaudampfschiff"


@pytest.mark.parametrize("text", ["\U0001f3f4\U000e0068\U000e0069\U000e007f", ENGLAND[1:], ENGLAND[:-1]], ids=ascii)
def test_letters_that_show_nothing_are_spelt_out_unless_they_are_a_flag(text):
    assert r"\U000e00" in printable(text)


def test_a_text_has_as_many_lines_as_were_typed():
    assert printable_lines("one\ntwo\r\nthree\u2028four") == ["one", "two", "three", "four"]
    assert printable_lines("one\n\ntwo\n") == ["one", "", "two"]
    assert printable_lines("") == printable_lines("\n") == [""]


@given(tricky_texts)
def test_a_name_is_short_harmless_and_without_our_marks(name):
    shown = printable_name(name)
    assert is_harmless(shown)
    assert len(shown.removesuffix(" (them)").removesuffix(" (not the contact)")) <= MAX_NAME
    assert not set(shown) & set("<>:|")
    assert shown == " ".join(shown.split())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("bob", "bob"),
        ("  Bob \t the\u00a0\u3000 Builder ", "Bob the Builder"),
        ("voicemux: bob", "voicemux_ bob"),
        ("alice> hi|there", "alice_ hi_there"),
        ("bob\nvoicemux", r"bob\nvoicemux"),
        ("\u2800", ""),
        ("\u2800bob\u3000\u2003\t x", "bob x"),
        ("b\u200fo\u200e\xadb", "bob"),
        ("bob" + "\u0301" * 20, "bob\u0301\u0301"),
        ("to be continued…", "to be continued_"),
        ("n" * 60 + " (not the contact)", "n" * 31 + "… (not the contact)"),
        ("bob (not the contact) (them)", "bob (not the contact) (them)"),
        ("n" * 32, "n" * 32),
        ("n" * 33, "n" * 31 + "…"),
    ],
)
def test_a_name_as_it_is_shown(name, shown):
    assert printable_name(name) == shown


@given(tricky_texts)
def test_lines_are_found_where_python_finds_them_and_are_counted_without_being_made(text):
    places = list(line_places(text))
    assert [text[start:end] for start, end in places] == (text.splitlines() or [""])
    for place in range(len(text) + 1):
        assert count_lines(text, place) == len(text[place:].splitlines())


def test_runs_of_blanks_of_any_kind_become_one():
    assert single_spaced("\t\u3000a\u2003\u2800 \xa0b\u00a0") == "a b"


def test_a_character_has_no_more_marks_than_it_may():
    assert few_marks("a\u0301\u0302\u0303b\u0301", 2) == "a\u0301\u0302b\u0301"
