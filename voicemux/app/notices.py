"""Shows what the program says to the user unasked, each sentence once in a run."""

from voicemux.console.plain import Console
from voicemux.events import Notice


class Notices:
    """The notices of one run. Any thread may use them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def once(self, text: str) -> None:
        """Show `text`, unless it was shown in this run."""
        if self.is_new(text):
            self._console.show(Notice(text))

    def is_new(self, text: str) -> bool:
        """Whether `text` was not told in this run. From now on, it counts as told."""
        if text in self._told:
            return False
        self._told.add(text)
        return True
