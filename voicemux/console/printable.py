"""Makes a peer's text safe for a terminal: it cannot move the cursor, hide, or look like a line of another
speaker."""

import functools
import re
import unicodedata
from collections.abc import Iterator

from voicemux.security.names import NOT_THE_CONTACT

MAX_NAME = 32  # characters of a name that are shown
MOST_MARKS_OF_NAMES = 2  # combining marks on one character of a name
TAB = "    "
JOINERS = "\u200c\u200d"  # joiners, without which emoji and Persian letters are not joined
# Direction marks, which writers of right-to-left text type to place a full stop. They show nothing, and move only
# what is beside them in the same text: rows.py keeps our marks out of that. Overrides and isolates are escaped,
# because they reach further.
DIRECTIONS = "\u061c\u200e\u200f"
SOFT_HYPHEN = "\xad"  # the place where a word may be divided: shows nothing
# Unicode categories that are escaped: controls, formats (also bidirectional), separators.
ILL_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters and marks that show nothing
# All characters that look like a blank: category Zs, the tab, and symbols without ink.
BLANKS = (
    "\t \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u2800\U00013441\U00013442\U0001d159"
)
UNASSIGNED_INVISIBLE = ((0x2065, 0x2065), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))  # Default_Ignorable_Code_Point
BLACK_FLAG = "\U0001f3f4"
# The flags of England, Scotland and Wales: a black flag, and letters of an alphabet that shows nothing.
_TAGS_OF_FLAGS = ("".join(chr(0xE0000 + ord(each)) for each in name) for name in ("gbeng", "gbsct", "gbwls"))
_TAGGED_FLAG = re.compile(f"{BLACK_FLAG}(?:{'|'.join(_TAGS_OF_FLAGS)})\U000e007f")
_LINE_END = re.compile("\r\n|[\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029]")  # as str.splitlines has it
THEM = " (them)"
# Our own remarks behind a name, which are never cut off.
_TAG = re.compile(f"(?:{re.escape(NOT_THE_CONTACT)}|{re.escape(THEM)}){{1,2}}$")
_BLANK_RUN = re.compile(f"[{BLANKS}]+")
_PIECE = 8192  # characters


def printable(text: str) -> str:
    """Return `text` in one line, with an escape for each character that could hide or mislead."""
    if text.isprintable() and not any(
        each in text for each in INVISIBLE
    ):  # a shortcut for nearly every text, 50 times as fast
        return text
    return "".join(shown for shown, _ in visible(text))


def printable_lines(text: str) -> list[str]:
    """Return the lines of `text`, each printable; at least one."""
    return [printable(text[start:end]) for start, end in line_places(text)]


def printable_pieces(text: str, start: int, end: int) -> Iterator[str]:
    """Yield the line `text[start:end]` in printable pieces of at most _PIECE characters of it."""
    for place in range(start, end, _PIECE):
        yield printable(text[place : min(place + _PIECE, end)])


def printable_name(name: str) -> str:
    """Return a name in one short piece, without the characters that our own lines are built with (`<>:|…`), and our
    remark."""
    return "".join(name_and_tag(name))


def name_and_tag(name: str) -> tuple[str, str]:
    """Return a name as it is shown, at most MAX_NAME characters, and our remark on it: " (not the contact)", "
    (them)" or ""."""
    tags = _TAG.search(name)
    tag, stem = (tags[0], name[: tags.start()]) if tags else ("", name)
    shown = printable(few_marks(single_spaced(stem), MOST_MARKS_OF_NAMES)).translate(_NO_MARKS).strip()
    # Such a character would join what stands before the name.
    while shown and (is_mark(shown[0]) or shown[0] in JOINERS):
        shown = shown[1:].lstrip()
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…", tag


def single_spaced(text: str) -> str:
    """Return `text` with one space for each run of blanks, and none at the ends."""
    return _BLANK_RUN.sub(" ", text).strip(" ")


def few_marks(text: str, most: int) -> str:
    """Return `text` with at most `most` combining marks on each character."""
    kept, marks = list[str](), 0
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        if marks <= most:
            kept.append(character)
    return "".join(kept)


def visible(text: str) -> Iterator[tuple[str, int]]:
    """Yield what is shown of each character, and the place behind it. That is the character itself, an escape, or
    nothing."""
    place = 0
    while place < len(text):
        character = text[place]
        if character == BLACK_FLAG and (flag := _TAGGED_FLAG.match(text, place)):
            place = flag.end()
            yield flag[0], place
        else:
            place += 1
            yield _visible(character), place


@functools.lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character == "\t":
        return TAB
    if character == SOFT_HYPHEN:
        return ""
    ill = unicodedata.category(character) in ILL_CATEGORIES or character in INVISIBLE or _is_unassigned(character)
    if ill and character not in JOINERS and character not in DIRECTIONS:
        return character.encode("unicode_escape").decode("ascii")
    return character


def is_mark(character: str) -> bool:
    """Whether the character is a combining mark: above, below or around the one before it, or a vowel of Hangul."""
    hangul = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
    return hangul or unicodedata.category(character) in ("Mn", "Me")


def is_from_the_right(text: str) -> bool:
    """Whether `text` has characters that are written from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(each) in ("R", "AL", "AN") for each in text)


def line_places(text: str) -> Iterator[tuple[int, int]]:
    """Yield the beginning and end of each line of `text`; at least one."""
    start = 0
    for found in _LINE_END.finditer(text):
        yield start, found.start()
        start = found.end()
    if start < len(text) or not text:
        yield start, len(text)


def count_lines(text: str, start: int) -> int:
    """Return how many lines `text` has from `start` on. Makes no copies."""
    ends = sum(text.count(end, start) for end in "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029") - text.count(
        "\r\n", start
    )
    return ends + (start < len(text) and not _LINE_END.match(text, len(text) - 1))


_NO_MARKS = {**str.maketrans("<>:|…", "_____"), **dict.fromkeys(map(ord, DIRECTIONS))}


def _is_unassigned(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in UNASSIGNED_INVISIBLE)
