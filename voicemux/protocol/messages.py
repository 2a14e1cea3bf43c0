"""What frames mean: one frozen dataclass for each message of protocol.md §5. `encoding` makes frames of them."""

from dataclasses import dataclass
from enum import IntEnum

from voicemux.protocol import wire

OWN_SOURCE = 0  # the `source` of a side's own voice; other numbers are reserved for relays (protocol.md §5.3)


class Codec(IntEnum):
    """The codecs of protocol.md §14. HELLO and AUDIO may also name unknown ones."""

    PCM = 1
    OPUS = 2
    PCM_STEREO = 3


class ByeCode(IntEnum):
    """The codes of BYE (protocol.md §14)."""

    NORMAL = 0
    BUSY = 1
    DECLINED = 2
    PROTOCOL = 3
    VERSION = 4
    TIMEOUT = 5
    FLOOD = 6
    INTERNAL = 7
    REPLACED = 8
    SECURITY = 9
    UNKNOWN_CALLER = 10
    WRONG_CODE = 11
    GONE = 12
    LATER = 16


class Method(IntEnum):
    """How a dialler is authenticated (protocol.md §12)."""

    OPEN = 0
    KNOWN = 1
    CODE = 2


@dataclass(frozen=True, slots=True)
class Preface:
    """Not a frame: the first 8 bytes in each direction (protocol.md §3)."""

    version: int = wire.VERSION


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of each side. `codecs` are those that it can play; None is "absent": PCM only; empty is "no
    audio".

    A `session` (16 bytes) without `last_text` begins a session; with `last_text`, even 0, it resumes this session
    (protocol.md §17). `grace` is how many seconds this side keeps the session after its connection is lost; 0 is "I
    do not resume". `paths` is whether it takes PATHS in this session. `channels` is how many channels this side
    plays: 2, or 0 if it does not say, which means one.
    """

    name: str = ""
    agent: str = ""
    codecs: tuple[int, ...] | None = None
    session: bytes = b""
    last_text: int | None = None
    grace: int = 0
    paths: bool = False
    channels: int = 0

    @property
    def playable(self) -> tuple[int, ...]:
        return (Codec.PCM,) if self.codecs is None else self.codecs

    @property
    def plays_stereo(self) -> bool:
        return self.channels >= 2


@dataclass(frozen=True, slots=True)
class Text:
    id: int
    text: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """One packet of voice. `timestamp` is in 48 kHz ticks modulo 2^32, `sequence` modulo 2^16. Empty `data` means
    that silence begins."""

    codec: int
    source: int
    sequence: int
    timestamp: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    data: bytes


@dataclass(frozen=True, slots=True)
class Bye:
    code: int = ByeCode.NORMAL
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TextAck:
    id: int


@dataclass(frozen=True, slots=True)
class Report:
    """The playout delay of a receiver of audio: `delay` is the present one, `target` the wanted one, both in
    milliseconds. `sequence` is of the newest packet, `timestamp` of the sample that is being played."""

    source: int
    sequence: int
    timestamp: int
    delay: int
    target: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The transits of the audio packets since the receiver's last ARRIVALS: the smallest and the largest.

    A transit is the arrival of a packet by the receiver's clock less its time stamp, in milliseconds modulo 2^16.
    """

    source: int
    sequence: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class VoiceState:
    """What a side does with voice now (the message STATE): whether it has some to send, and what its user has
    switched."""

    source: int = 0
    voice: bool = False
    muted: bool = False
    deafened: bool = False
    records: bool = False


class PathKind(IntEnum):
    """The kinds of addresses of protocol.md §5.15. PATHS may also name unknown ones."""

    OWN = 1
    SEEN = 2
    MAPPED = 3


@dataclass(frozen=True, slots=True)
class NetworkPath:
    """An address at which a side may be reached: `address` is an IPv4 or IPv6 address as text."""

    kind: int
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Paths:
    """The addresses at which the sender may be reached without the relay. `now`: a round of tries begins (protocol.md
    §17.8)."""

    paths: tuple[NetworkPath, ...] = ()
    now: bool = False


@dataclass(frozen=True, slots=True)
class Ringing:
    pass


@dataclass(frozen=True, slots=True)
class Claim:
    """The dialler's first message of the handshake. `commitment` is to its nonce; `share` is SPAKE2's, empty without
    a code; `certificate` is DER."""

    method: int
    commitment: bytes
    share: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce: bytes
    share: bytes = b""


@dataclass(frozen=True, slots=True)
class Proof:
    """The dialler's proof: the `nonce` that it committed to, an HMAC with the code's key (empty without a code), and
    a signature by the certificate's key."""

    nonce: bytes
    confirmation: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The listener has admitted the dialler. `admitted` is the method by which it did; `confirmation` is an HMAC with
    the code's key, empty without a code."""

    admitted: int
    confirmation: bytes = b""


Authentication = Claim | Challenge | Proof | Welcome
Message = (
    Hello
    | Text
    | Audio
    | Ping
    | Pong
    | Bye
    | TextAck
    | Report
    | Arrivals
    | VoiceState
    | Paths
    | Ringing
    | Authentication
)


def name_of(kind: type) -> str:
    """Return the name of a class of messages in protocol.md: "TEXT_ACK"."""
    return _NAMES[kind]


_NAMES: dict[type, str] = {  # protocol.md §5
    Hello: "HELLO",
    Text: "TEXT",
    Audio: "AUDIO",
    Ping: "PING",
    Pong: "PONG",
    Bye: "BYE",
    TextAck: "TEXT_ACK",
    Report: "REPORT",
    Arrivals: "ARRIVALS",
    VoiceState: "STATE",
    Paths: "PATHS",
    Ringing: "RINGING",
    Claim: "CLAIM",
    Challenge: "CHALLENGE",
    Proof: "PROOF",
    Welcome: "WELCOME",
}
