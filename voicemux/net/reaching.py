"""Goes a way that nothing can wake, as that through a proxy, in a thread that is left behind if it is not wanted."""

import queue
import threading
from collections.abc import Callable

from voicemux.errors import VoicemuxError
from voicemux.net.proxies import connect_by
from voicemux.net.stream import Stream
from voicemux.net.ways import Way
from voicemux.threads import Threads

GLANCE = 0.05  # seconds between two looks at whether to go on


def reach_by(way: Way, goes_on: Callable[[], bool]) -> Stream | None:
    """Connect by that way; None once `goes_on` says so: then a connection that comes too late is closed.

    Raises Unreachable.
    """
    found: queue.SimpleQueue[Stream | VoicemuxError] = queue.SimpleQueue()
    lock, is_awaited = threading.Lock(), [True]

    def connect() -> None:
        result: Stream | VoicemuxError
        try:
            result = connect_by(way)
        except VoicemuxError as error:
            result = error
        with lock:
            if is_awaited[0]:
                found.put(result)
                return
        if not isinstance(result, VoicemuxError):
            result.close()

    Threads().start("proxy", connect, daemon=True)
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
