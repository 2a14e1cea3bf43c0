"""The prompt: the line that is being typed, and its keys. Only this module and `focus` import prompt_toolkit."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, Dimension
from prompt_toolkit.renderer import CPR_Support
from prompt_toolkit.utils import get_cwidth

from voicemux.console.commands import Command
from voicemux.console.figures import status_line
from voicemux.console.focus import Focus
from voicemux.console.mic_keys import MicKeys
from voicemux.console.modes import in_foreground
from voicemux.events import Status

MOST_TYPED = 5  # rows of the line that is being typed; pasted text may have more, and scrolls in them


class PutAside(Exception):
    """Raised by `read` when the prompt is taken off the screen for a while. The next prompt begins with the same
    text."""


class Prompt:
    """Reads one line at a time. The keyboard's thread calls `read()`; methods below "in the prompt's loop" are called
    in the event loop that runs meanwhile."""

    def __init__(self, name: str, focus: Focus | None, give: Callable[[Command], None]) -> None:
        """`name` stands before the line. `give` is called in the loop with the commands of keys that do not end the
        line."""
        self._name = name
        self._give = give
        self.mic = MicKeys()
        self._session: PromptSession[str] = PromptSession(history=InMemoryHistory(), key_bindings=self._keys(focus))
        app = self._session.app
        # In cooked mode, the terminal itself would echo keys while something is printed above the prompt, at the
        # wrong place. What we print does not need cooked mode.
        app.input.cooked_mode = contextlib.nullcontext  # type: ignore[method-assign]
        app.input.raw_mode = partial(_while_ours, app.input.raw_mode)  # type: ignore[method-assign]
        # To draw below the cursor, its place need not be known. Asking for it costs a round trip for each line that
        # comes, and its answer is a key press for a screen reader, which then falls silent.
        app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED
        app.output.get_rows_below_cursor_position = lambda: 1  # type: ignore[method-assign]
        for window in app.layout.find_all_windows():
            if isinstance(window.content, BufferControl) and window.content.buffer is self._session.default_buffer:
                window.height = self._typing_height
        # Words shown before the line, and whether they are: "muted", "talking" ...
        self._switched: dict[str, bool] = {}
        self._draft = Document()  # what was typed when the prompt went away
        self._stops = False  # whether Ctrl-Z was typed, which stops the process

    def read(self, begin: Callable[[], None]) -> str:
        """What is typed next, without control characters. `begin` is called in the loop, before it is drawn.

        Raises KeyboardInterrupt (Ctrl-C on an empty line), EOFError, PutAside, or OSError if the terminal has gone.
        """
        self._session.app.erase_when_done = False
        draft, self._draft = self._draft, Document()
        return _clean(
            self._session.prompt(self._mark, default=draft, handle_sigint=False, pre_run=self._begin(begin))
        )

    def _begin(self, begin: Callable[[], None]) -> Callable[[], None]:
        def pre_run() -> None:
            begin()
            self._watch_the_space_bar()

        return pre_run

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop of the prompt that is on the screen; None without one."""
        return self._session.app.loop

    def take_stop(self) -> bool:
        """Return whether Ctrl-Z was typed since the last call."""
        was_asked, self._stops = self._stops, False
        return was_asked

    def is_high(self, text: str) -> bool:
        """Whether `text` is too high for the rows of the prompt."""
        columns = self._session.app.output.get_size().columns
        return "\n" in text or get_cwidth(self._mark() + text) > columns * MOST_TYPED

    def switch(self, what: str, on: bool) -> None:
        """Show `what` before the line, or no longer: "muted", "deafened", "talking", "text waits"."""
        self._switched[what] = on

    def redraw(self) -> None:
        """Draw the prompt again, because the words before the line have changed."""
        self._session.app.invalidate()

    def show_status(self, status: Status) -> None:
        """Show the status line below the prompt. Only this line is repainted, and only if the user asked for it."""
        self._session.bottom_toolbar = status_line(status, self._session.app.output.get_size().columns - 1)
        self._session.app.invalidate()

    def clear(self) -> None:
        """The call is over: remove its state from the prompt."""
        self._switched.clear()
        self._session.bottom_toolbar = None

    # --- in the prompt's loop

    def print_above(self, body: Callable[[], None]) -> None:
        """Take the prompt off the screen while `body` prints."""

        def body_with_wrapping() -> None:
            self._session.app.output.enable_autowrap()  # drawing the prompt has switched it off
            self._session.app.output.flush()
            body()

        run_in_terminal(body_with_wrapping)

    def come_back(self) -> None:
        """The process was stopped and continues: draw the prompt anew."""
        if not in_foreground():
            self._session.app.renderer.reset()  # the place of our old prompt now belongs to the shell
        self._put_aside()

    def leave(self) -> None:
        """End the prompt and take its empty line off the screen."""
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            app.erase_when_done = True
            app.exit(exception=EOFError)

    def _put_aside(self) -> None:
        app = self._session.app
        if app.is_running and not app.future.done():  # type: ignore[union-attr]
            self._do(self.mic.let_go())
            self._draft = self._session.default_buffer.document
            app.erase_when_done = True
            app.exit(exception=PutAside)

    def _watch_the_space_bar(self) -> None:
        """Check, when it is due, whether the space bar has been let go."""
        due = self.mic.due
        if due is not None:
            asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._look_at_the_space_bar)

    def _look_at_the_space_bar(self) -> None:
        self._do(self.mic.look(time.monotonic()))
        self._watch_the_space_bar()

    def _do(self, command: Command | None) -> None:
        if command:
            self._give(command)

    def _mark(self) -> str:
        marks = ", ".join(what for what, is_on in self._switched.items() if is_on)
        return f"{self._name} ({marks})> " if marks else f"{self._name}> "

    def _typing_height(self) -> Dimension:
        """Return how many rows the typed text may take. A paste higher than the screen would leave a copy of itself
        in the scroll-back with each line that comes, and no room for that line."""
        rows = self._session.app.output.get_size().rows
        return Dimension(max=max(1, min(MOST_TYPED, rows // 2)))

    def _space_is_for_the_microphone(self) -> bool:
        return self.mic.takes_space and not self._session.default_buffer.text

    def _keys(self, focus: Focus | None) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER))
        def interrupt(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt)

        @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
        def accept(event: KeyPressEvent) -> None:
            event.app.erase_when_done = self.is_high(event.current_buffer.text)
            event.current_buffer.validate_and_handle()

        @keys.add("c-z")
        def stop(event: KeyPressEvent) -> None:
            self._stops = True
            self._put_aside()

        @keys.add(Keys.BracketedPaste)
        def paste(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text(_clean(event.data))

        @keys.add("c-t")
        def toggle(event: KeyPressEvent) -> None:
            self._do(self.mic.toggle())

        @keys.add(" ", filter=has_focus(DEFAULT_BUFFER) & Condition(self._space_is_for_the_microphone))
        def talk(event: KeyPressEvent) -> None:
            is_watched = self.mic.due is not None
            self._do(self.mic.press(time.monotonic()))
            if not is_watched:
                self._watch_the_space_bar()

        @keys.add("c-q")
        @keys.add(Keys.Vt100MouseEvent)
        def ignore(event: KeyPressEvent) -> None:
            """Do nothing. By default, Ctrl-Q would insert the next control character into the line. Pasted colours
            (ESC [31m) look like mouse events, which prompt_toolkit expects to have more numbers."""

        if focus:
            focus.bind(keys)
        return keys


@contextlib.contextmanager
def _while_ours(mode: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Enter a mode of the terminal, and leave it only if the terminal is still ours: the shell sets its own."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mode())
        try:
            yield
        finally:
            if not in_foreground():
                stack.pop_all()


def _clean(text: str) -> str:
    """Return what was typed or pasted, without control characters; a tab becomes four blanks."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return "".join(each for each in lines if each == "\n" or not (each < " " or "\x7f" <= each < "\xa0"))
