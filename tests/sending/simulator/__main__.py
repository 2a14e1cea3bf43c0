"""The table of lines: `python -m tests.sending.simulator --help`."""

import argparse
import statistics
import time

from tests.sending.simulator.call import Call, Figures
from tests.sending.simulator.lines import CHOSEN_ON, KEPT_ASIDE, LINES
from voicemux.audio.capture.wish import Wish

PHASES = (0.0, 0.23, 0.41, 0.57, 0.71, 0.9, 1.1, 1.31)  # seconds by which what happens is shifted


def middle(numbers: list[float | None]) -> str:
    known = sorted(each for each in numbers if each is not None)
    return f"{known[len(known) // 2]:.0f}" if known else "-"


def table(name: str, direction: str, figures: list[Figures]) -> str:
    missing = [each.missing for each in figures]
    backs = ["never" if each.back is None else f"{each.back:.1f}" for each in figures]
    return (
        f"{name:17} {direction:5} {middle([each.median for each in figures]):>4}/"
        f"{middle([each.p95 for each in figures]):<4}"
        f" missing {statistics.median(missing):4.1f} ({min(missing):.1f}-{max(missing):.1f})"
        f" dropped {statistics.median(each.dropped for each in figures):4.1f}"
        f" kbit {statistics.median(each.kbit for each in figures):4.1f} back {' '.join(backs)}"
        f" estimate {middle([each.estimated for each in figures])}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", nargs="*")
    parser.add_argument("--phases", type=int, default=1)
    parser.add_argument("--old", default="", help="a, b or ab: who sends no ARRIVALS")
    parser.add_argument("--control", default="cubic", choices=("cubic", "bbr"))
    parser.add_argument("--kept-aside", action="store_true", help="the lines that were not looked at while tuning")
    parser.add_argument("--bitrate", type=int, default=0, help="in kbit/s, as the option of voicemux")
    parser.add_argument("-v", action="store_true", help="second by second")
    options = parser.parse_args()
    lines = [LINES[name] for name in options.lines] or (KEPT_ASIDE if options.kept_aside else CHOSEN_ON)
    for line in lines:
        began = time.monotonic()
        calls = [
            Call(
                line,
                seed=1 + number,
                phase=phase,
                control=options.control,
                old=options.old,
                wish=Wish(options.bitrate * 1000),
            )
            for number, phase in enumerate(PHASES[: options.phases])
        ]
        took = time.monotonic() - began
        print(table(line.name, "there", [each.there for each in calls]), f"[{took:.1f} s]")
        print(table(line.name, "back", [each.back for each in calls]), flush=True)
        if options.v:
            for ends in ((calls[0].a, calls[0].b), (calls[0].b, calls[0].a)):
                for number, second in enumerate(calls[0].seconds(*ends)):
                    print(number, *(f"{each:.2f}" if isinstance(each, float) else each for each in second))
                print()


main()
