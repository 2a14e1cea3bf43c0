"""Limits the age and the amount of our voice in flight. Pure: no socket, clock or thread.

Voice is also delayed by queues that are not ours, by a slow way back, and by a route that has become longer. Sending
less would not help against any of these, so delay from them is accepted, up to MOST_LATE: late voice is better than
none. Times are in seconds.
"""

from collections import deque

from voicemux.sending.back import Back
from voicemux.sending.blame import Blame, Whose
from voicemux.sending.flow import BEHIND, MAX_AUDIO_WAIT, UNKNOWN_ROUND_TRIP, VOICE_BUDGET, Flow
from voicemux.sending.forth import Forth
from voicemux.sending.rungs import MODEST, Rungs

SLOW_SPAN = 0.5  # seconds over which the rate that the line takes is measured
# Seconds of queue below which acknowledgements are late for another reason: two thirds of BEHIND, which counts as a
# queue.
SURELY = 0.04
FRESH_SPAN = 0.12  # seconds of the newest ARRIVALS: one or two of them
MOST_LATE = 3.0  # seconds of another program's queue that we accept: beyond that, no conversation is possible
LONGEST_SPAN = 2.0  # seconds of the past: voice now in flight may meet the longest queue of that time
# Seconds beyond a round trip until a retransmitted packet is acknowledged: TCP (RACK, RFC 8985) waits for three
# packets of 20 ms behind the lost one, and for a quarter of a round trip in case they were reordered.
REPEAT = 0.080
# Seconds without ARRIVALS that mean a loss: they come every 0.1 s, and may wait 0.1 s more for voice to travel with.
HOLE = 0.25
MOST_REPEAT = 1.0  # seconds at most that a retransmission is waited for: the limit of the peer's playout delay
CAUTION = 0.5  # seconds after a doubt in which no more than modest voice is sent: rates are measured over as long
ACK_WAIT = 0.040  # seconds that TCP delays an acknowledgement, to send it with data (Linux: TCP_DELACK_MIN)
# Seconds for which voice in flight is limited in bytes after more than modest voice was sent unasked: by then, what
# was in flight has arrived. While acknowledgements are overdue, it has not.
WARY, DOUBTFUL_WARY = 1.0, 3.0
BACK_FULL = 0.1  # seconds of queue on the way back from which on acknowledgements say little about our own way
# Seconds of ARRIVALS without a queue that prove our own way to be free although acknowledgements are late.
BACK_PROVEN = 1.5
# Slots of 1 s. If no acknowledgement in all of them was as quick as the quickest, the route has become longer.
ROUTE_SLOTS = 20
# Seconds of delay that is not ours, above which a queue counts as long. Beside it, BBR starves: its window fits only
# two of the *shortest* round trips.
LONG_QUEUE = 0.200


class Allowance:
    """Sets the limits of both flows.

    Call `is_doubtful` ten times a second, then `grant`; call `grant` also when ARRIVALS come.
    """

    def __init__(self, near: Flow, far: Flow, forth: Forth, back: Back, blame: Blame) -> None:
        """`near` and `far` are as for `Course`."""
        self._near, self._far = near, far
        self._forth, self._back, self._blame = forth, back, blame
        # Of each slot, in seconds: when it began, the smallest delay.
        self._acknowledged: deque[tuple[float, float]] = deque(maxlen=ROUTE_SLOTS)
        self._doubted = float("-inf")  # when acknowledgements were last overdue
        self._back_full_since: float | None = None

    def was_doubtful(self, now: float) -> bool:
        """Whether acknowledgements were overdue a moment ago."""
        return now - self._doubted < CAUTION

    def is_doubtful(self, now: float) -> bool:
        """Whether acknowledgements are overdue, or were within CAUTION, by more than causes other than our voice
        explain.

        The cause shows only a moment later. If the line has become slow, all that is sent until then joins its queue,
        so little should be sent.
        """
        shortest = self._near.smallest_round_trip
        if self._near.knows and shortest is not None:
            known = max(self._back.last_late, self._near.excused if self._blame.state is Whose.THEIRS else 0.0)
            longer = max(self._longer(now, shortest), self._forth.lateness.risen)
            if self._near.age(now) > shortest + known + longer + BEHIND:
                self._doubted = now
        return self.was_doubtful(now)

    def grant(self, rungs: Rungs | None, now: float) -> None:
        """Set how old voice in flight may become: delay that our voice has not caused is allowed for."""
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
            if rungs:
                self._blame.reach.excuse(back * rungs.rung.line_rate, now)
            known = longer + min(back, self._back.last_late) + theirs + proven
        budget = self._budget(now, queue, shortest or 0.0, theirs)
        for flow in (self._near, self._far):
            flow.excused, flow.budget, flow.is_crowded = excused, budget, theirs > 0
        self._near.most_voice = self._most_voice(
            rungs, now, shortest or UNKNOWN_ROUND_TRIP, known, is_theirs=theirs > 0
        )

    def _budget(self, now: float, queue: float | None, shortest: float, theirs: float) -> float:
        """Return the seconds beyond all excused delay for which voice may be in flight.

        While TCP waits for the retransmission of a lost packet, what was sent behind it waits at the far end and
        costs the line nothing: there is time for one retransmission. In a queue of ours, each packet makes the next
        one later: the longer the queue, the less may be added.
        """
        if theirs:
            return max(VOICE_BUDGET, min(MOST_LATE, shortest + theirs + REPEAT))
        if queue is None or queue < BEHIND:
            repeats = 2 if self._is_hole(now) else 1
            return max(VOICE_BUDGET, min(MOST_REPEAT, repeats * shortest + REPEAT))
        ours = self._forth.queue(now, FRESH_SPAN) or queue
        return max(0.0, VOICE_BUDGET - max(0.0, ours - VOICE_BUDGET))

    def _most_voice(
        self, rungs: Rungs | None, now: float, shortest: float, known: float, *, is_theirs: bool
    ) -> float:
        """Return the bytes of voice that may be in flight if more than MODEST is sent, or was a moment ago. `known`
        is by how many seconds acknowledgements are known to be late.

        When a line becomes slow, all that is in flight becomes its queue. So a higher bit rate may have hardly more
        in flight than modest voice: the largest of what modest voice would have; what fits while acknowledgements
        come as soon as they can; and what fits while one packet is retransmitted, less what voice may wait for here.
        While acknowledgements are overdue, the rate of recent arrivals decides instead: if both directions became
        slow, each side would take the other's queue for the reason, and fill its own.
        """
        if not rungs or rungs.line_rate_at(0) <= MODEST:
            return float("inf")
        if rungs.is_unasked and now - self._blame.much_at > (DOUBTFUL_WARY if self.was_doubtful(now) else WARY):
            return float("inf")
        rate, usual, budget = rungs.rung.line_rate, shortest + known, self._near.budget
        if is_theirs:
            return (usual + budget) * max(rate, MODEST) / 8
        if self.was_doubtful(now):
            arriving = min(MODEST, self._forth.arriving_rate(now, SLOW_SPAN))
            return max((shortest + budget) * MODEST, (usual + budget) * arriving) / 8
        more = max(ACK_WAIT, min(MOST_REPEAT, shortest + REPEAT) - MAX_AUDIO_WAIT)
        return max((usual + budget) * MODEST, (usual + more) * rate) / 8

    def _is_hole(self, now: float) -> bool:
        """Whether nothing of ours arrives although all of the peer's voice does: a packet was lost and is being
        retransmitted, perhaps twice. A line that is too slow would go on to deliver some."""
        newest, back = self._forth.moments.newest, self._back.late(now)
        return newest is not None and now - newest.told > HOLE and back is not None and back < SURELY

    def _not_ours(self, now: float) -> float:
        """Return the seconds of queue on our way that sending less would not drain, or that will drain by itself."""
        state, newest = self._blame.state, self._forth.moments.newest
        is_lived_with = (
            state is Whose.THEIRS
            or (state is Whose.TESTING and self._blame.is_harmless)
            or (state is Whose.UNSURE and self._blame.stands(now))
        )
        if newest is None or not is_lived_with:
            return 0.0
        longest = self._forth.moments.most_of_least(now, LONGEST_SPAN)
        return min(MOST_LATE, newest.least if longest is None else longest)

    def _back_late(self, now: float, late: float) -> float:
        """Return how many of the `late` seconds of acknowledgements are due to the way back."""
        back = self._back.late(now)
        if back is not None:
            return back
        newest = self._forth.moments.newest  # the peer sends no voice, so its arrival says nothing
        return late if newest is None else late - newest.least

    def _is_back_full(self, now: float, back: float) -> bool:
        """Whether the way back has a long queue while ARRIVALS have shown our own way to be free for BACK_PROVEN."""
        newest = self._forth.queue(now)
        if back <= BACK_FULL or (newest is not None and newest >= BEHIND):
            self._back_full_since = None
        elif newest is not None and self._back_full_since is None:
            self._back_full_since = now
        return self._back_full_since is not None and now - self._back_full_since > BACK_PROVEN

    def _longer(self, now: float, shortest: float) -> float:
        """Return the seconds by which the route has become longer: in all of the last ROUTE_SLOTS, no acknowledgement
        was as quick as the quickest ever."""
        newest = self._near.delays[-1][1] if self._near.delays else None
        if newest is None:
            return 0.0
        if not self._acknowledged or now - self._acknowledged[-1][0] >= 1.0:
            self._acknowledged.append((now, newest))
        else:
            began, least = self._acknowledged[-1]
            self._acknowledged[-1] = began, min(least, newest)
        if len(self._acknowledged) < ROUTE_SLOTS or self._blame.state is Whose.THEIRS:
            return 0.0
        return max(0.0, min(least for _, least in self._acknowledged) - shortest)
