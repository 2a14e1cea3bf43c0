"""Tells whether TCP often has to retransmit our voice. Pure: no socket, clock or thread. Times are in seconds.

Where the round trip is long, each lost packet stops voice for long. A long packet is as likely to be lost as a short
one, so half as many packets mean half as many stops.
"""

FAR = 0.2  # seconds of round trip from which on 20 ms more per packet are little beside a retransmission
SHARE = 0.75  # of a round trip, at least, that the first packet behind a loss is later than the last of its burst
# Seconds: two stops within OFTEN are frequent. Longer packets are fewer, and so are their stops, so it takes NO_MORE
# without a stop to know that the line loses no more.
OFTEN, NO_MORE = 10.0, 30.0
APART = 0.3  # seconds within which two stops are one: three ARRIVALS


class Repeats:
    """The stops of our voice on a long route. Tell `saw()` of each ARRIVALS; `are_frequent()` says whether packets
    should be longer."""

    def __init__(self) -> None:
        self._stopped = float("-inf")  # when voice was last stopped
        self._frequent_at = float("-inf")  # when voice was last stopped while stops were frequent

    def saw(self, spread: float, round_trip: float, now: float) -> None:
        """The peer has sent ARRIVALS. `spread` is the largest transit in it less the smallest, `round_trip` the
        shortest of the connection."""
        if round_trip < FAR or spread < SHARE * round_trip or now - self._stopped < APART:
            return
        is_often = now - self._stopped < OFTEN
        self._stopped = now
        if is_often or self.are_frequent(now):
            self._frequent_at = now

    def are_frequent(self, now: float) -> bool:
        """Return whether voice is stopped often, or was within the last NO_MORE seconds."""
        return now - self._frequent_at < NO_MORE
