"""Calls and listeners that a program leaves open: they are ended when the program ends, with a goodbye.

Our threads are daemons: Python does not wait for them at its end, but lets us join them just before it stops them
(`atexit`), when all threads of the program's own have ended. SIGTERM, where the program has not said what that is to
do, becomes `SystemExit` in its main thread as long as something is open: `with` and `finally` see it, then we do.
Threads of the program's own that are in a call would keep it alive then, and after Ctrl-C: so, when a signal has
ended the main thread, all that is open is left, and their loops end.
"""

import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Protocol

from voicemux.errors import OutOfResources
from voicemux.threads import Threads

_log = logging.getLogger("voicemux")
_lock = threading.Lock()
_open: dict["Closable", Callable[[], None]] = {}  # how each open thing is left, in the order of opening


class Closable(Protocol):
    def close(self) -> None:
        """End, and wait until it has ended. It must call `forget`."""


def keep(thing: Closable, leave: Callable[[], None]) -> None:
    """End it with the program, unless it is closed before. `leave` begins that, and returns at once."""
    with _lock:
        _open[thing] = leave
    for number, usual in _USUAL.items() if threading.current_thread() is threading.main_thread() else ():
        if signal.getsignal(number) is usual:
            signal.signal(number, _end_the_program)


def forget(thing: Closable) -> None:
    """Forget a thing that has been closed."""
    with _lock:
        _open.pop(thing, None)
        is_last = not _open
    is_main = threading.current_thread() is threading.main_thread()
    for number, usual in _USUAL.items() if is_last and is_main else ():
        if signal.getsignal(number) is _end_the_program:
            signal.signal(number, usual)


def _end_the_program(number: int, frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OutOfResources):  # then the program's own threads end when they do
        Threads().start("leaving", _leave_behind_main, daemon=True)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(0)  # systemd, too, takes that for success


# What is replaced, and put back.
_USUAL: dict[int, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


def _leave_behind_main() -> None:
    threading.main_thread().join()  # the main thread's `with` and `finally` blocks run first
    _leave_all()


def _leave_all() -> dict["Closable", Callable[[], None]]:
    """Say the goodbyes of all calls before waiting for any, because a peer may be slow to answer. Returns what was
    open."""
    with _lock:
        left = dict(_open)
    for leave in left.values():
        leave()
    return left


@atexit.register
def _end_all() -> None:
    left = _leave_all()
    for each in reversed(left):  # calls before the listener that took them
        try:
            each.close()
        except Exception:
            _log.exception("could not be closed at the end of the program")


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_open.clear)  # the end of a forked child must not end its parent's calls
