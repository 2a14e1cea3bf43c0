"""The course of our voice: how much of it to send, and how much may be under way. Pure: no socket, clock or thread.

Four things make voice late: what we send ourselves (`Flow`, `Forth`), what others send on the same line (`Blame`
tells the two apart), a way back that is slow, which makes acknowledgements late and nothing else (`Back`), and a
route that has become longer. Only for the first it helps to send less. So for the others we are late rather than
silent, for as long as that is no more than MOST_LATE. docs/voice-on-shared-lines.md has the whole of it. Times are
in seconds.
"""

from collections import deque

from voicemux.protocol.messages import Arrivals, Audio, Report
from voicemux.sending.back import OWN_SOURCE, Back, Journey
from voicemux.sending.blame import Blame, Whose
from voicemux.sending.brisk import Brisk
from voicemux.sending.climb import Climb
from voicemux.sending.flow import BEHIND, MAX_AUDIO_WAIT, MOST_BACKLOG, UNKNOWN_ROUND_TRIP, VOICE_BUDGET, Flow
from voicemux.sending.forth import Forth
from voicemux.sending.rungs import MODEST, Rungs

# Of what is wanted, a line takes less if it is too slow: 0.5 s of packets of 60 ms are 8, give or take one.
CLEARLY = 0.85
SLOW_SPAN = 0.5  # seconds over which that is taken
# Seconds over which it is taken how slow: the newest three ARRIVALS, or four. What came before may have come while
# the line was as fast as ever, and the step would be too small to show whose queue it is.
ONSET_SPAN = 0.35
# Seconds of queue: with less, acknowledgements are late for another reason. Two thirds of what counts as a queue.
SURELY = 0.04
FRESH_SPAN = 0.12  # seconds of the newest ARRIVALS
MOST_LATE = 3.0  # seconds of somebody else's queue that are lived with: beyond that, nobody has a conversation
LONGEST_SPAN = 2.0  # seconds: what is under way now may meet the longest queue of these
# Seconds beyond a round trip that a lost packet's repetition takes to be acknowledged: TCP (RACK, RFC 8985) waits
# for three packets of 20 ms behind it, and a fourth of a round trip in case they were reordered.
REPEAT = 0.080
HOLE = 0.25  # seconds without ARRIVALS, which come every 0.1 s and may wait as long for something to travel with
MOST_REPEAT = 1.0  # seconds that are waited for that: the bound of the peer's playout delay
CAUTION = 0.5  # seconds after a doubt in which no more than modest voice is sent: as long as rates are taken over
ACK_WAIT = 0.040  # seconds that an acknowledgement waits for something to travel with (Linux: TCP_DELACK_MIN)
# Seconds of a backlog in our own kernel: three times PATIENCE, since one repetition makes one too.
BACKLOG_PATIENCE = 0.6
BACK_FULL = 0.1  # seconds of a way back beside which acknowledgements say little
BACK_PROVEN = 1.5  # seconds of ARRIVALS that show that our own way is free all the same
# Seconds of acknowledgements, none of which is as quick as they once were: the route has become longer.
ROUTE_SLOTS = 20
# While the peer's packets are long because its line is slow: each of ours is acknowledged on that line by a packet of
# headers only. Not as long as the peer's, or each would hold the other there.
SAVING_MS = 40.0
# While anything is late: from half of that on, each packet is more headers than sound.
LATE_MS = 20.0
# Beside somebody else's long queue: it overflows now and then, and each packet that is lost there stops voice for two
# round trips. A third of the packets is a third of that, and what they take longer is not noticed there.
LONGEST_MS = 60.0
# Seconds of what is not ours that make a queue long. Beside that, bbr starves: its window is what fits two *shortest*
# round trips.
LONG_QUEUE = 0.200
# Voice that is later than the first number of seconds, while our kernel's acknowledgements take less than half of
# that, waits where the kernel does not see it; for so many looks in a row, since ARRIVALS are a little old.
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
        self._rungs: Rungs | None = None
        self._acknowledged: deque[tuple[float, float]] = deque(maxlen=ROUTE_SLOTS)  # seconds: when begun, least delay
        self._doubted = float("-inf")  # when it last was not known whether what we send still arrives
        self._hidden = 0  # looks in a row
        self.is_tunnelled = False  # our connection ends before the peer: what it says counts, too
        self._back_full_since: float | None = None
        self._backlog_since: float | None = None

    @property
    def state(self) -> str:
        """Whose queue it is, and whether more is being tried."""
        return f"{self.blame.state.value}{' probing' if self._climb.is_probing else ''}"

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer has sent ARRIVALS."""
        return self._forth.tells_times

    @property
    def bbr_starves(self) -> bool:
        """Whether what is not ours makes acknowledgements so late that bbr's window is too small for voice."""
        return self._near.excused > LONG_QUEUE

    def wrote(self, audio: Audio, size: int, now: float) -> None:
        """It has been given to the line, with all that travels with it: so many bytes."""
        self._forth.wrote(audio, size, now)

    def dropped(self, now: float) -> None:
        """A packet of voice has waited too long."""
        self.blame.dropped(now)

    def told(self, arrivals: Arrivals, now: float) -> None:
        """What the peer says of our voice's arrival."""
        if arrivals.source == OWN_SOURCE and self._forth.told(arrivals, now):
            self._excuse(now)

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
        rungs.most_rate = MODEST if self._is_doubtful(now) else float("inf")
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
        self._excuse(now)

    def _look_for_a_tunnel(self, now: float) -> None:
        queue, taken = self._forth.queue(now), self._near.latest_delay(now)
        is_hidden = queue is not None and taken is not None and queue > HIDDEN_QUEUE and taken < queue / 2
        self._hidden = self._hidden + 1 if is_hidden else 0
        self.is_tunnelled |= self._hidden >= HIDDEN_LOOKS

    def _is_doubtful(self, now: float) -> bool:
        """Whether acknowledgements are overdue, or were a moment ago, beyond what is known to be not our doing.

        What it is shows a moment later only. If the line has become slow, all that is sent until then is its queue.
        """
        shortest = self._near.smallest_round_trip
        if self._near.knows and shortest is not None:
            known = max(self._back.last_late, self._near.excused if self.blame.state is Whose.THEIRS else 0.0)
            longer = max(self._longer(now, shortest), self._forth.lateness.risen)
            if self._near.age(now) > shortest + known + longer + BEHIND:
                self._doubted = now
        return now - self._doubted < CAUTION

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
        return now - self._doubted < CAUTION or max(self._back.last_late, self._forth.queue(now) or 0.0) >= SURELY

    def _too_slow(self, rungs: Rungs, now: float) -> float | None:
        """What the line takes, in bits a second, if that is less than we want of it; otherwise None.

        Late but whole is not slow: that is jitter, or a long route, or somebody else.
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

    # --- what is not our doing

    def _excuse(self, now: float) -> None:
        """Let what is under way be as old as what is not our doing makes it."""
        taken, shortest = self._near.latest_delay(now), self._near.smallest_round_trip
        queue = self._forth.queue(now)
        excused = theirs = known = 0.0
        if taken is not None and shortest is not None:
            longer = min(MOST_LATE, max(self._longer(now, shortest), self._forth.lateness.risen))
            back = self._back_late(now, taken - shortest)
            back = max(0.0, min(back, taken - shortest - longer))
            theirs = self._not_ours(now)
            proven = max(BACK_FULL, back / 2) if self._is_back_full(now, back) else 0.0
            excused = longer + back + theirs + proven
            known = longer + min(back, self._back.last_late) + theirs + proven
        budget = self._budget(now, queue, shortest or 0.0, theirs)
        for flow in (self._near, self._far):
            flow.excused, flow.budget, flow.is_crowded = excused, budget, theirs > 0
        self._near.most_voice = self._most_voice(now, shortest or UNKNOWN_ROUND_TRIP, known, is_theirs=theirs > 0)

    def _budget(self, now: float, queue: float | None, shortest: float, theirs: float) -> float:
        """Seconds beyond all excuses that voice may be under way.

        What waits for a lost packet to be repeated waits at its end, and costs the line nothing: there is time for
        one repetition. A queue of ours costs all: the longer it is, the less may be added.
        """
        if theirs:
            return max(VOICE_BUDGET, min(MOST_LATE, shortest + theirs + REPEAT))
        if queue is None or queue < BEHIND:
            repeats = 2 if self._is_hole(now) else 1
            return max(VOICE_BUDGET, min(MOST_REPEAT, repeats * shortest + REPEAT))
        ours = self._forth.queue(now, FRESH_SPAN) or queue
        return max(0.0, VOICE_BUDGET - max(0.0, ours - VOICE_BUDGET))

    def _most_voice(self, now: float, shortest: float, known: float, *, is_theirs: bool) -> float:
        """Bytes of voice that may be under way, if more than modest voice is wanted, and acknowledgements are known
        to take `known` seconds longer.

        When a line becomes slow, all that is under way is its queue, so it may not be the more the more is sent: what
        it would be of modest voice, or what fits while acknowledgements come as soon as they can, or while one packet
        is repeated but for what voice may wait for here. In doubt, what has arrived recently says what will: if both
        ways have become slow, each would take the other for the reason why it is late, and fill its own.
        """
        if not self._rungs or self._rungs.line_rate_at(0) <= MODEST:
            return float("inf")
        rate, usual, budget = self._rungs.rung.line_rate, shortest + known, self._near.budget
        if is_theirs:
            return (usual + budget) * max(rate, MODEST) / 8
        if now - self._doubted < CAUTION:
            arriving = min(MODEST, self._forth.arriving_rate(now, SLOW_SPAN))
            return max((shortest + budget) * MODEST, (usual + budget) * arriving) / 8
        more = max(ACK_WAIT, min(MOST_REPEAT, shortest + REPEAT) - MAX_AUDIO_WAIT)
        return max((usual + budget) * MODEST, (usual + more) * rate) / 8

    def _is_hole(self, now: float) -> bool:
        """Whether nothing of ours arrives any more, though all of the peer's does: a packet was lost, and is
        repeated.

        That may have to be done twice. A line that is too slow goes on to take some.
        """
        newest, back = self._forth.moments.newest, self._back.late(now)
        return newest is not None and now - newest.told > HOLE and back is not None and back < SURELY

    def _not_ours(self, now: float) -> float:
        """Seconds of queue on our way that sending less would not take away, or will by itself."""
        state, newest = self.blame.state, self._forth.moments.newest
        is_lived_with = (
            state is Whose.THEIRS
            or (state is Whose.TESTING and self.blame.is_harmless)
            or (state is Whose.UNSURE and self.blame.stands(now))
        )
        if newest is None or not is_lived_with:
            return 0.0
        longest = self._forth.moments.most_of_least(now, LONGEST_SPAN)
        return min(MOST_LATE, newest.least if longest is None else longest)

    def _back_late(self, now: float, late: float) -> float:
        """Seconds that the way back is late, of `late` that acknowledgements are."""
        back = self._back.late(now)
        if back is not None:
            return back
        newest = self._forth.moments.newest  # the peer is silent
        return late if newest is None else late - newest.least

    def _is_back_full(self, now: float, back: float) -> bool:
        """Whether the peer says that our own way is free, while so much waits on the way back that nothing else
        does."""
        newest = self._forth.queue(now)
        if back <= BACK_FULL or (newest is not None and newest >= BEHIND):
            self._back_full_since = None
        elif newest is not None and self._back_full_since is None:
            self._back_full_since = now
        return self._back_full_since is not None and now - self._back_full_since > BACK_PROVEN

    def _longer(self, now: float, shortest: float) -> float:
        """Seconds by which the route has become longer: no acknowledgement of a while was as quick as the
        quickest."""
        newest = self._near.delays[-1][1] if self._near.delays else None
        if newest is None:
            return 0.0
        if not self._acknowledged or now - self._acknowledged[-1][0] >= 1.0:
            self._acknowledged.append((now, newest))
        else:
            began, least = self._acknowledged[-1]
            self._acknowledged[-1] = began, min(least, newest)
        if len(self._acknowledged) < ROUTE_SLOTS or self.blame.state is Whose.THEIRS:
            return 0.0
        return max(0.0, min(least for _, least in self._acknowledged) - shortest)
