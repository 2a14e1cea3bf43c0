"""The console on a terminal: a line to type in that stays whole while others arrive. The only home of prompt_toolkit.

Append-only: no alternate screen, nothing repainted above the line, so that scroll-back, screen
readers and braille displays keep working.
"""

import asyncio
import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.history import InMemoryHistory

from voicemux.console.cells import is_wide_locale
from voicemux.console.commands import HangUp, Interrupted, parse_line
from voicemux.console.plain import USUAL_COLUMNS, Handler, PlainConsole, columns_of
from voicemux.console.rows import Screen
from voicemux.console.wording import COPIED, stats_line, written
from voicemux.errors import VoicemuxError
from voicemux.events import Event, Status, TextReceived
from voicemux.threads import Threads

PATIENCE = 2.0  # seconds that a notice may take to be on the screen; nobody waits longer for that
GLANCE = 0.1  # seconds between two looks at whether a text still has to be waited for
ROWS_AT_ONCE = 20  # printed before the keyboard is looked at: at most 60 kB, 0.06 s at 1 MB/s; usually 2 kB
WRAPPING_OFF, WRAPPING_ON = "\x1b[?7l", "\x1b[?7h"  # DECAWM


class _Rows:
    """Rows on their way to the screen, made when they are printed. `wraps`: the terminal wraps what is longer."""

    def __init__(self, rows: Iterator[str], *, wraps: bool) -> None:
        self.rows = rows
        self.wraps = wraps
        self.printed = threading.Event()
        self.failure: VoicemuxError | None = None

    def take(self, most: int) -> list[str]:
        """The next of them to be written. Fewer than `most`: there are no more."""
        return list(itertools.islice(self.rows, most))


class TerminalConsole(PlainConsole):
    """The prompt runs in a thread of its own; everything shown goes above it.

    While a prompt is on the screen its event loop prints, between two prompts whoever shows something does. What
    a loop was asked for and did not do before its end is printed behind it: prompt_toolkit's own `patch_stdout`
    loses that.
    """

    eager = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._session: PromptSession[str] = PromptSession(history=InMemoryHistory())
        # Otherwise the terminal itself shows what is typed while something is printed above the prompt, and in the
        # wrong place. What we print needs no cooked mode.
        self._session.app.input.cooked_mode = contextlib.nullcontext  # type: ignore[method-assign]
        self._closing = False
        self._keyboard = Threads()
        self._screen = Screen(self._columns, clips=True, wide=is_wide_locale(_language()))
        self._leaving = False  # the user wants to be gone, and does not wait for what is still to be shown
        self._printing = threading.Lock()  # held by who writes: first this one, then the gate
        self._gate = threading.Lock()
        self._waiting: deque[_Rows] = deque()  # to be printed; under the gate
        self._prompting: asyncio.AbstractEventLoop | None = None  # while a prompt is on the screen; under the gate

    def show(self, event: Event) -> None:
        if isinstance(event, Status):
            self._session.bottom_toolbar = stats_line(event)  # the one thing that is repainted; only if asked for
            self._session.app.invalidate()
            return
        item = _Rows(written(event, self._screen, self._name), wraps=isinstance(event, COPIED))
        with self._gate:
            self._waiting.append(item)
            loop = self._prompting
        if loop is None:
            self._print_waiting()
        else:
            with contextlib.suppress(RuntimeError):  # it has ended just now
                loop.call_soon_threadsafe(run_in_terminal, self._print_above)
            if isinstance(event, TextReceived):  # it is acknowledged when it has been shown
                while not item.printed.wait(GLANCE) and not self._leaving:
                    pass
            else:
                item.printed.wait(PATIENCE)
        if item.failure:
            raise item.failure

    def hurry(self) -> None:
        self._leaving = True  # no lock: this may be a signal handler

    def start(self, handle: Handler) -> None:
        self._handle = handle
        self._keyboard.start("keyboard", self._read)

    def close(self) -> None:
        super().close()
        self._closing = True
        with self._gate:
            loop = self._prompting
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the prompt has ended by itself
                loop.call_soon_threadsafe(self._leave)
        self._keyboard.join()

    def _read(self) -> None:
        while not self._closing:
            try:
                line = self._session.prompt(f"{self._name}> ", handle_sigint=False, pre_run=self._begin)
            except KeyboardInterrupt:
                self._stop_prompting()  # what still waits to be printed holds up no interrupt
                self._give(Interrupted())
                self._print_waiting()
            except EOFError:
                self._end()
                if not self._closing:
                    self._give(HangUp())
            except OSError as error:  # the terminal has gone
                if self._texts:
                    with self._lock:
                        self._lose(self._texts, error)
                self._end()
                self._give(HangUp())
                return
            else:
                self._end()
                self._give(parse_line(line))

    def _begin(self) -> None:
        """A prompt is about to be on the screen."""
        with self._printing, self._gate:
            self._prompting = self._session.app.loop
        if self._closing:
            self._leave()

    def _end(self) -> None:
        """The prompt is no longer there."""
        self._stop_prompting()
        self._print_waiting()

    def _stop_prompting(self) -> None:
        with self._gate:
            self._prompting = None

    def _print_above(self) -> None:
        """While the prompt is put aside: some rows, so that a key is not kept waiting for the others."""
        self._session.app.output.enable_autowrap()  # which rendering has switched off
        self._session.app.output.flush()
        with self._printing:
            is_more = self._print_some()
        if is_more:
            asyncio.get_running_loop().call_soon(run_in_terminal, self._print_above)

    def _print_waiting(self) -> None:
        with self._printing:
            while self._print_some():
                pass

    def _print_some(self) -> bool:
        """Print ROWS_AT_ONCE of what waits, or all. For who prints. Whether there is more."""
        room = ROWS_AT_ONCE
        while room:
            with self._gate:
                if not self._waiting:
                    return False
                item = self._waiting[0]
            try:
                some = item.take(room)
                self._write(self._texts, some if item.wraps else [WRAPPING_OFF, *some, WRAPPING_ON])
            except VoicemuxError as error:
                item.failure = error
                some = []
            if len(some) < room:
                with self._gate:
                    self._waiting.popleft()
                item.printed.set()
            room -= len(some)
        return True

    def _columns(self) -> int:
        return columns_of(self._texts) if self._texts else USUAL_COLUMNS

    def _leave(self) -> None:
        """End the prompt and take its empty line off the screen."""
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            app.erase_when_done = True
            app.exit(exception=EOFError)


def _language() -> str:
    """As the system says it: en_GB.UTF-8."""
    return next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
