"""Consoles for pipes and scripts: plain lines, or JSON lines, in and out; no control characters.

The rules of output: the peer's lines go to standard output, our own notices to standard error, each
with its mark in front. With --json everything that happens is a line on standard output. An output that is a terminal
gets rows of its width (rows.py), also where the other one is none.
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
MAX_LINE = 1_048_576  # bytes; what is longer is sent as several lines
USUAL_COLUMNS = 80  # of a terminal that does not say how many it has

Handler = Callable[[Command], None]


class Console(Protocol):
    eager: bool  # it reads also while there is no call
    slash: str  # what stands before the name of a command
    tells_at_once: bool  # and all of it: it is read by programs

    def help(self, useless: Collection[str]) -> str:
        """What can be typed, without the commands that are of no use."""

    def show(self, event: Event) -> None:
        """Any thread. Raises VoicemuxError if it cannot be shown: a text must not be acknowledged then."""

    def ring(self) -> None:
        """Let the user hear that a call rings, once."""

    def start(self, handle: Handler) -> None:
        """Begin to read; `handle` is called in the keyboard's thread, at the end with EndOfInput."""

    def hurry(self) -> None:
        """The user wants to be gone: nothing waits for being shown any more. Any thread."""

    def interrupt(self) -> bool:
        """SIGINT has come. Whether that was Ctrl-C, and is handled as such. Any thread."""

    def resume(self) -> None:
        """The process was stopped, and goes on. Any thread."""

    def restore(self) -> None:
        """Give the terminal back as it was found, in whatever state all the rest is. Any thread."""

    def close(self) -> None: ...


class PlainConsole:
    """Lines in, lines out."""

    eager = False  # piped input waits until there is a peer to say it to
    slash = "/"
    tells_at_once = False

    def __init__(self, *, notices: TextIO | None = None, texts: TextIO | None = None, bell: str = "never") -> None:
        """`texts` is where the peer's lines go: standard output, unless that carries sound.

        `bell` is "always" if calls may be heard to ring: if it is a terminal on which notices are shown.
        """
        self._bell = bell
        self._lock = threading.Lock()
        self._notices = _whole(notices or sys.stderr)
        self._texts = _whole(texts or sys.stdout)
        self._lost: VoicemuxError | None = None
        self._blanks = Blanks()
        self._encoding = encoding_of_input()
        self._reads_all = True  # of what was typed so far
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
        """What a line of input wants: only who types has commands; in a pipe everything is text."""
        return parse_line(line) if self._is_typed else parse_piped(line)

    def _read(self) -> None:
        any_line = False
        for line in read_lines(self._encoding):
            any_line = True
            self._give(self.parse(self._readable(line)))
        self._give(EndOfInput(meant=any_line or (sys.stdin is not None and sys.stdin.isatty())))

    def _readable(self, line: str) -> str:
        """What was typed, with a mark for what is not in the encoding of the locale; that is told once."""
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
            except VoicemuxError:  # the answer cannot be shown
                handle(HangUp())

    def _write(self, stream: TextIO | None, pieces: Iterable[str]) -> None:
        """Write pieces as they are made. Raises VoicemuxError if the stream takes no more."""
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
        """Control characters for the terminal, if it is one: in pipes there are none."""
        with contextlib.suppress(OSError), self._lock:
            for stream in (self._texts, self._notices):
                if stream and stream.isatty():
                    stream.write(characters)
                    stream.flush()
                    return

    def _lose(self, stream: TextIO, error: OSError) -> VoicemuxError:
        """The stream takes no more: what to raise now, and for all texts that follow. Behind the lock."""
        _forget(stream)
        failure = VoicemuxError(f"cannot write what they say: {(error.strerror or str(error)).lower()}")
        if self._texts and stream.fileno() == self._texts.fileno():  # notices may share it
            self._lost = failure
        return failure


class SilentConsole(PlainConsole):
    """Shows nothing: who is at the other end of standard error is the peer, as with ssh."""

    def show(self, event: Event) -> None:
        pass

    def ring(self) -> None:
        pass


class JsonConsole(PlainConsole):
    """One JSON object a line, in and out; ASCII only, so that it is the same everywhere."""

    eager = True
    slash = ""
    tells_at_once = True

    def __init__(self) -> None:
        super().__init__()
        self._encoding = "utf-8"  # as JSON has it, wherever it is written

    def help(self, useless: Collection[str]) -> str:
        return json_help(useless)

    def parse(self, line: str) -> Command | None:
        return parse_json(line)

    def show(self, event: Event) -> None:
        # A failure is the last event, and may be that the output has no reader.
        with contextlib.suppress(VoicemuxError) if isinstance(event, ProgramFailed) else contextlib.nullcontext():
            self._write(self._texts, [f"{json.dumps(to_dict(event))}\n"])


def screen_of(stream: TextIO | None) -> Screen | None:
    """The terminal that a stream goes to; None if it goes elsewhere. No escape sequences are written to it."""
    if stream is None or not stream.isatty():
        return None
    return Screen(lambda: columns_of(stream), clips=False)


def columns_of(stream: TextIO) -> int:
    """Of the terminal that a stream goes to, now."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except OSError:  # it has gone
        return USUAL_COLUMNS


def encoding_of_input() -> str:
    """As the locale says it; of ASCII, UTF-8 is the rest."""
    encoding = sys.stdin.encoding if sys.stdin else "utf-8"
    return "utf-8" if codecs.lookup(encoding).name == "ascii" else encoding


def read_lines(encoding: str = "utf-8") -> Iterator[str]:
    """Lines of standard input without their ends, as soon as each is whole. Bytes that are not of that encoding are
    surrogates, as with Python's "surrogateescape".

    Unbuffered: a thread that waits in Python's buffered reader makes the interpreter abort at its end.
    """
    if sys.stdin is None:  # closed before we began
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
    """The same stream with a buffer of our own: Python's, if PYTHONUNBUFFERED is set, loses the rest of a write
    that a signal interrupts."""
    if stream is None:
        return None
    return open(stream.fileno(), "w", encoding=stream.encoding, errors="replace", closefd=False)


def _forget(stream: TextIO) -> None:
    """It takes no more: let what Python still flushes at its end go nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
