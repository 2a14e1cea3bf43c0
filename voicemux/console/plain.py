"""Consoles for pipes and scripts: plain lines, or JSON lines, in and out; no control characters.

The peer's lines go to standard output, our own notices to standard error, each with its mark in front. With --json
every event is a line on standard output. An output that is a terminal gets rows of its width (`rows`), even if the
other output is not a terminal.
"""

import codecs
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol, TextIO

from voicemux.console.blanks import Blanks
from voicemux.console.commands import Command, EndOfInput, HangUp
from voicemux.console.parsing import json_help, parse_json, parse_line, parse_piped, typed_help
from voicemux.console.rows import Screen
from voicemux.errors import VoicemuxError
from voicemux.events import Event, Notice, ProgramFailed, TextReceived, to_dict
from voicemux.threads import Threads

READ_SIZE = 65_536  # bytes
BELL = "\a"
MAX_LINE = 1_048_576  # bytes; a longer line is sent as several
USUAL_COLUMNS = 80  # columns of a terminal that does not report its width

Handler = Callable[[Command], None]


class Console(Protocol):
    eager: bool  # whether it reads input also while there is no call
    slash: str  # the character before the name of a command; "" in JSON
    tells_at_once: bool  # whether every event is shown, at once: the reader is a program

    def help(self, useless: Collection[str]) -> str:
        """Return the help, without the commands in `useless`."""

    def show(self, event: Event) -> None:
        """Show an event. Any thread may call it. Raises VoicemuxError if the output cannot be written: a text must
        then not be acknowledged."""

    def ring(self) -> None:
        """Ring the bell of the terminal once, for a call that rings."""

    def start(self, handle: Handler) -> None:
        """Begin to read. `handle` is called in the keyboard's thread with each command, and at the end with
        EndOfInput."""

    def hurry(self) -> None:
        """The user wants to leave at once: wait no longer for anything to be shown. Any thread may call it."""

    def interrupt(self) -> bool:
        """SIGINT has come. Returns whether it was a Ctrl-C that the console handles itself. Any thread may call
        it."""

    def resume(self) -> None:
        """The process was stopped and continues: take the terminal back. Any thread may call it."""

    def restore(self) -> None:
        """Set the terminal back to the modes it had at the start; safe in every state of the console. Any thread may
        call it."""

    def close(self) -> None: ...


class PlainConsole:
    """Reads and writes plain lines."""

    eager = False  # piped input waits until there is a peer to say it to
    slash = "/"
    tells_at_once = False

    def __init__(self, *, notices: TextIO | None = None, texts: TextIO | None = None, bell: str = "never") -> None:
        """`notices` and `texts` are the streams of our notices and of the peer's lines; by default standard error and
        standard output. `bell` is "always" if the bell rings for calls, which it does only on a
        terminal."""
        self._bell = bell
        self._lock = threading.Lock()
        self._notices = _whole(notices or sys.stderr)
        self._texts = _whole(texts or sys.stdout)
        self._lost: VoicemuxError | None = None
        self._blanks = Blanks()
        self._encoding = encoding_of_input()
        self._reads_all = True  # whether all input so far was in the encoding of the locale
        self._is_typed = sys.stdin is not None and sys.stdin.isatty()
        self._threads = Threads()
        self._handle: Handler | None = None

    def help(self, useless: Collection[str]) -> str:
        return typed_help(useless)

    def show(self, event: Event) -> None:
        if isinstance(event, TextReceived):
            self._write(self._texts, self._blanks.written(event, screen_of(self._texts)))
        else:
            with contextlib.suppress(VoicemuxError):  # text goes on without notices
                made = self._blanks.written(event, screen_of(self._notices), is_typed=self._is_typed)
                self._write(self._notices, made)

    def ring(self) -> None:
        if self._bell != "never":
            self._put(BELL)

    def start(self, handle: Handler) -> None:
        self._handle = handle
        # Nothing can wake a read of standard input: this thread ends with the process.
        self._threads.start("keyboard", self._read, daemon=True)

    def hurry(self) -> None:
        pass

    def interrupt(self) -> bool:
        return False

    def resume(self) -> None:
        pass

    def restore(self) -> None:
        pass

    def close(self) -> None:
        with self._lock:
            self._handle = None

    def parse(self, line: str) -> Command | None:
        """Return the command of a line of input. Only a terminal has commands; in a pipe everything is text."""
        return parse_line(line) if self._is_typed else parse_piped(line)

    def _read(self) -> None:
        any_line = False
        for line in read_lines(self._encoding):
            any_line = True
            self._give(self.parse(self._readable(line)))
        self._give(EndOfInput(meant=any_line or (sys.stdin is not None and sys.stdin.isatty())))

    def _readable(self, line: str) -> str:
        """Return a line with U+FFFD for each byte that is not in the encoding of the locale. The first time, a notice
        reports it."""
        if line.isascii() or not any("\udc80" <= each <= "\udcff" for each in line):
            return line
        text = line.encode(self._encoding, "surrogateescape").decode(self._encoding, "replace")
        if self._reads_all and "\ufffd" in text:
            self._reads_all = False
            name = self._encoding.upper()
            self.show(Notice(f"not all that you typed is {name}, as the locale has it: \ufffd stands for it"))
        return text

    def _give(self, command: Command | None) -> None:
        handle = self._handle
        if command is not None and handle is not None:
            try:
                handle(command)
            except VoicemuxError:  # the output is gone: the answer of the command cannot be shown
                handle(HangUp())

    def _write(self, stream: TextIO | None, pieces: Iterable[str]) -> None:
        """Write pieces as they are made. Raises VoicemuxError if the stream can no longer be written."""
        if stream is None:
            return
        with self._lock:
            if self._lost and stream is not self._notices:
                raise self._lost
            try:
                for piece in pieces:
                    stream.write(piece)
                stream.flush()
            except OSError as error:
                raise self._lose(stream, error) from error
            except BaseException:  # interrupted while the output is not read
                _forget(stream)
                raise

    def _put(self, characters: str) -> None:
        """Write control characters to the texts or notices, whichever are a terminal; pipes get none."""
        with contextlib.suppress(OSError), self._lock:
            for stream in (self._texts, self._notices):
                if stream and stream.isatty():
                    stream.write(characters)
                    stream.flush()
                    return

    def _lose(self, stream: TextIO, error: OSError) -> VoicemuxError:
        """Give up a stream that can no longer be written. Returns the error to raise, now and for each later text.
        The caller holds the lock."""
        _forget(stream)
        failure = VoicemuxError(f"cannot write what they say: {(error.strerror or str(error)).lower()}")
        if self._texts and stream.fileno() == self._texts.fileno():  # notices may share the stream
            self._lost = failure
        return failure


class SilentConsole(PlainConsole):
    """Shows nothing: the peer reads our standard error, as with ssh."""

    def show(self, event: Event) -> None:
        pass

    def ring(self) -> None:
        pass


class JsonConsole(PlainConsole):
    """Reads and writes one JSON object a line. Output is ASCII only, so that it does not depend on the locale."""

    eager = True
    slash = ""
    tells_at_once = True

    def __init__(self) -> None:
        super().__init__()
        self._encoding = "utf-8"  # JSON is UTF-8, whatever the locale says

    def help(self, useless: Collection[str]) -> str:
        return json_help(useless)

    def parse(self, line: str) -> Command | None:
        return parse_json(line)

    def show(self, event: Event) -> None:
        # ProgramFailed is the last event. If its reason is that nothing reads the output, it cannot be written
        # either.
        with contextlib.suppress(VoicemuxError) if isinstance(event, ProgramFailed) else contextlib.nullcontext():
            self._write(self._texts, [f"{json.dumps(to_dict(event))}\n"])


def screen_of(stream: TextIO | None) -> Screen | None:
    """Return the terminal that a stream goes to, as a Screen that wraps; None if the stream is not a terminal."""
    if stream is None or not stream.isatty():
        return None
    return Screen(lambda: columns_of(stream), clips=False)


def columns_of(stream: TextIO) -> int:
    """Return the present number of columns of the terminal that a stream goes to."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except OSError:  # the terminal has gone
        return USUAL_COLUMNS


def encoding_of_input() -> str:
    """Return the encoding of standard input, by the locale; UTF-8 instead of ASCII, which it contains."""
    encoding = sys.stdin.encoding if sys.stdin else "utf-8"
    return "utf-8" if codecs.lookup(encoding).name == "ascii" else encoding


def read_lines(encoding: str = "utf-8") -> Iterator[str]:
    """Yield lines of standard input without their ends, as soon as each is whole. Bytes that are not in `encoding`
    become surrogates, as with Python's "surrogateescape".

    Reads without a buffer: a thread that waits in Python's buffered reader makes the interpreter abort at its end.
    """
    if sys.stdin is None:  # it was closed before the program started
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    waiting = b""
    while data := _read_input():
        *whole, waiting = (waiting + data).split(b"\n")
        for line in whole:
            yield decoder.decode(line, final=True).removesuffix("\r")
        while len(waiting) > MAX_LINE:
            yield decoder.decode(waiting[:MAX_LINE])
            waiting = waiting[MAX_LINE:]
    if waiting:
        yield decoder.decode(waiting, final=True)


def _read_input() -> bytes:
    try:
        return os.read(sys.stdin.fileno(), READ_SIZE)
    except (OSError, ValueError):  # the terminal has gone
        return b""


def _whole(stream: TextIO | None) -> TextIO | None:
    """Return the same file with a buffer of our own. Python's own stream, if PYTHONUNBUFFERED is set, loses the rest
    of a write that a signal interrupts."""
    if stream is None:
        return None
    return open(stream.fileno(), "w", encoding=stream.encoding, errors="replace", closefd=False)


def _forget(stream: TextIO) -> None:
    """Let what Python flushes at its end go nowhere: the stream can no longer be written."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
