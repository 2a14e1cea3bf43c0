"""Asks the one question before a call, on a terminal: the code of an unknown listener."""

import contextlib
import sys

from voicemux.console.printable import printable
from voicemux.console.remedies import hint
from voicemux.errors import SecurityError
from voicemux.security.code import tidy

if sys.platform == "win32":
    import msvcrt
else:
    import termios

TRIES = 3  # tries to type something that has the form of a code


def ask_for_code(address: str) -> str:
    """Ask for the code that the user was told. Returns "" if there is none. Text typed before the question is
    discarded."""
    _discard_what_was_typed()
    print(f"voicemux: you do not know who answers at {printable(address)}", file=sys.stderr)
    for _ in range(TRIES):
        print("voicemux: which code were you told? ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
        try:
            return tidy(answer) if answer else ""
        except SecurityError as error:
            print(f"voicemux: {error}; {hint(error)}", file=sys.stderr)
    return ""


def _discard_what_was_typed() -> None:
    if sys.platform == "win32":
        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        with contextlib.suppress(OSError, ValueError, termios.error):  # there is no terminal, or it is closed
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
