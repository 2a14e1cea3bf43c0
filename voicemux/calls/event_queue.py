"""What a call tells: to one reader, who takes the events in turn, and to any number of watchers, at once.

Only the reader acknowledges. It has shown an event when it asks for the next one, or says so (`took`).
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
    """`next` belongs to the reader, the rest to any thread. Nothing but `next` waits."""

    def __init__(self, on_text_taken: Callable[[], None]) -> None:
        """`on_text_taken` is called once for each text, after the reader has shown it."""
        self._on_text_taken = on_text_taken
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()  # None: no more will come
        self._lock = threading.Lock()
        self._owes_a_text = False  # the reader holds one that is to be acknowledged
        self._watchers: tuple[Watcher, ...] = ()
        self._has_told_the_last = False

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Have `watcher` called with every event from now on; call what this returns to put an end to it.

        It is called where the event happens, in any thread of the call, and must not wait. If it raises, that is
        logged, and it is not called again.
        """
        with self._lock:
            self._watchers = (*self._watchers, watcher)

        return partial(self._forget, watcher)

    def put(self, event: Event) -> None:
        """Something has happened: the watchers see it, then the reader may."""
        self._tell(event)
        self._events.put(event)

    def close(self) -> None:
        """Nothing more will be put; the reader has what was."""
        self._events.put(None)

    def next(self) -> Event | None:
        """Wait for the next event; None if no more will come. Asking says that the one before has been shown."""
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
        """Tell the watchers of the end. Calling it again does nothing."""
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
