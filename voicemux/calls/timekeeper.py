"""The timer's thread of a call: it checks the call ten times a second, and limits how long the goodbye takes."""

import time
from collections.abc import Callable

from voicemux.calls.lines import Lines
from voicemux.calls.parts import Parts
from voicemux.calls.vitals import LOOK_INTERVAL
from voicemux.events import Stats, Status, Waiting

SHORT = 1.0  # seconds that an end may take before the user is told what is awaited


class Timekeeper:
    """The timer of one call. A thread runs `run`."""

    def __init__(
        self,
        parts: Parts,
        lines: Lines,
        stats: Callable[[], Stats],
        status_interval: float,
        line_has_changed: Callable[[float], bool],
    ) -> None:
        """`status_interval` is the number of seconds between two `Status` events; 0: there are none.
        `line_has_changed` returns whether our network has changed."""
        self._name = parts.name
        self._lines = lines
        self._texts = parts.texts
        self._states = parts.states
        self._ending = parts.ending
        self._post = parts.hears.post
        self._stats = stats
        self._status_interval = status_interval
        self._line_has_changed = line_has_changed
        self._next_status = time.monotonic() + status_interval
        self._tells_of_waiting = False

    def run(self) -> None:
        """Check the call until there is a reason to end it, then wait for the end of the peer's stream."""
        while not self._ending.wait(LOOK_INTERVAL):
            now = time.monotonic()
            self._lines.look(now, has_changed=self._line_has_changed(now))
            for event in self._states.look(now, *self._lines.signs()):
                self._post(event)
            if self._status_interval and now >= self._next_status:
                self._next_status = now + self._status_interval
                self._post(Status(**vars(self._stats())))
        if not self._lines.closing.await_the_end(SHORT):
            self.tell_of_waiting()
            self._lines.closing.await_the_end(float("inf"))

    def tell_of_waiting(self) -> None:
        """Tell the user, once, that the end of the call takes a while, unless it is over. Any thread may call it."""
        if not (self._tells_of_waiting or self._lines.closing.over.is_set()):
            self._tells_of_waiting = True
            self._post(Waiting(self._name, self._texts.waiting))
