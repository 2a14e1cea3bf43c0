"""What the program says to the user on its own, each once in a run."""

from voicemux.console.plain import Console
from voicemux.events import Notice


class Notices:
    """Any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def once(self, text: str) -> None:
        """Show it, unless it has been shown in this run."""
        if self.is_new(text):
            self._console.show(Notice(text))

    def is_new(self, text: str) -> bool:
        """Whether `text` has not been told in this run. From now on it counts as told."""
        if text in self._told:
            return False
        self._told.add(text)
        return True
