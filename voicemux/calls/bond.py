"""What both sides have agreed on so that a call outlives its line (protocol.md §17): whose call it is, and how to
have another connection for it."""

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
    """Of one call. A dialler has `ways`, by which the listener can be reached; a listener has `sessions`, the calls
    that can be resumed."""

    own: Hello  # as we have said it
    grace: float  # seconds for which both sides keep the call without a line
    peer: Peer | None  # None in a plain call
    ways: tuple[Way, ...] = ()
    relay: RelayPlace | None = None  # through which the call began, of a dialler
    identity: Identity | None = None  # ours, of a dialler; None in a plain call
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
    """A dialler's HELLO that begins a session, if there is a grace."""
    return replace(hello, session=secrets.token_bytes(SESSION_SIZE), grace=grace) if grace else hello


def accepted(hello: Hello, theirs: Hello, grace: int, *, paths: bool = False) -> Hello:
    """The listener's HELLO that accepts the dialler's session, if there is one and a grace, and its PATHS if we say
    ours, too."""
    if not (theirs.session and theirs.grace and grace) or theirs.last_text is not None:
        return hello
    return replace(hello, session=theirs.session, grace=grace, paths=paths and theirs.paths)


def agreed(own: Hello, theirs: Hello) -> float:
    """The seconds for which both sides keep the session; 0 if they have none in common."""
    is_common = bool(own.session) and own.session == theirs.session and theirs.last_text is None
    return float(min(own.grace, theirs.grace)) if is_common else 0.0
