"""Decides how much voice to send, and how much may be in flight. Pure: no socket, clock or thread.

Four causes make voice late: what we send ourselves (`Flow`, `Forth`); what others send on the same line (`Blame`
tells these two apart); a slow way back, which delays only acknowledgements (`Back`); and a route that has become
longer. Sending less helps only against the first. For the others, `Allowance` lets more be in flight. See
docs/voice-on-shared-lines.md. Times are in seconds.
"""

from voicemux.protocol.messages import OWN_SOURCE, Arrivals, Audio, Report
from voicemux.sending.allowance import FRESH_SPAN, LONG_QUEUE, SLOW_SPAN, SURELY, Allowance
from voicemux.sending.back import Back, Journey
from voicemux.sending.blame import Blame, Whose
from voicemux.sending.brisk import Brisk
from voicemux.sending.climb import Climb
from voicemux.sending.flow import BEHIND, MOST_BACKLOG, Flow
from voicemux.sending.forth import Forth
from voicemux.sending.repeats import Repeats
from voicemux.sending.rungs import MODEST, Rungs

# Share of the sent rate below which the line is too slow: 0.5 s of packets of 60 ms are 8, and one more or less makes
# no difference.
CLEARLY = 0.85
# Seconds over which the rate of a line that has just become slow is measured: the newest three or four ARRIVALS.
# Older ones may be from the time before, and the step would be too small to show whose queue it is.
ONSET_SPAN = 0.35
# Seconds of backlog in our own kernel after which the line is too slow: three times PATIENCE, because one
# retransmission makes a backlog, too.
BACKLOG_PATIENCE = 0.6
# Milliseconds of sound in our packets while the peer's are long because its line is slow: each packet of ours costs
# an acknowledgement of headers on that line. They are shorter than the peer's, or each side would keep the other at
# long packets.
SAVING_MS = 40.0
# Milliseconds of sound in a packet while voice is late in either direction: packets of half that length are more
# headers than sound.
LATE_MS = 20.0
# Milliseconds of sound in a packet beside another program's long queue. That queue overflows now and then, and each
# lost packet stops voice for two round trips. A third of the packets means a third of such stops, and the longer
# packets are not noticed beside the queue.
LONGEST_MS = 60.0
# More than modest voice is sent unasked only if the round trip is at most NEAR seconds, and no packet was late by
# STEADY seconds in the last STEADY_SPAN seconds. Further away, short packets save a smaller share of the delay. With
# more jitter, a line that becomes slow is found out later.
NEAR, STEADY, STEADY_SPAN = 0.060, 0.050, 5.0
# Voice that is late by HIDDEN_QUEUE seconds, while the kernel's acknowledgements take less than half of that, waits
# where the kernel does not see it: the connection ends in a tunnel. HIDDEN_LOOKS in a row must show it, since
# ARRIVALS are a little old.
HIDDEN_QUEUE, HIDDEN_LOOKS = 0.2, 3


class Course:
    """The control of our voice. Tell it what is written and what the peer reports; call `judge()` ten times a
    second."""

    def __init__(self, near: Flow, far: Flow) -> None:
        """`near` is the flow that the kernel acknowledges, `far` the one that the peer does. This class sets their
        limits."""
        self._near, self._far = near, far
        self._forth, self._back = Forth(), Back()
        self.blame = Blame(self._forth)
        self._climb = Climb(self._forth, near, self.blame)
        self._brisk = Brisk()
        self._repeats = Repeats()
        self._allowance = Allowance(near, far, self._forth, self._back, self.blame)
        self._rungs: Rungs | None = None
        self._hidden = 0  # looks in a row at which a tunnel seemed likely
        # Our TCP connection ends before the peer, so the peer's acknowledgements count, too.
        self.is_tunnelled = False
        self._backlog_since: float | None = None

    @property
    def state(self) -> str:
        """Whose queue delays voice, and whether a higher rung is being tried."""
        return f"{self.blame.state.value}{' probing' if self._climb.is_probing else ''}"

    def queue(self, now: float) -> float | None:
        """Return by how many seconds our voice is later than at best; None if that is not known."""
        return self._forth.queue(now)

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer has sent ARRIVALS."""
        return self._forth.tells_times

    @property
    def bbr_starves(self) -> bool:
        """Whether delay that we have not caused makes BBR's window too small for voice."""
        return self._near.excused > LONG_QUEUE

    def wrote(self, audio: Audio, size: int, now: float) -> None:
        """A packet of voice was written, with all that travels with it: `size` bytes in all."""
        self._forth.wrote(audio, size, now)

    def dropped(self, now: float) -> None:
        """A packet of our voice was dropped, because it had waited too long."""
        self.blame.dropped(now)

    def told(self, arrivals: Arrivals, now: float) -> None:
        """The peer has sent ARRIVALS about our voice."""
        if arrivals.source == OWN_SOURCE and self._forth.told(arrivals, now):
            newest, round_trip = self._forth.moments.newest, self._near.smallest_round_trip
            if newest and round_trip:
                self._repeats.saw(newest.most - newest.least, round_trip, now)
            self._allowance.grant(self._rungs, now)

    def reported(self, report: Report, now: float) -> None:
        """The peer has sent REPORT about our voice, which every peer does."""
        if report.source == OWN_SOURCE:
            self._forth.reported(report.sequence, self._back.late(now), now)

    def heard(self, audio: Audio, now: float) -> None:
        """A packet of the peer's voice has arrived."""
        self._back.heard(audio, now)

    def round_trip(self, seconds: float, now: float) -> None:
        """A PONG has come, `seconds` after its PING."""
        self._back.round_trip(seconds, now)

    @property
    def has_news(self) -> bool:
        """Whether `arrivals` has something new."""
        return self._back.has_news

    def arrivals(self) -> Arrivals | None:
        """Return ARRIVALS, which tell the peer when its voice came; None if there is nothing new."""
        return self._back.arrivals()

    def peer_on_its_way(self, now: float) -> Journey | None:
        """Return how long the peer's voice is on its way now; None while none comes, or before the first PONG."""
        return self._back.on_its_way(now)

    def is_tested_alone(self, now: float) -> bool:
        """Whether packets of voice go alone, to find out whose queue delays them: nothing else should be sent."""
        return self.blame.alone.is_on(now)

    def holds_back(self, now: float) -> bool:
        """Whether voice must wait until all that was sent has arrived."""
        return self.blame.alone.holds_back(now)

    def padding(self, now: float) -> bytes:
        """Return the padding to write with the packet of voice that is written now."""
        return self._climb.padding(self._rungs, now) if self._rungs and not self.is_tested_alone(now) else b""

    def judge(self, rungs: Rungs, now: float, *, calm: bool, roomy: bool) -> None:
        """Choose the rung, the length of packets and the limits of voice in flight. `calm` and `roomy` are as of
        `Brisk.look`."""
        self._rungs = rungs
        rungs.least_frame_ms = self._least_frame_ms(now)
        rungs.most_rate = MODEST if self._allowance.is_doubtful(now) else float("inf")
        before = rungs.at
        self._look_for_a_tunnel(now)
        is_paused = self._forth.paused_since is not None  # marks alone do not show what the line takes
        rate = None if is_paused else self._too_slow(rungs, now)
        self.blame.alone.is_cheap = self._back.last_late < BEHIND
        self.blame.look(rungs, now, rate)
        if rungs.at > before:
            self._climb.stepped_down(now)
        elif is_paused:
            self._climb.pause(now)
        elif rate is None and self.blame.state is not Whose.TESTING:
            self._climb.look(rungs, now, calm=calm, roomy=roomy)
        calm = calm and not self._is_late(now)
        may_be_brisk = calm and roomy and rate is None and not is_paused and 0 < rungs.at <= rungs.usual
        may_be_brisk = may_be_brisk and (not rungs.is_unasked or self._is_near_and_steady(now))
        has_room = may_be_brisk and self._climb.has_much_room(rungs, rungs.at - 1, now)
        self._brisk.look(rungs, now, calm=calm, roomy=has_room)
        self._allowance.grant(rungs, now)

    def _is_near_and_steady(self, now: float) -> bool:
        round_trip, is_known = self._near.smallest_round_trip, self._forth.tells_times
        is_near = is_known and round_trip is not None and round_trip <= NEAR
        return is_near and self._forth.moments.latest(now, STEADY_SPAN) < STEADY

    def _look_for_a_tunnel(self, now: float) -> None:
        queue, taken = self._forth.queue(now), self._near.latest_delay(now)
        is_hidden = queue is not None and taken is not None and queue > HIDDEN_QUEUE and taken < queue / 2
        self._hidden = self._hidden + 1 if is_hidden else 0
        self.is_tunnelled |= self._hidden >= HIDDEN_LOOKS

    def _least_frame_ms(self, now: float) -> float:
        """Return the least length of packets in milliseconds. Longer ones save headers at the same bit rate."""
        newest = self._forth.moments.newest
        if self.blame.state is Whose.THEIRS and newest and newest.least > LONG_QUEUE:
            return LONGEST_MS
        if self._back.saves_headers or self._repeats.are_frequent(now):
            return SAVING_MS
        return LATE_MS if self._is_late(now) else 0.0

    def _is_late(self, now: float) -> bool:
        """Whether voice is late in either direction: if only the peer's is, acknowledgements of ours are late with
        it."""
        return self._allowance.was_doubtful(now) or max(self._back.last_late, self._forth.queue(now) or 0.0) >= SURELY

    def _too_slow(self, rungs: Rungs, now: float) -> float | None:
        """Return what the line takes, in bits a second, if that is less than we send; otherwise None.

        Voice that is late but complete does not mean a slow line: that is jitter, a long route, or another program's
        queue.
        """
        if self._near.backlog <= MOST_BACKLOG // 2:
            self._backlog_since = None
        elif self._backlog_since is None:
            self._backlog_since = now
        elif now - self._backlog_since > BACKLOG_PATIENCE:
            rate = self._forth.delivered_rate(now, 3 * SLOW_SPAN)
            if rate is not None and rate < rungs.rung.line_rate:
                return rate
        if self.blame.state is Whose.THEIRS:
            return None
        rates = [flow.line_rate(now) for flow in (self._near, self._far) if flow.knows]
        rate = min((each for each in rates if each is not None), default=None)
        newest = self._forth.queue(now, FRESH_SPAN)
        if (newest is None and self._forth.tells_times) or (newest is not None and newest < SURELY):
            return None
        delivered = self._forth.delivered_rate(now, SLOW_SPAN) or 0.0
        # A late way back excuses late acknowledgements, although our own queue may delay them, too: ARRIVALS show it.
        is_excused = newest is not None and self._back.last_late >= BEHIND and self.blame.is_losing(now)
        if rate is None and not (is_excused and delivered):
            return None
        rate = max(rate or 0.0, delivered)
        is_clear = rate < rungs.rung.line_rate * CLEARLY
        if not (is_clear or self.blame.is_losing(now)):
            return None
        if rungs.line_rate_at(rungs.at) > MODEST:
            lately = [*rates, self._forth.delivered_rate(now, ONSET_SPAN)]
            rate = min(each for each in (rate, *lately) if each is not None)
        return rate
