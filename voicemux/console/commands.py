"""What the user wants, as data."""

from dataclasses import dataclass

MIC_MODES = ("open", "voice", "ptt")


@dataclass(frozen=True)
class Say:
    """`id` is a program's: by it, it is told when the text has been delivered. `accepts` is what a line of a pipe,
    where everything is text, says to a call that rings; None if it is not an answer."""

    text: str
    id: str = ""
    accepts: bool | None = None


@dataclass(frozen=True)
class Mute:
    pass


@dataclass(frozen=True)
class Deafen:
    pass


@dataclass(frozen=True)
class RecordBoth:
    """Both sides, to a new file of that name."""

    path: str


@dataclass(frozen=True)
class StopRecording:
    pass


@dataclass(frozen=True)
class ChooseMic:
    """What opens the microphone: one of `MIC_MODES`; "" asks what does."""

    mode: str = ""


@dataclass(frozen=True)
class ChooseVolume:
    """How loud the other side is played: percent, or "auto"; None asks for it, or changes it `by` so much."""

    to: int | str | None = None
    by: int = 0


@dataclass(frozen=True)
class PushToTalk:
    """With push to talk: be heard, or not; None is the other of the two."""

    on: bool | None = None


@dataclass(frozen=True)
class ShowStats:
    pass


@dataclass(frozen=True)
class ShowLevel:
    """How loud both voices are."""


@dataclass(frozen=True)
class ShowCode:
    """What a new caller types, the code included."""


@dataclass(frozen=True)
class ShowWords:
    """Of an open call, to compare them."""


@dataclass(frozen=True)
class Verify:
    """The words were compared."""


@dataclass(frozen=True)
class UseDevice:
    """Go on with another microphone ("input") or loudspeaker ("output"). `name` is that of `voicemux devices`, its
    number, or a part of it; "default" is the system's."""

    direction: str
    name: str


@dataclass(frozen=True)
class ListDevices:
    """The microphones and loudspeakers to choose from."""


@dataclass(frozen=True)
class Answer:
    """To a call that rings."""

    accepts: bool


@dataclass(frozen=True)
class ShowMissed:
    """Whose calls were not answered."""


@dataclass(frozen=True)
class Help:
    pass


@dataclass(frozen=True)
class HangUp:
    pass


@dataclass(frozen=True)
class Interrupt:
    """Ctrl-C, where the terminal gives it as a key."""


@dataclass(frozen=True)
class EndOfInput:
    """No more will be typed. `meant` is whether that says something: not if nothing ever came from a closed input."""

    meant: bool


@dataclass(frozen=True)
class Unknown:
    """`why` is a line for the user, `id` that of the text which was not to be sent."""

    why: str
    id: str = ""


Command = (
    Say
    | Mute
    | Deafen
    | RecordBoth
    | StopRecording
    | ChooseMic
    | PushToTalk
    | ChooseVolume
    | ShowStats
    | ShowLevel
    | ShowCode
    | ShowWords
    | Verify
    | UseDevice
    | ListDevices
    | Answer
    | ShowMissed
    | Help
    | HangUp
    | Interrupt
    | EndOfInput
    | Unknown
)
