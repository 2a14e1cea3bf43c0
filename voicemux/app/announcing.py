"""Announces a listener on the local network, and has the router forward its port, if the user wants that."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.app.settings import RingSettings
from voicemux.net.listener import ListeningSockets
from voicemux.net.sessions import Sessions

if TYPE_CHECKING:
    from voicemux.net.neighbours import Announcement


def publish(
    ring: RingSettings, listener: ListeningSockets, sessions: Sessions, tell: Callable[[str], None]
) -> contextlib.ExitStack:
    """Announce the listener and have its port forwarded, as the user wants. Closing the returned stack undoes both.
    `tell` gets the results as sentences, in any thread.

    Raises OutOfResources, LibraryMissing.
    """
    with contextlib.ExitStack() as done:
        if announcement := announce(ring.announced, listener, tell):
            done.callback(announcement.close)
        if ring.maps_port:
            from voicemux.net.port_mapping import PortMapping, UpnpRouter

            mapping = PortMapping(listener.port, UpnpRouter(), tell)
            mapping.start()
            done.callback(mapping.close)
            sessions.mapped = lambda: mapping.address
        return done.pop_all()


def announce(name: str | None, listener: ListeningSockets, tell: Callable[[str], None]) -> "Announcement | None":
    """Announce the listener by that name, or not if `name` is None. `tell` gets the result as a sentence, in any
    thread.

    Raises OutOfResources.
    """
    if name is None:
        return None
    if not (hosts := listener.numbers()):
        tell(f"it is not announced: only this machine can reach {listener.addresses()[0]}")
        return None
    from voicemux.net.neighbours import Announcement

    return Announcement(
        name,
        listener.port,
        hosts,
        lambda given: tell(f"announced on the local network as {given}"),
        lambda error: tell(str(error)),
    )
