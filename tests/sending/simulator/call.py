"""A call between two ends on a line, and what it was like."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tests.sending.simulator.end import End, Heard
from tests.sending.simulator.tcp import Sender, bulk
from tests.sending.simulator.timeline import Timeline
from tests.sending.simulator.way import Kind, Way
from voicemux.audio.capture.wish import ANY, Wish

AS_BEFORE = 0.035  # seconds more than before the disturbance are as before
HEARD = 0.9  # of a second, at least, in one that is as before
STEADY = 3  # seconds in a row

Change = Callable[[Way, Way], None]


@dataclass(frozen=True)
class Line:
    """A line and what happens to it. Times in seconds."""

    name: str
    seconds: float
    there: Kind = field(default_factory=Kind)
    back: Kind = field(default_factory=Kind)
    events: Sequence[tuple[float, Change]] = ()
    bulks: Sequence[tuple[str, float, float]] = ()  # ("there" or "back", from when, until when)
    looked_at: tuple[float, float] | None = None  # from when to when
    over: float | None = None  # when the disturbance ends


@dataclass(frozen=True)
class Figures:
    """Of one direction, in milliseconds, percent and kbit/s."""

    median: float | None
    p95: float | None
    missing: float
    dropped: float
    kbit: float
    back: float | None  # seconds until delay, sound and bitrate are as before; None if they never are
    estimated: float | None  # milliseconds by which the estimate is too much, in the median

    def __str__(self) -> str:
        return (
            f"{_ms(self.median)}/{_ms(self.p95)} ms, missing {self.missing:.1f} %, dropped {self.dropped:.1f} %, "
            f"{self.kbit:.1f} kbit/s, back {self.back}"
        )


def _ms(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


class Call:
    def __init__(
        self,
        line: Line,
        *,
        seed: int = 1,
        phase: float = 0.0,
        control: str = "cubic",
        old: str = "",
        wish: Wish = ANY,
    ) -> None:
        """`phase` shifts what happens; `old` names the ends, "a", "b" or both, that send no ARRIVALS."""
        self.line, self.phase = line, phase
        timeline = Timeline()
        there, back = Way(timeline, replace(line.there), seed), Way(timeline, replace(line.back), seed + 100)
        a_sends, b_sends = Sender(timeline, there, back, control), Sender(timeline, back, there, control)
        a_sends.piggyback, b_sends.piggyback = b_sends.receiver, a_sends.receiver
        self.a = End(timeline, a_sends, 0.0, is_old="a" in old, wish=wish)
        self.b = End(timeline, b_sends, 0.007, is_old="b" in old, wish=wish)
        round_trip = line.there.delay + line.back.delay + 0.0005
        a_sends.shortest = b_sends.shortest = round_trip
        self.a.greet(self.b, round_trip)
        self.b.greet(self.a, round_trip)
        a_sends.receiver.sink, b_sends.receiver.sink = self.b.read, self.a.read
        for time, change in line.events:
            timeline.at(time + phase, lambda change=change: change(there, back))  # type: ignore[misc]
        for where, begin, end in line.bulks:
            ways = (there, back) if where == "there" else (back, there)
            bulk(timeline, *ways, begin + phase, end + phase)
        timeline.run(line.seconds + phase)

    @property
    def there(self) -> Figures:
        return self._figures(self.a, self.b)

    @property
    def back(self) -> Figures:
        return self._figures(self.b, self.a)

    def seconds(self, talker: End, listener: End) -> list[tuple[float | None, float, float, float, int, str]]:
        """Of each second: median delay in ms, share heard, kbit/s, packets' ms, dropped, state."""
        found = []
        for second in range(int(self.line.seconds + self.phase)):
            looks = [each for each in talker.sent if second <= each.time < second + 1]
            median, share = _played([each for each in listener.loudspeaker.heard if second <= each.time < second + 1])
            dropped = looks[-1].dropped - looks[0].dropped
            last = looks[-1]
            found.append((median, share, last.bitrate / 1000, last.frame_ms, dropped, last.state))
        return found

    def _figures(self, talker: End, listener: End) -> Figures:
        begin, end = self.line.looked_at or (5.0, self.line.seconds)
        begin, end = begin + self.phase, end + self.phase
        heard = [each for each in listener.loudspeaker.heard if begin <= each.time < end]
        delays = sorted(each.delay * 1000 for each in heard if each.delay is not None)
        played = sum(each.seconds for each in heard if each.delay is not None)
        looks = [each for each in talker.sent if begin <= each.time < end]
        dropped = looks[-1].dropped - looks[0].dropped
        spoken = sum((later.time - sooner.time) * 1000 / sooner.frame_ms for sooner, later in pairwise(looks))
        return Figures(
            delays[len(delays) // 2] if delays else None,
            delays[len(delays) * 95 // 100] if delays else None,
            100 * (1 - played / sum(each.seconds for each in heard)),
            100 * dropped / max(1.0, spoken),
            statistics.mean(each.bitrate for each in looks) / 1000,
            self._back(talker, listener),
            self._estimated(heard, [each for each in listener.estimates if begin <= each[0] < end]),
        )

    @staticmethod
    def _estimated(heard: list[Heard], estimates: list[tuple[float, float]]) -> float | None:
        """Each estimate against what was heard in the second around it."""
        errors = []
        for time, estimate in estimates[::5]:
            median, _ = _played([each for each in heard if abs(each.time - time) <= 0.5])
            if median is not None:
                errors.append(estimate * 1000 - median)
        return statistics.median(errors) if errors else None

    def _back(self, talker: End, listener: End) -> float | None:
        """In half seconds. More than the usual bit rate is for a line that has been calm for a while, so it does not
        count."""
        if self.line.over is None:
            return 0.0
        begin = (self.line.looked_at or (5.0, 0.0))[0] + self.phase
        before, _ = _played([each for each in listener.loudspeaker.heard if begin - 3 <= each.time < begin])
        usual = talker.wish.usual.bitrate
        bitrate = min(usual, next(each.bitrate for each in reversed(talker.sent) if each.time < begin))
        time = self.line.over + self.phase
        while time + STEADY <= self.line.seconds + self.phase:
            heard = [each for each in listener.loudspeaker.heard if time <= each.time < time + STEADY]
            rest = [each for each in talker.sent if time <= each.time < time + STEADY]
            if before is not None and all(each.bitrate >= bitrate for each in rest):
                halves = [
                    _played([each for each in heard if time + i / 2 <= each.time < time + (i + 1) / 2])
                    for i in range(2 * STEADY)
                ]
                if all(
                    median is not None and median <= before + AS_BEFORE * 1000 and share >= HEARD
                    for median, share in halves
                ):
                    return time - self.line.over - self.phase
            time += 0.5
        return None


def _played(heard: list[Heard]) -> tuple[float | None, float]:
    """The median delay in milliseconds, and how much of the time something was heard."""
    delays = [each.delay for each in heard if each.delay is not None]
    seconds = sum(each.seconds for each in heard)
    played = sum(each.seconds for each in heard if each.delay is not None)
    return (statistics.median(delays) * 1000 if delays else None), (played / seconds if seconds else 0.0)
