"""Quotes a peer's words inside a sentence of ours: short, printable, and in quotes that they cannot close."""

import unicodedata

from voicemux.console.printable import few_marks, is_from_the_right, name_and_tag, printable, single_spaced

MOST_QUOTED = 120  # characters
MOST_MARKS = 2  # combining marks on one character
LEFT_TO_RIGHT = "\u200e"  # put behind right-to-left text, so that what follows stays behind it
# Characters that look like our quotes; "'" replaces them.
_LIKE_QUOTES = (
    '"\u201c\u201d\u201e\u201f\u2033\u2036\u3003\u301d\u301e\u301f\uff02\u02ba\u02dd\u05f4\u275d\u275e'
    "\U0001f676\U0001f677\U0001f678"
)
_QUOTES = str.maketrans(dict.fromkeys(_LIKE_QUOTES, "'"))


def quoted(words: str) -> str:
    """Return words of a peer in one short piece, in quotes: `"so long"`."""
    shown = printable(few_marks(single_spaced(words), MOST_MARKS)).translate(_QUOTES)
    if len(shown) > MOST_QUOTED:
        shown = shown[: MOST_QUOTED - 1] + "…"
    return _closed(f'"{shown}"', shown)


def quoted_name(name: str) -> str:
    """Return a name that a peer chose, in quotes if it is more than a plain word: `bob`, `"bob, whom you know"`."""
    stem, tag = name_and_tag(name)
    if not stem:
        return tag.strip()
    if not all(_is_plain(character) for character in stem):
        stem = f'"{stem.translate(_QUOTES)}"'
    return _closed(stem, stem) + tag


def they_say(words: str) -> str:
    """Return a clause that quotes the peer, to put behind a sentence of ours; "" if `words` is blank."""
    return f" (the other side says: {quoted(words)})" if single_spaced(words) else ""


def _is_plain(character: str) -> bool:
    return character in "-_.'…\u200c\u200d" or unicodedata.category(character)[0] in "LMN"


def _closed(shown: str, words: str) -> str:
    return f"{shown}{LEFT_TO_RIGHT}" if is_from_the_right(words) else shown
