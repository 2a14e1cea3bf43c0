"""What the terminal itself does with what is typed, and whether that is for us: its modes, and its jobs."""

import contextlib
import os
import signal
import sys
import time
from typing import Any

if sys.platform != "win32":
    import termios

    SOON = 0.25  # seconds: another thread may be the one that is stopped first
    IFLAG, LFLAG, CC = 0, 3, 6  # places in what tcgetattr gives


class Modes:
    """The modes of the terminal behind standard input, as they were found. Where there are none, nothing happens."""

    def __init__(self) -> None:
        self._found: list[Any] | None = None
        if sys.platform != "win32":
            with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
                self._found = termios.tcgetattr(sys.stdin.fileno())

    def keys(self) -> None:
        """What is typed is not shown, and waits for who reads it key by key; all keys are alike."""
        self._change(has_signals=False)

    def quiet(self) -> None:
        """Likewise, but Ctrl-C and Ctrl-Z are signals: for a time in which the keyboard is not read."""
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
        """As they were found. Any thread, any number of times."""
        if self._found:
            self._set(self._found)

    def _set(self, modes: list[Any]) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(termios.error, OSError, ValueError):  # the terminal has gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, modes)


def in_foreground() -> bool:
    """Whether what is typed is for us: a job in the background that reads its terminal is stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # there are no jobs, or no terminal
        return True


def stop_job(modes: Modes) -> None:
    """Stop the job that we are, as the terminal does it at Ctrl-Z; where there are no jobs nothing happens."""
    if has_jobs() and sys.platform != "win32":
        modes.restore()
        os.kill(0, signal.SIGTSTP)
        time.sleep(SOON)


def has_jobs() -> bool:
    """Whether there is a shell that can bring us back when we are stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp() != os.getsid(0)
    except (AttributeError, OSError, ValueError):
        return False
