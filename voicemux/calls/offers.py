"""Connections that are better than the one through a relay which carries the call, until the redial thread looks."""

import threading
from collections import deque

from voicemux.net.stream import Stream


class Offers:
    """Any thread may use it."""

    def __init__(self, changed: threading.Condition) -> None:
        """`changed` guards it, and is told when there is one."""
        self._changed = changed
        self._streams: deque[Stream] = deque()
        self._is_closed = False

    def put(self, stream: Stream) -> None:
        """Have the call go on there, if that is the listener of the call and a relay still carries the call."""
        with self._changed:
            if is_open := not self._is_closed:
                self._streams.append(stream)
                self._changed.notify_all()
        if not is_open:
            stream.close()

    def __bool__(self) -> bool:
        return bool(self._streams)

    def take(self) -> Stream | None:
        """The oldest, None if there is none."""
        with self._changed:
            return self._streams.popleft() if self._streams else None

    def drop(self) -> None:
        """Close all: they are of no use any more."""
        while stream := self.take():
            stream.close()

    def close(self) -> None:
        """Close all, and each that still comes."""
        with self._changed:
            self._is_closed = True
        self.drop()
