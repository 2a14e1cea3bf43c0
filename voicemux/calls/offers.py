"""Direct connections that may replace the relayed one, queued for the redial thread."""

import threading
from collections import deque

from voicemux.net.stream import Stream


class Offers:
    """A queue of connections. Any thread may use it."""

    def __init__(self, changed: threading.Condition) -> None:
        """`changed` guards the queue, and is notified when a connection is put."""
        self._changed = changed
        self._streams: deque[Stream] = deque()
        self._is_closed = False

    def put(self, stream: Stream) -> None:
        """Offer a connection. The redial thread uses it if it leads to the listener of the call and a relay still
        carries the call."""
        with self._changed:
            if is_open := not self._is_closed:
                self._streams.append(stream)
                self._changed.notify_all()
        if not is_open:
            stream.close()

    def __bool__(self) -> bool:
        """Whether a connection waits."""
        return bool(self._streams)

    def take(self) -> Stream | None:
        """Remove and return the oldest connection; None if there is none."""
        with self._changed:
            return self._streams.popleft() if self._streams else None

    def drop(self) -> None:
        """Close all connections that wait."""
        while stream := self.take():
            stream.close()

    def close(self) -> None:
        """Close all connections that wait, and from now on each one that is put."""
        with self._changed:
            self._is_closed = True
        self.drop()
