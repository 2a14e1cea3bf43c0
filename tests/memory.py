"""A stream without a network: two ends in memory, as strict as TCP with what a `Stream` promises."""

import threading
import time

from voicemux.errors import ConnectionLost, Kind
from voicemux.net.address import Address
from voicemux.net.stream import SILENCE_TIMEOUT

ROOM = 65_536  # bytes that a direction holds before a write waits


class _Direction:
    """From one end to the other."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.data = bytearray()
        self.is_finished = False  # no more comes
        self.is_refused = False  # the reader has gone: nothing may be written any more


class MemoryStream:
    """One end. Get two of them from `memory_streams`."""

    def __init__(self, name: str, mouth: _Direction, ear: _Direction) -> None:
        self.peer_address = Address(name, 1)
        self.place = name
        self.bytes_read = self.bytes_written = 0
        self.timeout = SILENCE_TIMEOUT
        self.options: list[str] = []
        self.is_secure = self.has_come = False
        self.relay = ""
        self.seen: Address | None = None
        self.peer_certificate = b""
        self._mouth, self._ear = mouth, ear

    def set_timeout(self, seconds: float) -> None:
        self.timeout = seconds

    def read(self) -> bytes:
        return self.receive()

    def receive(self) -> bytes:
        ear = self._ear
        with ear.changed:
            if not ear.changed.wait_for(lambda: ear.data or ear.is_finished, self.timeout):
                raise self._silence("nothing came from the other side") from TimeoutError()
            data = bytes(ear.data)
            ear.data.clear()
            ear.changed.notify_all()
        self.bytes_read += len(data)
        return data

    def write(self, data: bytes) -> None:
        mouth, deadline = self._mouth, time.monotonic() + self.timeout
        rest = memoryview(data)
        with mouth.changed:
            while rest:
                left = deadline - time.monotonic()
                if not mouth.changed.wait_for(lambda: self._is_broken or len(mouth.data) < ROOM, left):
                    raise self._silence("the other side takes nothing") from TimeoutError()
                if self._is_broken:
                    raise ConnectionLost("the connection broke: broken pipe")
                room = ROOM - len(mouth.data)
                mouth.data += rest[:room]
                rest = rest[room:]
                mouth.changed.notify_all()
        self.bytes_written += len(data)

    @property
    def _is_broken(self) -> bool:
        return self._mouth.is_finished or self._mouth.is_refused

    def _silence(self, words: str) -> ConnectionLost:
        return ConnectionLost(f"{words} for {self.timeout:.3g} s", kind=Kind.SILENCE)

    def finish(self) -> None:
        self._end(self._mouth)

    def cut(self) -> None:
        self._end(self._mouth)
        with self._ear.changed:
            self._ear.is_refused = self._ear.is_finished = True
            self._ear.changed.notify_all()

    def close(self) -> None:
        self.cut()

    @staticmethod
    def _end(direction: _Direction) -> None:
        with direction.changed:
            direction.is_finished = True
            direction.changed.notify_all()

    def bytes_in_flight(self) -> int | None:
        return None

    def bytes_unsent(self) -> int:
        return 0

    def min_round_trip(self) -> float | None:
        return None

    def fileno(self) -> int | None:
        return None

    def leave_bbr(self) -> None:
        pass


def memory_streams() -> tuple[MemoryStream, MemoryStream]:
    """The two ends of a connection."""
    there, back = _Direction(), _Direction()
    return MemoryStream("there", there, back), MemoryStream("here", back, there)
