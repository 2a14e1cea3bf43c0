"""The session that lets a call outlive its connection (protocol.md §17): what both HELLOs have agreed on, and how
either side gets another connection for it."""

import secrets
from dataclasses import dataclass, replace

from voicemux.net.sessions import Sessions
from voicemux.net.ways import Way
from voicemux.protocol.messages import Hello
from voicemux.protocol.wire import SESSION_SIZE
from voicemux.relay.places import RelayPlace
from voicemux.security.handshake import Peer
from voicemux.security.identity import Identity


@dataclass(frozen=True)
class Bond:
    """The session of one call. The dialler's has `ways`, by which the listener can be reached; the listener's has
    `sessions`, where a returning dialler finds its call."""

    own: Hello  # our HELLO, as we sent it
    grace: float  # seconds for which both sides keep the call without a line
    peer: Peer | None  # None in a plain call
    ways: tuple[Way, ...] = ()
    # The dialler's: the relay through which the call began; None if it began directly.
    relay: RelayPlace | None = None
    identity: Identity | None = None  # the dialler's own key; None in a plain call
    sessions: Sessions | None = None

    @property
    def session(self) -> bytes:
        """The 16 bytes by which both sides name the session."""
        return self.own.session

    @property
    def uses_paths(self) -> bool:
        """Whether both sides say where they may be reached without the relay (protocol.md §17.8)."""
        return self.own.paths and self.peer is not None

    def hello(self, last_text: int) -> Hello:
        """Our HELLO for another connection."""
        return replace(self.own, last_text=last_text)


def offered(hello: Hello, grace: int) -> Hello:
    """Return the dialler's HELLO with a new random session id and `grace` seconds; unchanged if `grace` is 0."""
    return replace(hello, session=secrets.token_bytes(SESSION_SIZE), grace=grace) if grace else hello


def accepted(hello: Hello, theirs: Hello, grace: int, *, paths: bool = False) -> Hello:
    """Return the listener's HELLO that accepts the dialler's session. It is unchanged if the dialler, `theirs`,
    begins no session, or if `grace` (seconds) is 0. `paths`: we accept the dialler's PATHS, too.

    A HELLO with a `last_text` resumes a session and begins none.
    """
    if not (theirs.session and theirs.grace and grace) or theirs.last_text is not None:
        return hello
    return replace(hello, session=theirs.session, grace=grace, paths=paths and theirs.paths)


def agreed(own: Hello, theirs: Hello) -> float:
    """Return for how many seconds both sides keep the session without a connection, the smaller of both graces; 0 if
    they have no session in common."""
    is_common = bool(own.session) and own.session == theirs.session and theirs.last_text is None
    return float(min(own.grace, theirs.grace)) if is_common else 0.0
