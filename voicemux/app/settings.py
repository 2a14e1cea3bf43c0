"""The user's choices, as one typed tree: the command line makes it, the program reads it, and nothing changes it."""

from dataclasses import dataclass, field, replace

from voicemux.app.answering import Asks
from voicemux.audio.capture.wish import ANY, Wish
from voicemux.audio.choices import Choice, DefaultDevice, EchoChoice, MicMode, NoiseChoice, Nothing, SoundFile
from voicemux.calls.trust import Security
from voicemux.net.ways import Proxy
from voicemux.protocol.messages import Codec
from voicemux.relay.places import RelayPlace


@dataclass(frozen=True)
class SoundSettings:
    """Where sound comes from and goes to."""

    input: Choice = field(default_factory=DefaultDevice)
    output: Choice = field(default_factory=DefaultDevice)
    record: SoundFile | None = None  # a file for the peer's voice
    record_call: SoundFile | None = None  # a file for both sides
    max_delay: float = 0.3  # seconds of playout delay at most
    # Of the loudspeaker, in percent, or "auto"; None: as it was with this contact before.
    volume: int | str | None = None
    tones: bool = True  # in the loudspeaker, when the line is lost and when it is back

    echo_test: bool = False  # the peer hears itself, and no device is used

    @property
    def is_wanted(self) -> bool:
        """Whether a call is to have any sound."""
        return self.echo_test or not self.input == self.output == Nothing() or bool(self.record or self.record_call)


@dataclass(frozen=True)
class VoiceSettings:
    """How our voice is sent."""

    codec: Codec | None = None  # None: the best that the peer can play
    wish: Wish = ANY  # what Opus packets shall be like
    starts_muted: bool = False
    music: bool = False  # two channels, and nothing taken out
    echo: EchoChoice = EchoChoice.AUTO
    noise: NoiseChoice = NoiseChoice.OFF
    mic_mode: MicMode = MicMode.OPEN


@dataclass(frozen=True)
class DisplaySettings:
    """What is shown, and how."""

    as_json: bool = False
    draws: bool = True  # the typed line is redrawn, on a terminal that takes that; otherwise lines are only appended
    status_interval: float = 0.0  # seconds between figures that are shown unasked; 0: none
    verbose: bool = False
    is_silent: bool = False  # only the reason of a failure is shown


@dataclass(frozen=True)
class RingSettings:
    """Settings of a listener: whether calls ring, and who learns of it."""

    asks: Asks = Asks.STRANGERS  # the callers whose calls ring until the user answers
    bell: str = "never"  # when the terminal's bell rings: "always", "unfocused" or "never"
    # The name that is announced on the local network; "": without a name; None: not announced.
    announced: str | None = None
    maps_port: bool = False  # the router is asked to forward the port


@dataclass(frozen=True)
class Settings:
    """The whole tree, the same for `listen` and `dial`."""

    name: str
    sound: SoundSettings = field(default_factory=SoundSettings)
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    display: DisplaySettings = field(default_factory=DisplaySettings)
    ring: RingSettings = field(default_factory=RingSettings)
    security: Security | None = None  # None: calls are plain
    proxy: Proxy | None = None  # the proxy for calls and for relays
    trace: str = ""  # the file of a trace; "" for none
    relay: RelayPlace | None = None  # the relay at which a listener waits, and a dialler looks for codes and contacts
    relay_token: str = field(default="", repr=False)  # for a private relay
    relay_only: bool = False  # calls stay with the relay, so that the peer does not learn our addresses
    silence_timeout: float = 15.0  # seconds without a byte after which a connection is lost
    grace: int = 60  # seconds for which a call goes on without a connection
    stdio: bool = False  # standard input and output are the call, so nothing can be typed

    @property
    def waiting_place(self) -> RelayPlace | None:
        """The relay at which a listener waits."""
        return replace(self.relay, proxy=self.proxy) if self.relay and self.proxy else self.relay
