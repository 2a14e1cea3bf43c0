"""The modes of the terminal (termios), and POSIX job control."""

import contextlib
import os
import signal
import sys
import time
from typing import Any

if sys.platform != "win32":
    import termios

    SOON = 0.25  # seconds to wait after SIGTSTP, because another thread may be stopped first
    IFLAG, LFLAG, CC = 0, 3, 6  # indexes in the list that tcgetattr returns


class Modes:
    """The modes of the terminal at standard input, as they were at the start. Without a terminal, or without termios,
    all methods do nothing."""

    def __init__(self) -> None:
        self._found: list[Any] | None = None
        if sys.platform != "win32":
            with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
                self._found = termios.tcgetattr(sys.stdin.fileno())

    def keys(self) -> None:
        """Read key by key, without echo; Ctrl-C and Ctrl-Z are keys like any other."""
        self._change(has_signals=False)

    def quiet(self) -> None:
        """Read key by key, without echo; Ctrl-C and Ctrl-Z are signals. For times in which nothing reads the
        keyboard."""
        self._change(has_signals=True)

    def _change(self, *, has_signals: bool) -> None:
        if self._found and sys.platform != "win32":
            modes = [*self._found]
            modes[CC] = [*modes[CC]]
            modes[IFLAG] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
            modes[LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
            modes[LFLAG] |= termios.NOFLSH | (termios.ISIG if has_signals else 0)
            modes[CC][termios.VMIN], modes[CC][termios.VTIME] = 1, 0
            self._set(modes)

    def restore(self) -> None:
        """Set the modes back to those at the start. Any thread may call it, any number of times."""
        if self._found:
            self._set(self._found)

    def _set(self, modes: list[Any]) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(termios.error, OSError, ValueError):  # the terminal has gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, modes)


def in_foreground() -> bool:
    """Whether the program is in the foreground. A job in the background that reads its terminal is stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # there are no jobs, or no terminal
        return True


def stop_job(modes: Modes) -> None:
    """Stop our job, as the terminal does at Ctrl-Z. Does nothing where there is no job control."""
    if has_jobs() and sys.platform != "win32":
        modes.restore()
        os.kill(0, signal.SIGTSTP)
        time.sleep(SOON)


def has_jobs() -> bool:
    """Whether a shell can continue our process after it is stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp() != os.getsid(0)
    except (AttributeError, OSError, ValueError):
        return False
