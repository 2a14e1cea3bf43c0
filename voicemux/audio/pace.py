"""How long packets are and how many bits they have: as the line allows, within what the user wants. Pure.

The ladder gives a line less where it is too slow. This is the other end of it: where a line is roomy and calm,
packets become shorter by themselves, because a packet delays voice by its own length; and long again as soon as the
line is no longer calm, before that costs anything. No decision depends on what is said.
"""

from typing import NamedTuple

from voicemux.audio.ladder import LOWER_RUNGS, SETTLING, Ladder, Rung

USUAL = Rung(20, 64_000)  # 98 kbit/s on the line
BRISK = Rung(10, 64_000)  # 133
# 234, for who asks for it: packets of 5 ms cost both ends 19 % of a core, those of 10 ms 13 and of 20 ms 11, and a
# busy machine is later with them than without. They need more bits to sound like longer ones.
BRISKEST = Rung(5, 96_000)
LEAST_BRISK = 64_000  # bits a second: who asks for fewer has a reason, and shorter packets are mostly headers
LEAST = LOWER_RUNGS[-1]
FIRST_PATIENCE = 1.0  # seconds that a line must be roomy and calm before its packets get shorter
PATIENCE_GROWTH = 3.0  # times as long before the next try, after one that the line did not like
MOST_PATIENCE = 120.0  # seconds
PROVEN = 30.0  # seconds with packets so short after which the patience is as it was at first
UNREST = 1.0  # seconds without calm after which packets are long again: PINGs come four times a second then


class Wish(NamedTuple):
    """What the user wants of packets of Opus; 0 leaves it to the line."""

    bitrate: int = 0  # bits a second, of the codec: at most
    frame_ms: float = 0.0
    bandwidth: int = 0  # bits a second on the line, headers included: at most
    at_once: bool = False  # the shortest packets from the beginning, and not step by step

    @property
    def usual(self) -> Rung:
        """What a line gets that keeps up, roomy or not: the best of such packets that the limit allows."""
        wanted = Rung(self.frame_ms or USUAL.frame_ms, self.bitrate or USUAL.bitrate)
        rungs = [wanted, *(self._like(rung, wanted) for rung in LOWER_RUNGS if rung.frame_ms >= USUAL.frame_ms)]
        return next((rung for rung in rungs if self._allows(rung)), self._least)

    @property
    def brisk(self) -> list[Rung]:
        """What a line gets that is roomy and calm: ever shorter packets. None if the user has chosen their length."""
        if self.frame_ms or not (self.at_once or not self.bitrate or self.bitrate >= LEAST_BRISK):
            return []
        shorter = (BRISK, BRISKEST) if self.at_once else (BRISK,)
        rungs = [Rung(rung.frame_ms, self.bitrate or rung.bitrate) for rung in shorter]
        return [rung for rung in rungs if self._allows(rung)]

    @property
    def fixed_ms(self) -> float:
        """How long packets are of a codec that does not adapt."""
        return self.frame_ms or (BRISKEST if self.at_once else USUAL).frame_ms

    @property
    def lacking(self) -> float:
        """The bits a second on the line that the least of such packets take, if that is not allowed; otherwise 0."""
        return 0.0 if self._allows(self._least) else self._least.line_rate

    @property
    def _least(self) -> Rung:
        return self._like(LEAST, Rung(LEAST.frame_ms, self.bitrate or LEAST.bitrate))

    def _like(self, rung: Rung, most: Rung) -> Rung:
        return Rung(self.frame_ms or rung.frame_ms, min(rung.bitrate, most.bitrate))

    def _allows(self, rung: Rung) -> bool:
        return not self.bandwidth or rung.line_rate <= self.bandwidth


ANY = Wish()


class Pace:
    """`judge()` about ten times a second; it says what packets to send."""

    def __init__(self, wish: Wish) -> None:
        self._usual = wish.usual
        self._ladder = Ladder(wish.usual)
        self._brisk = wish.brisk
        self._at = len(self._brisk) if wish.at_once else 0  # so many of them are taken; 0: the ladder says
        self._patience = [FIRST_PATIENCE] * len(self._brisk)  # before each
        self._changed: float | None = None
        self._good_since: float | None = None
        self._restless_since: float | None = None
        self._drains_until = float("-inf")

    @property
    def rung(self) -> Rung:
        return self._brisk[self._at - 1] if self._at else self._ladder.rung

    @property
    def eager(self) -> bool:
        """Whether it matters to know soon how the line is."""
        return self._ladder.eager or bool(self._at and self._restless_since is not None)

    def judge(self, now: float, rate: float | None, *, calm: bool, roomy: bool) -> Rung:
        """As `Ladder.judge`."""
        if self._changed is None:
            self._changed = now
        self._restless_since = None if calm else now if self._restless_since is None else self._restless_since
        is_good = rate is None and calm and roomy
        self._good_since = (now if self._good_since is None else self._good_since) if is_good else None
        if self._at:
            self._watch(now, rate)
        if now < self._drains_until:  # what waits now is of shorter packets
            self._ladder.judge(now, None, calm=False, roomy=False)
        else:
            self._ladder.judge(now, rate, calm=calm, roomy=roomy)
        self._try_more(now)
        return self.rung

    def _watch(self, now: float, rate: float | None) -> None:
        """Let short packets go, if the line is too slow for them or may soon be."""
        assert self._changed is not None
        if now - self._changed > PROVEN:
            self._patience[self._at - 1] = FIRST_PATIENCE
        restless_for = 0.0 if self._restless_since is None else now - self._restless_since
        if rate is None and restless_for < UNREST:
            return
        self._patience[self._at - 1] = min(MOST_PATIENCE, self._patience[self._at - 1] * PATIENCE_GROWTH)
        self._at = 0
        self._changed = now
        if rate is None or rate >= self._ladder.rung.line_rate:
            self._drains_until = now + SETTLING

    def _try_more(self, now: float) -> None:
        if not self._at and self._ladder.rung != self._usual:
            self._changed = now
        if self._at == len(self._brisk) or self._good_since is None or self._changed is None:
            return
        if now - max(self._good_since, self._changed) >= self._patience[self._at]:
            self._at += 1
            self._changed = now
