"""What the user chose, as one typed tree: the command line makes it, the program reads it, and nothing changes it."""

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
    record: SoundFile | None = None  # for what is heard
    record_call: SoundFile | None = None  # for both sides
    max_delay: float = 0.3  # seconds of playout delay
    volume: int | str | None = None  # of a loudspeaker in percent, or "auto"; None: as each contact had it before
    tones: bool = True  # in the loudspeaker, when the line is lost and when it is back

    echo_test: bool = False  # the peer hears itself, and no device is used

    @property
    def is_wanted(self) -> bool:
        return self.echo_test or not self.input == self.output == Nothing() or bool(self.record or self.record_call)


@dataclass(frozen=True)
class VoiceSettings:
    """How our voice is sent."""

    codec: Codec | None = None  # None: the best that the peer can play
    wish: Wish = ANY  # of packets of Opus
    starts_muted: bool = False
    music: bool = False  # two channels, and nothing taken out
    echo: EchoChoice = EchoChoice.AUTO
    noise: NoiseChoice = NoiseChoice.OFF
    mic_mode: MicMode = MicMode.OPEN


@dataclass(frozen=True)
class DisplaySettings:
    """What is shown, and how."""

    as_json: bool = False
    draws: bool = True  # on a terminal that takes it; else lines are written one below the other
    status_interval: float = 0.0  # seconds between figures that are shown unasked; 0: never
    verbose: bool = False
    is_silent: bool = False  # nothing is shown but why the program fails


@dataclass(frozen=True)
class RingSettings:
    """Of a listener."""

    asks: Asks = Asks.STRANGERS  # whose calls ring until the user answers
    bell: str = "never"  # when the terminal's bell rings: "always", "unfocused" or "never"
    announced: str | None = None  # the name that the local network is told, "" for one that says nothing; None: none
    maps_port: bool = False  # the router is asked to let callers in


@dataclass(frozen=True)
class Settings:
    """The whole tree, the same for `listen` and `dial`."""

    name: str
    sound: SoundSettings = field(default_factory=SoundSettings)
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    display: DisplaySettings = field(default_factory=DisplaySettings)
    ring: RingSettings = field(default_factory=RingSettings)
    security: Security | None = None  # None: calls are plain
    proxy: Proxy | None = None  # through which the listener is called, and relays are asked
    trace: str = ""  # the file of a trace; "" for none
    relay: RelayPlace | None = None  # where a listener waits, and where a dialler looks for codes and contacts
    relay_token: str = field(default="", repr=False)  # for a private relay
    relay_only: bool = False  # the other side does not learn our addresses
    silence_timeout: float = 15.0  # seconds without a sign of life after which a call is given up
    grace: int = 60  # seconds for which a call goes on without a line
    stdio: bool = False  # standard input and output are a call, and nothing is typed

    @property
    def waiting_place(self) -> RelayPlace | None:
        """The relay at which a listener waits."""
        return replace(self.relay, proxy=self.proxy) if self.relay and self.proxy else self.relay
