"""Connections that have carried a call until a moment ago: each has a last word, is cut, and then closed."""

import threading

from voicemux.calls.carrier import Carrier
from voicemux.protocol.messages import Bye


class Retired:
    """`close` belongs to the owner of the call, in the end; the rest to any thread, and does not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._carriers: list[tuple[float, Carrier]] = []  # and when each is cut

    def add(self, carrier: Carrier, bye: Bye | None, cut_at: float, *, keeps_voice: bool = False) -> None:
        """It carries the call no more: nothing goes out there but `bye`, until it is cut; and our voice, if it
        `keeps_voice`."""
        carrier.writer.retire(bye, keeps_voice=keeps_voice)
        with self._lock:
            self._carriers.append((cut_at, carrier))

    def tidy(self, now: float) -> None:
        """Cut those that have had their last word, and close those whose threads have ended."""
        for cut_at, carrier in self._all:
            if now >= cut_at:
                carrier.cut()
            if carrier.is_over:
                carrier.close()
                with self._lock:
                    self._carriers = [each for each in self._carriers if each[1] is not carrier]

    def leave(self, still_heard: Carrier | None, cut_at: float) -> None:
        """Another one has the call for good: cut all, but `still_heard` later. Nothing more is said there."""
        with self._lock:
            self._carriers = [(cut_at if each is still_heard else at, each) for at, each in self._carriers]
        for _, carrier in self._all:
            if carrier is still_heard:
                carrier.writer.end()
            else:
                carrier.cut()

    def cut(self) -> None:
        """Cut all."""
        for _, carrier in self._all:
            carrier.cut()

    def close(self) -> None:
        """Join the threads of all, which `cut` has woken, and close their streams."""
        for _, carrier in self._all:
            carrier.close()

    @property
    def _all(self) -> list[tuple[float, Carrier]]:
        with self._lock:
            return self._carriers.copy()
