"""Recording of a call by programs that use the Python API."""

from typing import TYPE_CHECKING

from voicemux.api import arguments
from voicemux.calls.call import RunningCall
from voicemux.errors import DeviceError

if TYPE_CHECKING:
    from voicemux.audio.both_sides import BothSides


class RecordedCall:
    """The part of a `Call` that records it."""

    def __init__(self, call: RunningCall, sides: "BothSides | None") -> None:
        self._recorded_call = call
        self._sides = sides

    def record(self, path: str) -> str:
        """Record both sides to a new sound file, us on the left, the peer on the right; the peer is told so.

        Returns its path, which has a number in it if there is such a file already; "" if the call has ended, and then
        there is no file. If the disk is full, the recording ends, an event says so, and the call goes on. Raises
        DeviceError if there can be no such file, if one is being written, or in a call without sound.
        """
        arguments.text("path", path)
        if self._sides is None:
            raise DeviceError("there is no voice to record in this call")
        if not self._recorded_call.goes_on:
            return ""
        self._recorded_call.record(self._sides.start(path))
        return self._sides.path

    def stop_recording(self) -> None:
        """End the recording, if there is one."""
        if self._sides and self._sides.recorder:
            self._recorded_call.record(self._sides.recorder, on=False)

    def _end_recordings(self) -> None:
        """Close the files: the call has ended. Raises DeviceError if the end of one cannot be written."""
        if self._sides:
            self._sides.close()
