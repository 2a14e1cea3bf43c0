"""Curves over time as an SVG, written by hand, so that nothing needs to be installed for it."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP, BOTTOM = 860, 190, 64, 170, 44, 34, 44
COLOURS = ("#9ca3af", "#0b6bcb", "#c2410c")
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Curve(NamedTuple):
    label: str
    points: Sequence[tuple[float, float]]  # seconds, value
    is_dots: bool = False


class Panel(NamedTuple):
    unit: str
    curves: Sequence[Curve]


def chart(title: str, panels: Sequence[Panel], seconds: float, shaded: tuple[float, float], what: str) -> str:
    """Panels one below the other with one axis of time; `what` happens in the shaded time."""
    height = TOP + len(panels) * (PANEL + GAP) + BOTTOM - GAP

    def x(second: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * second / seconds, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        ' font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (unit, curves) in enumerate(panels):
        top = TOP + number * (PANEL + GAP)
        highest = max(value for curve in curves for _, value in curve.points)
        step = next(step for step in STEPS if highest / step <= 6)
        most = step * (int(highest / step) + 1)

        def y(value: float, top: float = top, most: float = most) -> float:
            return round(top + PANEL * (1 - value / most), 1)

        begin, end = map(x, shaded)
        parts.append(f'<rect x="{begin}" y="{top}" width="{round(end - begin, 1)}" height="{PANEL}" fill="#fef3c7"/>')
        parts.append(f'<text x="{begin + 6}" y="{top + 15}" fill="#92400e">{escape(what)}</text>')
        for value in range(0, most + 1, step):
            parts.append(f'<line x1="{LEFT}" x2="{x(seconds)}" y1="{y(value)}" y2="{y(value)}" stroke="#e5e7eb"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value}</text>')
        middle = top + PANEL / 2
        parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{unit}</text>')
        for place, (label, points, is_dots) in enumerate(curves):
            colour = COLOURS[place % len(COLOURS)]
            parts.append(f'<text x="{x(seconds) + 12}" y="{top + 16 + 20 * place}" fill="{colour}">{label}</text>')
            path = " ".join(f"{x(at)},{y(value)}" for at, value in points)
            if is_dots:
                dots = " ".join(f"M{x(at)} {y(value)}h0" for at, value in points)
                parts.append(f'<path d="{dots}" stroke="{colour}" stroke-width="2.4" stroke-linecap="round"/>')
            else:
                parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    for second in range(0, int(seconds) + 1, 5):
        parts.append(f'<text x="{x(second)}" y="{height - BOTTOM + 20}" text-anchor="middle">{second}</text>')
    parts.append(f'<text x="{x(seconds) + 12}" y="{height - BOTTOM + 20}">seconds</text>')
    return "\n".join([*parts, "</svg>", ""])
