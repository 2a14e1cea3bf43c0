"""Tries a higher rung after a lower one. Pure: no socket, clock or thread.

A rung that the line has carried before is tried again as soon as there is no queue. Any other is tried with padding
first: frames that every peer skips (protocol.md §13) are written together with voice, until the line is as full as it
would be at that rung. If a queue grows, the padding stops before the user hears it. The size of the padding depends
on the rung alone, so sizes still tell nothing of speech. Times are in seconds, sizes in bytes.
"""

from typing import NamedTuple

from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.wire import GREASE_TAG, MAX_PAYLOAD
from voicemux.sending.blame import Blame, Whose
from voicemux.sending.flow import Flow
from voicemux.sending.forth import Forth
from voicemux.sending.rungs import MODEST, Rungs
from voicemux.sending.sounding import LONG_SOUNDING, TICK, Sounding
from voicemux.sending.trial import SETTLING

CALM = 0.015  # seconds of queue that count as none: a packet of 200 bytes in front, at 100 kbit/s
KNOWN_PATIENCE = 0.25  # seconds without a queue before a rung that was carried before is tried again
NEW_PATIENCE = 0.5  # seconds without a queue, and with headroom, before a rung that was never carried is tried
CARRIED_AFTER = 5.0  # seconds without a queue after which the line counts as having carried the rung
AT_FIRST = 2.0  # seconds from the start of a call to the first sounding: where there is headroom, PINGs tell sooner
# Factors of the wanted rate that a sounding must find, or the rung is left for later. MUCH_ROOM is for rungs above
# MODEST: from 160 kbit/s on, the longer transmission of a packet of 64 kbit/s costs no more than its shorter coding
# delay saves.
ROOM, MUCH_ROOM = 1.2, 1.6
# Bits a second that a line must take before more than modest voice is sent unasked: transfers on slower lines make
# long queues, beside which more voice would be lost.
AMPLE = 5_000_000
# Seconds before a line that seemed not to be AMPLE is sounded again: a busy machine may have made one packet late.
SOON = 5.0
LATER = 30.0  # seconds before what was left for later is tried
PROBE = 1.5  # seconds that a probe lasts: on a line that is a tenth too slow, it adds 0.15 s of queue
PROBE_DELAY = 0.2  # seconds from the beginning of a probe until its effect can be known
LIMIT = 0.025  # seconds of added queue that end a probe: a packet of 20 ms in front of ours, and a little more
# Factor of the rung's rate that a probe fills: with less headroom, the line would be too slow at the first text or
# acknowledgement.
HEADROOM = 1.10
# Factor of the present rate that one probe tries at most: in PROBE_DELAY, that adds 0.1 s of queue at most.
MOST_STEP = 1.5
# Seconds from one probe to the next: after a step down; after a success; after a failure, at least and at most.
FIRST_WAIT, NEXT_WAIT, FAILED_WAIT, MOST_WAIT = 3.0, 1.0, 15.0, 120.0
BACK_OFF = 3  # factor of the wait after a probe that failed: failed probes are heard if they are frequent
# Seconds after a step down before a rung that was carried is tried again; each failure doubles it.
FIRST_EAGER_WAIT = 1.0
TRIAL = 30.0  # seconds after a step up in which a step down means that the step up was too much
LEVEL = 0.02  # seconds a second by which a queue may change when a probe begins, besides a quarter of the jitter
MOST_QUEUE = 0.15  # seconds of queue beside which a probe may begin, besides half the jitter
THEIR_PATIENCE = 4.0  # seconds without a dropped packet before a higher rung is tried beside another program's queue


class _Probe(NamedTuple):
    began: float
    queue: float  # seconds of queue when the probe began
    spread: float  # jitter when it began, in seconds
    usual: float  # seconds until voice was acknowledged when it began
    at: int  # the rung that it is for


class Climb:
    """Tries higher rungs. Call `look()` ten times a second while the line is not too slow, and `padding()` with each
    packet."""

    def __init__(self, forth: Forth, near: Flow, blame: Blame) -> None:
        self._forth, self._near, self._blame = forth, near, blame
        self._began: float | None = None
        self._probe: _Probe | None = None
        self._next = 0.0  # when the next probe may begin
        self._sounding, self._long_sounding = Sounding(forth), Sounding(forth, LONG_SOUNDING, beside_latest=True)
        self._is_sounded_first = False  # the first sounding has ended
        self._much_wait = LATER  # seconds until the next sounding for rungs above MODEST
        self._much_next = self._ample_next = float("-inf")
        self._ample_wait = SOON
        self._wait = FIRST_WAIT
        self._eager_next = 0.0  # when a rung that was carried may be tried again
        self._eager_wait = FIRST_EAGER_WAIT
        self._good_since: float | None = None
        self._climbed = float("-inf")
        self._was_eager = self._is_on_trial = False

    @property
    def is_probing(self) -> bool:
        """Whether padding fills the line, to try a higher rung."""
        return self._probe is not None

    def stepped_down(self, now: float) -> None:
        """The rung was lowered, because the line was too slow."""
        self._probe = self._good_since = None
        self._sounding.forget()
        self._long_sounding.forget()
        self._is_sounded_first = True
        if self._is_on_trial and now - self._climbed < TRIAL:
            self._wait = min(MOST_WAIT, self._wait * BACK_OFF)
            if self._was_eager:
                self._eager_wait = min(MOST_WAIT, self._eager_wait * 2)
        self._is_on_trial = False
        self._eager_next = now + self._eager_wait
        self._next = now + self._wait

    def pause(self, now: float) -> None:
        """End a probe that runs, because no sound is sent now, and padding is written only with sound. The next
        may begin NEXT_WAIT later."""
        if self._probe:
            self._probe, self._next = None, now + NEXT_WAIT
        self._good_since = None

    def look(self, rungs: Rungs, now: float, *, calm: bool, roomy: bool) -> None:
        """Judge the line at `now`, and climb if it has room. `calm` and `roomy` are as of `Brisk.look`."""
        if self._began is None:
            self._began, self._next = now, now + LATER
        queue = self._forth.queue(now)
        self._sounding.look(now)
        self._long_sounding.look(now)
        is_clear = self._blame.state is Whose.CLEAR and (queue is None or queue < 2 * CALM)
        if is_clear and now - max(rungs.changed, self._began) > CARRIED_AFTER:
            rungs.has_carried()
        if self._is_on_trial and now - self._climbed > TRIAL:
            self._is_on_trial, self._wait, self._eager_wait = False, FIRST_WAIT, FIRST_EAGER_WAIT
        if rungs.at <= rungs.usual:
            self._probe = None
        elif self._blame.state is Whose.THEIRS:
            self._look_beside_theirs(rungs, now)
        elif self._may_climb_at_once(rungs, now, queue, calm=calm, roomy=roomy):
            self._go(rungs, self._shown(rungs, queue), now, eager=True)
        elif queue is not None:
            self._sound_first(rungs, now)
            self._look_at_a_probe(rungs, now, queue)

    def _may_climb_at_once(self, rungs: Rungs, now: float, queue: float | None, *, calm: bool, roomy: bool) -> bool:
        if self._forth.tells_times and queue is not None and rungs.was_carried:
            calm = queue < CALM  # PINGs also measure the way back, which does not matter here
        has_room = rungs.was_carried or (roomy and self.has_much_room(rungs, rungs.next_up, now))
        if not (calm and has_room and self._shown(rungs, queue) < rungs.at):
            self._good_since = None
            return False
        self._good_since = now if self._good_since is None else self._good_since
        patience = KNOWN_PATIENCE if rungs.was_carried else NEW_PATIENCE
        is_patient = min(now - self._good_since, now - max(rungs.changed, self._began or now)) > patience
        return is_patient and now >= self._eager_next

    @staticmethod
    def _shown(rungs: Rungs, queue: float | None) -> int:
        """Return the rung to go back to, one that was carried before. A packet that waits no longer than `queue` now
        shows what the line takes at least, since it waits for itself, too."""
        if queue is None or not rungs.was_carried:
            return rungs.next_up
        shown = rungs.rung.line_rate * rungs.rung.frame_ms / 1000 / max(TICK, queue)
        return max(rungs.next_up, rungs.fitting(shown / HEADROOM))

    def _look_beside_theirs(self, rungs: Rungs, now: float) -> None:
        """Go back, step by step, to the rung that was sent before another program's queue appeared: that gets its
        share of the line. Probing would find no room."""
        before = self._blame.before
        has_room = before is not None and rungs.at > before and not self._blame.is_losing(now)
        if has_room and now - rungs.changed > THEIR_PATIENCE:
            rungs.go(rungs.at - 1, now)

    def has_much_room(self, rungs: Rungs, at: int, now: float) -> bool:
        """Whether the line is known to take much more than the rung `at`, if that is above MODEST. If that is not
        known, a sounding is started to find out."""
        wanted = rungs.line_rate_at(at)
        if wanted <= MODEST or self._forth.queue(now) is None:
            return True
        room = self._sounding.room(now)
        if room is not None and room >= wanted * MUCH_ROOM:
            self._much_wait = LATER
            return not rungs.is_unasked or self._is_ample(now)
        if room is None and now >= self._much_next and self._blame.state is Whose.CLEAR:
            self._sounding.want(now)
            self._much_next, self._much_wait = now + self._much_wait, min(MOST_WAIT, self._much_wait * BACK_OFF)
        return False

    def _is_ample(self, now: float) -> bool:
        """Whether the line is known to be AMPLE. If that is not known, a sounding is started to find out."""
        room = self._long_sounding.room(now)
        if room is not None and room >= AMPLE:
            self._ample_wait = SOON
            return True
        if now >= self._ample_next:
            self._long_sounding.want(now)
            self._ample_next, self._ample_wait = now + self._ample_wait, min(MOST_WAIT, self._ample_wait * BACK_OFF)
        return False

    def _sound_first(self, rungs: Rungs, now: float) -> None:
        """Sound the line once, before the first probe, which would harm a line without room."""
        if self._is_sounded_first or self._began is None or now < self._began + AT_FIRST:
            return
        room = self._sounding.room(now)
        if room is None:
            self._sounding.want(now)
            return
        self._is_sounded_first = True
        if room > rungs.line_rate_at(max(0, rungs.at - 1)) * ROOM:
            self._next = now

    def _look_at_a_probe(self, rungs: Rungs, now: float, queue: float) -> None:
        if self._probe:
            began, then, spread, _, at = self._probe
            if at >= rungs.at:
                self._probe = None
            elif queue > then + LIMIT + spread / 2 + _lump(rungs, at) and now - began > PROBE_DELAY:
                self._fail(now)
            elif now - began > PROBE:
                self._go(rungs, at, now, eager=False)
        elif now >= self._next and now - rungs.changed > SETTLING and self._is_level(now):
            at = rungs.at - 1
            fitting = rungs.fitting(rungs.rung.line_rate * MOST_STEP)
            at = max(min(at, fitting), rungs.next_up if rungs.was_carried else rungs.usual)
            if not rungs.was_carried and not self.has_much_room(rungs, at, now):
                at = max(at, rungs.fitting(MODEST))
            if at >= rungs.at:
                return
            delays = sorted(delay for when, delay in self._near.delays if now - when <= 2.0)
            usual = (delays[len(delays) * 4 // 5] if delays else 0.2) + rungs.rung.frame_ms / 1000
            least = self._forth.moments.least(now, 1.0) or 0.0
            self._probe = _Probe(now, least, self._forth.moments.spread(now), usual, at)

    def _is_level(self, now: float) -> bool:
        moments = self._forth.moments
        slope, queue, spread = moments.slope(now, 2.0), moments.least(now, 1.0), moments.spread(now)
        if slope is None or queue is None:
            return False
        return abs(slope) < LEVEL + spread / 4 and queue < MOST_QUEUE + spread / 2

    def padding(self, rungs: Rungs, now: float) -> bytes:
        """Return the padding to write with the packet of voice that is written now."""
        if sounding := self._sounding.padding(now) or self._long_sounding.padding(now):
            return sounding
        if not self._probe:
            return b""
        if self._near.age(now) > self._probe.usual + LIMIT + _lump(rungs, self._probe.at):
            self._fail(now)  # the kernel's acknowledgements tell sooner than the peer's ARRIVALS
            return b""
        more = rungs.line_rate_at(self._probe.at) * HEADROOM - rungs.rung.line_rate
        size = max(0, round(more * rungs.rung.frame_ms / 8000))
        return encode_frame(Frame(GREASE_TAG, 0, bytes(min(size, MAX_PAYLOAD)))) if size else b""

    def _fail(self, now: float) -> None:
        self._probe = None
        self._wait = min(MOST_WAIT, max(FAILED_WAIT, self._wait * BACK_OFF))
        self._next = now + self._wait

    def _go(self, rungs: Rungs, at: int, now: float, *, eager: bool) -> None:
        rungs.go(at, now)
        self._probe = self._good_since = None
        self._climbed, self._is_on_trial, self._was_eager = now, True, eager
        self._next = now + NEXT_WAIT


def _lump(rungs: Rungs, at: int) -> float:
    """Return the seconds that a packet takes longer with its padding, on a line that just has room for it."""
    more = 1 - rungs.rung.line_rate / rungs.line_rate_at(at)
    return more * rungs.rung.frame_ms / 1000
