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
    Invitation,
    Listening,
    Missed,
    MissedCalls,
    NewCode,
    Ringing,
    TurnedAway,
)
from voicemux.events.calls import (
    AudioStarted,
    AudioStopped,
    Connected,
    Delivered,
    Ended,
    Interrupted,
    Late,
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
    Waiting,
)

__all__ = [
    "Answered",
    "AudioStarted",
    "AudioStopped",
    "Calling",
    "Connected",
    "Delivered",
    "Ended",
    "Event",
    "Failed",
    "Interrupted",
    "Invitation",
    "Late",
    "Listening",
    "Missed",
    "MissedCalls",
    "NewCode",
    "Notice",
    "PeerSwitched",
    "Quiet",
    "Rejected",
    "Resumed",
    "Ringing",
    "Stats",
    "Status",
    "Switched",
    "TextReceived",
    "TurnedAway",
    "Undelivered",
    "Voice",
    "Waiting",
    "to_dict",
]


@dataclass(frozen=True)
class Notice:
    """Something that the user should know, in a line."""

    text: str


@dataclass(frozen=True)
class Failed:
    """Why the program ends, when not well. `said`, `kind` and `hint` are as those of `Ended`."""

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
    | Ringing
    | Answered
    | Missed
    | MissedCalls
    | Connected
    | PeerSwitched
    | Quiet
    | Interrupted
    | Resumed
    | Late
    | AudioStarted
    | AudioStopped
    | TextReceived
    | Switched
    | Waiting
    | Notice
    | TurnedAway
    | Stats
    | Status
    | Delivered
    | Rejected
    | Ended
    | Failed
)


def to_dict(event: Event) -> dict[str, Any]:
    """An event as the object that goes out as JSON: `TextReceived(...)` is {"event": "text_received", ...}."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": _NAMES.get(name, name), **asdict(event)}


_NAMES = {"text_received": "text", "status": "stats"}
