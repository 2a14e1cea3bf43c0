"""A listener without sound: packets that come as a trace says, and a jitter buffer that is asked as by the player."""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from voicemux.audio.playout.jitter import MAX_DELAY, Conceal, Fit, JitterBuffer, Pause, Play
from voicemux.audio.playout.stretch import LONGEST_PERIOD, SHORTEST_PERIOD
from voicemux.protocol.messages import Audio, Codec

RATE = 48_000  # ticks a second
BLOCK = 240  # ticks: the loudspeaker wants more every 5 ms
PACKET = 960  # ticks: 20 ms
QUIET = b"quiet"  # the data of a packet in which nobody speaks; in any other, somebody does

Action = Play | Conceal | Pause
A = TypeVar("A", Play, Action)


class Heard(NamedTuple, Generic[A]):
    """What was played at a time, and what the delay and its target were then."""

    at: float
    action: A
    delay: float
    target: float


def audio(sequence: int, timestamp: int, data: bytes = b"x") -> Audio:
    return Audio(Codec.PCM, 0, sequence % 2**16, timestamp % 2**32, data)


def stream(count: int, sequence: int = 0, timestamp: int = 0, data: bytes = b"x") -> list[Audio]:
    """So many packets, one behind the other."""
    return [audio(sequence + i, timestamp + i * PACKET, data) for i in range(count)]


def on_time(packets: Iterable[Audio], late: Callable[[float], float | None] = lambda sent: 0.0):
    """When each packet comes: `late(sent)` seconds behind the end of its sound, or never (None). TCP keeps order."""
    last = 0.0
    first: Audio | None = None
    for packet in packets:
        first = first or packet
        sent = ((packet.timestamp - first.timestamp + 2**31) % 2**32 - 2**31 + PACKET) / RATE
        lateness = late(sent)
        if lateness is not None:
            last = max(last, sent + lateness)
            yield last, packet


def stalls(length: float, every: float) -> Callable[[float], float]:
    """A stall each `every` seconds: what was sent in it arrives at its end."""
    return lambda sent: max(0.0, length - sent % every)


@dataclass
class Ear:
    """Stretches as `shorten` and `lengthen` do, by whole periods, as if a seam were always to be found."""

    jitter: JitterBuffer = field(default_factory=lambda: JitterBuffer(MAX_DELAY))
    now: float = 0.0
    ahead: float = 0.0  # seconds from when more is wanted until it is to be played
    keeps: bool = True  # what was heard
    length: Callable[[Audio], int] = lambda packet: PACKET  # ticks
    heard: list[Heard[Action]] = field(default_factory=list)
    given: int = 0  # ticks
    shortened: int = 0
    lengthened: int = 0
    _arriving: list[tuple[float, int, Audio]] = field(default_factory=list)

    def expect(self, arrivals: Iterable[tuple[float, Audio]]) -> "Ear":
        """These packets will come, at these times after now."""
        for at, packet in arrivals:
            heapq.heappush(self._arriving, (self.now + at, len(self._arriving), packet))
        return self

    def listen(self, seconds: float) -> "Ear":
        end = self.now + seconds
        while self.now < end - 1e-9:
            while self._arriving and self._arriving[0][0] <= self.now:
                at, _, packet = heapq.heappop(self._arriving)
                self.jitter.put(packet, at)
            ticks = self._ask()
            self.given += ticks
            # What is wanted next is decided when the block before its end is played.
            self.now += ticks / RATE
        return self

    def _ask(self) -> int:
        while True:
            action = self.jitter.next(self.now + self.ahead)
            if self.keeps:
                self.heard.append(Heard(self.now, action, self.jitter.delay, self.jitter.target))
            if not isinstance(action, Play):
                return action.ticks
            length = self.length(action.audio)
            fit = action.finish(length)
            rest = length - action.missed
            if rest > 0:
                return self._fit(fit, rest, quiet=action.audio.data == QUIET)

    def _fit(self, fit: Fit, ticks: int, *, quiet: bool) -> int:
        surplus = fit.surplus_in_pause if quiet else fit.surplus_in_speech
        most = min(abs(surplus), ticks - BLOCK, LONGEST_PERIOD)
        if most < (1 if quiet else SHORTEST_PERIOD):
            return ticks
        if not quiet:
            fit.stretched()
        if surplus > 0:
            self.shortened += most
            return ticks - most
        self.lengthened += most
        return ticks + most

    @property
    def played(self) -> list[Audio]:
        """Packets of which something was played."""
        actions = [each.action for each in self.heard]
        return [action.audio for action in actions if isinstance(action, Play) and action.missed < PACKET]

    @property
    def plays(self) -> list[Heard[Play]]:
        return [
            Heard(each.at, each.action, each.delay, each.target)
            for each in self.heard
            if isinstance(each.action, Play)
        ]

    @property
    def concealed(self) -> int:
        return sum(each.action.ticks for each in self.heard if isinstance(each.action, Conceal))

    def between(self, first: Audio, second: Audio) -> list[Conceal | Pause]:
        """What was heard between these two packets, which must be no other packet."""
        actions = [each.action for each in self.heard]
        places = [
            i for i, action in enumerate(actions) if isinstance(action, Play) and action.audio in (first, second)
        ]
        between = actions[places[0] + 1 : places[1]]
        fillings = [action for action in between if not isinstance(action, Play)]
        assert fillings == between
        return fillings

    def delays(self, since: float = 0.0, until: float = math.inf) -> list[float]:
        return [each.delay for each in self.plays if since <= each.at < until]
