"""Empty texts on a screen: of several in a row, the screen shows the first, and later how many more came. Pipes and
programs get each of them, because there an empty line is a line."""

import threading
from collections.abc import Iterator

from voicemux.console.printable import BLANKS
from voicemux.console.quoting import quoted_name
from voicemux.console.rows import Screen
from voicemux.console.wording import written
from voicemux.events import Ended, Event, Notice, TextReceived

NOTHING = f"{BLANKS}\n\r\x85\u2028\u2029"


class Blanks:
    """Makes what a screen shows, like `wording.written`, of one event after the other. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_blank = False  # whether the last text was empty
        self._hidden = 0  # empty texts that came after the last row shown
        self._name = ""

    def written(
        self, event: Event, screen: Screen | None, own_name: str = "", *, is_typed: bool = True
    ) -> Iterator[str]:
        """Yield what `wording.written` yields, without empty texts that follow an empty one."""
        hidden, is_shown = self._take(event) if screen else (0, True)
        if hidden:
            texts = "text" if hidden == 1 else "texts"
            yield from written(Notice(f"{quoted_name(self._name)} has sent {hidden} more empty {texts}"), screen)
        if is_shown:
            yield from written(event, screen, own_name, is_typed=is_typed)

    def _take(self, event: Event) -> tuple[int, bool]:
        """Take note of `event`. Returns how many hidden texts are to be reported now, and whether `event` is
        shown."""
        if not isinstance(event, TextReceived | Ended):
            return 0, True
        with self._lock:
            is_blank = False
            if isinstance(event, TextReceived):
                is_blank, self._name = not event.text.strip(NOTHING), event.name
            if is_blank and self._is_blank:
                self._hidden += 1
                return 0, False
            hidden, self._hidden, self._is_blank = self._hidden, 0, is_blank
            return hidden, True
