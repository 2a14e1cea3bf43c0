"""Delay over time as a picture: SVG, written by hand, so that nothing needs to be installed for it."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 880, 450
LEFT, RIGHT, TOP, BOTTOM = 78, 190, 64, 55
COLOURS = ("#0b6bcb", "#00a3a3", "#c2410c", "#7c3aed", "#6b7280", "#111827")
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
GAP = 1.2  # seconds without a chirp heard over which no line is drawn

Series = Sequence[Sequence[float | None]]  # pairs of seconds and milliseconds


class _Axes:
    def __init__(self, longest: float, highest: float) -> None:
        self.longest, self.highest = longest, highest

    def x(self, seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.longest, 1)

    def y(self, milliseconds: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * milliseconds / self.highest, 1)


def draw(title: str, curves: Mapping[str, Series], disturbed: Sequence[float]) -> str:
    """The picture of some programs' delays; `disturbed` is from when to when the line was bad."""
    heard = [delay for series in curves.values() for _, delay in series if delay is not None]
    longest = max(float(series[-1][0] or 0) for series in curves.values() if series)
    step = next((step for step in STEPS if max(heard, default=1) / step <= 6), STEPS[-1])
    axes = _Axes(longest, step * (int(max(heard, default=1) / step) + 1))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
        *_grid(axes, step),
        *_shade(axes, disturbed),
    ]
    if any(delay is None for series in curves.values() for _, delay in series):
        parts.append(f'<text x="{LEFT - 8}" y="{TOP - 14}" text-anchor="end" fill="#374151">not heard</text>')
    for i, (label, series) in enumerate(curves.items()):
        parts += _curve(axes, series, COLOURS[i % len(COLOURS)], i)
        y = TOP + 14 + 24 * i
        parts += [
            f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 36}" y1="{y}" y2="{y}"'
            f' stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="3"/>',
            f'<text x="{WIDTH - RIGHT + 42}" y="{y + 4}">{escape(label)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _grid(axes: _Axes, step: int) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in range(0, int(axes.highest) + 1, step):
        y = axes.y(value)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#374151">{value}</text>')
    for second in range(0, int(axes.longest) + 1, 5):
        x = axes.x(second)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 5}" stroke="#374151"/>')
        parts.append(f'<text x="{x}" y="{bottom + 20}" text-anchor="middle" fill="#374151">{second}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">when it was spoken, in seconds</text>')
    turned = f"translate(16 {(TOP + bottom) / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">delay, in ms</text>')
    return parts


def _shade(axes: _Axes, disturbed: Sequence[float]) -> list[str]:
    begin, end = (axes.x(second) for second in disturbed)
    return [
        f'<rect x="{begin}" y="{TOP}" width="{round(end - begin, 1)}" height="{HEIGHT - TOP - BOTTOM}"'
        f' fill="#fbbf24" opacity="0.18"/>',
    ]


def _curve(axes: _Axes, series: Series, colour: str, place: int) -> list[str]:
    """A dot for each chirp heard, a line between neighbours; those not heard are ticks on top, a row per program."""
    parts, line = [], ""
    last = float("-inf")
    for seconds, delay in series:
        assert seconds is not None
        if delay is None:
            x, y = axes.x(seconds), float(TOP - 24 + 4 * place)
            parts.append(f'<rect x="{x - 2}" y="{y}" width="4" height="2.4" fill="{colour}"/>')
            continue
        x, y = axes.x(seconds), axes.y(delay)
        parts.append(f'<circle cx="{x}" cy="{y}" r="1.8" fill="{colour}"/>')
        line += f"{'M' if seconds - last > GAP else 'L'}{x} {y}"
        last = seconds
    parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>')
    return parts
