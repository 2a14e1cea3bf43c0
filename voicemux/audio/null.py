"""No sound: a source of silence, and a sink that hears nothing, both at the pace of a sound card."""

from voicemux.audio.endpoints import BLOCK_SAMPLES, SILENT_BLOCK, Block
from voicemux.audio.metronome import Metronome, PacedSink


class Silence:
    label = "silence"
    finite = False
    batch = 1
    delay_ms = 0.0
    xruns = 0

    def __init__(self) -> None:
        self._metronome = Metronome(first=1)

    def start(self) -> float:
        return self._metronome.start()

    def read(self) -> Block | None:
        beat = self._metronome.wait()
        return None if beat is None else Block((beat - 1) * BLOCK_SAMPLES, SILENT_BLOCK)

    def stop(self) -> None:
        self._metronome.stop()

    def close(self) -> None:
        pass


class Nowhere(PacedSink):
    label = "nowhere"

    def write(self, pcm: bytes) -> None:
        self._account(pcm)

    def close(self) -> None:
        pass
