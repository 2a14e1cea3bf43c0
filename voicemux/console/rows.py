"""Cuts text into rows of a terminal. Each row begins with a mark that says whose words it has.

A terminal wraps a row that is too long into the first column of the next row. There, a peer could forge a notice of
ours, or a line of another person. So we wrap first: `bob> ` begins the first row of a text, `bob| ` the other rows.

What terminals do, and what is done about it:

- Terminals differ in how wide they show a character: the widest form counts (cells.py). Where a terminal takes escape
  sequences, wrapping is switched off while rows are printed (`Screen.clips`). It then cuts off what is wider still.
- Some go to the next row as soon as the last column is written, some only before the next character. So the last
  column stays free.
- When a window becomes narrower, xterm and the Linux console cut rows off. VTE, kitty, Windows Terminal, iTerm2, tmux
  and others wrap them again, at a place that no program can choose. So rows have at most MOST_CELLS, however wide the
  window is: windows of the usual widths then wrap nothing. Long runs of blanks, with which a text could reach the
  first column, are cut short. In a window made narrower than MOST_CELLS, a row without a mark continues the row
  above it.
- Some (VTE, Konsole, mlterm, Apple's Terminal) show right-to-left text from the right, and then also our marks
  between two such pieces. So left-to-right marks (U+200E) stand around our marks in such rows. Terminals know them
  better than isolates, which are newer. They are enough, because the text is the last thing in its row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from voicemux.console.cells import adds_nothing, cells
from voicemux.console.printable import (
    BLACK_FLAG,
    BLANKS,
    count_lines,
    is_from_the_right,
    is_mark,
    line_places,
    printable_pieces,
    visible,
)

MOST_CELLS = 79  # cells of a row: it fits a window of 80 columns, the narrowest that is usual
MOST_ROWS = 100  # rows of a text: a few screens full. Further rows are only counted
MOST_BLANKS = 8  # blanks in a run: indented text still looks indented
MOST_MARKS = 8  # marks on a character: Hebrew with all its signs has 5, Tibetan about 7; hundreds cover other rows
LEAST_COLUMNS = 14  # columns for the shortest mark and a wide character. Narrower windows show only marks
LEFT_TO_RIGHT = "\u200e"
NO_BASE = "\u25cc"  # a dotted circle, on which a combining mark without a character stands
LEAST_BESIDE_TAG = 20  # columns for the name, the separator and the text
LEAST_OF_NAME = 3  # cells of a name with a tag, dots included
SHORT_TAG = " (?)"  # for " (not the contact)" and " (them)", where there is no room


class Screen:
    """A terminal. `clips`: it cuts off what is too long for a row, and does not wrap it."""

    def __init__(self, columns: Callable[[], int], *, clips: bool, wide: bool = False) -> None:
        """`columns` is called for each row, since windows change. `wide`: ambiguous characters take two cells."""
        self._columns = columns
        self.clips = clips
        self.most = wide or not clips

    @property
    def columns(self) -> int:
        return self._columns()

    def cells(self, text: str) -> int:
        return sum(cells(character, most=self.most) for character in text)


@dataclass(frozen=True)
class Mark:
    """The mark of a speaker: `name`, and `tag`, our remark on the name. `first` ends the mark in the first row of a
    text, `others` in the other rows.

    `quotes`: a peer's words in the text stand in double quotes, which are opened again in each row.
    """

    name: str
    tag: str = ""
    first: str = "> "
    others: str = "| "
    quotes: bool = False

    def before(self, separator: str) -> str:
        around = LEFT_TO_RIGHT if is_from_the_right(self.name) else ""
        return f"{around}{self.name}{around}{self.tag}{separator}"

    def fitted(self, screen: Screen, columns: int) -> "Mark":
        """Return the mark in at most half a row. The name is cut short, never the tag; SHORT_TAG replaces that."""
        room = max(2, columns // 2 - 2)
        if screen.cells(self.name + self.tag) <= room:
            return self
        tag = self.tag
        if tag and screen.cells(tag) > columns - LEAST_BESIDE_TAG:
            tag = SHORT_TAG
        room = max(room - screen.cells(tag), LEAST_OF_NAME if tag else 0) - screen.cells("…")
        short = ""
        for piece in _pieces(self.name, screen):
            room -= piece.cells
            if room < 0:
                break
            short += piece.text
        return replace(self, name=f"{short.rstrip()}…", tag=tag)


OURS = Mark("voicemux", first=": ", quotes=True)


class _Piece(NamedTuple):
    """A character with its combining marks, which is never cut. `end` is where it ends in the line."""

    text: str
    cells: int
    end: int

    @property
    def is_blank(self) -> bool:
        return self.text in BLANKS


def rows(mark: Mark, text: str, screen: Screen) -> Iterator[str]:
    """Yield `text` as rows of `screen`: at most MOST_ROWS, and then how much more there is."""
    made = 0
    for start, end in line_places(text):
        for row, place in _rows_of_line(mark, text[start:end], screen, is_first=made == 0):
            if made == MOST_ROWS:
                rest = _rest(text, start + place, end)
                yield from (row for row, _ in _rows_of_line(mark, rest, screen, is_first=False))
                return
            yield row
            made += 1


def whole_lines(mark: Mark, text: str) -> Iterator[str]:
    """Yield `text` in pieces to be joined, for an output that is not a terminal: not wrapped, cut or folded."""
    before, others = (f"{mark.name}{mark.tag}{separator}" for separator in (mark.first, mark.others))
    for start, end in line_places(text):
        if start == end:
            yield f"{before}\n"
        else:
            yield before
            yield from printable_pieces(text, start, end)
            yield "\n"
        before = others


class _Head:
    """The beginning of a row, and the cells that are left for text."""

    def __init__(self, mark: Mark, screen: Screen, separator: str, *, reopens: bool = False) -> None:
        columns = screen.columns
        self._is_narrow = columns < LEAST_COLUMNS
        self._mark = separator[:1] if self._is_narrow else mark.fitted(screen, columns).before(separator)
        self._quote = '"' if reopens else ""
        direction = screen.cells(LEFT_TO_RIGHT)
        used = screen.cells(self._mark) + len(self._quote) + direction
        self.room = max(2, min(columns - 1, MOST_CELLS) - used)

    def row(self, text: str) -> str:
        if self._is_narrow:
            return self._mark
        direction = LEFT_TO_RIGHT if is_from_the_right(self._mark + text) else ""
        return f"{self._mark}{direction}{self._quote}{text}"


def _rows_of_line(mark: Mark, line: str, screen: Screen, *, is_first: bool) -> Iterator[tuple[str, int]]:
    """Yield each row, and the place in the line where it begins."""
    head = _Head(mark, screen, mark.first if is_first else mark.others)
    begins, is_quoted, row, used = 0, False, list[_Piece](), 0
    for piece in _pieces(line, screen):
        while row and used + piece.cells > head.room and not piece.is_blank:  # blanks at the end show nothing
            cut = _cut(row)
            text = _joined(row[:cut])
            yield head.row(text), begins
            begins, row = row[cut - 1].end, row[cut:]
            used = sum(each.cells for each in row)
            is_quoted ^= mark.quotes and text.count('"') % 2 == 1
            head = _Head(mark, screen, mark.others, reopens=is_quoted)
        if piece.cells > head.room:  # too many combining marks
            piece = piece._replace(text=piece.text[0], cells=screen.cells(piece.text[0]))
        row.append(piece)
        used += piece.cells
    yield head.row(_joined(row)), begins


def _cut(row: list[_Piece]) -> int:
    """How many pieces of a full row are printed: up to the end of its last word, if that is in the second half."""
    for place in range(len(row), len(row) // 2, -1):
        if row[place - 1].is_blank:
            return place
    return len(row)


def _joined(row: list[_Piece]) -> str:
    return "".join(piece.text for piece in row).rstrip(BLANKS)


def _pieces(line: str, screen: Screen) -> Iterator[_Piece]:
    text, width, end, marks, blanks = "", 0, 0, 0, 0
    for shown, place in visible(line):
        is_itself = len(shown) == 1
        if is_itself and adds_nothing(shown):
            if not text and is_mark(shown):
                text, width = NO_BASE, screen.cells(NO_BASE)
            marks += 1
            if marks <= MOST_MARKS:
                text, width = text + shown, width + screen.cells(shown)
            end = place
            continue
        if text:
            yield _Piece(text, width, end)
        text, width, end, marks = "", 0, place, 0
        blanks = blanks + len(shown) if shown and shown[0] in BLANKS else 0
        if blanks > MOST_BLANKS:
            continue
        if (is_itself and not blanks) or shown[:1] == BLACK_FLAG:
            text, width = shown, screen.cells(shown)
        else:  # an escape, a tab
            yield from (_Piece(each, screen.cells(each), place) for each in shown)
    if text:
        yield _Piece(text, width, end)


def _rest(text: str, place: int, end: int) -> str:
    lines = count_lines(text, place)
    return f"... {lines} more lines" if lines > 1 else f"... {end - place} more characters"
