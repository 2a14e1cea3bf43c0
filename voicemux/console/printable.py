"""Peer text made fit for a terminal: nothing in it can move the cursor, hide, or look like somebody else's line."""

import unicodedata

MAX_NAME = 32  # characters of a name that are shown
JOINERS = "\u200c\u200d"  # harmless format characters without which emoji and Persian fall apart
ILL_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, formats (bidirectional ones too), separators
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters and marks that show nothing


def printable(text: str) -> str:
    """`text` in one line, with everything that is not plainly visible written as an escape."""
    return "".join(_visible(character) for character in text.replace("\t", "    "))


def printable_lines(text: str) -> list[str]:
    """The lines of `text`, each printable; at least one."""
    return [printable(line) for line in text.splitlines()] or [""]


def printable_name(name: str) -> str:
    """A name in one short piece without the marks that our own lines are built with."""
    shown = " ".join(printable(name).translate(str.maketrans("<>:|\u2800", "____ ")).split())
    return shown if len(shown) <= MAX_NAME else shown[: MAX_NAME - 1] + "…"


def _visible(character: str) -> str:
    ill = unicodedata.category(character) in ILL_CATEGORIES or character in INVISIBLE
    if ill and character not in JOINERS:
        return character.encode("unicode_escape").decode("ascii")
    return character
