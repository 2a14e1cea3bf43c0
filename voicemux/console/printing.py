"""Prints rows on the screen: above the prompt while there is one, otherwise at once.

While a prompt is on the screen, its event loop prints. Between two prompts, the thread that shows something prints.
What a loop did not print before its prompt ended is printed right after it; prompt_toolkit's own `patch_stdout` loses
that.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from voicemux.errors import VoicemuxError

GLANCE = 0.1  # seconds that rows are printed at a time, while there are more; then the keyboard is read
ROWS_AT_ONCE = 20  # printed before the keyboard is looked at: at most 60 kB, 0.06 s at 1 MB/s; usually 2 kB
LINGER = 0.004  # seconds to wait for the next line before the prompt is drawn again: drawing takes as long
WRAPPING_OFF, WRAPPING_ON = "\x1b[?7l", "\x1b[?7h"  # DECAWM


class Rows:
    """The rows of one event, made only when they are printed. `wraps`: the terminal wraps rows that are too long."""

    def __init__(self, rows: Iterator[str], *, wraps: bool) -> None:
        self.rows = rows
        self.wraps = wraps
        self.printed = threading.Event()
        self.failure: VoicemuxError | None = None

    def take(self, most: int) -> list[str]:
        """Return the next rows, at most `most`; fewer than `most` if these are the last."""
        return list(itertools.islice(self.rows, most))


class Printing:
    """Prints rows in order. Any thread may call `put()`; the keyboard's thread calls `begin()` and `end()` around a
    prompt."""

    def __init__(self, write: Callable[[Iterable[str]], None], above: Callable[[Callable[[], None]], object]) -> None:
        """`write` writes pieces to the terminal, or raises VoicemuxError. `above` puts the prompt aside in its own
        loop and calls the function it is given."""
        self._write = write
        self._above = above
        self._printing = threading.Lock()  # held while rows are written. Order of locks: this one, then the gate
        self._gate = threading.Condition()
        self._waiting: deque[Rows] = deque()  # to be printed; under the gate
        self._asked = False  # whether the loop has been asked to print; under the gate
        self._loop: asyncio.AbstractEventLoop | None = None  # while a prompt is on the screen; under the gate

    @property
    def has_prompt(self) -> bool:
        """Whether a prompt is on the screen."""
        return self._loop is not None

    def begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """A prompt with this event loop is about to be drawn; None without one."""
        with self._printing, self._gate:
            self._loop = loop
            self._asked = False

    def end(self) -> None:
        """The prompt has gone. Rows that still wait are printed by `print_waiting`."""
        with self._gate:
            self._loop = None

    def ask(self, what: Callable[[], None]) -> None:
        """Let the prompt's loop call `what`, if there is a prompt."""
        with self._gate:
            loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the prompt has ended by itself
                loop.call_soon_threadsafe(what)

    def put(self, item: Rows) -> bool:
        """Print rows after all that wait. Returns whether the prompt's loop will do it; False if they have been
        printed."""
        with self._gate:
            self._waiting.append(item)
            self._gate.notify()
            loop = self._loop
            if loop and not self._asked:
                with contextlib.suppress(RuntimeError):  # the loop has ended just now
                    loop.call_soon_threadsafe(self._above, self._print_above)
                    self._asked = True
        if loop is None:
            self.print_waiting()
        return loop is not None

    def print_waiting(self) -> None:
        """Print all rows that wait, in the caller's thread: there is no prompt."""
        with self._printing:
            while self._print_some():
                pass

    def _print_above(self) -> None:
        """Print some rows while the prompt is put aside; not all at once, so that a key is not kept waiting."""
        with self._printing:
            is_more = self._print_some()
            ends = time.monotonic() + GLANCE
            while not is_more and time.monotonic() < ends and self._comes_another():
                is_more = self._print_some()
        with self._gate:
            self._asked = bool(self._waiting) and self._loop is not None
            if self._asked:
                asyncio.get_running_loop().call_soon(self._above, self._print_above)

    def _comes_another(self) -> bool:
        with self._gate:
            return bool(self._waiting) or self._gate.wait(LINGER)

    def _print_some(self) -> bool:
        """Print at most ROWS_AT_ONCE waiting rows. Returns whether there are more. The caller holds `_printing`."""
        room = ROWS_AT_ONCE
        while room:
            with self._gate:
                if not self._waiting:
                    return False
                item = self._waiting[0]
            try:
                some = item.take(room)
                self._write(some if item.wraps else [WRAPPING_OFF, *some, WRAPPING_ON])
            except VoicemuxError as error:
                item.failure = error
                some = []
            if len(some) < room:
                with self._gate:
                    self._waiting.popleft()
                item.printed.set()
            room -= len(some)
        return True
