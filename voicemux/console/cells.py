"""Computes how many cells of a terminal a character may take. Only this module imports wcwidth.

Terminals differ. A row that is wider than computed ends in the first column of the next row, where only voicemux's
marks may stand. So the widest form of any terminal is counted, and no two characters are taken to share cells: an
emoji of four persons counts as four, a flag as two, a character of ambiguous width (UAX #11) as two cells.
"""

import functools
import unicodedata

from wcwidth import wcwidth

WIDE_FORM = "\ufe0f"  # variation selector 16: the character before it becomes an emoji, two cells wide
EAST_ASIAN = ("zh", "ja", "ko")  # languages in which terminals show characters of ambiguous width in two cells


@functools.lru_cache(maxsize=4096)
def cells(character: str, *, most: bool) -> int:
    """Return the cells that one character adds to a row.

    With `most`, the result is the widest form of any terminal: Greek and Cyrillic letters, whose width is ambiguous,
    count as two, and marks on letters as one. Without it they count as usual terminals show them, so that Russian has
    rows of the usual length; this is for terminals that cut off a row that is too wide.
    """
    if " " <= character <= "~":
        return 1
    if character == WIDE_FORM:
        return 1
    usual = wcwidth(character)
    if usual <= 0:
        return int(most or unicodedata.category(character) == "Mc")
    width = unicodedata.east_asian_width(character)
    if width in "WF" or unicodedata.category(character) == "Cn" or "\U0001f1e6" <= character <= "\U0001f1ff":
        return 2
    if width == "A":
        return 2 if most or not _is_letter_of_ours(character) else usual
    return usual


def adds_nothing(character: str) -> bool:
    """Whether the character stands on, under or within the one before it."""
    return wcwidth(character) <= 0


def is_wide_locale(language: str) -> bool:
    """Whether terminals of this language (as in LANG: "ja_JP.UTF-8") show ambiguous characters in two cells."""
    return language[:2].lower() in EAST_ASIAN


def _is_letter_of_ours(character: str) -> bool:
    return "\u0370" <= character <= "\u04ff" and character.isalpha()
