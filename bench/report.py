"""Tables and pictures from the results."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.lines import ALL, Line
from bench.picture import draw
from bench.programs import PROGRAMS

Call = dict[str, Any]
TABLES = "tables.md"
NEVER = "never"  # within the call
NOTHING = "–"  # noqa: RUF001
PICTURES = {
    "blackout-drop": "Mouth-to-ear delay through a blackout of 2 s, packets dropped",
    "blackout-hold": "Mouth-to-ear delay through a blackout of 2 s, packets held",
    "squeeze": "Mouth-to-ear delay through a squeeze to 24 kbit/s",
    "squeeze40": "Mouth-to-ear delay through a squeeze to 40 kbit/s",
    "bulk1": "Mouth-to-ear delay through a transfer by somebody else, 1 Mbit/s with a queue of 2 s",
    "bulk2": "Mouth-to-ear delay through a transfer by somebody else, 2 Mbit/s with a queue of 0.5 s",
}


def write(results: dict[str, Any], folder: Path) -> None:
    """Tables and pictures into the folder; the tables are printed, too."""
    calls = [call for call in results["calls"] if "error" not in call]
    text = "\n\n".join(
        [
            _overview(calls),
            *(_table(line, calls) for line in ALL if _of(calls, line)),
            _machine(results["machine"], calls),
        ]
    )
    (folder / TABLES).write_text(text + "\n")
    print(text)
    for line, title in PICTURES.items():
        if of_line := _of(calls, line):
            disturbed = of_line[0]["directions"]["ab"]["disturbed"]
            (folder / f"{line}.svg").write_text(draw(title, _curves(of_line), disturbed))


def _overview(calls: Sequence[Call]) -> str:
    """A row for each line, a column for each program: the table of the README."""
    programs = [name for name in PROGRAMS if any(call["program"] == name for call in calls)]

    def cell(line: Line, name: str) -> str:
        if not (of_both := [call for call in _of(calls, line.name) if call["program"] == name]):
            return ""
        if line.disturbed:
            return _recovery(of_both)
        if not _known(_each(of_both, "median")):
            return "nothing heard"
        delay = f"{_middle(_each(of_both, 'median'))} / {_middle(_each(of_both, 'p95'))} ms"
        return f"{delay}, {median(_known(_each(of_both, 'pesq'))):.1f}" if line.speech else delay

    head = ["line", *(PROGRAMS[name].label for name in programs)]
    lines = [line for line in ALL.values() if _of(calls, line.name)]
    return _markdown(head, [[line.label, *(cell(line, name) for name in programs)] for line in lines])


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _of(calls: Sequence[Call], line: str) -> list[Call]:
    return [call for call in calls if call["line"] == line]


Column = tuple[str, Callable[[Sequence[Call]], str]]

USUAL: tuple[Column, ...] = (
    ("mouth to ear, ms", lambda calls: _range(_each(calls, "median"))),
    ("p95", lambda calls: _middle(_each(calls, "p95"))),
    ("max", lambda calls: _middle(_each(calls, "max"))),
    ("heard", lambda calls: _middle(_each(calls, "heard"), percent=True)),
)
RECOVERY: Column = ("back to normal after", lambda calls: _recovery(calls))
QUALITIES: Column = ("PESQ-WB of each piece", lambda calls: _qualities(calls))
QUALITY: Column = ("PESQ-WB", lambda calls: _range(_each(calls, "pesq"), 2))
ESTIMATED: Column = ("own estimate, ms", lambda calls: _range(_sides(calls, "estimated")))
CONCEALED: Column = ("concealed", lambda calls: _middle(_sides(calls, "concealed"), percent=True))
COST: tuple[Column, ...] = (
    ("CPU, both ends", lambda calls: _middle([call["cpu_percent"] for call in calls], unit=" %")),
    ("memory, both ends", lambda calls: _middle([call["memory_mb"] for call in calls], unit=" MB")),
    ("kbit/s each way", lambda calls: _middle(_sides(calls, "kbit_s"))),
)
TEXT: Column = ("text time to ideal", lambda calls: _range([call["text"]["ratio"] for call in calls], 2))


def _table(line_name: str, calls: Sequence[Call]) -> str:
    line = ALL[line_name]
    columns = [
        *USUAL,
        *([RECOVERY] if line.disturbed else []),
        *([QUALITY] if line.speech else []),
        *([QUALITIES] if line.spoken else []),
        ESTIMATED,
        CONCEALED,
        *([TEXT] if line.text else []),
        *COST,
    ]
    ways = {f", {'-'.join(way)}": [way] for way in ("ab", "ba")} if line.one_way else {"": ["ab", "ba"]}
    rows = [
        [f"{PROGRAMS[name].label}{words}", *(cell(_directed(of_program, way)) for _, cell in columns)]
        for name in PROGRAMS
        if (of_program := [call for call in _of(calls, line_name) if call["program"] == name])
        for words, way in ways.items()
    ]
    return _markdown([line.label, *(title for title, _ in columns)], rows)


def _directed(calls: Sequence[Call], ways: Sequence[str]) -> list[Call]:
    """The calls with these directions alone."""
    return [call | {"directions": {way: call["directions"][way] for way in ways}} for call in calls]


def _qualities(calls: Sequence[Call]) -> str:
    """The median of each piece of speech, in the order in which they were spoken."""
    pieces = zip(*(direction["pesq_at"] for call in calls for direction in call["directions"].values()), strict=True)
    qualities = [_known([quality for _, quality in piece]) for piece in pieces]
    return ", ".join(f"{median(each):.1f}" if each else NOTHING for each in qualities)


def _each(calls: Sequence[Call], figure: str) -> list[float | None]:
    """One figure of every direction of every call."""
    return [direction.get(figure) for call in calls for direction in call["directions"].values()]


def _sides(calls: Sequence[Call], figure: str) -> list[float]:
    return [value for call in calls for value in (call.get(figure) or {}).values()]


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _middle(values: Sequence[float | None], percent: bool = False, unit: str = "") -> str:
    if not (known := _known(values)):
        return NOTHING
    return f"{median(known) * 100:.1f} %".replace("100.0", "100") if percent else f"{median(known):.0f}{unit}"


def _range(values: Sequence[float | None], digits: int = 0) -> str:
    """Median, and the least and the greatest in brackets."""
    if not (known := _known(values)):
        return NOTHING
    return f"{median(known):.{digits}f} ({min(known):.{digits}f} to {max(known):.{digits}f})"


def _recovery(calls: Sequence[Call]) -> str:
    """Never counts as longer than anything."""
    values = _each(calls, "back_to_normal_s")
    ordered = sorted(float("inf") if value is None else value for value in values)
    words = [NEVER if value == float("inf") else f"{value:.1f} s" for value in ordered]
    middle = words[len(words) // 2]
    return middle if words[0] == words[-1] else f"{middle} ({words[0]} to {words[-1]})"


def _machine(machine: dict[str, Any], calls: Sequence[Call]) -> str:
    busy = [call["machine_busy"] for call in calls]
    load = f" All cores together were {median(busy):.0%} busy ({min(busy):.0%} to {max(busy):.0%})." if busy else ""
    return "Measured with: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "." + load


def _curves(calls: Sequence[Call]) -> dict[str, list[list[float | None]]]:
    """By label: the first repeat's delays, one direction after the other would hide one; so from a to b."""
    return {
        PROGRAMS[name].label: next(call for call in calls if call["program"] == name)["directions"]["ab"]["series"]
        for name in PROGRAMS
        if any(call["program"] == name for call in calls)
    }
