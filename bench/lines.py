"""The lines: what each does to packets, how long a call on it is, and whose call it is."""

from dataclasses import dataclass
from typing import Any

PROGRAMS_ON_A_LINE = ("voicemux", "voicemux-low", "baresip", "mumble", "original")


@dataclass(frozen=True)
class Line:
    """`settings` make the line, `events` change it so many seconds after the first chirp."""

    name: str
    label: str
    chirps: int
    settings: dict[str, Any]
    events: tuple[tuple[float, dict[str, Any]], ...] = ()
    disturbed: tuple[float, float] | None = None  # from when to when, in seconds after the first chirp
    speech: bool = False  # also measure its quality
    text: int = 0  # bytes to send from a to b during the call
    longest: float = 3.0  # seconds of delay to look for
    programs: tuple[str, ...] = PROGRAMS_ON_A_LINE


ROUND_TRIP = {"delay": 0.025}
TEXT_AT = 3.0  # seconds after the first chirp


def _blackout(name: str, label: str, hold: bool) -> Line:
    events = ((4.0, {"blackout": 2.0}),)
    return Line(name, label, 44, {"hold": hold}, events, disturbed=(4.0, 6.0), longest=8.0)


LINES = {
    line.name: line
    for line in (
        Line("clean", "clean", 30, {}, speech=True, longest=1.5, programs=("floor", *PROGRAMS_ON_A_LINE)),
        Line("rate200", "200 kbit/s", 24, {"rate": 200_000}, speech=True, longest=8.0),
        Line("rate64", "64 kbit/s", 24, {"rate": 64_000}, speech=True, longest=8.0),
        Line(
            "squeeze",
            "24 kbit/s for 10 s",
            66,
            {},
            ((5.0, {"rate": 24_000}), (15.0, {"rate": 0})),
            disturbed=(5.0, 15.0),
            longest=15.0,
        ),
        Line("loss1", "1 % loss, 50 ms round trip", 30, {**ROUND_TRIP, "loss": 0.01}, speech=True, longest=2.0),
        Line("loss5", "5 % loss, 50 ms round trip", 30, {**ROUND_TRIP, "loss": 0.05}, speech=True, longest=2.0),
        _blackout("blackout-drop", "dark for 2 s, packets dropped", hold=False),
        _blackout("blackout-hold", "dark for 2 s, packets held", hold=True),
        Line(
            "text",
            "1 MB of text on 512 kbit/s",
            72,
            {"rate": 512_000},
            text=1_000_000,
            longest=8.0,
            programs=("voicemux", "voicemux-low"),
        ),
    )
}
