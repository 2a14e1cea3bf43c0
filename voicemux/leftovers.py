"""Calls and listeners that a program leaves open: they are ended when the program ends, with a goodbye.

Our threads are daemons: Python does not wait for them at its end, but lets us join them just before it stops them
(`atexit`), when all threads of the program's own have ended. SIGTERM, where the program has not said what that is to
do, becomes `SystemExit` in its main thread as long as something is open: `with` and `finally` see it, then we do.
"""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, Protocol

_log = logging.getLogger("voicemux")
_lock = threading.Lock()
_open: dict["Closable", Callable[[], None]] = {}  # how each is left, in the order of their opening


class Closable(Protocol):
    def close(self) -> None:
        """End, and wait until nothing is left. Whoever is closed is forgotten."""


def keep(thing: Closable, leave: Callable[[], None]) -> None:
    """End it with the program, unless it is closed before. `leave` begins that, and returns at once."""
    with _lock:
        _open[thing] = leave
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_the_program)


def forget(thing: Closable) -> None:
    """It has been closed."""
    with _lock:
        _open.pop(thing, None)
        is_last = not _open
    is_main = threading.current_thread() is threading.main_thread()
    if is_last and is_main and signal.getsignal(signal.SIGTERM) is _end_the_program:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_the_program(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)  # that is no failure, for systemd either


@atexit.register
def _end_all() -> None:
    with _lock:
        left = dict(_open)
    for leave in left.values():
        leave()  # all goodbyes first: a peer may be slow to answer
    for each in reversed(left):  # calls before the listener that took them
        try:
            each.close()
        except Exception:
            _log.exception("could not be closed at the end of the program")


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_open.clear)  # a child's end is not that of the parent's calls
