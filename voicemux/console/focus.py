"""Knows whether the terminal's window has the focus, by xterm's focus reports (DECSET 1004).

The terminal reports each change by itself, as a key press; voicemux does not ask for the state. A terminal without
this mode never reports, and counts as not focused.
"""

from functools import partial

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

_ON, _OFF = "\x1b[?1004h", "\x1b[?1004l"

# Keys that stand for the two reports, which prompt_toolkit does not know. No keyboard has these keys any more.
CAME, WENT = Keys.F23, Keys.F24


class Focus:
    """Keeps the last focus report in `here`. Call `bind()` with the keys of the prompt that reads the reports."""

    def __init__(self) -> None:
        ANSI_SEQUENCES["\x1b[I"], ANSI_SEQUENCES["\x1b[O"] = CAME, WENT
        self.here = False  # known to be
        self._asked = False

    def bind(self, keys: KeyBindings) -> None:
        """Take note of the reports among the keys."""
        for key, here in ((CAME, True), (WENT, False)):
            # A report does not change the line: it makes no step for undo, and is not recorded in a macro.
            keys.add(key, save_before=lambda event: False, record_in_macro=False)(partial(self._report, here))

    def ask(self) -> str:
        """Return the escape sequence that switches reports on; "" if they are on already."""
        was_asked, self._asked = self._asked, True
        return "" if was_asked else _ON

    def stop_asking(self) -> str:
        """Return the escape sequence that switches reports off; "" if they are off already."""
        was_asked, self._asked = self._asked, False
        self.here = False
        return _OFF if was_asked else ""

    def _report(self, here: bool, event: KeyPressEvent) -> None:
        self.here = here
