"""Screens as terminals draw them, and what must be true of every one: who speaks in a row stands at its beginning.

Terminals differ in how wide characters are, so there are three: one that does as usual, one that shows in two cells
what may have two, and one that gives cells to whatever others put on, under or into the character before.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from unittest.mock import patch

import pyte
import pyte.screens
from wcwidth import wcwidth

HEIGHT = 24  # rows of a screen
COPIED = 12  # characters that stand in a row as somebody else has written them, and are no accident


def asian(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "AWF" and wcwidth(character) > 0 else wcwidth(character)


def widest(character: str) -> int:
    """No character shares a cell with another."""
    if unicodedata.east_asian_width(character) in "WF" or "\U0001f1e6" <= character <= "\U0001f1ff":
        return 2
    return 2 if unicodedata.east_asian_width(character) == "A" and wcwidth(character) > 0 else 1


KINDS = {"usual": wcwidth, "asian": asian, "widest": widest}


class Emulator(pyte.Screen):
    """Keeps what scrolls away.

    pyte gives up on the rest of what comes at once when something in it takes no cell; this does not.
    """

    def __init__(self, columns: int) -> None:
        self.gone: list[list[str]] = []
        super().__init__(columns, HEIGHT)

    def draw(self, data: str) -> None:
        for character in data:
            super().draw(character)

    def index(self) -> None:
        if self.cursor.y == HEIGHT - 1:
            self.gone.append(self.cells(0))
        super().index()

    def cells(self, y: int) -> list[str]:
        """Of a row, without what is empty to the right; behind a wide character there is one with nothing."""
        cells = [self.buffer[y][x].data for x in range(self.columns)]
        while cells and cells[-1] == " ":
            cells.pop()
        return cells


def drawn(written: str, columns: int, kind: str = "usual", narrower: int = 0) -> list[str]:
    """The rows of a screen on which that was written; if it is made `narrower`, wrapped anew as some terminals do."""
    screen = Emulator(columns)
    with patch.object(pyte.screens, "wcwidth", KINDS[kind]):
        pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    new, shown = narrower or columns, list[str]()
    for cells in [*screen.gone, *map(screen.cells, range(HEIGHT))]:
        shown += ["".join(cells[at : at + new]).rstrip() for at in range(0, max(1, len(cells)), new)]
    while shown and not shown[-1]:
        shown.pop()
    return shown


def impostors(
    rows: Iterable[str],
    peers: Sequence[str],
    words: Sequence[str] = (),
    ours: Sequence[str] = ("voicemux: ", "voicemux| "),
    known: Sequence[str] = (),
) -> list[str]:
    """The rows that do not say at their beginning who speaks in them.

    A row is a peer's, and begins with one of its marks `peers`; or ours, and is `known`, or begins with a mark of
    `ours`, behind which none of the `words` of a peer follows that is not in quotes.
    """

    def says_who(row: str) -> bool:
        if row in known or any(row.startswith(mark) or row == mark.rstrip() for mark in peers):
            return True
        return any(
            (row.startswith(mark) or row == mark.rstrip()) and not is_copied(row[len(mark) :][:COPIED])
            for mark in ours
        )

    def is_copied(said: str) -> bool:  # one word, of a name, is no sentence
        return len(said) == COPIED and " " in said and any(said in each for each in words)

    peers, ours, words, known = (list(map(bare, each)) for each in (peers, ours, words, known))

    return [row for row in rows if not says_who(bare(row))]


def bare(text: str) -> str:
    """What stands in cells of its own: of the rest, pyte keeps some and some not."""
    return "".join(each for each in unicodedata.normalize("NFKD", text) if wcwidth(each) > 0)
