"""Connections that a call has just left: each sends a last BYE, is cut, and then closed."""

import threading

from voicemux.calls.carrier import Carrier
from voicemux.protocol.messages import Bye


class Retired:
    """The retired connections of one call. The call's owner calls `close` in the end; any thread may call the rest,
    which does not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._carriers: list[tuple[float, Carrier]] = []  # each with the time at which it is cut

    def add(self, carrier: Carrier, bye: Bye | None, cut_at: float, *, keeps_voice: bool = False) -> None:
        """Retire `carrier`: from now on it sends only `bye`, and our voice if it `keeps_voice`. It is cut at
        `cut_at`, a time in seconds."""
        carrier.writer.retire(bye, keeps_voice=keeps_voice)
        with self._lock:
            self._carriers.append((cut_at, carrier))

    def tidy(self, now: float) -> None:
        """Cut the connections whose time has come, and close those whose threads have ended. `now` is in seconds."""
        for cut_at, carrier in self._all:
            if now >= cut_at:
                carrier.cut()
            if carrier.is_over:
                carrier.close()
                with self._lock:
                    self._carriers = [each for each in self._carriers if each[1] is not carrier]

    def leave(self, still_heard: Carrier | None, cut_at: float) -> None:
        """Another connection has taken over: send nothing more on these. Cut them, but `still_heard`, whose voice is
        still played, only at `cut_at`."""
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
