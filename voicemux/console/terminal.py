"""The console on a terminal: a line to type in that stays whole while others arrive. The only home of prompt_toolkit.

Append-only: no alternate screen, nothing repainted above the line, so that scroll-back, screen
readers and braille displays keep working.
"""

import asyncio
import contextlib
import threading
from collections import deque

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.history import InMemoryHistory

from voicemux.console.commands import HangUp, Interrupted, parse_line
from voicemux.console.plain import Handler, PlainConsole
from voicemux.console.wording import notice_lines, stats_line, text_lines
from voicemux.errors import VoicemuxError
from voicemux.events import Event, Status, TextReceived
from voicemux.threads import Threads

PATIENCE = 2.0  # seconds that what is shown may take to be on the screen; nobody waits longer for that


class _Lines:
    """Lines on their way to the screen."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.printed = threading.Event()
        self.failure: VoicemuxError | None = None


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
        self._gate = threading.Lock()
        self._waiting: deque[_Lines] = deque()  # to be printed; under the gate
        self._prompting: asyncio.AbstractEventLoop | None = None  # while a prompt is on the screen; under the gate

    def show(self, event: Event) -> None:
        if isinstance(event, Status):
            self._session.bottom_toolbar = stats_line(event)  # the one thing that is repainted; only if asked for
            self._session.app.invalidate()
            return
        item = _Lines(text_lines(event, self._name) if isinstance(event, TextReceived) else notice_lines(event))
        with self._gate:
            self._waiting.append(item)
            loop = self._prompting
            if loop is None:
                self._print_waiting()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended just now
                loop.call_soon_threadsafe(run_in_terminal, self._print_above)
            item.printed.wait(PATIENCE)
        if item.failure:
            raise item.failure

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
                self._end()
                self._give(Interrupted())
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
        with self._gate:
            self._prompting = self._session.app.loop
        if self._closing:
            self._leave()

    def _end(self) -> None:
        """The prompt is no longer there."""
        with self._gate:
            self._prompting = None
            self._print_waiting()

    def _print_above(self) -> None:
        """While the prompt is put aside."""
        self._session.app.output.enable_autowrap()  # which rendering has switched off
        self._session.app.output.flush()
        with self._gate:
            self._print_waiting()

    def _print_waiting(self) -> None:
        """Behind the gate."""
        while self._waiting:
            item = self._waiting.popleft()
            try:
                self._write(self._texts, item.lines)
            except VoicemuxError as error:
                item.failure = error
            item.printed.set()

    def _leave(self) -> None:
        """End the prompt and take its empty line off the screen."""
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            app.erase_when_done = True
            app.exit(exception=EOFError)
