"""Chooses the console: by where input and output lead, and what the terminal can do."""

import os
import sys
from typing import TYPE_CHECKING

from voicemux.app.standard_streams import is_terminal
from voicemux.audio.choices import StandardStream

if TYPE_CHECKING:
    from voicemux.app.settings import Settings
    from voicemux.console.plain import Console

PLAIN_TERMINALS = ("", "dumb", "unknown")  # values of TERM whose terminals take no escape sequences


def make_console(settings: "Settings") -> "Console":
    """Return the console for these settings."""
    from voicemux.console.plain import JsonConsole, PlainConsole, SilentConsole

    display, sound, bell = settings.display, settings.sound, settings.ring.bell
    if display.is_silent:
        return SilentConsole()
    if display.as_json:
        return JsonConsole()
    if settings.stdio or isinstance(sound.output, StandardStream):
        return PlainConsole(texts=sys.stderr, bell=bell)
    if is_terminal() and not isinstance(sound.input, StandardStream):
        if display.draws and _can_be_drawn_on():
            from voicemux.console.printable import printable_name
            from voicemux.console.terminal import TerminalConsole

            return TerminalConsole(printable_name(settings.name), bell)
        if sys.platform != "win32":
            from voicemux.console.lines import LineConsole

            return LineConsole(bell)
    return PlainConsole(bell=bell)


def _can_be_drawn_on() -> bool:
    """Whether the terminal is known to take escape sequences. Windows sets no TERM, and all its terminals take
    them."""
    return os.environ.get("TERM", "").lower() not in PLAIN_TERMINALS or sys.platform == "win32"
