"""Which console the user gets: by where the input and the outputs lead, and what the terminal can do."""

import contextlib
import getpass
import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicemux.app.session import Settings
    from voicemux.console.plain import Console

PLAIN_TERMINALS = ("", "dumb", "unknown")  # values of TERM


def make_console(settings: "Settings", *, as_json: bool, draws: bool, bell: str) -> "Console":
    from voicemux.console.plain import JsonConsole, PlainConsole

    if as_json:
        return JsonConsole()
    if settings.output == "-":
        return PlainConsole(texts=sys.stderr, bell=bell)
    if _is_terminal() and settings.input != "-":
        if draws and _can_be_drawn_on():
            from voicemux.console.printable import printable_name
            from voicemux.console.terminal import TerminalConsole

            return TerminalConsole(printable_name(settings.name), bell)
        if sys.platform != "win32":
            from voicemux.console.lines import LineConsole

            return LineConsole(bell)
    return PlainConsole(bell=bell)


def _can_be_drawn_on() -> bool:
    """Whether the terminal is known to take escape sequences. Windows names none, and all of its take them."""
    return os.environ.get("TERM", "").lower() not in PLAIN_TERMINALS or sys.platform == "win32"


def is_attended() -> bool:
    """Whether somebody sits at a terminal, to see what is shown and to answer."""
    terminals = [each is not None and each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)]
    return terminals[0] and any(terminals[1:])


def has_no_input() -> bool:
    """Whether standard input is closed, /dev/null or an empty file: nothing can be typed there, ever."""
    if sys.stdin is None:
        return True
    with contextlib.suppress(OSError):  # Windows has no such file
        found = os.fstat(sys.stdin.fileno())
        is_empty = stat.S_ISREG(found.st_mode) and not found.st_size
        return is_empty or os.path.samestat(found, os.stat(os.devnull))
    return False


def _is_terminal() -> bool:
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stdout))


def can_ask() -> bool:
    """Whether a question is seen, and its answer typed by somebody."""
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))


def login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return ""
