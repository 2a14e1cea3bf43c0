"""The commands of the user, as data. `parsing` makes them, `app.handler` obeys them."""

from dataclasses import dataclass

MIC_MODES = ("open", "voice", "ptt")


@dataclass(frozen=True)
class Say:
    """Send a text. `id` is the program's own name for the text, by which a Delivered event reports it; "" if it gave
    none. `accepts` is for piped input, where everything is text: the answer that the line gives to a ringing call;
    None if it is not an answer."""

    text: str
    id: str = ""
    accepts: bool | None = None


@dataclass(frozen=True)
class Mute:
    """Stop sending our voice, or send it again."""


@dataclass(frozen=True)
class Deafen:
    """Stop playing the peer's voice, or play it again."""


@dataclass(frozen=True)
class RecordBoth:
    """Record both sides to a new file."""

    path: str


@dataclass(frozen=True)
class StopRecording:
    """End the recording of both sides."""


@dataclass(frozen=True)
class ChooseMic:
    """Choose what opens the microphone: one of `MIC_MODES`; "" asks for the present mode."""

    mode: str = ""


@dataclass(frozen=True)
class ChooseVolume:
    """Set how loud the other side is played: `to` is a percentage or "auto". With `to` None, `by` is added to the
    percentage; if that is 0, the user asks for it."""

    to: int | str | None = None
    by: int = 0


@dataclass(frozen=True)
class PushToTalk:
    """With push to talk, open or shut the microphone; None changes it to the other state."""

    on: bool | None = None


@dataclass(frozen=True)
class ShowStats:
    """Ask for the figures of the call, or of the last one."""


@dataclass(frozen=True)
class ShowLevel:
    """Ask how loud both voices are."""


@dataclass(frozen=True)
class ShowCode:
    """Ask for the command line that a new caller types, with the code."""


@dataclass(frozen=True)
class ShowWords:
    """Ask for the words that both users of an open call compare."""


@dataclass(frozen=True)
class Verify:
    """Say that the words are the same on both sides: remember the peer."""


@dataclass(frozen=True)
class UseDevice:
    """Go on with another microphone ("input") or loudspeaker ("output"). `name` is a name that `voicemux devices`
    lists, its number, or a part of it; "default" is the device of the system."""

    direction: str
    name: str


@dataclass(frozen=True)
class ListDevices:
    """Ask for the list of microphones and loudspeakers."""


@dataclass(frozen=True)
class Answer:
    """Accept or decline the call that rings."""

    accepts: bool


@dataclass(frozen=True)
class ShowMissed:
    """Ask for the list of missed calls."""


@dataclass(frozen=True)
class Help:
    """Ask which commands there are."""


@dataclass(frozen=True)
class HangUp:
    """End the call, and the program if it does not wait for further calls."""


@dataclass(frozen=True)
class Interrupt:
    """Ctrl-C, in a terminal mode that delivers it as a key, not as a signal."""


@dataclass(frozen=True)
class EndOfInput:
    """The input has ended. `meant` is False if it gave no line and is not a terminal (/dev/null): this does not end a
    program that has no call."""

    meant: bool


@dataclass(frozen=True)
class Unknown:
    """A line that is not a command. `why` is the message for the user; `id` is the id of the text that is therefore
    not sent."""

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
