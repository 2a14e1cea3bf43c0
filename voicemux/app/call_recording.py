"""Records both sides of the call in one file, for `/record`, until the user ends that."""

import os
from typing import TYPE_CHECKING

from voicemux.calls.call import RunningCall
from voicemux.errors import DeviceError, OutOfResources
from voicemux.events import Notice, Rejected

if TYPE_CHECKING:
    from voicemux.audio.both_sides import BothSides


def begin_recording(call: RunningCall, sides: "BothSides | None", wanted: str) -> Notice | Rejected:
    """Record the call to a new file. Returns what to tell the user."""
    if not sides:
        return Rejected("there is no voice to record in this call")
    if not call.goes_on:
        return Rejected("the call has ended: there is nothing to record")
    from voicemux.audio.choices import SoundFile
    from voicemux.audio.studio import check_output

    wanted = os.path.expanduser(wanted)
    try:
        check_output(SoundFile(wanted))
        call.record(sides.start(wanted))
    except (DeviceError, OutOfResources) as error:
        return Rejected(str(error))
    return Notice(f"recording both sides to {sides.path}: the other side is told")


def end_recording(call: RunningCall, sides: "BothSides | None") -> Notice | Rejected:
    """End the recording. Returns what to tell the user."""
    recorder = sides.recorder if sides else None
    if not (sides and recorder and recorder.records):
        return Rejected("this call is not being recorded by /record or --record-call")
    call.record(recorder, on=False)
    return Notice(f"no longer recording to {sides.path}: the other side is told")
