"""Holds the source or sink that one half of a call uses. Another one may take its place while the half runs."""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from voicemux.audio.absent import Absent
from voicemux.audio.endpoints import Sink, Source

# Seconds to wait for the half's thread: if it has not taken the new one by then, it waits for a broken device, and
# takes it later.
PATIENCE = 2.0

End = TypeVar("End", Source, Sink)


class InUse(Generic[End]):
    """The source or sink in use. The half's thread calls `begin` and `reopen`, any thread the rest."""

    def __init__(self, end: End, reopen: Callable[[], End] | None = None) -> None:
        """`reopen` opens a source or sink in place of a broken or missing one."""
        self.now: End = end
        self.can_reopen = reopen is not None
        self.is_stopped = False
        self._reopen: Callable[[], End] | None = reopen
        self._next: queue.SimpleQueue[tuple[End, float]] = queue.SimpleQueue()
        self._taken = threading.Event()

    @property
    def is_missing(self) -> bool:
        """Whether its device has never been opened."""
        return isinstance(self.now, Absent) and not self.now.label

    @property
    def has_another(self) -> bool:
        """Whether another one waits to take its place."""
        return not self._next.empty()

    def exchange(self, end: End, since: float) -> None:
        """Let the half go on with `end`, which was started at the monotonic time `since`. Any thread but the half's
        may call it. Returns when the old one is no longer used, or after `PATIENCE`."""
        before = self.now  # read before the thread can take the new one
        self._taken.clear()
        self._next.put((end, since))
        before.stop()
        if not self.is_stopped:
            self._taken.wait(PATIENCE)

    def begin(self, on_start: Callable[[float], None], prepare: Callable[[], None] = lambda: None) -> float:
        """Start it, or take the one that waits, and return the monotonic time of its first sample, which `on_start`
        gets, too.

        `prepare` does what must come before the start, and may take a second; if the new one runs already, it comes
        after. Raises DeviceError.
        """
        since = None
        while self.has_another:
            self.now, since = self._next.get()
        if since is None:
            prepare()
        started = self.now.start() if since is None else since
        if self.is_stopped:  # the half was stopped, but this one does not know
            self.now.stop()
        on_start(started)
        self._taken.set()
        if since is not None:
            prepare()
        return started

    @property
    def goes_on(self) -> bool:
        """Whether another one takes over after this one has ended."""
        return self.has_another and not self.is_stopped

    def reopen(self) -> None:
        """Open it again, unless another one waits. Raises DeviceError if it is not there yet."""
        assert self._reopen
        if self.has_another:
            return
        self.now = self._reopen()
        if self.is_stopped:  # while it was being opened
            self.now.stop()

    def stop(self) -> None:
        """Stop it; no other one will be used."""
        self.is_stopped = True
        self.now.stop()
        self._taken.set()
