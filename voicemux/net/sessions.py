"""The sessions that a listener keeps: which calls may be resumed, and by which callers (protocol.md §17).

A session belongs to the key that has begun it, or, in a plain call, to every caller that has its 16 bytes.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.address import Address
from voicemux.net.caller import Caller
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Bye, ByeCode

MOST_RESUMES = 60  # resumes of one session in a MINUTE: a peer with more is broken, or hostile
MINUTE = 60.0  # seconds
GONE = Bye(ByeCode.GONE), "it goes on with a call that is not here"
# The dialler's connection was slow, and a newer one of the same dialler has resumed the call meanwhile.
OVERTAKEN = Bye(ByeCode.REPLACED), "it goes on with a call that has gone on already"

Resume = Callable[[Caller], bool]


@dataclass
class _Kept:
    fingerprint: str  # fingerprint of the key that has begun the session; "" in a plain call
    is_secure: bool
    first: int  # `Caller.id` of the connection that began the session
    newest: int  # `Caller.id` of the connection that carries the call, or did last
    host: str  # IP address from which that connection comes
    has_line: Callable[[], bool] = lambda: True
    resume: Resume | None = None  # None: the call has not begun yet
    waiting: Caller | None = None  # a caller that resumes the call, and waits for it to begin
    on_closed: Callable[[], None] = lambda: None
    resumes: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESUMES))


class Sessions:
    """The sessions of one listener. Any thread may use them; no method waits."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        let_in: Callable[[Stream], None] | None = None,
        port: int = 0,
    ) -> None:
        """`let_in` has a connection greeted like one that was accepted; None: there is no such way. `port` is the
        port on which the listener accepts connections; 0: not known."""
        self._clock = clock
        self.let_in = let_in
        self.port = port
        # Address that the router forwards to the listener, or None.
        self.mapped: Callable[[], Address | None] = lambda: None
        self._lock = threading.Lock()
        self._kept: dict[bytes, _Kept] = {}
        self._is_closed = False

    def expect(self, caller: Caller) -> bool:
        """Expect the session that the caller begins. A caller that resumes it before `keep` waits. Returns False if
        another call has the session."""
        with self._lock:
            if caller.hello.session in self._kept:
                return False
            self._kept[caller.hello.session] = _Kept(*_owner(caller), caller.id, caller.id, caller.host)
            return True

    def keep(
        self,
        session: bytes,
        resume: Resume,
        on_closed: Callable[[], None],
        has_line: Callable[[], bool] = lambda: True,
    ) -> None:
        """The call of an expected session has begun. `resume` gives it another connection, and returns whether the
        call has taken it. `on_closed` is called when no more callers come. `has_line` returns whether a connection
        carries it now."""
        waiting = None
        with self._lock:
            if kept := self._kept.get(session):
                kept.resume, kept.on_closed, kept.has_line = resume, on_closed, has_line
                waiting, kept.waiting = kept.waiting, None
            is_closed = self._is_closed
        if is_closed:
            on_closed()
        if waiting and (refused := self._give(waiting, resume)):
            _send_away(waiting, refused[0])

    def forget(self, session: bytes) -> None:
        """Forget the session, which is over. Calling it again does nothing."""
        with self._lock:
            kept = self._kept.pop(session, None)
        if kept and kept.waiting:
            _send_away(kept.waiting, GONE[0])

    def has(self, fingerprint: str) -> bool:
        """Whether a session that was begun by this key is kept."""
        with self._lock:
            return any(kept.fingerprint == fingerprint for kept in self._kept.values())

    def gives_way(self, current: Caller, caller: Caller) -> bool:
        """Whether the call that `current` began makes room for a new caller: both calls are plain, the first has no
        connection, and its last one came from the caller's IP address.

        Most likely, that program was restarted. A plain call has no key to prove it.
        """
        with self._lock:
            kept = self._kept.get(current.hello.session)
            if kept is None or kept.first != current.id or kept.is_secure or caller.stream.is_secure:
                return False
            return kept.host == caller.host and not kept.has_line()

    def resume(self, caller: Caller) -> tuple[Bye, str] | None:
        """Give the caller's connection to the session that it resumes. No user is asked, and nothing rings.

        If the caller may not resume it, returns the BYE for the caller and the reason for the user. Otherwise returns
        None: then the call has the connection, or it was closed in favour of a later try.
        """
        with self._lock:
            kept = self._kept.get(caller.hello.session)
            if kept is None or (kept.fingerprint, kept.is_secure) != _owner(caller):
                return GONE
            now, resume, before = self._clock(), kept.resume, kept.waiting
            may_resume = len(kept.resumes) < MOST_RESUMES or now - kept.resumes[0] >= MINUTE
            if may_resume:
                kept.resumes.append(now)
            kept.waiting = caller if may_resume and resume is None else None
        if before:
            before.stream.close()
        if not may_resume:
            caller.stream.close()
        return self._give(caller, resume) if may_resume and resume else None

    def _give(self, caller: Caller, resume: Resume) -> tuple[Bye, str] | None:
        with self._lock:
            kept = self._kept.get(caller.hello.session)
            if kept and caller.id < kept.newest:
                return OVERTAKEN
        try:
            if not resume(caller):
                return GONE
        except RemoteProtocolError as error:
            return Bye(error.code, str(error)), str(error)
        with self._lock:
            if kept and caller.id > kept.newest:
                kept.newest, kept.host = caller.id, caller.host
        return None

    def close(self) -> None:
        """The listener closes: from now on, the calls end with their connections."""
        with self._lock:
            self._is_closed = True
            kept = list(self._kept.values())
        for each in kept:
            each.on_closed()


def _owner(caller: Caller) -> tuple[str, bool]:
    return (caller.peer.fingerprint if caller.peer else "", caller.stream.is_secure)


def _send_away(caller: Caller, bye: Bye) -> None:
    with contextlib.suppress(ConnectionLost):
        caller.stream.write(caller.sending.encode(bye))
        caller.stream.finish()
    caller.stream.close()
