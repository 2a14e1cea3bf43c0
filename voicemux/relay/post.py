"""A listener's place at a relay: a thread waits there, hands over each caller, and waits again.

If the connection or the relay is lost, it tries again by itself.
"""

import random
import threading
import time
from collections.abc import Callable

from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError, Unreachable, VoicemuxError
from voicemux.net.stream import Stream, receive_within
from voicemux.relay.approach import Approach
from voicemux.relay.messages import Moved, Paired, Parked, Refused, Reply, Wait
from voicemux.relay.places import RelayPlace
from voicemux.relay.relayed import PATIENCE, RelayedStream, knock, moved_to, refused_by, replies, seen_at
from voicemux.threads import Threads

# Seconds before the next try, by how many have failed. Up to one more second is added at random, so that not all
# listeners come at once when a relay is back. The delays are LiveKit's (client-sdk-js, DefaultReconnectPolicy), with
# longer ones behind.
LADDER = (0.0, 0.3, 1.2, 2.7, 4.8, 7.0, 7.0, 7.0, 7.0, 15.0, 30.0)
# Seconds: a listener that is joined sooner than that after WAIT, several times in a row, waits a little: the relay
# may be hostile.
AT_ONCE = 0.5
CHECK = 2.0  # seconds between two looks at whether the ids have changed
CLOSE_PATIENCE = 1.0  # seconds for the thread to end; if it is just connecting, it ends later by itself

Ids = Callable[[], tuple[bytes, ...]]


def pause_after(failures: int) -> float:
    """Return the seconds before the next try, after that many failures."""
    step = LADDER[min(failures, len(LADDER) - 1)]
    return step + random.random() * min(step, 1.0)


Tell = Callable[[VoicemuxError | None], None]


class Post:
    """One place at a relay. Call `start()`, perhaps `try_once()` before, and `close()` in the end."""

    def __init__(self, place: RelayPlace, owner: bytes, ids: Ids, tell: Tell) -> None:
        """`ids` is called repeatedly, and the ids that it returns are waited for; if it returns none, there is no
        connection.

        `tell` gets, in this thread, the error when the relay is lost, and None when it is back.
        """
        self._home = self._place = place
        self._owner = owner
        self._ids = ids
        self._tell = tell
        self._on_caller: Callable[[RelayedStream], None] | None = None
        self._waiting: tuple[Stream, Approach, tuple[bytes, ...]] | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._is_lost = False
        self._threads = Threads()

    def try_once(self, timeout: float) -> None:
        """Begin to wait at the relay. Raises VoicemuxError, with Kind.NUMBER_TAKEN if another program waits under the
        number."""
        self._wait(timeout)

    def start(self, on_caller: Callable[[RelayedStream], None]) -> None:
        """Give each caller to `on_caller`, in a thread of its own. Raises OutOfResources."""
        self._on_caller = on_caller
        self._threads.start("relay", self._run, daemon=True)

    def close(self) -> None:
        """Leave the relay, and end the thread."""
        with self._lock:
            self._closing.set()
            if self._waiting:
                self._waiting[0].cut()
        if self._on_caller:
            self._ended.wait(CLOSE_PATIENCE)
        elif self._waiting:
            self._waiting[0].close()

    def _run(self) -> None:
        failures = quick = 0
        try:
            while not self._closing.is_set():
                began = time.monotonic()
                try:
                    if not self._waiting:
                        self._wait(PATIENCE)
                    if self._is_lost:
                        self._is_lost = False
                        self._tell(None)
                    failures = 0
                    has_paired = self._serve()
                except VoicemuxError as error:
                    self._drop()
                    self._lost(error)
                    self._closing.wait(pause_after(failures))
                    failures += 1
                else:
                    quick = quick + 1 if has_paired and time.monotonic() - began < AT_ONCE else 0
                    self._closing.wait(min(1.0, pause_after(quick)))
        finally:
            self._drop()
            self._ended.set()

    def _lost(self, error: VoicemuxError) -> None:
        if not self._is_lost and not self._closing.is_set():
            self._is_lost = True
            self._tell(error)

    def _wait(self, timeout: float) -> None:
        """Connect to the relay, and send WAIT until it answers WAITING."""
        ids = self._ids()
        while not ids:
            if self._closing.wait(CHECK):
                return
            ids = self._ids()
        approach = Approach(Wait(self._owner, ids), self._place.token)
        try:
            stream = knock(self._place, approach, timeout)
        except VoicemuxError:
            self._place = self._home  # the relay that sent us away with MOVED may send us on again
            raise
        with self._lock:
            self._waiting = stream, approach, ids
            if self._closing.is_set():
                stream.cut()
        try:
            reply = next(replies(stream, approach, time.monotonic() + timeout))
            if not isinstance(reply, Parked):
                self._obey(reply)
        except VoicemuxError:
            self._drop()
            raise

    def _serve(self) -> bool:
        """Wait until a caller has come (returns True), or the ids have changed (False)."""
        if not self._waiting:
            return False
        stream, approach, ids = self._waiting
        for reply in approach.receive(b""):  # PAIRED may have come with WAITING
            if self._is_caller(reply, stream, approach):
                return True
        while not self._closing.is_set():
            data = receive_within(stream, CHECK)
            if data is None:
                if self._ids() != ids:
                    self._drop()
                    return False
                continue
            if not data:
                approach.receive_end()
            for reply in approach.receive(data):
                if self._is_caller(reply, stream, approach):
                    return True
        return False

    def _is_caller(self, reply: Reply, stream: Stream, approach: Approach) -> bool:
        if not isinstance(reply, Paired):
            self._obey(reply)
            return False
        with self._lock:
            self._waiting = None
        assert self._on_caller
        self._on_caller(RelayedStream(stream, str(self._home), approach.rest, seen_at(self._place, reply)))
        return True

    def _obey(self, reply: Reply) -> None:
        """Act on a reply other than PAIRED: raise VoicemuxError, whose text says why this side cannot wait here."""
        if isinstance(reply, Moved):
            self._place = moved_to(self._place, reply)
            raise ConnectionLost(f"the relay {self._home} sends us to {self._place}")
        if isinstance(reply, Refused):
            self._place = self._home
            raise refused_by(self._home, reply)
        raise RemoteProtocolError("the relay joins us with a caller before it lets us wait")

    def _drop(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting:
            waiting[0].close()


def is_taken(error: VoicemuxError) -> bool:
    """Whether the error says that another program waits under that number."""
    return isinstance(error, Unreachable) and error.kind is Kind.NUMBER_TAKEN
