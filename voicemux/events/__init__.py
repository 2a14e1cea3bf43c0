"""What happens, as the user is told: one frozen dataclass for each kind, the same for people and for programs.

Names and texts of the peer are as they came; the program that shows them makes them printable. The field
names are the keys of the JSON events that docs/json.md documents.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from voicemux.events.beginnings import (
    Answered,
    Calling,
    CallRinging,
    Invitation,
    Listening,
    Missed,
    MissedCalls,
    NewCode,
    TurnedAway,
)
from voicemux.events.calls import (
    AudioStarted,
    AudioStopped,
    Connected,
    Delivered,
    DeviceChanged,
    DeviceList,
    Direct,
    Ended,
    Hint,
    Interrupted,
    Late,
    Level,
    ListedDevice,
    MicModeChosen,
    PeerSwitched,
    Quiet,
    Rejected,
    Resumed,
    Stats,
    Status,
    Switched,
    TextReceived,
    Undelivered,
    Voice,
    VolumeChosen,
    Waiting,
    loudness,
)

__all__ = [
    "Answered",
    "AudioStarted",
    "AudioStopped",
    "CallRinging",
    "Calling",
    "Connected",
    "Delivered",
    "DeviceChanged",
    "DeviceList",
    "Direct",
    "Ended",
    "Event",
    "Hint",
    "Interrupted",
    "Invitation",
    "Late",
    "Level",
    "ListedDevice",
    "Listening",
    "MicModeChosen",
    "Missed",
    "MissedCalls",
    "NewCode",
    "Notice",
    "PeerSwitched",
    "ProgramFailed",
    "Quiet",
    "Rejected",
    "Resumed",
    "Stats",
    "Status",
    "Switched",
    "TextReceived",
    "TurnedAway",
    "Undelivered",
    "Voice",
    "VolumeChosen",
    "Waiting",
    "loudness",
    "to_dict",
]


@dataclass(frozen=True)
class Notice:
    """Something that the user should know, in one line."""

    text: str


@dataclass(frozen=True)
class ProgramFailed:
    """The program ends because of an `error`. `said`, `kind` and `hint` are as in `Ended`."""

    error: str
    exit_code: int
    said: str = ""
    kind: str = ""
    hint: str = ""


Event = (
    Listening
    | NewCode
    | Invitation
    | Calling
    | CallRinging
    | Answered
    | Missed
    | MissedCalls
    | Connected
    | PeerSwitched
    | Quiet
    | Interrupted
    | Resumed
    | Direct
    | Late
    | Hint
    | Level
    | AudioStarted
    | AudioStopped
    | DeviceChanged
    | DeviceList
    | TextReceived
    | Switched
    | MicModeChosen
    | VolumeChosen
    | Waiting
    | Notice
    | TurnedAway
    | Stats
    | Status
    | Delivered
    | Rejected
    | Ended
    | ProgramFailed
)


def to_dict(event: Event) -> dict[str, Any]:
    """Return an event as the JSON object that is written: `TextReceived(...)` is {"event": "text_received", ...}."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": _NAMES.get(name, name), **asdict(event)}


_NAMES = {
    "text_received": "text",
    "status": "stats",
    "call_ringing": "ringing",
    "program_failed": "failed",
    "device_list": "devices",
}
