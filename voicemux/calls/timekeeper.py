"""The timer's thread of a call: ten times a second it looks how all goes on, and at the end it limits the goodbye."""

import time
from collections.abc import Callable

from voicemux.calls.carrier import Carrier
from voicemux.calls.ending import Ending
from voicemux.calls.vitals import LOOK_INTERVAL
from voicemux.calls.voice_states import VoiceStates
from voicemux.events import Event, Stats, Status, Waiting

SHORT = 1.0  # seconds for which the user waits without being told what for


class Timekeeper:
    """`run` is the body of the thread."""

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        states: VoiceStates,
        ending: Ending,
        stats: Callable[[], Stats],
        post: Callable[[Event], None],
        status_interval: float,
    ) -> None:
        """`name` is the peer's. `status_interval` is the seconds between two `Status` events, or 0; `post` tells the
        user."""
        self._name = name
        self._carrier = carrier
        self._states = states
        self._ending = ending
        self._stats = stats
        self._post = post
        self._status_interval = status_interval
        self._next_status = time.monotonic() + status_interval
        self._tells_of_waiting = False

    def run(self) -> None:
        """Look until there is a reason to end the call, then wait for the end of the peer's stream."""
        while not self._ending.wait(LOOK_INTERVAL):
            now = time.monotonic()
            self._carrier.look(now)
            for event in self._states.look(now, *self._carrier.signs()):
                self._post(event)
            if self._status_interval and now >= self._next_status:
                self._next_status = now + self._status_interval
                self._post(Status(**vars(self._stats())))
        if not self._carrier.await_the_end(SHORT):
            self.tell_of_waiting()
            self._carrier.await_the_end(float("inf"))

    def tell_of_waiting(self) -> None:
        """Tell the user once that the end takes a while, as long as there is something to wait for. Any thread."""
        if not (self._tells_of_waiting or self._carrier.read_to_the_end.is_set()):
            self._tells_of_waiting = True
            self._post(Waiting(self._name, len(self._carrier.writer.undelivered)))
