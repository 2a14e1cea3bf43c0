"""Notices when the sound server moves a call to another device: its default has changed, or a device was
unplugged."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.events import DeviceChanged, Event, Notice

if TYPE_CHECKING:
    from voicemux.audio.capture.transmitter import Transmitter
    from voicemux.audio.cards import Cards
    from voicemux.audio.pulse import ServedDevice

INTERVAL = 2.0  # seconds between two looks, each of which costs 5 ms of CPU
PATIENCE = 0.9  # seconds for two answers of the server, which take 20 ms if it is well
# Seconds until the next look if the server was slower than PATIENCE: each look leaves a waiting thread behind.
UNANSWERED = 15.0
WORDS = {"input": "your microphone", "output": "your loudspeaker"}
MANY = "it changes again and again: it is followed, and you are told no more for a minute"


class DeviceFollower:
    """Follows the devices of one call. A thread runs `run`; `stop` ends it."""

    def __init__(self, cards: "Cards", transmitter: "Transmitter | None", tell: Callable[[Event], None]) -> None:
        """`transmitter` is the microphone's half; without it, only the loudspeaker is followed."""
        from voicemux.audio.following import DeviceWatch

        self._cards = cards
        self._transmitter = transmitter
        self._tell = tell
        self._over = threading.Event()
        self._watches = {kind: DeviceWatch() for kind in WORDS}
        self._opened: dict[str, object] = {}  # card by direction, as at the last look
        self._used: dict[str, str] = {}  # name of the server's device by direction, as at the last look
        self._dull: set[str] = set()  # names of devices that the user was told are in telephone mode

    def run(self) -> None:
        """Look until `stop`."""
        pause = 0.0
        while not self._over.wait(pause):
            began = time.monotonic()
            for kind in WORDS:
                self._look(kind)
            pause = INTERVAL if time.monotonic() - began < PATIENCE else UNANSWERED

    def stop(self) -> None:
        """End `run`. Any thread may call it."""
        self._over.set()

    def _look(self, kind: str) -> None:
        opened = self._cards.source if kind == "input" else self._cards.sink
        if opened is not self._opened.get(kind):  # the user has chosen it, or it was reopened: the user knows
            self._opened[kind] = opened
            self._watches[kind].expect(None)
            self._used.pop(kind, None)
        used = self._cards.used(kind)
        if used is None or (kind == "input" and self._lose_monitor(used)):
            return
        before = self._used.get(kind)
        if before != used.name:
            self._used[kind] = used.name
            if kind == "input" and self._transmitter and self._cards.hear_all_of(used, self._transmitter.in_use):
                self._opened[kind] = self._cards.source
            if before:
                self._cards.on_change()
        if self._watches[kind].look(time.monotonic(), used.name):
            self._tell(DeviceChanged(kind, used.description))
            if self._watches[kind].is_busy:
                self._tell(Notice(f"{WORDS[kind]}: {MANY}"))
        self._look_for_telephone(kind, used)

    def _lose_monitor(self, used: "ServedDevice") -> bool:
        """Take the microphone away if it was the last and is unplugged: the server then records what the loudspeaker
        plays. Returns whether it was."""
        if not (self._transmitter and used.is_monitor and not self._cards.wants_monitor()):
            return False
        self._cards.lose_source(self._transmitter.in_use, "the microphone has gone")
        return True

    def _look_for_telephone(self, kind: str, used: "ServedDevice") -> None:
        from voicemux.audio.endpoints import RATE
        from voicemux.audio.telephone import DULL, is_telephone

        if used.name not in self._dull and is_telephone(used.names, RATE):
            self._dull.add(used.name)
            self._tell(Notice(f"{WORDS[kind]} is {DULL}"))
