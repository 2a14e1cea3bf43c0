"""The jitter buffer: decides what is played next, and when. It knows time stamps, and no sound, clock or thread.

It works on delay, not on the number of packets. `ArrivalTimes` says how late packets are, and which playout delay
would hide that: the target. The buffer has each packet played as it is, shorter or longer, to come nearer to the
target. It drops packets that can no longer be played in time. Positions are time stamps without their wrap-around, in
ticks of 1/48000 s; times are in seconds.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from voicemux.audio.playout.arrivals import ArrivalTimes
from voicemux.protocol.messages import Audio
from voicemux.protocol.wire import TICKS_PER_SECOND

MAX_DELAY = 0.300  # seconds of playout delay at most: on a usual line, that makes half a second from mouth to ear
ROOM = 2 / 3  # share of the maximum delay that the target may reach: the rest is for later packets
SKIP = 0.120  # seconds above the target; beyond that, catching up by playing faster would take too long
HURRY = 0.060  # seconds above the target; beyond that, every packet is shortened
SLACK = 0.010  # seconds above the target that are left alone in speech
SHORTFALL = 0.015  # seconds below the target that are left alone in speech
QUIET_SHORTFALL = 0.0025  # seconds below the target that are left alone in a pause
REST = 0.060  # seconds between two changes of length in speech: about a tenth faster or slower
# Ticks of concealment or silence at a time. What is cut or inserted in a pause is a multiple of them: a sound card
# asks for more every 5 ms, so a smaller change would take effect only now and then, and then as 5 ms.
STEP = TICKS_PER_SECOND // 200
MAX_CONCEALED = TICKS_PER_SECOND * 60 // 1000  # ticks in a row; beyond that a guess is worse than noise
NEGLIGIBLE = TICKS_PER_SECOND // 400  # ticks between two packets that do not count as a gap: a sender may round
LONGEST_PACKET = TICKS_PER_SECOND * 120 // 1000  # ticks, of Opus
MAX_STEP_BACK = 2 * TICKS_PER_SECOND  # ticks; beyond that, the sender has restarted its clock
ADRIFT = 1.0  # seconds in which packets came, but none in time: then the line itself has become slower
# Packets in a row at the pace of speech: then it is not a burst after a stall, but a line that is later now.
STEADY = 4
PACE = (0.4, 3.0)  # packet lengths between two such packets, least and most: networks bunch packets
# How much later a retransmitted packet comes: in round trips, plus seconds. Before TCP retransmits a lost packet, it
# waits for acknowledgements of the next packets (RACK, RFC 8985).
REPEAT_TRIPS, REPEAT = 1.25, 0.080
MOST_CEILING = 1.0  # seconds of target, with the longest round trips
MAX_PACKETS = 512  # held at most: 10 s of usual packets


class Play(NamedTuple):
    """Play a packet, without its first `missed` ticks: their time is over.

    `joins` is whether the packet begins where the last one ended. Decode the packet and pass its length in ticks to
    `finish`, which returns how the packet may be fitted. `next` must not be called before that.
    """

    audio: Audio
    missed: int
    joins: bool
    finish: "Callable[[int], Fit]"


class Fit(NamedTuple):
    """How a packet whose length is known may be made to fit.

    A surplus is what may be cut out of it (or put in, if negative), in ticks: in speech, and in a pause.
    `take_along` gives the packet that goes on where this one ends, to be finished and fitted together with it, or
    None if it is not here. `stretched` says that the length was changed in speech.
    """

    surplus_in_speech: int
    surplus_in_pause: int
    take_along: Callable[[], Play | None]
    stretched: Callable[[], None]


@dataclass(frozen=True)
class Conceal:
    """Conceal a missing packet. `fading`: packets have been missing for so long that concealment fades to noise."""

    ticks: int
    fading: bool


@dataclass(frozen=True)
class Pause:
    """Play silence: the peer does not speak, or the delay must grow in a pause."""

    ticks: int


@dataclass(frozen=True)
class _Packet:
    audio: Audio
    position: int


class _Timeliness:
    """Whether packets come in time, and at the pace of speech."""

    def __init__(self) -> None:
        self._last_arrival = 0.0
        self._steady = 0  # packets in a row that came at the pace of speech
        self._late_since: float | None = None  # time since which no packet was in time

    def came(self, step: int, arrival: float) -> None:
        """A packet arrives, which begins `step` ticks after the one before."""
        length, waited = step / TICKS_PER_SECOND, arrival - self._last_arrival
        is_paced = step <= LONGEST_PACKET and PACE[0] * length <= waited <= PACE[1] * length
        self._steady = self._steady + 1 if is_paced else 0
        if waited > ADRIFT / 2:  # a stall does not mean that the line has changed
            self._late_since = None
        self._last_arrival = arrival

    def was_late(self, now: float) -> None:
        """A packet, or most of one, could not be played in time."""
        if self._late_since is None:
            self._late_since = now

    def was_in_time(self) -> None:
        self._late_since = None

    @property
    def is_adrift(self) -> bool:
        """Whether packets have been coming for a while, none in time."""
        return self._late_since is not None and self._last_arrival - self._late_since > ADRIFT

    @property
    def is_steady(self) -> bool:
        """Whether the last packets came at the pace of speech."""
        return self._steady >= STEADY


def _ignore(_audio: Audio, _why: str) -> None:
    """No trace is kept of what is dropped."""


class JitterBuffer:
    """`put()` what arrives; ask `next()` for what to do."""

    def __init__(self, max_delay: float = MAX_DELAY, on_drop: Callable[[Audio, str], None] = _ignore) -> None:
        """`on_drop` gets each packet that is not played, and why: "late", or one of too "many"."""
        self.late = 0  # packets dropped because they came too late, or there were too many
        self.concealed = 0  # ticks
        self.position: int | None = None  # position of the next sample to be played; None in a pause
        self.delay = 0.0  # playout delay in seconds of what was last played, from its earliest possible arrival
        self.least_target = 0.0  # seconds: the least target, whatever the line is like
        self._on_drop = on_drop
        self._max_delay = max_delay
        self._arrivals = ArrivalTimes(ceiling=max_delay * ROOM)
        self._least_ceiling = self._arrivals.ceiling
        self._is_bounded = max_delay != MAX_DELAY  # the user has chosen the maximum delay
        self._packets: deque[_Packet] = deque()
        self._newest = 0  # position of the newest packet ever put
        self._newest_sequence = 0
        self._packet_ticks = 0  # length of the packet before the newest
        self._begun = False
        self._decoding = 0  # position of the last packet played
        self._sequence = 0  # of the last packet played
        self._concealed_ticks = 0  # in a row
        self._joins = False
        self._rested_at = self._asked_at = 0.0  # `_asked_at`: when the last packet was played
        self._is_owed = False  # a packet is being played whose length is not known yet
        self._timeliness = _Timeliness()

    @property
    def target(self) -> float:
        """Seconds of playout delay that would hide the recent lateness."""
        return max(self._arrivals.target, min(self.least_target, self._arrivals.ceiling))

    def round_trip(self, seconds: float) -> None:
        """Take the shortest recent round trip. The longer it is, the later a retransmitted packet comes, and that is
        worth waiting for. So the maximum delay grows with it, unless the user has chosen the maximum."""
        if self._is_bounded:
            return
        self._arrivals.ceiling = max(self._least_ceiling, min(MOST_CEILING, REPEAT_TRIPS * seconds + REPEAT))
        self._max_delay = self._arrivals.ceiling / ROOM

    @property
    def wait(self) -> float:
        """Seconds of `delay` that what was played last spent in this buffer, and not on a late line."""
        return max(0.0, self.delay - self._arrivals.latest)

    @property
    def empty(self) -> bool:
        """Whether no packet is here that could be played."""
        return not self._packets

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the peer's sound card runs than ours."""
        return self._arrivals.drift_ppm

    @property
    def buffered(self) -> float:
        """Seconds of sound that wait, without the length of the newest packet."""
        return (self._newest - self._packets[0].position) / TICKS_PER_SECOND if self._packets else 0.0

    def put(self, audio: Audio, arrival: float) -> None:
        """Add a packet. One that is not newer than the last is dropped, since TCP does not reorder."""
        step = (audio.timestamp - self._newest + 2**31) % 2**32 - 2**31
        if self._begun and -MAX_STEP_BACK < step <= 0:
            self.late += 1
            self._on_drop(audio, "late")
            return
        if step <= 0 or not self._begun:
            self._begin_anew()
        self._newest += step
        self._learn_length(audio, step)
        lateness = self._arrivals.add(self._newest, arrival)
        self._timeliness.came(step, arrival)
        if self._timeliness.is_adrift:
            self._begin_anew()
            self._arrivals.add(self._newest, arrival)
        elif lateness > self._max_delay and self._timeliness.is_steady:
            self._arrivals.restart()  # the line itself is later than it was: go along with it, and drop nothing
            self._arrivals.add(self._newest, arrival)
            self._timeliness.was_in_time()
        elif lateness > self._max_delay:
            self._drop(audio, arrival)
            return
        if len(self._packets) >= MAX_PACKETS:
            self._drop(self._packets.popleft().audio, arrival, "many")
        self._packets.append(_Packet(audio, self._newest))

    def begin_again(self, *, goes_on: bool = False) -> None:
        """From now on, packets come by another line. Earlier ones are played until then, or to their end."""
        self._begun = self._begun and goes_on
        self._arrivals.begin_again(goes_on=goes_on)

    def _learn_length(self, audio: Audio, step: int) -> None:
        """Forget the peaks if packets became shorter: a sender makes them longer while a line is too slow."""
        if audio.sequence == (self._newest_sequence + 1) % 2**16 and step <= LONGEST_PACKET:
            if step < self._packet_ticks:
                self._arrivals.forget_peaks()
            self._packet_ticks = step
        self._newest_sequence = audio.sequence

    def next(self, now: float) -> Play | Conceal | Pause:
        """Return what to play now. The caller finishes a `Play` before it asks again."""
        assert not self._is_owed, "the packet before is not finished"
        self._drop_hopeless(now)
        if not self._packets:
            return Pause(STEP) if self.position is None else self._conceal()
        first = self._packets[0]
        if self.position is None or first.position - self.position > NEGLIGIBLE:
            delay = self._arrivals.delay(first.position, now)
            if self.position is None or first.audio.sequence == (self._sequence + 1) % 2**16:  # a pause
                if delay < self.target:
                    return Pause(STEP)
            elif delay < self.target + SLACK and first.position - self.position - self._concealed_ticks > NEGLIGIBLE:
                return self._conceal()
            self._joins = False
            self.position = first.position
        return self._play(now)

    def _take_along(self) -> Play | None:
        assert not self._is_owed, "the packet before is not finished"
        if self.position is None or not self._packets:
            return None
        first = self._packets[0]
        if not first.audio.data or not 0 <= first.position - self.position <= NEGLIGIBLE:
            return None
        return self._begin(self._packets.popleft(), missed=0, joins=True)

    def _begin(self, packet: _Packet, *, missed: int, joins: bool) -> Play:
        self._is_owed = True
        self._decoding = packet.position
        self._sequence = packet.audio.sequence
        return Play(packet.audio, missed, joins, self._finish)

    def _finish(self, ticks: int) -> Fit:
        assert self._is_owed, "it was finished before"
        self._is_owed = False
        if self.position is not None:
            end = self._decoding + ticks
            if 2 * (end - self.position) >= ticks:  # half a packet is better than none
                self._timeliness.was_in_time()
            else:
                self._timeliness.was_late(self._asked_at)
            self.position = max(self.position, end)
        excess = self.delay - self.target
        return Fit(self._surplus_in_speech(excess), _surplus_in_pause(excess), self._take_along, self._rest)

    def _rest(self) -> None:
        self._rested_at = self._asked_at

    def _play(self, now: float) -> Play | Pause:
        assert self.position is not None
        packet = self._packets.popleft()
        self._asked_at = now
        waited, self._concealed_ticks = self._concealed_ticks > 0, 0
        if not packet.audio.data:  # an empty packet: silence begins here
            self._sequence = packet.audio.sequence
            self.position = None
            return Pause(STEP)
        missed = max(0, self.position - packet.position)
        self.delay = self._arrivals.delay(packet.position + missed, now)
        joins = self._joins and not missed
        if waited and joins:
            self._arrivals.waited(self.delay)
        self._joins = True
        return self._begin(packet, missed=missed, joins=joins)

    def _surplus_in_speech(self, excess: float) -> int:
        if excess < HURRY and self._asked_at - self._rested_at < REST:
            return 0
        return round(excess * TICKS_PER_SECOND) if not -SHORTFALL <= excess <= SLACK else 0

    def _drop_hopeless(self, now: float) -> None:
        """After a stall of our own, drop packets where catching up would take too long."""
        if self._packets and self._arrivals.delay(self._packets[0].position, now) > self.target + SKIP:
            while self._packets and self._arrivals.delay(self._packets[0].position, now) > self.target:
                self._drop(self._packets.popleft().audio, now)

    def _drop(self, audio: Audio, now: float, why: str = "late") -> None:
        self.late += bool(audio.data)
        self._on_drop(audio, why)
        self._timeliness.was_late(now)
        if not audio.data:  # the peer's silence has begun, however late this tells it
            self.position = None

    def _conceal(self) -> Conceal:
        """Conceal a packet that is not here. This adds delay, so a packet that comes late is still played whole."""
        self.concealed += STEP
        self._concealed_ticks += STEP
        fading = self._concealed_ticks > MAX_CONCEALED
        self._joins = self._joins and not fading
        return Conceal(STEP, fading)

    def _begin_anew(self) -> None:
        self._packets.clear()
        self.position = None
        self._begun = True
        self._joins = False
        self._timeliness.was_in_time()
        self._arrivals.restart()


def _surplus_in_pause(excess: float) -> int:
    return 0 if -QUIET_SHORTFALL <= excess < 0 else math.floor(excess * TICKS_PER_SECOND / STEP) * STEP
