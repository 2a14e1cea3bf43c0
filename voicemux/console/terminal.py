"""The console on a terminal: a line to type in that stays whole while others arrive. The only home of prompt_toolkit.

Append-only: no alternate screen, nothing repainted above the typed line, and the terminal is asked for nothing, so
that scroll-back, screen readers and braille displays keep working, and distant terminals keep up.
"""

import asyncio
import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, Dimension
from prompt_toolkit.renderer import CPR_Support
from prompt_toolkit.utils import get_cwidth

from voicemux.console.cells import is_wide_locale
from voicemux.console.commands import HangUp, Interrupted, parse_line
from voicemux.console.focus import Focus
from voicemux.console.modes import Modes, has_jobs, in_foreground, stop_job
from voicemux.console.plain import USUAL_COLUMNS, Handler, PlainConsole, columns_of
from voicemux.console.rows import Mark, Screen, rows
from voicemux.console.wording import COPIED, status_line
from voicemux.errors import VoicemuxError
from voicemux.events import Connected, Ended, Event, Notice, Status, Switched, TextReceived
from voicemux.threads import Threads

PATIENCE = 2.0  # seconds that a notice may take to be on the screen; nobody waits longer for that
GLANCE = 0.1  # seconds between two looks at whether a text still has to be waited for
ROWS_AT_ONCE = 20  # printed before the keyboard is looked at: at most 60 kB, 0.06 s at 1 MB/s; usually 2 kB
LINGER = 0.004  # seconds that the next line is waited for before the prompt is drawn again, which takes as long
MOST_TYPED = 5  # rows of the line that is being typed; what is pasted may have more, and scrolls in them
MOST_REPEATED = 20  # rows of a paste that stay on the screen once it is sent
LOOK_INTERVAL = 0.25  # seconds between two looks at whether the program is in the foreground again
WRAPPING_OFF, WRAPPING_ON = "\x1b[?7l", "\x1b[?7h"  # DECAWM


class _PutAside(Exception):
    """The prompt goes away for a while; what was typed comes back with the next."""


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
    loses that. In the background nothing is read, and there is no prompt.
    """

    eager = True

    def __init__(self, name: str, bell: str = "always") -> None:
        """`bell` is when it rings: "always", "unfocused" or "never"."""
        super().__init__(bell=bell)
        self._name = name
        self._focus = Focus() if bell == "unfocused" else None
        self._session: PromptSession[str] = PromptSession(history=InMemoryHistory(), key_bindings=self._keys())
        app = self._session.app
        # Otherwise the terminal itself shows what is typed while something is printed above the prompt, and in the
        # wrong place. What we print needs no cooked mode.
        app.input.cooked_mode = contextlib.nullcontext  # type: ignore[method-assign]
        app.input.raw_mode = partial(_while_ours, app.input.raw_mode)  # type: ignore[method-assign]
        # Where the cursor is need not be known to draw below it. To ask means a round trip for each line that comes,
        # and to a screen reader the answer is a key press, for which it falls silent.
        app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED
        app.output.get_rows_below_cursor_position = lambda: 1  # type: ignore[method-assign]
        for window in app.layout.find_all_windows():
            if isinstance(window.content, BufferControl) and window.content.buffer is self._session.default_buffer:
                window.height = self._typing_height
        self._switched: dict[str, bool] = {}  # what the prompt shows: "muted", "deafened"
        self._in_call = False
        self._draft = Document()  # what was typed when the prompt went away
        self._between = False  # the first prompt has been there; not the last
        self._stops = False  # the process, as Ctrl-Z wants it
        self._modes = Modes()
        self._closing = threading.Event()
        self._keyboard = Threads()
        self._screen = Screen(self._columns, clips=True, wide=is_wide_locale(_language()))
        self._leaving = False  # the user wants to be gone, and does not wait for what is still to be shown
        self._printing = threading.Lock()  # held by who writes: first this one, then the gate
        self._gate = threading.Condition()
        self._waiting: deque[_Rows] = deque()  # to be printed; under the gate
        self._asked = False  # whether the loop will print; under the gate
        self._prompting: asyncio.AbstractEventLoop | None = None  # while a prompt is on the screen; under the gate

    def show(self, event: Event) -> None:
        self._take_note(event)
        if isinstance(event, Status):
            self._session.bottom_toolbar = status_line(
                event, self._session.app.output.get_size().columns - 1
            )  # the one thing that is repainted; only if asked for
            self._session.app.invalidate()
            return
        item = _Rows(self._blanks.written(event, self._screen, self._name), wraps=isinstance(event, COPIED))
        with self._gate:
            self._waiting.append(item)
            self._gate.notify()
            loop = self._prompting
            if loop and not self._asked:
                with contextlib.suppress(RuntimeError):  # it has ended just now
                    loop.call_soon_threadsafe(run_in_terminal, self._print_above)
                    self._asked = True
        if loop is None:
            self._print_waiting()
        elif isinstance(event, TextReceived):  # it is acknowledged when it has been shown
            while not item.printed.wait(GLANCE) and not self._leaving:
                pass
        else:
            item.printed.wait(PATIENCE)
        if item.failure:
            raise item.failure

    def hurry(self) -> None:
        self._leaving = True

    def ring(self) -> None:
        if not (self._focus and self._focus.here):
            super().ring()

    def start(self, handle: Handler) -> None:
        self._handle = handle
        self._keyboard.start("keyboard", self._read)

    def close(self) -> None:
        super().close()
        self._closing.set()
        self._ask_prompt(self._leave)
        self._keyboard.join()

    def interrupt(self) -> bool:
        """Between two prompts, while a line is being sent, the terminal gives Ctrl-C as a signal."""
        if self._between and self._prompting is None and in_foreground():
            self._give(Interrupted())
            return True
        return False

    def resume(self) -> None:
        """The process was stopped and goes on: the terminal may be in another mode, and the prompt not on it. In the
        background there is to be none."""
        self._ask_prompt(self._come_back)

    # --- what is typed, in the keyboard's thread -------------------------------------------------------

    def _read(self) -> None:
        try:
            self._read_prompts()
        finally:
            self._between = False
            self.restore()

    def _read_prompts(self) -> None:
        while not self._closing.is_set():
            if not in_foreground():
                self._closing.wait(LOOK_INTERVAL)
                continue
            self._modes.quiet()
            if self._focus:
                self._put(self._focus.ask())
            self._session.app.erase_when_done = False
            draft, self._draft = self._draft, Document()
            try:
                line = self._session.prompt(self._prompt, default=draft, handle_sigint=False, pre_run=self._begin)
            except KeyboardInterrupt:
                self._stop_prompting()  # what still waits to be printed holds up no interrupt
                self._give(Interrupted())
                self._print_waiting()
            except EOFError:
                self._end()
                if not self._closing.is_set():
                    self._give(HangUp())
            except _PutAside:
                self._end()
                self._stop_if_asked()
            except OSError as error:  # the terminal has gone
                if self._texts:
                    with self._lock:
                        self._lose(self._texts, error)
                self._end()
                self._give(HangUp())
                return
            else:
                line = _clean(line)
                self._repeat(line)
                self._end()
                self._give(parse_line(self._readable(line)))

    def restore(self) -> None:
        """Give the terminal back as it was found. Any thread, any number of times."""
        self._modes.restore()
        if self._focus:
            self._put(self._focus.stop_asking())

    def _prompt(self) -> str:
        marks = ", ".join(what for what, is_on in self._switched.items() if is_on)
        return f"{self._name} ({marks})> " if marks else f"{self._name}> "

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER))
        def interrupt(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt)

        @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
        def accept(event: KeyPressEvent) -> None:
            event.app.erase_when_done = self._is_high(event.current_buffer.text)
            event.current_buffer.validate_and_handle()

        @keys.add("c-z")
        def stop(event: KeyPressEvent) -> None:
            self._stops = True
            self._put_aside()

        @keys.add(Keys.BracketedPaste)
        def paste(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text(_clean(event.data))

        @keys.add("c-q")
        def ignore(event: KeyPressEvent) -> None:
            """Not to quote a control character into the line."""

        if self._focus:
            self._focus.bind(keys)
        return keys

    def _come_back(self) -> None:
        """In the prompt's loop."""
        if not in_foreground():
            self._session.app.renderer.reset()  # where our prompt was is the shell's now, and stays as it is
        self._put_aside()

    def _put_aside(self) -> None:
        """In the prompt's loop."""
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            self._draft = self._session.default_buffer.document
            app.erase_when_done = True
            app.exit(exception=_PutAside)

    def _stop_if_asked(self) -> None:
        """Stop the job that we are, as the terminal does it at Ctrl-Z; where there are no jobs nothing happens."""
        if not self._stops:
            return
        self._stops = False
        if self._in_call and has_jobs():
            self.show(Notice("stopped: the other side waits some 15 seconds for a sign of life"))
        stop_job(self._modes)

    # --- the screen ---------------------------------------------------------------------------------------

    def _take_note(self, event: Event) -> None:
        """Of what the prompt shows."""
        if isinstance(event, Switched):
            self._switched[event.what] = event.on
        elif isinstance(event, Connected):
            self._in_call = True
        elif isinstance(event, Ended):
            self._in_call = False
            self._switched.clear()
            self._session.bottom_toolbar = None

    def _typing_height(self) -> Dimension:
        """Of what is typed. A paste that is higher than the screen would leave a copy of itself in the scroll-back
        with each line that comes, and no room for that line."""
        rows = self._session.app.output.get_size().rows
        return Dimension(max=max(1, min(MOST_TYPED, rows // 2)))

    def _is_high(self, text: str) -> bool:
        columns = self._session.app.output.get_size().columns
        return "\n" in text or get_cwidth(self._prompt() + text) > columns * MOST_TYPED

    def _repeat(self, text: str) -> None:
        """What was sent stays on the screen, also if there was no room for it while it was typed."""
        if self._is_high(text):
            made = list(itertools.islice(rows(Mark(self._name), text, self._screen), MOST_REPEATED + 1))
            made[MOST_REPEATED:] = [f"{self._name}| ..."] * (len(made) > MOST_REPEATED)
            with contextlib.suppress(VoicemuxError):
                self._write(self._texts, (f"{row}\n" for row in made))

    def _begin(self) -> None:
        """A prompt is about to be on the screen."""
        with self._printing, self._gate:
            self._prompting = self._session.app.loop
            self._asked = False
            self._between = True
        if self._closing.is_set():
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
            ends = time.monotonic() + GLANCE
            while not is_more and time.monotonic() < ends and self._comes_another():
                is_more = self._print_some()
        with self._gate:
            self._asked = bool(self._waiting) and self._prompting is not None
            if self._asked:
                asyncio.get_running_loop().call_soon(run_in_terminal, self._print_above)

    def _comes_another(self) -> bool:
        with self._gate:
            return bool(self._waiting) or self._gate.wait(LINGER)

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

    def _ask_prompt(self, what: Callable[[], None]) -> None:
        """Let the prompt's loop do it, if there is one."""
        with self._gate:
            loop = self._prompting
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the prompt has ended by itself
                loop.call_soon_threadsafe(what)

    def _leave(self) -> None:
        """End the prompt and take its empty line off the screen."""
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            app.erase_when_done = True
            app.exit(exception=EOFError)


@contextlib.contextmanager
def _while_ours(mode: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """A mode of the terminal that is not taken back if the terminal has become the shell's, which has its own."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mode())
        try:
            yield
        finally:
            if not in_foreground():
                stack.pop_all()


def _language() -> str:
    """As the system says it: en_GB.UTF-8."""
    return next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")


def _clean(text: str) -> str:
    """What was typed or pasted, without control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return "".join(each for each in lines if each == "\n" or not (each < " " or "\x7f" <= each < "\xa0"))
