"""A sink that hears nothing, at the pace of a sound card."""

from voicemux.audio.metronome import PacedSink


class Nowhere(PacedSink):
    label = "nowhere"

    def write(self, pcm: bytes) -> None:
        self._account(pcm)

    def close(self) -> None:
        pass
