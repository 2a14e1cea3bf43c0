"""Whether the program is to end. Typed commands (`/quit`, Ctrl-C) and signals ask for that here, and every wait of
the program is woken.

A request that comes while nothing waits is found by the next wait, so none is lost between two calls.
"""

import contextlib
import enum
import threading
from collections.abc import Callable, Iterator


class Why(enum.Enum):
    """What made it end."""

    QUIT = "quit"  # by `/quit` or the end of input
    INTERRUPTED = "interrupted"  # Ctrl-C, or a terminal that has gone
    TERMINATED = "terminated"  # the system wants the process to end


class Departure:
    """The request to end. Any thread may ask, look and wait, but no signal handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._why: Why | None = None
        self._breaks_off = False

    @property
    def why(self) -> Why | None:
        """The first reason that was given; None as long as the program goes on."""
        return self._why

    def ask(self, why: Why, *, break_off: bool = False) -> None:
        """Ask the program to end politely; with `break_off`, to end without waiting for anything."""
        with self._lock:
            if self._why is None:
                self._why = why
            self._breaks_off |= break_off
            wakers = self._wakers.copy()
        for polite, rude in wakers:
            (rude if break_off else polite)()

    @contextlib.contextmanager
    def waking(self, polite: Callable[[], None], rude: Callable[[], None] | None = None) -> Iterator[None]:
        """Have waits inside woken by these callbacks, at once if the program is to end already. They may be called
        more than once, by any thread, and must not wait. `rude` is called instead of `polite` if nothing may be
        waited for."""
        wakers = (polite, rude or polite)
        with self._lock:
            self._wakers.append(wakers)
            asked, breaks_off = self._why is not None, self._breaks_off
        try:
            if asked:
                polite()
            if breaks_off:
                wakers[1]()
            yield
        finally:
            with self._lock:
                self._wakers.remove(wakers)
