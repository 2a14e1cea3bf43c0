"""The options that `listen` and `dial` share, and the settings that they make."""

import getpass
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from voicemux.app.options import STANDARD_INPUT, a_file, a_number, stacked, unencrypted, was_typed
from voicemux.app.standard_streams import keeps_errors
from voicemux.audio.choices import EchoChoice, MicMode, NoiseChoice, Nothing, SoundFile, StandardStream, choice

if TYPE_CHECKING:
    from voicemux.app.settings import RingSettings, Settings, SoundSettings, VoiceSettings
    from voicemux.audio.capture.wish import Wish
    from voicemux.calls.trust import Security
    from voicemux.net.ways import Proxy
    from voicemux.relay.places import RelayPlace

MUSIC_BITRATE = 96  # kbit/s for two channels, at which Opus is hard to tell from the original
MUSIC_FRAME_MS = 20  # of each packet, the usual length: shorter ones cost bits that music needs
# Seconds for which an echo test keeps a lost call: it takes one caller at a time, and the next would wait a minute
# for one whose program was killed.
ECHO_TEST_GRACE = 5
RECORDING_ENDINGS = (".wav", ".flac", ".ogg")


def _a_volume(context: click.Context, option: click.Parameter, value: str | None) -> int | str | None:
    if value is None:
        return None
    from voicemux.console.parsing import parse_volume

    found = parse_volume(value)
    if not found or found.to is None:
        raise click.BadParameter(f"{value} is not a volume of 0 to 400 percent, or auto", context, option)
    return found.to


def call_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `listen` and `dial` share."""
    options = (
        click.option("--name", metavar="NAME", help="What the other side sees.  [default: your login name]"),
        click.option(
            "--input", "input_", metavar="DEVICE", default="", help="Microphone: a number or part of a name as in"
            " `voicemux devices`, a sound file, - for raw sound on standard input, or none.",
        ),
        click.option(
            "--output", metavar="DEVICE", default="", help="Loudspeaker, named as for --input; a file is a recording,"
            " - is raw sound on standard output.",
        ),
        click.option(
            "--volume", metavar="PERCENT|auto", callback=_a_volume,
            help="How loud the other side is played: 0 to 400, or auto to level it.  [default: as you had it with"
            " this contact before, or 100]",
        ),
        click.option(
            "--record", metavar="FILE", default="", callback=a_file, help="Keep what you hear in a sound file, too."
        ),
        click.option(
            "--record-call", metavar="FILE", default="", callback=a_file,
            help="Keep both sides in a sound file: you on the left, the other side on the right, which it is told.",
        ),
        click.option("--no-audio", is_flag=True, help="Text only."),
        click.option("--start-muted", is_flag=True, help="Send no voice until you type /mute."),
        click.option(
            "--echo", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
            help="Whether what the loudspeaker plays is taken out of what the microphone hears; auto: if it is heard"
            " there.",
        ),
        click.option(
            "--noise-suppression", type=click.Choice(["off", "low", "high"]), default="off", show_default=True,
            help="Take steady noise, such as a fan's, out of what the microphone hears; music suffers.",
        ),
        click.option(
            "--mic-mode", type=click.Choice(["open", "voice", "ptt"]), default="open", show_default=True,
            help="When your voice is sent: always; while you speak; or while /talk, Ctrl-T or the space bar say so"
            " (push to talk). Otherwise silence is sent.",
        ),
        click.option(
            "--dtx", is_flag=True,
            help="Send next to nothing while you are silent. It saves bits, but an observer of the line sees when you"
            " speak.",
        ),
        click.option(
            "--music", is_flag=True,
            help="Two channels, at 96 kbit/s or --bitrate, without echo cancellation or noise suppression. They are"
            " heard as two if both sides have this option. Wear headphones.",
        ),
        click.option(
            "--codec", type=click.Choice(["auto", "opus", "pcm"]), default="auto", show_default=True,
            help="How your voice is encoded, if the other side can play that.",
        ),
        click.option(
            "--bitrate", type=click.IntRange(6, 128), metavar="KBIT",
            help="Bit rate of Opus at most, in kbit/s, 6 to 128; a line that cannot carry it gets less.  [default:"
            " 32, or 96 with --low-latency]",
        ),
        click.option(
            "--frame-ms", type=click.Choice(["5", "10", "20", "40", "60"]),
            help="Milliseconds of voice in a packet; PCM has at most 40.  [default: 20]",
        ),
        click.option(
            "--low-latency", is_flag=True,
            help="For local networks: packets of 5 ms from the beginning, if the line has room for them.",
        ),
        click.option(
            "--bandwidth", type=click.IntRange(18, 10_000), metavar="KBIT",
            help="The most that your voice may take of the line, all headers included, in kbit/s, 18 to 10000: for"
            " lines that are paid by the byte.",
        ),
        click.option(
            "--max-delay", type=click.IntRange(20, 2000), default=300, show_default=True, metavar="MS",
            help="The most that received voice may wait before it is played; older voice is dropped.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(1, 600), callback=a_number, default=15, show_default=True,
            metavar="SECONDS", help="Give a call up after this time without a byte from the other side.",
        ),
        click.option(
            "--relay", metavar="HOST[:PORT]", envvar="VOICEMUX_RELAY", default="",
            help="The relay at which to wait, or to look for the other side: no one needs an open port then."
            " tls://HOST for a relay with TLS.",
        ),
        click.option(
            "--relay-token", metavar="TOKEN", envvar="VOICEMUX_RELAY_TOKEN", default="",
            help="The token of a private relay.",
        ),
        click.option(
            "--relay-only", is_flag=True,
            help="Stay with the relay: the other side does not learn your address, and nothing is tried directly.",
        ),
        click.option(
            "--grace", type=click.IntRange(0, 600), default=60, show_default=True, metavar="SECONDS",
            help="How long the call goes on while the connection is lost, if the other side allows that, too;"
            " 0: not at all.",
        ),
        click.option(
            "--no-tones", is_flag=True,
            help="No falling and rising tone in your loudspeaker when the line is lost and when it is back.",
        ),
        *unencrypted("No encryption; anybody may call; both sides must want it. For tunnels that encrypt already."),
        click.option(
            "--line-mode", is_flag=True,
            help="Plain lines instead of a line that is redrawn: for screen readers. TERM=dumb does the same.",
        ),
        click.option("--status", is_flag=True, help="Show the figures of the call every second."),
        click.option(
            "--trace", metavar="FILE", default="", callback=a_file,
            help="Write every frame and every decision about it to a file, for a bug report or a client of your own.",
        ),
        click.option(
            "-v", "--verbose", is_flag=True,
            help="Show also which socket options the system grants, and the figures of each call.",
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="Events as JSON lines on standard output, commands on input."
        ),
    )  # fmt: skip
    return stacked(options, command)


@dataclass(frozen=True)
class CallOptions:
    """The typed options, as click passes them: the names are those of the parameters."""

    name: str | None
    input_: str
    output: str
    record: str
    record_call: str
    volume: int | str | None
    no_audio: bool
    start_muted: bool
    echo: str
    noise_suppression: str
    mic_mode: str
    dtx: bool
    music: bool
    codec: str
    bitrate: int | None  # kbit/s
    frame_ms: str | None
    low_latency: bool
    bandwidth: int | None  # kbit/s
    max_delay: int  # milliseconds
    timeout: float  # seconds
    grace: int  # seconds
    no_tones: bool
    relay: str
    relay_token: str
    relay_only: bool
    plain: bool
    line_mode: bool
    status: bool
    trace: str
    verbose: bool
    as_json: bool

    def sound(self) -> "SoundSettings":
        """Return the sound settings. Raises UsageError for options that contradict each other."""
        from voicemux.app.settings import SoundSettings

        if self.no_audio and (self.input_ or self.output or self.record or self.record_call):
            raise click.UsageError("--no-audio goes with none of --input, --output, --record and --record-call")
        source = Nothing() if self.no_audio else choice("-" if self.input_ in STANDARD_INPUT else self.input_)
        sink = Nothing() if self.no_audio else choice(self.output)
        if self.as_json and StandardStream() in (source, sink):
            raise click.UsageError("--json and raw sound cannot share standard input and output")
        if self.record and not self.record.lower().endswith(RECORDING_ENDINGS):
            raise click.UsageError(f"--record takes a file that ends in {' or '.join(RECORDING_ENDINGS)}")
        record, call = (SoundFile(each) if each else None for each in (self.record, self.record_call))
        tones = not self.no_tones
        return SoundSettings(source, sink, record, call, self.max_delay / 1000, volume=self.volume, tones=tones)

    def echoed_sound(self) -> "SoundSettings":
        """Return the sound settings of a listener whose callers hear themselves."""
        from voicemux.app.settings import SoundSettings

        return SoundSettings(Nothing(), Nothing(), max_delay=self.max_delay / 1000, tones=False, echo_test=True)

    def voice(self) -> "VoiceSettings":
        """Return the voice settings. Raises UsageError if no packets can be as the options say."""
        from voicemux.app.settings import VoiceSettings
        from voicemux.protocol.messages import Codec

        return VoiceSettings(
            codec={"auto": None, "opus": Codec.OPUS, "pcm": Codec.PCM}[self.codec],
            wish=self._wish(),
            starts_muted=self.start_muted,
            music=self.music,
            echo=EchoChoice(self.echo),
            noise=NoiseChoice(self.noise_suppression),
            mic_mode=MicMode(self.mic_mode),
        )

    def relay_place(self) -> "RelayPlace | None":
        """Return the relay, or None. Raises UsageError if the text cannot name one."""
        if self.relay_only and self.plain:
            raise click.UsageError("--relay-only needs encryption: a plain call does not go through a relay")
        if not self.relay or self.plain:
            return None
        from voicemux.errors import AddressError
        from voicemux.relay.places import parse_relay

        try:
            return parse_relay(self.relay, self.relay_token)
        except AddressError as error:
            raise click.UsageError(f"--relay: {error}") from error

    def _wish(self) -> "Wish":
        """Return what the options say about packets. Raises UsageError if no packets can be so."""
        from voicemux.audio.capture.wish import Wish

        wish = Wish(
            bitrate=(self.bitrate or (MUSIC_BITRATE if self.music else 0)) * 1000,
            frame_ms=float(self.frame_ms or (MUSIC_FRAME_MS if self.music and not self.low_latency else 0)),
            bandwidth=(self.bandwidth or 0) * 1000,
            at_once=self.low_latency or self.music,
            dtx=self.dtx,
        )
        needed, what = wish.lacking, f"packets of {wish.frame_ms:g} ms"
        if wish.bandwidth and self.codec == "pcm":
            from voicemux.audio.codec import pcm_fits, pcm_line_rate

            needed, what = 0.0 if pcm_fits(wish) else pcm_line_rate(wish), "PCM"
        if needed:
            least = math.ceil(needed / 1000)
            raise click.UsageError(f"--bandwidth {self.bandwidth} is too little for {what}: it takes {least}")
        return wish


def settings_of(
    typed: CallOptions,
    sound: "SoundSettings",
    ring: "RingSettings",
    security: "partial[Security]",
    proxy: "Proxy | None" = None,
    *,
    stdio: bool = False,
) -> "Settings":
    """Make the settings. `stdio`: the call is on standard input and output. `security` lacks the folder and the name.
    Raises SecurityError if there is no folder for the key."""
    from voicemux.app.settings import DisplaySettings, Settings
    from voicemux.security.files import usual_folder

    name = typed.name if typed.name is not None else _login_name()
    return Settings(
        name=name,
        sound=sound,
        voice=typed.voice(),
        display=DisplaySettings(
            as_json=typed.as_json,
            draws=not typed.line_mode,
            status_interval=1.0 if typed.status else 0.0,
            verbose=typed.verbose,
            is_silent=stdio and not keeps_errors(),
        ),
        ring=ring,
        security=None if typed.plain else security(usual_folder(), own_name=name),
        relay=typed.relay_place(),
        relay_token=typed.relay_token,
        relay_only=typed.relay_only,
        silence_timeout=typed.timeout,
        proxy=proxy,
        grace=_grace(typed, stdio=stdio, echo_test=sound.echo_test),
        stdio=stdio,
        trace=typed.trace,
    )


def _grace(typed: CallOptions, *, stdio: bool, echo_test: bool) -> int:
    """Return the seconds for which a lost call is kept."""
    if stdio:  # another connection would lead to another program
        return 0
    return ECHO_TEST_GRACE if echo_test and not was_typed("grace") else typed.grace


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return ""
