"""Whether the user looks at the terminal, as far as the terminal tells (xterm's focus reporting, DECSET 1004).

Nothing is asked of the terminal: it reports each change by itself, as a key press. One that does not know the mode
never reports, and then the user is taken not to look.
"""

from functools import partial

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

_ON, _OFF = "\x1b[?1004h", "\x1b[?1004l"

# prompt_toolkit knows neither report. No keyboard has these two keys any more.
CAME, WENT = Keys.F23, Keys.F24


class Focus:
    """`bind()` it to the prompt that reads the reports."""

    def __init__(self) -> None:
        ANSI_SEQUENCES["\x1b[I"], ANSI_SEQUENCES["\x1b[O"] = CAME, WENT
        self.here = False  # known to be
        self._asked = False

    def bind(self, keys: KeyBindings) -> None:
        """Let the reports among what is typed be taken note of."""
        for key, here in ((CAME, True), (WENT, False)):
            # A report changes nothing in the line that could be undone, or belongs to a macro.
            keys.add(key, save_before=lambda event: False, record_in_macro=False)(partial(self._report, here))

    def ask(self) -> str:
        """What to write so that the terminal reports; empty if it does so already."""
        was_asked, self._asked = self._asked, True
        return "" if was_asked else _ON

    def stop_asking(self) -> str:
        """What to write so that it reports no more; empty if it does not."""
        was_asked, self._asked = self._asked, False
        self.here = False
        return _OFF if was_asked else ""

    def _report(self, here: bool, event: KeyPressEvent) -> None:
        self.here = here
