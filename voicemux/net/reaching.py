"""Connects by a way that cannot be interrupted, such as through a proxy or a relay, in a thread that is abandoned if
the connection is no longer wanted."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from voicemux.errors import VoicemuxError
from voicemux.net.stream import Stream
from voicemux.threads import Threads

Goal = TypeVar("Goal")

GLANCE = 0.05  # seconds between two looks at whether to go on


def reach_by(way: Goal, goes_on: Callable[[], bool], connect_to: Callable[[Goal], Stream]) -> Stream | None:
    """Connect by `way`, and return the stream of `connect_to`; None once `goes_on` returns False: then a connection
    that comes too late is closed. Raises what `connect_to` raises."""
    found: queue.SimpleQueue[Stream | VoicemuxError] = queue.SimpleQueue()
    lock, is_awaited = threading.Lock(), [True]

    def connect() -> None:
        result: Stream | VoicemuxError
        try:
            result = connect_to(way)
        except VoicemuxError as error:
            result = error
        with lock:
            if is_awaited[0]:
                found.put(result)
                return
        if not isinstance(result, VoicemuxError):
            result.close()

    Threads().start("way", connect, daemon=True)
    while goes_on():
        try:
            result = found.get(timeout=GLANCE)
        except queue.Empty:
            continue
        if isinstance(result, VoicemuxError):
            raise result
        return result
    with lock:
        is_awaited[0] = False
    if not found.empty() and not isinstance(result := found.get(), VoicemuxError):
        result.close()
    return None
