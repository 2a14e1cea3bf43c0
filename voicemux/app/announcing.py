"""Tells the local network of a listener, if its user wants that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.net.listener import ListeningSockets

if TYPE_CHECKING:
    from voicemux.net.neighbours import Announcement


def announce(name: str | None, listener: ListeningSockets, tell: Callable[[str], None]) -> "Announcement | None":
    """Announce the listener by that name; None: the user does not want that. `tell` hears the result, in any thread.

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
