"""The course of our voice: how much of it to send, and how much may be under way. Pure: no socket, clock or thread.

Four things make voice late: what we send ourselves (`Flow`, `Forth`), what others send on the same line (`Blame`
tells the two apart), a way back that is slow, which makes acknowledgements late and nothing else (`Back`), and a
route that has become longer. Only for the first it helps to send less. For the others `Allowance` lets more be under
way. docs/voice-on-shared-lines.md has the whole of it. Times are in seconds.
"""

from voicemux.protocol.messages import OWN_SOURCE, Arrivals, Audio, Report
from voicemux.sending.allowance import FRESH_SPAN, LONG_QUEUE, SLOW_SPAN, SURELY, Allowance
from voicemux.sending.back import Back, Journey
from voicemux.sending.blame import Blame, Whose
from voicemux.sending.brisk import Brisk
from voicemux.sending.climb import Climb
from voicemux.sending.flow import MOST_BACKLOG, Flow
from voicemux.sending.forth import Forth
from voicemux.sending.rungs import MODEST, Rungs

# Of what is wanted, a line takes less if it is too slow: 0.5 s of packets of 60 ms are 8, give or take one.
CLEARLY = 0.85
# Seconds over which it is taken how slow: the newest three ARRIVALS, or four. What came before may have come while
# the line was as fast as ever, and the step would be too small to show whose queue it is.
ONSET_SPAN = 0.35
# Seconds of a backlog in our own kernel: three times PATIENCE, since one retransmission makes one, too.
BACKLOG_PATIENCE = 0.6
# While the peer's packets are long because its line is slow: each of ours is acknowledged on that line by a packet of
# headers only. Not as long as the peer's, or each would hold the other there.
SAVING_MS = 40.0
# While anything is late: from half of that on, each packet is more headers than sound.
LATE_MS = 20.0
# Beside a long queue of another program: it overflows now and then, and each packet that is lost there stops voice
# for two round trips. A third of the packets is a third of that, and what they take longer is not noticed there.
LONGEST_MS = 60.0
# Voice that is later than the first number of seconds, while our kernel's acknowledgements take less than half of
# that, waits where the kernel does not see it; for this number of looks in a row, since ARRIVALS are a little old.
HIDDEN_QUEUE, HIDDEN_LOOKS = 0.2, 3


class Course:
    """Tell it what is written, and what is heard of it; `judge()` ten times a second."""

    def __init__(self, near: Flow, far: Flow) -> None:
        """`near` is what the kernel acknowledges, `far` what the peer does: their limits are set here."""
        self._near, self._far = near, far
        self._forth, self._back = Forth(), Back()
        self.blame = Blame(self._forth)
        self._climb = Climb(self._forth, near, self.blame)
        self._brisk = Brisk()
        self._allowance = Allowance(near, far, self._forth, self._back, self.blame)
        self._rungs: Rungs | None = None
        self._hidden = 0  # looks in a row
        self.is_tunnelled = False  # our connection ends before the peer: what it says counts, too
        self._backlog_since: float | None = None

    @property
    def state(self) -> str:
        """Whose queue it is, and whether more is being tried."""
        return f"{self.blame.state.value}{' probing' if self._climb.is_probing else ''}"

    def queue(self, now: float) -> float | None:
        """Seconds that our voice arrives later than at best; None if that is not known."""
        return self._forth.queue(now)

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer has sent ARRIVALS."""
        return self._forth.tells_times

    @property
    def bbr_starves(self) -> bool:
        """Whether what is not ours makes acknowledgements so late that bbr's window is too small for voice."""
        return self._near.excused > LONG_QUEUE

    def wrote(self, audio: Audio, size: int, now: float) -> None:
        """It has been given to the line, with all that travels with it: `size` bytes in all."""
        self._forth.wrote(audio, size, now)

    def dropped(self, now: float) -> None:
        """A packet of voice has waited too long."""
        self.blame.dropped(now)

    def told(self, arrivals: Arrivals, now: float) -> None:
        """What the peer says of our voice's arrival."""
        if arrivals.source == OWN_SOURCE and self._forth.told(arrivals, now):
            self._allowance.grant(self._rungs, now)

    def reported(self, report: Report, now: float) -> None:
        """What the peer says of our voice in any case."""
        if report.source == OWN_SOURCE:
            self._forth.reported(report.sequence, self._back.late(now), now)

    def heard(self, audio: Audio, now: float) -> None:
        """The peer's voice has come."""
        self._back.heard(audio, now)

    def round_trip(self, seconds: float, now: float) -> None:
        """A PONG has come so long after its PING."""
        self._back.round_trip(seconds, now)

    @property
    def has_news(self) -> bool:
        """Whether `arrivals` has any."""
        return self._back.has_news

    def arrivals(self) -> Arrivals | None:
        """What the peer is to know of its voice's arrival; None if there is nothing new."""
        return self._back.arrivals()

    def peer_on_its_way(self, now: float) -> Journey | None:
        """See `Back.on_its_way`."""
        return self._back.on_its_way(now)

    def padding(self, now: float) -> bytes:
        """What goes with the voice that is written now."""
        return self._climb.padding(self._rungs, now) if self._rungs else b""

    def judge(self, rungs: Rungs, now: float, *, calm: bool, roomy: bool) -> None:
        """Send more or less. See `Climb.look`."""
        self._rungs = rungs
        rungs.least_frame_ms = self._least_frame_ms(now)
        rungs.most_rate = MODEST if self._allowance.is_doubtful(now) else float("inf")
        before = rungs.at
        self._look_for_a_tunnel(now)
        rate = self._too_slow(rungs, now)
        self.blame.look(rungs, now, rate)
        if rungs.at > before:
            self._climb.stepped_down(now)
        elif rate is None and self.blame.state is not Whose.TESTING:
            self._climb.look(rungs, now, calm=calm, roomy=roomy)
        calm = calm and not self._is_late(now)
        may_be_brisk = calm and roomy and rate is None and 0 < rungs.at <= rungs.usual
        has_room = may_be_brisk and self._climb.has_much_room(rungs, rungs.at - 1, now)
        self._brisk.look(rungs, now, calm=calm, roomy=has_room)
        self._allowance.grant(rungs, now)

    def _look_for_a_tunnel(self, now: float) -> None:
        queue, taken = self._forth.queue(now), self._near.latest_delay(now)
        is_hidden = queue is not None and taken is not None and queue > HIDDEN_QUEUE and taken < queue / 2
        self._hidden = self._hidden + 1 if is_hidden else 0
        self.is_tunnelled |= self._hidden >= HIDDEN_LOOKS

    def _least_frame_ms(self, now: float) -> float:
        """Packets are made longer than the rung has them, at the same bit rate, where fewer of them are worth it."""
        newest = self._forth.moments.newest
        if self.blame.state is Whose.THEIRS and newest and newest.least > LONG_QUEUE:
            return LONGEST_MS
        if self._back.saves_headers:
            return SAVING_MS
        return LATE_MS if self._is_late(now) else 0.0

    def _is_late(self, now: float) -> bool:
        """Whether voice is late in either direction: where ours is not, it is acknowledged on the way that is."""
        return self._allowance.was_doubtful(now) or max(self._back.last_late, self._forth.queue(now) or 0.0) >= SURELY

    def _too_slow(self, rungs: Rungs, now: float) -> float | None:
        """What the line takes, in bits a second, if that is less than we want of it; otherwise None.

        Late but whole is not slow: that is jitter, or a long route, or another program's queue.
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
        if rate is None or (newest is None and self._forth.tells_times) or (newest is not None and newest < SURELY):
            return None
        rate = max(rate, self._forth.delivered_rate(now, SLOW_SPAN) or 0.0)
        is_clear = rate < rungs.rung.line_rate * CLEARLY
        if not (is_clear or self.blame.is_losing(now)):
            return None
        if rungs.line_rate_at(rungs.at) > MODEST:
            lately = [*rates, self._forth.delivered_rate(now, ONSET_SPAN)]
            rate = min(each for each in (rate, *lately) if each is not None)
        return rate
