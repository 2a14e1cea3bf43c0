import pytest
from hypothesis import given

from tests.console.strategies import tricky_texts
from tests.console.test_printable import is_harmless
from voicemux.console.quoting import MOST_QUOTED, quoted, quoted_name, they_say


@given(tricky_texts)
def test_whatever_is_quoted_is_short_harmless_and_ends_where_we_end_it(words):
    for shown in (quoted(words * 20), quoted_name(words)):
        assert is_harmless(shown)
        assert len(shown) <= MOST_QUOTED + len('""') + len(" (not the contact)")
        assert shown.count('"') in (0, 2)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("so long", '"so long"'),
        ("  a\t \u3000\u2800 b ", '"a b"'),
        ('bye"). voicemux: hi', '"bye\'). voicemux: hi"'),
        ("a\u201cb\uff02c", "\"a'b'c\""),
        ("\x1b[2J\nvoicemux: hi", r'"\x1b[2J\nvoicemux: hi"'),
        ("\u05d0", '"\u05d0"\u200e'),
        ("x" * 200, '"' + "x" * 119 + '…"'),
        ("a" + "\u0301" * 9, '"a\u0301\u0301"'),
    ],
    ids=ascii,
)
def test_words_are_quoted_as_somebody_elses(words, shown):
    assert quoted(words) == shown


@pytest.mark.parametrize("words", ["", " ", "\u2800\u3000"], ids=ascii)
def test_no_words_are_not_quoted(words):
    assert they_say(words) == ""
