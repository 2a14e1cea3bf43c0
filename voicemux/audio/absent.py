"""Stands in for a sound card that is not open: it is missing, or the user does not want it opened yet."""

from voicemux.audio.endpoints import Block
from voicemux.errors import DeviceError


class Absent:
    """A Source and a Sink that never begin."""

    finite = False
    xruns = 0
    batch = 1
    delay_ms = 0.0
    ahead = 0.0
    reserve = 0.0
    urgent = False

    def __init__(self, label: str, why: str) -> None:
        """`label` is the name of the device; "" if there is none. `why` is the text of the error that `start`
        raises."""
        self.label = label
        self._why = why

    def start(self) -> float:
        """Always raises DeviceError."""
        raise DeviceError(self._why)

    def read(self) -> Block | None:
        return None

    def ready(self) -> bool:
        return False

    def write(self, pcm: bytes) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


class Gone(Absent):
    """A microphone that has gone: `read` raises DeviceError."""

    def read(self) -> Block | None:
        """Raises DeviceError."""
        raise DeviceError(self._why)
