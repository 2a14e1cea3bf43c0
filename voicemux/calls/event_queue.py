"""The events of one call: one reader takes them in turn, and any number of watchers is called as they happen.

Only the reader acknowledges: asking for the next event, or `took`, says that the event before has been shown.
"""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial

from voicemux.events import Event, TextReceived
from voicemux.threads import take

_log = logging.getLogger("voicemux")

Watcher = Callable[[Event], None]


class EventQueue:
    """The events of one call. The reader calls `next`, which waits; any thread may call the rest, which does not."""

    def __init__(self, on_text_taken: Callable[[], None]) -> None:
        """`on_text_taken` is called once for each text, after the reader has shown it."""
        self._on_text_taken = on_text_taken
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()  # None: the end
        self._lock = threading.Lock()
        self._owes_a_text = False  # the reader has a text that it has not shown yet
        self._watchers: tuple[Watcher, ...] = ()
        self._has_told_the_last = False

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Have `watcher` called with every event from now on. Returns a function that ends this.

        It is called where the event happens, in any thread of the call, and must not wait. If it raises an exception,
        that is logged, and the watcher is not called again.
        """
        with self._lock:
            self._watchers = (*self._watchers, watcher)

        return partial(self._forget, watcher)

    def put(self, event: Event) -> None:
        """Call the watchers with `event`, then queue it for the reader."""
        self._tell(event)
        self._events.put(event)

    def close(self) -> None:
        """Mark the end: the reader still gets what is queued, then None."""
        self._events.put(None)

    def next(self) -> Event | None:
        """Wait for the next event; None after the last. Asking for it says that the reader has shown the one
        before."""
        self.took()
        event = take(self._events)
        self._owes_a_text = isinstance(event, TextReceived)
        return event

    def took(self) -> None:
        """The reader has shown the last event. Calling it again does nothing."""
        with self._lock:
            owed, self._owes_a_text = self._owes_a_text, False
        if owed:
            self._on_text_taken()

    def tell_the_last(self, event: Event) -> None:
        """Call the watchers with `event`, the last one, which the reader does not take from the queue. Calling it
        again does nothing."""
        with self._lock:
            told, self._has_told_the_last = self._has_told_the_last, True
        if not told:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        for watcher in self._watchers:
            try:
                watcher(event)
            except Exception:
                _log.exception("a watcher of the call's events failed, and is told of no more of them")
                self._forget(watcher)

    def _forget(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each is not watcher)
