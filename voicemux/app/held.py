"""The call that is held now, as the main thread and the keyboard's thread both know it."""

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
    """Both threads read all of it; each value is set by one of them."""

    def __init__(self, *, reads_input: bool) -> None:
        """`reads_input` is false where standard input is not for typing."""
        # Set by the main thread.
        self.call: RunningCall | None = None
        self.met: Introduced | None = None  # who is in the call
        self.sides: BothSides | None = None  # its recording
        self.exchange: DeviceExchange | None = None  # of its devices
        self.volumes: VolumeMemory | None = None
        self.last: Stats | None = None  # figures of the call before
        self.is_finite = False  # the sound that is sent has an end of its own
        self.has_sent_all = False  # and has reached it
        # Set by the keyboard's thread.
        self.interrupted: RunningCall | None = None  # which Ctrl-C has hung up
        self.has_typed_all = not reads_input
        self.has_typed_something = False
        self.unsent = 0  # texts that came when there was no call to send them in

    def hang_up_if_all_is_said(self, call: RunningCall) -> None:
        """Where what is typed and what is heard come from files or pipes, the end of both ends the call.

        An input that was closed or empty from the beginning says nothing about the call.
        """
        if self.has_typed_all and (self.has_sent_all if self.is_finite else self.has_typed_something):
            call.hang_up()


def hurry_away(call: RunningCall, console: Console) -> None:
    """The user wants to be gone: what was typed still arrives, what is still to be shown is not waited for."""
    console.hurry()
    call.hang_up()
