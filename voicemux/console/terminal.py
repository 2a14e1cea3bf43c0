"""The console on a terminal: the typed line stays whole while other lines arrive above it.

It only appends: there is no alternate screen, nothing above the typed line is repainted, and it asks the terminal for
nothing. So scroll-back, screen readers and braille displays keep working, and distant terminals keep up.
"""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterable

from voicemux.console.cells import is_wide_locale
from voicemux.console.commands import HangUp, Interrupt
from voicemux.console.focus import Focus
from voicemux.console.modes import Modes, has_jobs, in_foreground, stop_job
from voicemux.console.parsing import parse_line
from voicemux.console.plain import USUAL_COLUMNS, Handler, PlainConsole, columns_of
from voicemux.console.printing import Printing, Rows
from voicemux.console.prompt import Prompt, PutAside
from voicemux.console.rows import Mark, Screen, rows
from voicemux.console.wording import COPIED
from voicemux.errors import VoicemuxError
from voicemux.events import (
    Connected,
    Ended,
    Event,
    Interrupted,
    MicModeChosen,
    Notice,
    Resumed,
    Status,
    Switched,
    TextReceived,
)
from voicemux.threads import Threads

# Seconds that `show` waits for a notice to be on the screen, so that it does not hold up its caller longer.
PATIENCE = 2.0
GLANCE = 0.1  # seconds between two checks of whether to wait longer for a text to be shown
MOST_REPEATED = 20  # rows of a pasted text that are shown again once it is sent
TEXT_WAITS = "text waits"  # shown in the prompt while the line is interrupted
# Seconds after the beginning of a prompt in which SIGINT counts as a Ctrl-C that was typed before it.
AFTERWARDS = 0.3
LOOK_INTERVAL = 0.25  # seconds between two checks of whether the program is in the foreground again


class TerminalConsole(PlainConsole):
    """Reads a prompt in the keyboard's thread, and shows everything else above it.

    In the background it reads nothing, and has no prompt.
    """

    eager = True

    def __init__(self, name: str, bell: str = "always") -> None:
        """`bell` is when the bell rings for a call: "always", "unfocused" (the window has no focus) or "never"."""
        super().__init__(bell=bell)
        self._name = name
        self._focus = Focus() if bell == "unfocused" else None
        self._prompt = Prompt(name, self._focus, self._give)
        self._printing = Printing(self._write_rows, self._prompt.print_above)
        self._in_call = False
        self._between = False  # whether a prompt has ended and another will follow
        self._began = 0.0  # when the present prompt began (`time.monotonic`)
        self._modes = Modes()
        self._closing = threading.Event()
        self._keyboard = Threads()
        self._screen = Screen(self._columns, clips=True, wide=is_wide_locale(_language()))
        # Whether the user wants to leave at once, without waiting for what is still to be shown.
        self._leaving = False

    def show(self, event: Event) -> None:
        self._take_note(event)
        if isinstance(event, Status):
            self._prompt.show_status(event)
            return
        # The prompt shows this state, and a notice at each press of a key would be too much.
        if isinstance(event, Switched) and event.what == "talking":
            self._prompt.redraw()
            return
        item = Rows(self._blanks.written(event, self._screen, self._name), wraps=isinstance(event, COPIED))
        if self._printing.put(item):
            if isinstance(event, TextReceived):  # a text is acknowledged only after it has been shown
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
        self._printing.ask(self._prompt.leave)
        self._keyboard.join()

    def interrupt(self) -> bool:
        """Handle Ctrl-C that came as a signal: the terminal sends one between two prompts, while a line is being
        sent. The next prompt may have begun before this is called."""
        is_between = not self._printing.has_prompt or time.monotonic() - self._began < AFTERWARDS
        if self._between and is_between and in_foreground():
            self._give(Interrupt())
            return True
        return False

    def resume(self) -> None:
        """The process was stopped and continues: the terminal may be in another mode, and the prompt not on it. Draw
        the prompt anew, unless the program is in the background."""
        self._printing.ask(self._prompt.come_back)

    def restore(self) -> None:
        """Set the terminal back to the modes it had at the start. Any thread may call it, any number of times."""
        self._modes.restore()
        if self._focus:
            self._put(self._focus.stop_asking())

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
            try:
                line = self._prompt.read(self._begin)
            except KeyboardInterrupt:
                self._printing.end()  # rows that still wait must not delay the interrupt
                self._give(Interrupt())
                self._printing.print_waiting()
            except EOFError:
                self._end()
                if not self._closing.is_set():
                    self._give(HangUp())
            except PutAside:
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
                self._repeat(line)
                self._end()
                self._give(parse_line(self._readable(line)))

    def _begin(self) -> None:
        """A prompt is about to be drawn."""
        self._began = time.monotonic()
        self._printing.begin(self._prompt.loop)
        self._between = True
        if self._closing.is_set():
            self._prompt.leave()

    def _end(self) -> None:
        """The prompt has gone."""
        self._printing.end()
        self._printing.print_waiting()

    def _stop_if_asked(self) -> None:
        """If Ctrl-Z was typed, stop our job, as the terminal does. Does nothing where there is no job control."""
        if not self._prompt.take_stop():
            return
        if self._in_call and has_jobs():
            self.show(Notice("stopped: the other side waits for a minute, or as long as --grace says"))
        stop_job(self._modes)

    # --- the screen ---------------------------------------------------------------------------------------

    def _take_note(self, event: Event) -> None:
        """Take note of the state that the prompt shows."""
        self._prompt.mic.note(event)
        if isinstance(event, MicModeChosen):
            self._prompt.switch("talking", False)
            self._prompt.switch("push to talk", event.mode == "ptt")
        elif isinstance(event, Switched):
            self._prompt.switch(event.what, event.on)
        elif isinstance(event, Interrupted | Resumed):
            self._prompt.switch(TEXT_WAITS, isinstance(event, Interrupted))
        elif isinstance(event, Connected):
            self._in_call = True
        elif isinstance(event, Ended):
            self._in_call = False
            self._prompt.clear()

    def _repeat(self, text: str) -> None:
        """Show the text that was sent once more if the prompt had no room for all of it; at most MOST_REPEATED
        rows."""
        if self._prompt.is_high(text):
            made = list(itertools.islice(rows(Mark(self._name), text, self._screen), MOST_REPEATED + 1))
            made[MOST_REPEATED:] = [f"{self._name}| ..."] * (len(made) > MOST_REPEATED)
            with contextlib.suppress(VoicemuxError):
                self._write_rows(f"{row}\n" for row in made)

    def _write_rows(self, made: Iterable[str]) -> None:
        self._write(self._texts, made)

    def _columns(self) -> int:
        return columns_of(self._texts) if self._texts else USUAL_COLUMNS


def _language() -> str:
    """Return the language of the locale, as in LANG: "en_GB.UTF-8"; "" if none is set."""
    return next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
