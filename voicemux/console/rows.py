"""Rows of a terminal, made by us and not by it, so that each begins with a mark that says whose words it has.

A terminal wraps what is longer than a row into the first column of the next. There stood what a peer had put there:
a notice of ours, a line of another speaker. So we wrap first: `bob> ` begins the first row of a text, `bob| ` the
others.

What terminals do, and what is done about it:

- They differ in how wide characters are: the widest counts (cells.py). Where they take escape sequences, wrapping is
  switched off while rows are printed (`Screen.clips`); what is wider than anybody thought is cut off then.
- Some go to the next row as soon as the last column is written, some before what comes next: it stays free.
- When their window becomes narrower, xterm and the Linux console cut rows off; VTE, kitty, Windows Terminal, iTerm2,
  tmux and others wrap them anew, at a place that no program can choose. Rows are no longer than MOST_CELLS, however
  wide the window is, so that windows of the usual widths wrap nothing; and long runs of blanks, with which a text
  finds the first column, are cut short. In a window made narrower than that, what has no mark goes on with the row
  before it.
- Some show what is written from the right to the left that way (VTE, Konsole, mlterm, Apple's Terminal), and then the
  marks between two such pieces, too. Left-to-right marks (U+200E) stand around our marks in such rows. They are older
  and better known to terminals than isolates, and no more is needed: the text is the last thing in its row.
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

MOST_CELLS = 79  # of a row: a window of 80 columns holds it, and is the narrowest that is usual
MOST_ROWS = 100  # of a text: some screens full. What is behind them is counted
MOST_BLANKS = 8  # in a row of blanks: what is indented still looks so
MOST_MARKS = 8  # on a character: Hebrew with all its signs has 5, Tibetan 7 or so; hundreds run over other rows
LEAST_COLUMNS = 14  # for the shortest marks and a wide character. In narrower windows no text is shown
LEFT_TO_RIGHT = "\u200e"
NO_BASE = "\u25cc"  # a dotted circle: what a mark without a character stands on
LEAST_BESIDE_TAG = 20  # columns for the name, the separator and the text
LEAST_OF_NAME = 3  # cells of a name with a tag, dots included
SHORT_TAG = " (?)"  # for " (not the contact)" and " (them)", where there is no room


class Screen:
    """A terminal. `clips` says that what is too long for a row is cut off, and not wrapped."""

    def __init__(self, columns: Callable[[], int], *, clips: bool, wide: bool = False) -> None:
        """`columns` is asked for each row, since windows change. `wide`: what is ambiguous takes two cells there."""
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
    """Who speaks: `name`, and what we say of the name; then what stands before a first row, and before others.

    `quotes`: others' words stand in double quotes, which are opened again in each row.
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
        """The same in at most half a row. The name is cut short, never what is said of it."""
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
    """What is not to be cut: a character with its marks. `end` is the place behind it."""

    text: str
    cells: int
    end: int

    @property
    def is_blank(self) -> bool:
        return self.text in BLANKS


def rows(mark: Mark, text: str, screen: Screen) -> Iterator[str]:
    """`text` as rows of that screen, made one by one; at most MOST_ROWS, and then how much more there is."""
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
    """`text` for an output that is not a terminal, in pieces to be joined: nothing is wrapped, cut or folded."""
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
    """The beginning of a row, and the cells that are left behind it."""

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
    """Each row, and the place in the line where it begins."""
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
        if piece.cells > head.room:  # that many marks
            piece = piece._replace(text=piece.text[0], cells=screen.cells(piece.text[0]))
        row.append(piece)
        used += piece.cells
    yield head.row(_joined(row)), begins


def _cut(row: list[_Piece]) -> int:
    """How many pieces of a full row are printed: up to the end of its last word, if that is not far away."""
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
