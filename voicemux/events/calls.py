"""Events of a call, from its beginning to its end."""

from dataclasses import dataclass, field
from typing import Literal

Loudness = Literal["soft", "good", "loud"]

SOFT = -40.0  # dB of full scale: softer speech is heard, and strains the ear
LOUD = -15.0  # dB of full scale: peaks of speech are about 15 dB above its level


@dataclass(frozen=True)
class Voice:
    """What one side does with voice. `sends`: it has voice to send that the other side can play. `plays`: it plays
    the other side's voice. `muted`, `deafened`: its user has switched the one or the other off. `records`: it records
    what it hears."""

    sends: bool = False
    plays: bool = False
    muted: bool = False
    deafened: bool = False
    records: bool = False


@dataclass(frozen=True)
class Connected:
    """The call is up. `sends` is the codec of our voice, `hears` that of theirs, empty where none goes that way.

    `hears` is the codec of what has come or, of a peer that has voice, the likeliest. `own` is what we do with voice,
    `peer` what the other side says that it does: None if it has not said, as older programs do not.

    `security` is "plain", or what speaks for the peer inside the encryption: "known" (a contact's key), "code", or
    "open": nothing, until the `words` have been compared. `is_known` is whether the key will be known again, and
    `claims` is as in `CallRinging`. `address` is as in `beginnings`, also if the peer is the listener. `relay` is the
    relay through which the call goes; empty if it is direct.
    """

    name: str
    address: str
    agent: str
    sends: str
    hears: str
    security: str = "plain"
    words: list[str] = field(default_factory=list)
    own: Voice = field(default_factory=Voice)
    peer: Voice | None = None
    claims: str = ""
    is_known: bool = False
    relay: str = ""


@dataclass(frozen=True)
class PeerSwitched:
    """The other side has changed what it does with voice: `what` is a field of `Voice` other than "plays"."""

    name: str
    what: str
    on: bool


@dataclass(frozen=True)
class Quiet:
    """Nothing has come for `seconds`, or, if not `on`, it does again.

    `what` is "line" (nothing at all from the other side), "voice" (none, though it says that it sends some), or
    "microphone" (ours gives digital silence).
    """

    what: str
    on: bool
    name: str  # the other side's
    seconds: float


@dataclass(frozen=True)
class Interrupted:
    """Nothing comes from the other side any more, or the line broke; the call goes on, and the line is tried again.

    `since_s` is for how many seconds nothing had come by then. `dials` is whether it is for this side to dial: a
    listener waits for its dialler.
    """

    name: str  # the other side's
    since_s: float
    dials: bool = True


@dataclass(frozen=True)
class Resumed:
    """The call goes on where it was `after_s` seconds of silence: no text is lost.

    `path` is the address of the other side by which it goes on, or of the relay; `relay` is the relay as one would
    type it, empty if the call is direct now.
    """

    name: str  # the other side's
    after_s: float
    path: str
    relay: str = ""


@dataclass(frozen=True)
class Direct:
    """The call went through a relay, and is direct from now on; nothing was interrupted. `path` is the other side's
    address."""

    name: str  # the other side's
    path: str


@dataclass(frozen=True)
class Hint:
    """Something about our own sound that the other side suffers from: `kind` is "clipping" (of the microphone),
    "muted" (though the user speaks) or "echo" (of the other side's voice). `text` says it in a sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class Late:
    """The other side's voice comes `seconds` later than it did, because the line is busy with something else;
    or, if not `on`, it no longer does."""

    on: bool
    name: str  # the other side's
    seconds: float


@dataclass(frozen=True)
class AudioStarted:
    """Sound flows at this end. `since` is the monotonic clock of this machine at the first sample, in seconds."""

    direction: str
    device: str
    since: float


@dataclass(frozen=True)
class AudioStopped:
    """Sound has stopped in one direction; the call goes on unless `ends_call`.

    `error` is "" if the source has just ended, as a file does.
    """

    direction: str
    error: str
    ends_call: bool = False


@dataclass(frozen=True)
class DeviceChanged:
    """Another device is used in one direction: as the user wanted, and `AudioStarted` has told when that began, or
    because the sound server has moved the call."""

    direction: str  # "input" or "output"
    device: str


@dataclass(frozen=True)
class ListedDevice:
    """A device that can be chosen, as `voicemux devices` has it. `target` is its name in the sound server, which has
    it; else empty."""

    number: int
    name: str
    system: str
    inputs: int  # channels
    outputs: int
    target: str = ""


@dataclass(frozen=True)
class DeviceList:
    """The answer to `/devices`. `input` and `output` are the numbers of the devices in use; None if none is."""

    devices: list[ListedDevice]
    input: int | None
    output: int | None


@dataclass(frozen=True)
class TextReceived:
    name: str
    text: str


@dataclass(frozen=True)
class Switched:
    """`what` is "muted" (they do not hear us), "deafened" (we do not hear them) or "talking" (with push to talk, they
    hear us)."""

    what: str
    on: bool


@dataclass(frozen=True)
class MicModeChosen:
    """What opens our microphone: `mode` is "open" (it is open), "voice" (that we speak) or "ptt" (push to talk)."""

    mode: str


@dataclass(frozen=True)
class VolumeChosen:
    """How loud the other side is played, in percent of the amplitude that came. With `auto`, the percentage follows
    how loud it speaks."""

    percent: int
    auto: bool


@dataclass(frozen=True)
class Waiting:
    """The call is to end, and that takes a while: for the `texts` that the peer has not acknowledged, or, if there
    are none, because it has not hung up."""

    name: str
    undelivered: int


@dataclass(frozen=True)
class Stats:
    """Figures of the call so far; None is "not known".

    The delay of the peer's voice, from its mouth to our ear, is an estimate, the sum of its parts: capture (ours
    stands for theirs), the length of a packet with what the codec looks ahead, the network, the jitter buffer, and
    the sound card. The network's part is half the shortest round trip, and what voice comes later now than it did
    then. While no voice comes, there is no estimate.
    """

    seconds: float
    round_trip_ms: float | None
    mouth_to_ear_ms: float | None
    capture_ms: float | None
    packet_ms: float | None
    network_ms: float | None
    buffer_ms: float | None
    playout_ms: float | None
    drift_ppm: float | None  # how much faster the peer's sound card runs than ours, in parts per million
    kbit_sent: float  # kbit/s in the last two seconds, without the headers of TCP and IP
    kbit_received: float
    audio_sent: int  # packets
    audio_dropped: int  # packets that we did not send because they would have come too late
    audio_received: int
    audio_late: int  # packets that we dropped because they came too late
    audio_concealed: int
    shortened_ms: int  # cut out of the peer's voice to catch up
    lengthened_ms: int  # put into it to lengthen the playout delay
    xruns: int  # gaps in the sound cards' streams
    echo: str  # state of the echo canceller: "on", "off" (as the user wants), "not needed", "not installed"
    echo_db: float | None  # level of the echo that our microphone hears, against what was played
    texts_sent: int
    texts_received: int
    bytes_sent: int
    bytes_received: int
    interruptions: int = 0  # times that the connection was lost; the call was resumed, or tries to
    texts_waiting: int = 0  # texts that the peer has not acknowledged yet
    input_level_db: float | None = None  # dB of full scale, of what the microphone heard in the last second
    input_peak_db: float | None = None  # dB of full scale, of the highest sample of the last 3 s
    input_clipped: int = 0  # samples so far
    # Whether the user speaks; None if that is not detected: in mode open or ptt, not muted.
    speaking: bool | None = None
    their_level_db: float | None = None  # dB of full scale, of what has come from the other side in the last second
    relay: str = ""  # relay through which the call goes now; "" if it is direct


@dataclass(frozen=True)
class Status(Stats):
    """The same figures as `Stats`, every second, with `--status`."""


@dataclass(frozen=True)
class Level:
    """How loud both voices are, in the last 10 s, in dB of full scale; None is "not known": no speech, no sound.

    `clipped` counts samples of the microphone since the call began.
    """

    speech_db: float | None  # ours
    noise_db: float | None  # around us, in the pauses
    clipped: int
    muted: bool
    their_speech_db: float | None


def loudness(speech_db: float) -> Loudness:
    """Return how loud speech is, by its level in dB of full scale."""
    return "soft" if speech_db < SOFT else "loud" if speech_db > LOUD else "good"


@dataclass(frozen=True)
class Delivered:
    """A text that the program sent with an `id` has been shown to the peer's user."""

    id: str


@dataclass(frozen=True)
class Rejected:
    """A command was not obeyed, for the reason `why`. `id` is the id of the text that was not sent, if it had one."""

    why: str
    id: str = ""


@dataclass(frozen=True)
class Undelivered:
    """A text that may not have arrived; of one that was acknowledged in part, the rest. `id` is the id it was sent
    with, or ""."""

    text: str
    id: str = ""


@dataclass(frozen=True)
class Ended:
    """The call is over. `by` is "us", "them" or "error".

    `reason` is in our words; `said` is what the peer gave as its reason. `kind` is what went wrong, as in
    `errors.Kind`, and `hint` what can be done about it; both are empty if that is not known.
    `undelivered` is how many texts may not have arrived; `undelivered_texts` are the first of them.
    """

    by: str
    reason: str
    undelivered: int
    stats: Stats
    said: str = ""
    kind: str = ""
    hint: str = ""
    undelivered_texts: list[Undelivered] = field(default_factory=list)
