"""Shows what a new caller types, with the code: when the user asks, and when a new code has replaced the old one.

A code is used up when a caller proves it, just before the call. On a terminal, the next code is shown after that
call: above its first line, people take it for a failure. Programs are told at once.
"""

import threading

from voicemux import events
from voicemux.console.plain import Console
from voicemux.events import NewCode
from voicemux.threads import Threads

# Seconds for the call to begin after its code was used up; the caller has 10 for its HELLO (protocol.md §11).
PATIENCE = 12.0


class Inviter:
    """Tells the user what a new caller types. Any thread may use it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._dials: list[str] = []  # commands for the other side, with the code that is valid now
        self._untold: NewCode | None = None
        self._in_call = False
        self._once = False
        self._closing = threading.Event()
        self._threads = Threads()

    def begin(self, dials: list[str], *, once: bool) -> None:
        """The listener listens; `dials` are the commands for callers. With `once`, no other caller will come."""
        self._dials, self._once = dials, once

    def show(self) -> None:
        """Show the commands: the user has asked."""
        with self._lock:
            self._untold = None
            dials = self._dials
        self._console.show(events.Invitation(dials))

    def changed(self, event: NewCode) -> None:
        """A new code has replaced the old one."""
        with self._lock:
            self._dials = event.dial
            is_first, self._untold = self._untold is None, event
        if self._console.tells_at_once:
            self._tell()
        elif is_first and not self._once:
            self._threads.start("invitation", self._tell_if_nobody_comes)

    def call_begins(self) -> None:
        """A call begins: a new code is shown after it."""
        self._in_call = True

    def call_ended(self) -> None:
        """A call has ended: show a new code that was held back."""
        self._in_call = False
        self._tell()

    def close(self) -> None:
        """End the thread that waits for a call."""
        self._closing.set()
        self._threads.join()

    def _tell_if_nobody_comes(self) -> None:
        if not self._closing.wait(PATIENCE) and not self._in_call:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            event, self._untold = self._untold, None
        if event and not (self._once and not self._console.tells_at_once):
            self._console.show(event)
