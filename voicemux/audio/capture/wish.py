"""Turns the user's options for packets into the rungs of the ladder. Pure."""

from typing import NamedTuple

from voicemux.audio.capture.ladder import LOWER_RUNGS, Rung

USUAL = Rung(20, 32_000)  # 66 kbit/s on the line
BETTER = Rung(20, 64_000)  # 98 kbit/s, on request only: if a line suddenly becomes slow, it costs more than it gives
# 133 kbit/s on the line. Unasked, only a near, steady and ample line gets it (`sending.climb`).
BRISK = Rung(10, 64_000)
# 234 kbit/s on the line, on request only: packets of 5 ms cost both ends 19 % of a core, those of 10 ms 13 % and of
# 20 ms 11 %, and a busy machine is later with them than without. They need more bits to sound as good.
BRISKEST = Rung(5, 96_000)
LEAST_BRISK = 64_000  # bits a second: a user who asks for fewer has a reason, and shorter packets are mostly headers
LEAST = LOWER_RUNGS[-1]


class Wish(NamedTuple):
    """What the user wants of Opus packets; 0 leaves it to the program."""

    bitrate: int = 0  # bits a second of the codec, at most
    frame_ms: float = 0.0
    bandwidth: int = 0  # bits a second on the line, headers included: at most
    at_once: bool = False  # the shortest packets from the beginning, not step by step
    dtx: bool = False  # silence is left out (see `dtx`), with any codec

    @property
    def usual(self) -> Rung:
        """The rung for a line that keeps up, with headroom or not: the best that the options allow."""
        usual = BETTER if self.at_once else USUAL
        wanted = Rung(self.frame_ms or usual.frame_ms, self.bitrate or usual.bitrate)
        rungs = [wanted, *(self._like(rung, wanted) for rung in LOWER_RUNGS if rung.frame_ms >= USUAL.frame_ms)]
        return next((rung for rung in rungs if self._allows(rung)), self._least)

    @property
    def brisk(self) -> list[Rung]:
        """The rungs for a line with headroom and no queue: shorter packets. Empty if the user has chosen the length
        of packets, or a low bitrate without wanting short packets from the beginning."""
        if self.frame_ms or not (self.at_once or self.is_unasked or self.bitrate >= LEAST_BRISK):
            return []
        shorter = (BRISK, BRISKEST) if self.at_once else (BRISK,)
        rungs = [Rung(rung.frame_ms, self.bitrate or rung.bitrate) for rung in shorter]
        return [rung for rung in rungs if self._allows(rung)]

    @property
    def is_unasked(self) -> bool:
        """Whether the program chooses the bitrate and when packets are short, without a word from the user."""
        return not (self.at_once or self.bitrate)

    @property
    def fixed_ms(self) -> float:
        """Length of packets of a codec that does not adapt, in milliseconds."""
        return self.frame_ms or (BRISKEST if self.at_once else USUAL).frame_ms

    @property
    def lacking(self) -> float:
        """Bits a second on the line that the smallest such packets take, if that is more than allowed; otherwise
        0."""
        return 0.0 if self._allows(self._least) else self._least.line_rate

    @property
    def _least(self) -> Rung:
        return self._like(LEAST, Rung(LEAST.frame_ms, self.bitrate or LEAST.bitrate))

    def _like(self, rung: Rung, most: Rung) -> Rung:
        return Rung(self.frame_ms or rung.frame_ms, min(rung.bitrate, most.bitrate))

    def _allows(self, rung: Rung) -> bool:
        return not self.bandwidth or rung.line_rate <= self.bandwidth


ANY = Wish()
