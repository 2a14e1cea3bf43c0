"""A `Stream` over two pipes, one to read and one to write, as standard input and output may be. Not on Windows."""

import contextlib
import os
import select
import sys
import time

from voicemux.errors import ConnectionLost, Kind
from voicemux.net.address import Address
from voicemux.net.stream import SILENCE_TIMEOUT

READ_SIZE = 65_536  # bytes
AT_ONCE = 512  # bytes that a writable pipe takes without blocking: PIPE_BUF of POSIX


class PipeStream:
    """A `Stream` over two descriptors, which it owns. They stay blocking, because other processes may share what they
    lead to."""

    def __init__(self, reading: int, writing: int, peer_address: Address, place: str = "") -> None:
        """`place` is as of `Stream`; "": the host of `peer_address`."""
        self.peer_address = peer_address
        self.place = place or peer_address.host
        self.relay = ""
        self.seen: Address | None = None
        self.has_come = False
        self.bytes_read = 0
        self.bytes_written = 0
        self.timeout = SILENCE_TIMEOUT
        self.options: list[str] = []
        self.is_secure = False
        self.peer_certificate = b""
        self._reading = reading
        self._writing: int | None = writing
        self._is_cut = False
        self._wake, self._waker = os.pipe()  # `cut` writes to it; it is never read, so every wait ends

    def set_timeout(self, seconds: float) -> None:
        """See `Stream`."""
        self.timeout = seconds

    def read(self) -> bytes:
        """See `Stream`."""
        return self.receive()

    def receive(self) -> bytes:
        """See `Stream`."""
        if not self._wait(self._reading, select.POLLIN, time.monotonic() + self.timeout):
            raise self._silence("nothing came from the other side")
        if self._is_cut:
            return b""
        try:
            data = os.read(self._reading, READ_SIZE)
        except OSError as error:
            raise _broken(error) from error
        self.bytes_read += len(data)
        return data

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        deadline = time.monotonic() + self.timeout
        left = memoryview(data)
        while left:
            writing = self._writing
            if writing is None:
                raise ConnectionLost("the connection broke: it was ended here")
            if not self._wait(writing, select.POLLOUT, deadline):
                raise self._silence("the other side takes nothing")
            if self._is_cut:
                raise ConnectionLost("the connection broke: it was cut here")
            try:
                size = os.write(writing, left[:AT_ONCE])
            except OSError as error:
                raise _broken(error) from error
            left = left[size:]
        self.bytes_written += len(data)

    def finish(self) -> None:
        """See `Stream`."""
        writing, self._writing = self._writing, None
        if writing is not None:
            with contextlib.suppress(OSError):
                os.close(writing)

    def cut(self) -> None:
        """See `Stream`."""
        if not self._is_cut:
            self._is_cut = True
            with contextlib.suppress(OSError):  # it is closed
                os.write(self._waker, b"!")

    def close(self) -> None:
        """See `Stream`."""
        self.finish()
        descriptors = (self._reading, self._wake, self._waker)
        self._reading = self._wake = self._waker = -1
        for each in descriptors:
            if each >= 0:
                os.close(each)

    def fileno(self) -> int:
        """Return the descriptor that is read from; -1 once it is closed."""
        return self._reading

    def bytes_in_flight(self) -> int | None:
        """See `Stream`: unknown."""
        return None

    def bytes_unsent(self) -> int:
        """See `Stream`."""
        return 0

    def min_round_trip(self) -> float | None:
        """See `Stream`: unknown."""
        return None

    def leave_bbr(self) -> None:
        """See `Stream`: there is none."""

    def _wait(self, descriptor: int, events: int, deadline: float) -> bool:
        """Wait until `descriptor` is ready or the stream is cut. Returns False after the deadline."""
        assert sys.platform != "win32"
        poll = select.poll()
        poll.register(descriptor, events)
        poll.register(self._wake, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _silence(self, what: str) -> ConnectionLost:
        error = ConnectionLost(f"{what} for {self.timeout:.3g} s", kind=Kind.SILENCE)
        error.__cause__ = TimeoutError()
        return error


def _broken(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke: {os.strerror(error.errno or 0).lower()}")
