"""What the user wants of packets of voice, and which there are because of that. Pure."""

from typing import NamedTuple

from voicemux.audio.capture.ladder import LOWER_RUNGS, Rung

USUAL = Rung(20, 32_000)  # 66 kbit/s on the line
BETTER = Rung(20, 64_000)  # 98, for who asks for it: where a line becomes slow at once, it costs more than it gives
BRISK = Rung(10, 64_000)  # 133
# 234, for who asks for it: packets of 5 ms cost both ends 19 % of a core, those of 10 ms 13 and of 20 ms 11, and a
# busy machine is later with them than without. They need more bits to sound like longer ones.
BRISKEST = Rung(5, 96_000)
LEAST_BRISK = 64_000  # bits a second: who asks for fewer has a reason, and shorter packets are mostly headers
LEAST = LOWER_RUNGS[-1]


class Wish(NamedTuple):
    """What the user wants of packets of Opus; 0 leaves it to the line."""

    bitrate: int = 0  # bits a second, of the codec: at most
    frame_ms: float = 0.0
    bandwidth: int = 0  # bits a second on the line, headers included: at most
    at_once: bool = False  # the shortest packets from the beginning, and not step by step

    @property
    def usual(self) -> Rung:
        """What a line gets that keeps up, roomy or not: the best of such packets that the limit allows."""
        usual = BETTER if self.at_once else USUAL
        wanted = Rung(self.frame_ms or usual.frame_ms, self.bitrate or usual.bitrate)
        rungs = [wanted, *(self._like(rung, wanted) for rung in LOWER_RUNGS if rung.frame_ms >= USUAL.frame_ms)]
        return next((rung for rung in rungs if self._allows(rung)), self._least)

    @property
    def brisk(self) -> list[Rung]:
        """What a line gets that is roomy and calm: ever shorter packets, if the user wants that many bits, or is in a
        hurry. None if the user has chosen their length."""
        if self.frame_ms or not (self.at_once or self.bitrate >= LEAST_BRISK):
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
