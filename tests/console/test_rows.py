import tracemalloc
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.strategies import tricky_texts
from voicemux.console import rows as rows_module
from voicemux.console.cells import cells
from voicemux.console.rows import LEAST_COLUMNS, MOST_ROWS, OURS, Mark, Screen, rows, whole_lines

BOB = Mark("bob")
STRANGER = Mark("Bartholomew Featherstonehaugh", " (not the contact)")
LEFT_TO_RIGHT = "\u200e"
WIDE = "\u6f22\u5b57\U0001f3b7\uac00"
TRICKY = (
    "\u0301\u200d\ufe0f\u20e3\U0001f1e6\U0001f3fb\u0e33\u0903\u1161\u2800\u3000\xa0\xad\u200f\u2014\u044f\u202e\x1b"
)
texts = tricky_texts | st.text(f"ab> {WIDE}{TRICKY}", max_size=200) | st.text(max_size=200)


def screen(columns: int = 40, *, clips: bool = True, wide: bool = False) -> Screen:
    return Screen(lambda: columns, clips=clips, wide=wide)


def shown(text: str, columns: int = 40, mark: Mark = BOB, **kind: bool) -> list[str]:
    return list(rows(mark, text, screen(columns, **kind)))


@given(texts, st.integers(1, 140), st.sampled_from([BOB, OURS, STRANGER]), st.booleans())
def test_no_row_is_longer_than_the_screen_and_each_begins_with_a_mark(text, columns, mark, clips):
    its_screen = screen(columns, clips=clips)
    fitted = mark.fitted(its_screen, columns)
    for number, row in enumerate(rows(mark, text, its_screen)):
        separator = mark.others if number else mark.first
        if columns >= LEAST_COLUMNS:
            assert row.startswith(f"{fitted.name}{fitted.tag}{separator}")
            assert its_screen.cells(row) < columns
        else:
            assert row == separator[0]


@given(texts, st.integers(20, 140))
def test_what_is_not_blank_is_all_there(text, columns):
    body = "".join(row.split("> ", 1)[-1] if not n else row[5:] for n, row in enumerate(shown(text, columns)))
    if len(shown(text, columns)) <= MOST_ROWS:
        expected = "".join("".join(line.split()) for line in "".join(whole_lines(BOB, text)).split("\n"))
        for each in "abcdefgh":
            assert body.count(each) == expected.replace("bob|", "").replace("bob>", "").count(each)


def test_rows_end_between_words_where_there_are_some():
    assert shown("the quick brown fox jumps over the lazy dog", 30) == [
        "bob> the quick brown fox",
        "bob| jumps over the lazy dog",
    ]
    assert shown("x" * 50, 30) == ["bob> " + "x" * 24, "bob| " + "x" * 24, "bob| xx"]


def test_the_last_column_stays_free():
    assert shown("x" * 50, 55) == [f"bob> {'x' * 49}", "bob| x"]


def test_wide_windows_have_rows_that_a_narrower_one_need_not_wrap():
    assert max(map(len, shown("x" * 1000, 300))) == 79


@pytest.mark.parametrize("blank", ["\t", " ", "\xa0", "\u3000", "\u2003", "\u2800", "\U0001d159"], ids=ascii)
def test_a_run_of_blanks_is_cut_short(blank):
    (row,) = shown(f"hi{blank * 100}voicemux: bye", 80)
    assert len(row) <= len("bob> hivoicemux: bye") + 8


@pytest.mark.parametrize("filler", ["\u3164", "\u115f", "\uffa0"], ids=ascii)
def test_letters_that_look_like_blanks_are_spelt_out(filler):
    assert filler not in "".join(shown(f"hi{filler * 30}voicemux: bye"))


def test_what_is_indented_stays_so():
    assert shown("if x:\n    go()") == ["bob> if x:", "bob|     go()"]


# --- widths


@pytest.mark.parametrize(
    ("character", "usual", "most"),
    [
        ("a", 1, 1),
        ("\xe9", 2, 2),
        ("\u2014", 2, 2),
        ("\u044f", 1, 2),
        ("\u03b1", 1, 2),
        ("\u6f22", 2, 2),
        ("\U0001f3b7", 2, 2),
        ("\U0001f1e6", 2, 2),
        ("\u0301", 0, 1),
        ("\u200d", 0, 1),
        ("\ufe0f", 1, 1),
        ("\u0903", 1, 1),
        ("\u1161", 0, 1),
        ("\U000cffff", 2, 2),
    ],
    ids=ascii,
)
def test_the_widest_of_what_terminals_do_counts(character, usual, most):
    assert (cells(character, most=False), cells(character, most=True)) == (usual, most)


def test_russian_has_rows_of_the_usual_length_unless_a_terminal_may_show_it_wide():
    assert len(shown("\u044f" * 34)) == 1
    assert len(shown("\u044f" * 34, wide=True)) == len(shown("\u044f" * 34, clips=False)) == 3


def test_a_window_that_changes_has_rows_of_its_new_width_from_the_next_on():
    columns = 40
    coming = rows(BOB, "x" * 100, Screen(lambda: columns, clips=True))
    assert len(next(coming)) == 39
    columns = 20
    next(coming)  # it was begun before
    assert len(next(coming)) == 19


# --- marks


def test_a_long_name_is_cut_short_and_what_is_said_of_it_is_not():
    assert shown("hi", 100, STRANGER) == ["Bartholomew Featherstonehaugh (not the contact)> hi"]
    assert shown("hi", 40, STRANGER) == ["B… (not the contact)> hi"]
    assert shown("hi", 20, STRANGER) == ["Ba… (?)> hi"]
    assert shown("hi", 20, Mark("Bartholomew")) == ["Bartho…> hi"]


@given(st.text(max_size=40), st.integers(LEAST_COLUMNS, 140))
def test_the_tag_of_a_name_is_on_every_screen(name, columns):
    for tag in (" (them)", " (not the contact)", " (not the contact) (them)"):
        fitted = Mark(name, tag).fitted(screen(columns), columns)
        assert fitted.tag in (tag, " (?)")


def test_a_character_has_a_bounded_number_of_marks():
    assert shown("z" + "\u0336" * 1000) == ["bob> z" + "\u0336" * 8]


def test_a_mark_stands_on_no_mark_of_ours():
    assert shown("\u0338hi") == ["bob> \u25cc\u0338hi"]


def test_quotes_are_opened_again_in_each_row_so_that_no_row_begins_with_what_another_says():
    assert shown('busy (the other side says: "you talk too much"); call later', 30, OURS) == [
        "voicemux: busy (the other",
        'voicemux| side says: "you',
        'voicemux| "talk too much");',
        "voicemux| call later",
    ]


# --- from the right to the left


def test_our_mark_stays_where_it_is_before_what_is_written_from_the_right():
    assert shown("\u05e9\u05dc\u05d5\u05dd") == [f"bob> {LEFT_TO_RIGHT}\u05e9\u05dc\u05d5\u05dd"]
    assert shown("hi", mark=Mark("\u05d0\u05d1")) == [
        f"{LEFT_TO_RIGHT}\u05d0\u05d1{LEFT_TO_RIGHT}> {LEFT_TO_RIGHT}hi"
    ]
    assert shown("hi \u200f!") == [f"bob> {LEFT_TO_RIGHT}hi \u200f!"]
    assert shown("hi") == ["bob> hi"]


def test_overrides_and_isolates_are_spelt_out():
    assert shown("\u202e\u2066x") == [r"bob> \u202e\u2066x"]


# --- how much


def test_a_text_has_a_bounded_number_of_rows_and_the_rest_is_counted():
    text = "\n" * 1_048_576
    assert shown(text)[-1] == "bob| ... 1048476 more lines"
    assert len(shown(text)) == MOST_ROWS + 1
    assert shown("x" * 10_000)[-1] == "bob| ... 6600 more characters"
    assert shown("\n".join("x" * MOST_ROWS))[-1] == "bob| x"
    assert shown("\n".join("x" * (MOST_ROWS + 1)))[-1] == "bob| ... 1 more characters"


@pytest.mark.parametrize(
    "text", ["\n" * 1_048_576, "a\u0301" * 349_525, "\r\n" * 524_288], ids=["lf", "marks", "crlf"]
)
@pytest.mark.parametrize("name", ["bob", "\U0001f3b7" * 16])
def test_rows_take_little_memory(text, name):
    tracemalloc.start()
    try:
        for _ in rows(Mark(name), text, screen()):
            pass
        for _ in islice(whole_lines(Mark(name), text), 20_000):
            pass
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_what_is_no_terminal_gets_everything():
    text = "a" * 20_000 + " " * 50 + "\n" * 1000 + "\x1b"
    lines = "".join(whole_lines(BOB, text)).split("\n")
    assert lines[0] == "bob> " + "a" * 20_000 + " " * 50
    assert lines[1:-2] == ["bob| "] * 999
    assert lines[-2:] == [r"bob| \x1b", ""]


def test_rows_are_made_one_by_one(monkeypatch):
    monkeypatch.setattr(rows_module, "MOST_ROWS", 10**9)
    assert next(rows(BOB, "x\n" * 500_000, screen())) == "bob> x"
