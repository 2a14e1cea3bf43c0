"""Cases of PATHS: protocol.md §5.15 and §17.8. There is no relay here, so a program does nothing by them."""

import contextlib
import os

from voicemux.conform.link import Link
from voicemux.conform.subject import OWN_HELLO, DiallerSubject, Subject
from voicemux.conform.verdict import Failed, case
from voicemux.net.listener import ListeningSockets, accept
from voicemux.protocol.messages import Hello, NetworkPath, PathKind, Paths
from voicemux.protocol.wire import SESSION_SIZE

GRACE = 5  # seconds that our HELLO offers
WATCHING = 2.0  # seconds in which the program would connect to an address of our PATHS
LOOPBACK = "127.0.0.1"
NO_KIND = 9


@case(5)
def paths(subject: Subject) -> None:
    """Without a relay it says no PATHS, and goes nowhere by ours."""
    link = _begin(subject)
    with contextlib.closing(ListeningSockets(LOOPBACK, 0)) as trap:
        for kind in (*PathKind, NO_KIND):
            link.say(Paths((NetworkPath(kind, LOOPBACK, trap.port),), now=True))
        link.say(*[Paths()] * 10)
        link.watch(WATCHING)
        if came := accept(trap.sockets[0]):
            came.close()
            raise Failed(f"expected no connection to {LOOPBACK}, which a PATHS had named, got one")
    if said := link.all(Paths):
        raise Failed(f"expected no PATHS, since no relay is between us, got {said[0]}")
    link.expect_pong()


def _begin(subject: Subject) -> Link:
    if isinstance(subject, DiallerSubject):
        link = subject.open()
        link.hello = link.expect(Hello)
        link.say(_hello(link.hello.session))
    else:
        link = subject.call(_hello(os.urandom(SESSION_SIZE)))
    link.expect_pong()
    return link


def _hello(session: bytes) -> Hello:
    """Return our HELLO, which offers everything that resuming needs."""
    grace = GRACE if session else 0
    return Hello(OWN_HELLO.name, OWN_HELLO.agent, OWN_HELLO.codecs, session, None, grace, bool(session))
