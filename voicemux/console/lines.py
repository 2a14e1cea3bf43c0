"""The console of a terminal in line mode: it never redraws a line, which is what screen readers read best.

There is no prompt. Each key is shown as it is typed. What arrives meanwhile waits until the line has been sent or
deleted, or until no key has come for `REST`; so neither line is torn. In the second case it is shown on a new line,
and the half-typed line is shown once more below it.
"""

import codecs
import contextlib
import os
import select
import sys
import threading
import time

from voicemux.console.cells import cells
from voicemux.console.commands import HangUp, Interrupt
from voicemux.console.mic_keys import MicKeys
from voicemux.console.modes import Modes, in_foreground, stop_job
from voicemux.console.parsing import parse_line
from voicemux.console.plain import READ_SIZE, Handler, PlainConsole
from voicemux.errors import VoicemuxError
from voicemux.events import Event

REST = 3.0  # seconds without a key, after which events are shown although a line is half typed
GLANCE = 0.1  # seconds between two checks for that, and for whether the console is to close
CTRL_C, CTRL_D, CTRL_T, CTRL_U, CTRL_W, CTRL_Z, ESCAPE = "\x03", "\x04", "\x14", "\x15", "\x17", "\x1a", "\x1b"
LINE_ENDS, BACKSPACES = "\r\n", "\x7f\b"


class LineConsole(PlainConsole):
    """A console that reads and writes lines on a POSIX terminal. It also reads while there is no call."""

    eager = True

    def __init__(self, bell: str = "never") -> None:
        super().__init__(bell=bell)
        self._modes = Modes()
        self._turn = threading.Condition()  # guards the half-typed line and the cursor
        self._line = ""
        self._typed_at = 0.0
        self._leaving = False
        self._is_ours = False  # whether the terminal is in our modes and shows our line
        self._in_escape = ""  # the part of an escape sequence that has been read so far
        self._mic = MicKeys()
        self._closing = threading.Event()

    def show(self, event: Event) -> None:
        self._mic.note(event)
        with self._turn:
            while self._is_on_screen and not self._leaving and time.monotonic() < self._typed_at + REST:
                self._turn.wait(GLANCE)
            is_torn = self._is_on_screen
            if is_torn:
                self._echo("\n")
            super().show(event)
            if is_torn:
                self._echo(self._line)
                self._typed_at = time.monotonic()

    @property
    def _is_on_screen(self) -> bool:
        """Whether a half-typed line stands on the screen. It does not while the program is in the background: then
        that place belongs to the shell."""
        return bool(self._line) and in_foreground()

    def hurry(self) -> None:
        self._leaving = True

    def start(self, handle: Handler) -> None:
        self._handle = handle
        self._threads.start("keyboard", self._read)

    def close(self) -> None:
        super().close()
        self._closing.set()
        self._threads.join()

    def resume(self) -> None:
        """The process was stopped and continues: set the terminal's modes anew, because the shell has changed
        them."""
        self._is_ours = False

    def restore(self) -> None:
        self._modes.restore()

    # --- what is typed, in the keyboard's thread -------------------------------------------------------

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder(self._encoding)("surrogateescape")
        try:
            while not self._closing.is_set():
                self._give(self._mic.look(time.monotonic()))
                if not in_foreground():
                    self._is_ours = False
                    self._closing.wait(GLANCE)
                    continue
                if not self._is_ours:
                    self._is_ours = True
                    self._modes.keys()
                    with self._turn:
                        self._echo(self._line)
                if not select.select([sys.stdin], [], [], GLANCE)[0]:
                    continue
                try:
                    data = os.read(sys.stdin.fileno(), READ_SIZE)
                except OSError:
                    if not in_foreground():  # it went to the background since the check above
                        continue
                    data = b""
                if not data:  # the terminal has gone
                    self._give(HangUp())
                    return
                for key in decoder.decode(data):
                    self._press(key)
        except (OSError, ValueError):
            self._give(HangUp())
        finally:
            self.restore()

    def _press(self, key: str) -> None:
        with self._turn:
            self._typed_at = time.monotonic()
            line = self._line
            if self._in_escape or key == ESCAPE:
                self._pass_over(key)
                return
            is_for_microphone = key == CTRL_T or (key == " " and not line and self._mic.takes_space)
        if is_for_microphone:
            self._give(self._mic.toggle() if key == CTRL_T else self._mic.press(time.monotonic()))
            return
        with self._turn:
            if key in LINE_ENDS or (key == CTRL_C and line):
                self._line = ""
                self._echo("\n")
                self._turn.notify_all()
            elif key in BACKSPACES:
                self._take_back(1)
            elif key == CTRL_U:
                self._take_back(len(line))
            elif key == CTRL_W:
                self._take_back(len(line) - line.rstrip().rfind(" ") - 1)
            elif key >= " " and not "\x7f" <= key < "\xa0":
                self._line += key
                self._echo(key)
        if key in LINE_ENDS:
            self._give(parse_line(self._readable(line)))
        elif key == CTRL_C and not line:
            self._give(Interrupt())
        elif key == CTRL_D and not line:
            self._give(HangUp())
        elif key == CTRL_Z:
            self._give(self._mic.let_go())
            stop_job(self._modes)

    def _pass_over(self, key: str) -> None:
        """Skip the characters of an escape sequence, which keys such as the arrows send: ESC [ A, ESC O P, ESC x."""
        self._in_escape += key
        is_whole = len(self._in_escape) > 2 and "@" <= key <= "~"
        if is_whole or (len(self._in_escape) == 2 and key not in "[O"):
            self._in_escape = ""

    def _take_back(self, count: int) -> None:
        """Delete the last `count` characters of the line, also on the screen."""
        if count:
            gone, self._line = self._line[-count:], self._line[:-count]
            width = sum(cells(each, most=False) for each in gone)
            self._echo("\b" * width + " " * width + "\b" * width)
            self._turn.notify_all()

    def _echo(self, text: str) -> None:
        with contextlib.suppress(VoicemuxError):
            self._write(self._texts, [text])
