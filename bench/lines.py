"""The lines: what each does to packets, how long a call on it is, and whose call it is."""

from dataclasses import dataclass
from typing import Any

PROGRAMS_ON_A_LINE = ("voicemux", "voicemux-low", "baresip", "mumble", "original")
BESIDE = ("voicemux", "mumble")  # on the lines that more is asked of
MEAN_GAP = 0.35  # seconds from chirp to chirp
SPOKEN = 8.0  # seconds that a piece of speech takes among the chirps


@dataclass(frozen=True)
class Transfer:
    """Somebody else's, on the same line, as fast as it goes; seconds after the first chirp."""

    side: str  # that sends
    begin: float
    end: float
    congestion: str = "cubic"


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
    spoken: tuple[float, ...] = ()  # seconds after the first chirp at which speech begins whose quality is measured
    one_way: bool = False  # what a sends is treated otherwise than what b sends, so each has figures of its own
    text: int = 0  # bytes to send from a to b during the call
    transfers: tuple[Transfer, ...] = ()
    loops: int = 0  # programs that take as much of the processors as they get
    longest: float = 3.0  # seconds of delay to look for
    programs: tuple[str, ...] = PROGRAMS_ON_A_LINE


ROUND_TRIP = {"delay": 0.025}
TEXT_AT = 3.0  # seconds after the first chirp


def _blackout(name: str, label: str, hold: bool) -> Line:
    events = ((4.0, {"blackout": 2.0}),)
    return Line(name, label, 44, {"hold": hold}, events, disturbed=(4.0, 6.0), longest=8.0)


def _squeeze(name: str, label: str, rate: int, seconds: float, **settings: Any) -> Line:
    """Speech is measured before, from the fifth second of it on, and when it has been over for three."""
    begin = 12.0
    end = begin + seconds
    return Line(
        name,
        label,
        round((end + 16 - 3 * SPOKEN) / MEAN_GAP),
        settings,
        ((begin, {"rate": rate}), (end, {"rate": 0})),
        disturbed=(begin, end),
        spoken=(2.0, begin + 5, end + 3),
        longest=15.0,
        programs=BESIDE,
    )


def _bulk(name: str, label: str, rate: int, queue: float, *sides: str, congestion: str = "cubic") -> Line:
    """20 s of it; speech is measured before, from its tenth second on, and when it has been over for three."""
    begin, end = 12.0, 32.0
    return Line(
        name,
        label,
        round((end + 16 - 3 * SPOKEN) / MEAN_GAP),
        {"delay": 0.01, "rate": rate, "queue": queue},
        disturbed=(begin, end),
        spoken=(2.0, begin + 10, end + 3),
        one_way=len(sides) == 1,
        longest=8.0,
        programs=BESIDE,
        transfers=tuple(Transfer(side, begin, end, congestion) for side in sides),
    )


def _lasting(
    name: str, label: str, settings: dict[str, Any], *events: tuple[float, dict[str, Any]], **rest: Any
) -> Line:
    """Speech is measured from the twelfth second on: what a program has to learn it has learned by then."""
    return Line(name, label, 50, settings, events, spoken=(12.0,), longest=8.0, programs=BESIDE, **rest)


def _by_name(*lines: Line) -> dict[str, Line]:
    return {line.name: line for line in lines}


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

# Those that others share or change: asked for by name, or all as "more".
MORE = _by_name(
    _bulk("bulk1", "a transfer, 1 Mbit/s, 2 s queue", 1_000_000, 2.0, "a"),
    _bulk("bulk2", "a transfer, 2 Mbit/s, 0.5 s queue", 2_000_000, 0.5, "a"),
    _bulk("bulk2-bbr", "the same with bbr", 2_000_000, 0.5, "a", congestion="bbr"),
    _bulk("bulk2-both", "the same with cubic, both ways", 2_000_000, 0.5, "a", "b"),
    _bulk("bulk10", "a transfer, 10 Mbit/s, 0.1 s queue", 10_000_000, 0.1, "a"),
    _squeeze("squeeze40", "40 kbit/s for 25 s", 40_000, 25),
    _lasting(
        "asymmetric",
        "48 kbit/s one way, 1 Mbit/s the other",
        {"delay": 0.02, "a": {"rate": 48_000}, "b": {"rate": 1_000_000}},
        one_way=True,
    ),
    _lasting("jitter", "20 ms and up to 80 ms more", {"delay": 0.02, "jitter": 0.08}),
    _lasting("far", "300 ms round trip, 1 % loss", {"delay": 0.15, "loss": 0.01}),
    _lasting("bursts", "120 ms round trip, 3 % loss in bursts of 5", {"delay": 0.06, "loss": 0.03, "burst": 5.0}),
    _lasting("route", "150 ms longer each way from the sixth second on", {"delay": 0.02}, (6.0, {"delay": 0.17})),
    _lasting("busy2", "clean, both cores busy with 2 loops", {}, loops=2),
    _lasting("busy8", "clean, both cores busy with 8 loops", {}, loops=8),
)

# Lines that nothing in voicemux was chosen on: "aside".
ASIDE = _by_name(
    _bulk("bulk3", "a transfer, 3 Mbit/s, 0.8 s queue", 3_000_000, 0.8, "a"),
    _squeeze("squeeze50", "50 kbit/s for 20 s, 80 ms round trip", 50_000, 20, delay=0.04),
    _lasting("shorter", "100 ms shorter each way from the sixth second on", {"delay": 0.12}, (6.0, {"delay": 0.02})),
    _lasting("jitter40", "40 ms and up to 40 ms more", {"delay": 0.04, "jitter": 0.04}),
)
ALL = LINES | MORE | ASIDE
GROUPS = {"table": LINES, "more": MORE, "aside": ASIDE}
