"""Looks at standard input and output: whether a person sits there, and whether they take what is written."""

import contextlib
import os
import stat
import sys
from typing import TextIO


def is_attended() -> bool:
    """Whether a person sits at a terminal, sees what is shown, and can answer."""
    return _is_tty(sys.stdin) and (_is_tty(sys.stdout) or _is_tty(sys.stderr))


def has_no_input() -> bool:
    """Whether standard input is closed, /dev/null or an empty file, so that nothing will ever be typed."""
    if sys.stdin is None:
        return True
    with contextlib.suppress(OSError):  # Windows has no such file
        found = os.fstat(sys.stdin.fileno())
        is_empty = stat.S_ISREG(found.st_mode) and not found.st_size
        return is_empty or os.path.samestat(found, os.stat(os.devnull))
    return False


def is_terminal() -> bool:
    """Whether standard input and standard output are terminals."""
    return _is_tty(sys.stdin) and _is_tty(sys.stdout)


def can_ask() -> bool:
    """Whether a person sees a question, and can type the answer."""
    return _is_tty(sys.stdin) and _is_tty(sys.stderr)


def _is_tty(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; False for one that was closed before the program began, which Python makes
    None."""
    return stream is not None and stream.isatty()


def keeps_errors() -> bool:
    """Whether standard error is a terminal or a file. If it is a pipe or socket, as with ssh, another program gets
    it."""
    with contextlib.suppress(OSError):
        mode = os.fstat(2).st_mode
        return stat.S_ISCHR(mode) or stat.S_ISREG(mode)
    return False


def drop_what_cannot_be_written() -> None:
    """Drop output that could not be written: otherwise Python 3.13 tries again when it ends, and makes the exit code
    120."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
