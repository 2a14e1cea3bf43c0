"""Ctrl-C, and requests to end the program: handled otherwise for a while."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")  # what asks the program to end, as far as the system has it


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Put them off: in the middle of the start of a thread they would leave one that nobody ends."""
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    with interrupts_handled_by(remember):
        yield
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """`handle` is called in the main thread, as signal handlers are."""
    numbers = [getattr(signal, name) for name in ENDINGS if hasattr(signal, name)]
    before = {each: handler for each in numbers if callable(handler := signal.getsignal(each))}  # the rest is ignored
    for each in before:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
