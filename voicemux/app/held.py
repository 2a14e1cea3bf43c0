"""The call that is held now, as the main thread and the keyboard's thread share it."""

from typing import TYPE_CHECKING

from voicemux.app.exchanging import DeviceExchange
from voicemux.app.volumes import VolumeMemory
from voicemux.calls.call import RunningCall
from voicemux.calls.introduction import Introduced
from voicemux.console.plain import Console
from voicemux.events import Stats

if TYPE_CHECKING:
    from voicemux.audio.both_sides import BothSides


class Held:
    """The shared state. Both threads read all of it; each value is set by one of them."""

    def __init__(self, *, reads_input: bool) -> None:
        """`reads_input` is False if standard input is not for typing."""
        # Set by the main thread.
        self.call: RunningCall | None = None
        self.met: Introduced | None = None  # the peer of the call
        self.sides: BothSides | None = None  # the recording of both sides
        self.exchange: DeviceExchange | None = None  # the exchange of its devices
        self.volumes: VolumeMemory | None = None
        self.last: Stats | None = None  # figures of the last call
        self.is_finite = False  # the input is a file or pipe, which ends
        self.has_sent_all = False  # and it has ended
        # Set by the keyboard's thread.
        self.interrupted: RunningCall | None = None  # the call that Ctrl-C has hung up
        self.has_typed_all = not reads_input
        self.has_typed_something = False
        self.unsent = 0  # texts that were typed without a call

    def hang_up_if_all_is_said(self, call: RunningCall) -> None:
        """Hang up if the sound to send and the typed text both come from files or pipes, and both have ended.

        An input that was closed or empty from the beginning does not count.
        """
        if self.has_typed_all and (self.has_sent_all if self.is_finite else self.has_typed_something):
            call.hang_up()


def hurry_away(call: RunningCall, console: Console) -> None:
    """Hang up for a user in a hurry: what was typed still arrives, but what is still to be shown is not waited
    for."""
    console.hurry()
    call.hang_up()
