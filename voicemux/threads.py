"""Makes all threads of voicemux: each has a name and an owner that joins it, and errors in it are reported."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from voicemux.errors import OutOfResources

NAP = 0.5  # seconds that the main thread waits at a time, so that it handles signals in between

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def take(items: "queue.SimpleQueue[Item]") -> Item:
    """Wait for the next item, in the main thread.

    In naps: Python handles no signal that comes in the moment in which it falls asleep, until it wakes up. The
    commands do not rely on that (interrupts.py); programs that use the API do, whose Ctrl-C is Python's own.
    """
    while True:
        with contextlib.suppress(queue.Empty):
            return items.get(timeout=NAP)


def drain(items: "queue.SimpleQueue[Item]") -> Iterator[Item]:
    """Yield the items that are in the queue now, without waiting."""
    with contextlib.suppress(queue.Empty):
        while True:
            yield items.get_nowait()


def within(seconds: float, name: str, body: Callable[[], Answer]) -> Answer:
    """Run `body` in a thread voicemux-`name`; return or raise what it does. If it takes longer than `seconds`, it is
    left to itself.

    Raises TimeoutError then, and OutOfResources if the system gives no thread. It is for functions of libraries that
    may never return and that nothing can wake.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(body())
        except BaseException as error:
            answer.set_exception(error)

    thread = threading.Thread(target=run, name=f"voicemux-{name}", daemon=True)
    _start(thread, name)
    thread.join(seconds)
    return answer.result(0)


def _start(thread: threading.Thread, name: str) -> None:
    try:
        thread.start()
    except RuntimeError as error:  # "can't start new thread": no memory for its stack, or a limit of processes
        raise OutOfResources(f"the system gives no thread for the {name}: memory or processes are used up") from error


class Threads:
    """Starts and joins the threads of one owner."""

    def __init__(self, on_failure: Callable[[BaseException], None] | None = None) -> None:
        """`on_failure` is called, in the thread that failed, with the error; without it, the error goes to
        `threading.excepthook`."""
        self._on_failure = on_failure
        self._threads: list[threading.Thread] = []

    def start(self, name: str, body: Callable[[], None], *, daemon: bool = False) -> None:
        """Run `body` in a thread called voicemux-`name`. Raises OutOfResources if the system gives none.

        To Python all of them are daemons: it would wait for them for ever where a program ends without closing what
        it has opened (leftovers.py). `daemon` is for a body that nothing can wake (a read of standard input); it is
        never joined.
        """

        def run() -> None:
            try:
                body()
            except BaseException as error:
                if self._on_failure is None:
                    raise
                self._on_failure(error)

        thread = threading.Thread(target=run, name=f"voicemux-{name}", daemon=True)
        _start(thread, name)
        if not daemon:
            self._threads.append(thread)

    @property
    def are_over(self) -> bool:
        """Whether all threads have ended, so that `join` does not wait."""
        return not any(each.is_alive() for each in self._threads)

    def join(self) -> None:
        """Wait until all threads have ended. The caller must have told them to end before."""
        while self._threads:
            self._threads.pop().join()
