"""Handles signals that ask the program to end: it ends politely, and within a second whatever it is doing.

Python runs a signal handler in the main thread, between two bytecodes. If that thread waits, or is about to, the
handler may run too late. So Python's handler does nothing. The handler in C, which runs at once, writes the signal's
number into a pipe (`signal.set_wakeup_fd`), and a thread reads it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import NoReturn

from voicemux.app.departure import Departure, Why
from voicemux.app.exit_codes import ExitCode

ENDINGS = {"SIGINT": Why.INTERRUPTED, "SIGHUP": Why.INTERRUPTED, "SIGTERM": Why.TERMINATED}  # Windows has no SIGHUP
EXIT_CODE_OF = {
    Why.QUIT: ExitCode.ENDED_WELL,
    Why.INTERRUPTED: ExitCode.INTERRUPTED,
    Why.TERMINATED: ExitCode.ENDED_WELL,
}
GRACE = 0.6  # seconds for a polite end with BYE; then everything is broken off
# Seconds after which the process ends even if something hangs, such as a write that is not read, or a driver.
LIMIT = 0.9
HASTE = 0.1  # seconds for a polite end once a second signal has come
STOPS = 0  # ends the reading thread; no signal has this number


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


def end_at_once(*, holds_calls: bool) -> None:
    """Let signals end the process at once: before there is anything to end politely, and after."""
    codes = EXIT_CODE_OF if holds_calls else {**EXIT_CODE_OF, Why.TERMINATED: ExitCode.TERMINATED}
    for number in _not_ignored():
        signal.signal(number, lambda number, frame: os._exit(codes[_reason(number)]))


def leave(why: Why) -> NoReturn:
    """Exit, since all is closed. Python's own cleanup takes 0.1 s, and a second on a busy machine."""
    os._exit(EXIT_CODE_OF[why])


def disregard() -> None:
    """Ignore signals from now on: the program has its exit code. Otherwise a signal could still change it, because
    Python removes its handlers before the process ends."""
    for number in _not_ignored():
        signal.signal(number, signal.SIG_IGN)


def live_in_background() -> None:
    """Let the system not stop this program for using the terminal from the background."""
    for number in _not_ignored(("SIGTTIN", "SIGTTOU")):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Raise signals as KeyboardInterrupt or Terminated in the main thread: for commands that hold no call."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Terminated if _reason(number) is Why.TERMINATED else KeyboardInterrupt

    with _handled_by(interrupt):
        yield


class Signals:
    """Passes signals that ask the program to end to a `Departure`, inside `watched()`."""

    def __init__(
        self,
        departure: Departure,
        last_act: Callable[[], None],
        on_continued: Callable[[], None] = lambda: None,
        is_key: Callable[[], bool] = lambda: False,
    ) -> None:
        """`last_act` is called if the process has to end without cleaning up; `on_continued` when it was stopped and
        goes on. `is_key` returns whether a SIGINT was Ctrl-C that the console has handled. None of them may wait."""
        self._departure = departure
        self._last_act = last_act
        self._on_continued = on_continued
        self._is_key = is_key
        self._raises = False
        self._first: int | None = None
        self._came = threading.Event()  # set when the first signal has come, or none will
        self._hastens = threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch for signals inside. Only the main thread may use it."""
        from voicemux.threads import Threads  # imported late: it takes 10 ms, and `end_at_once` must work before

        reading, deadline = Threads(), Threads()
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            with (
                _handled_by(self._handle),
                _handled_by(_nothing, "SIGCONT"),
            ):
                deadline.start("deadline", self._enforce)  # started now, because later no thread may be left
                try:
                    reading.start("signals", lambda: self._read(reader))
                    yield
                finally:
                    os.write(writer, bytes([STOPS]))
                    reading.join()
                    if self._first is None:
                        self._came.set()
                        deadline.join()  # otherwise it lives as long as the process
        finally:
            signal.set_wakeup_fd(before)
            os.close(reader)
            os.close(writer)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let signals raise KeyboardInterrupt in the main thread inside, for waits that nothing else can wake (a
        connection, a device, a name server)."""
        self._raises = True
        try:
            if self._departure.why:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raises:
            self._raises = False  # once is enough: cleaning up is not to be interrupted
            raise KeyboardInterrupt

    def _read(self, reader: int) -> None:
        endings = _not_ignored()
        while True:
            for number in os.read(reader, 64):
                if number == STOPS:
                    return
                if number in endings:
                    self._tell(number)
                elif signal.Signals(number).name == "SIGCONT":
                    self._on_continued()

    def _tell(self, number: int) -> None:
        if number == signal.SIGINT and self._first is None and self._is_key():
            return
        if self._first is None:
            self._first = number
            self._came.set()
            self._departure.ask(_reason(number))
        else:
            self._hastens.set()
            self._departure.ask(_reason(number), break_off=True)

    def _enforce(self) -> None:
        self._came.wait()
        if self._first is None:
            return
        why = _reason(self._first)
        if not self._hastens.wait(GRACE):
            self._departure.ask(why, break_off=True)
            self._hastens.wait(LIMIT - GRACE)
        if self._hastens.is_set():
            threading.Event().wait(HASTE)
        self._last_act()
        leave(why)


def _reason(number: int) -> Why:
    return ENDINGS[signal.Signals(number).name]


def _nothing(number: int, frame: FrameType | None) -> None:
    pass


def _not_ignored(names: Collection[str] = ENDINGS) -> list[int]:
    """Return the numbers of those signals that are not ignored: a shell or nohup may have set others to be ignored,
    and they stay so."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def _handled_by(handle: Callable[[int, FrameType | None], None], *names: str) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in _not_ignored(names or ENDINGS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
