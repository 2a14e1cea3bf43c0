"""The source or sink that one half of a call uses now: another one may take its place while the half runs."""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from voicemux.audio.absent import Absent
from voicemux.audio.endpoints import Sink, Source

PATIENCE = 2.0  # seconds: a thread that has not taken it by then waits for a device, and takes it when it is back

End = TypeVar("End", Source, Sink)


class InUse(Generic[End]):
    """`begin` and `reopen` belong to the thread of the half, the rest to any."""

    def __init__(self, end: End, reopen: Callable[[], End] | None = None) -> None:
        """`reopen` gives one for one that has broken, or is missing."""
        self.now: End = end
        self.can_reopen = reopen is not None
        self.is_stopped = False
        self._reopen: Callable[[], End] | None = reopen
        self._next: queue.SimpleQueue[tuple[End, float]] = queue.SimpleQueue()
        self._taken = threading.Event()

    @property
    def is_missing(self) -> bool:
        """Whether its device has not been there yet."""
        return isinstance(self.now, Absent) and not self.now.label

    @property
    def has_another(self) -> bool:
        """Whether another one waits to take its place."""
        return not self._next.empty()

    def exchange(self, end: End, since: float) -> None:
        """Go on with `end`, which began at the monotonic time `since`. Any thread but that of the half.

        Returns when the one before is not used any more, or after `PATIENCE`.
        """
        before = self.now  # before the thread can have taken the other
        self._taken.clear()
        self._next.put((end, since))
        before.stop()
        if not self.is_stopped:
            self._taken.wait(PATIENCE)

    def begin(self, on_start: Callable[[float], None], prepare: Callable[[], None] = lambda: None) -> float:
        """Start it, or take the one that waits. Its first sample's monotonic time, which `on_start` is told, too.

        What has to be done before, and may take a second, is `prepare`: of one that runs already, it comes after.
        Raises DeviceError.
        """
        since = None
        while self.has_another:
            self.now, since = self._next.get()
        if since is None:
            prepare()
        started = self.now.start() if since is None else since
        if self.is_stopped:  # which the one before was told
            self.now.stop()
        on_start(started)
        self._taken.set()
        if since is not None:
            prepare()
        return started

    @property
    def goes_on(self) -> bool:
        """Whether another one is to be used where this one has ended."""
        return self.has_another and not self.is_stopped

    def reopen(self) -> None:
        """Have it again, unless another one waits. Raises DeviceError if it is not there yet."""
        assert self._reopen
        if self.has_another:
            return
        self.now = self._reopen()
        if self.is_stopped:  # while it was being opened
            self.now.stop()

    def stop(self) -> None:
        """No other one will be used."""
        self.is_stopped = True
        self.now.stop()
        self._taken.set()
