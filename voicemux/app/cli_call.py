"""`voicemux listen` and `voicemux dial`: what may be typed, and what it asks for."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from voicemux.app.consoles import can_ask, is_attended, login_name
from voicemux.app.exits import exits
from voicemux.app.options import (
    STANDARD_INPUT,
    a_number,
    refuse_what_means_nothing,
    stacked,
    unencrypted,
    was_typed,
)
from voicemux.app.run import run

if TYPE_CHECKING:
    from voicemux.app.interrupts import Signals
    from voicemux.app.session import Outcome, Session, Settings

MOST_CODE_BYTES = 1000  # of a code in a file: a device like /dev/zero has no end
RECORDING_ENDINGS = (".wav", ".flac", ".ogg")


def call_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `listen` and `dial` share."""
    options = (
        click.option("--name", metavar="NAME", help="What the other side sees.  [default: your login name]"),
        click.option(
            "--input", "input_", metavar="DEVICE", default="", help="Microphone: a number or part of a name as in"
            " `voicemux devices`, a sound file, - for raw sound on standard input, or none.",
        ),
        click.option(
            "--output", metavar="DEVICE", default="", help="Loudspeaker: likewise; a file is a recording,"
            " - is raw sound on standard output.",
        ),
        click.option("--record", metavar="FILE", default="", help="Keep what you hear in a sound file, too."),
        click.option("--no-audio", is_flag=True, help="Text only."),
        click.option("--start-muted", is_flag=True, help="Send no voice until you type /mute."),
        click.option(
            "--codec", type=click.Choice(["auto", "opus", "pcm"]), default="auto", show_default=True,
            help="What your voice is sent as, if the other side can play it.",
        ),
        click.option(
            "--bitrate", type=click.IntRange(6, 128), metavar="KBIT",
            help="Of Opus, in kbit/s, 6 to 128; a line that cannot carry it gets less.  [default: 32]",
        ),
        click.option(
            "--frame-ms", type=click.Choice(["5", "10", "20", "40", "60"]),
            help="Milliseconds of voice in a packet; PCM has at most 40.  [default: 20]",
        ),
        click.option(
            "--low-latency", is_flag=True,
            help="For local networks: packets of 5 ms at 64 kbit/s, if the line has room for them.",
        ),
        click.option(
            "--max-delay", type=click.IntRange(20, 2000), default=300, show_default=True, metavar="MS",
            help="The most that voice may wait here for being played; what is older is dropped.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(1, 600), callback=a_number, default=15, show_default=True,
            metavar="SECONDS", help="Give a call up after so long without a sign of life.",
        ),
        *unencrypted("No encryption; anybody may call; both sides must want it. For tunnels that encrypt already."),
        click.option(
            "--line-mode", is_flag=True,
            help="Plain lines instead of a line that is drawn again: for screen readers. So does TERM=dumb.",
        ),
        click.option("--status", is_flag=True, help="Show the figures of the call every second."),
        click.option("-v", "--verbose", is_flag=True, help="Say what the system grants, too."),
        click.option(
            "--json", "as_json", is_flag=True, help="Events as JSON lines on standard output, commands on input."
        ),
    )  # fmt: skip
    return stacked(options, command)


@click.command()
@click.option("--host", metavar="HOST", help="Listen on this address only.  [default: all, IPv6 and IPv4]")
@click.option("--port", metavar="PORT", default="8689", show_default=True, help="0 lets the system choose one.")
@click.option("--once", is_flag=True, help="End after the first call.")
@click.option(
    "--code",
    envvar="VOICEMUX_CODE",
    metavar="CODE",
    help="What unknown callers must know as long as this runs.  [default: one is made for each first call]",
)
@click.option(
    "--code-words",
    type=click.IntRange(2, 8),
    default=3,  # USUAL_WORDS of security.code, which takes long to import
    show_default=True,
    metavar="N",
    help="Words in a code that is made here.",
)
@click.option("--open", "is_open", is_flag=True, help="Anybody may call; you are asked whether to take the call.")
@click.option("--auto-accept", is_flag=True, help="Take every call at once, as an intercom does: nobody is asked.")
@click.option(
    "--ask",
    is_flag=True,
    help="Let every call ring until you take it, also in pipes and with --json.  [default: on a terminal]",
)
@click.option(
    "--bell",
    type=click.Choice(["always", "unfocused", "never"]),
    default="always",
    show_default=True,
    help="When the terminal's bell rings for a call; unfocused: not while you look at the terminal, if it tells.",
)
@click.option("--allow", "allowed", multiple=True, metavar="NAME", help="Only this contact may call; repeatable.")
@call_options
def listen(
    host: str | None,
    port: str,
    once: bool,
    code: str | None,
    code_words: int,
    is_open: bool,
    auto_accept: bool,
    ask: bool,
    allowed: tuple[str, ...],
    **options: Any,
) -> None:
    """Wait for callers, and serve one after the other.

    Contacts may call, and whoever knows the code that is shown. On a terminal each call rings until you take it.
    """
    if is_open and allowed:
        raise click.UsageError("--open and --allow contradict each other: anybody may call, or only some contacts")
    if auto_accept and ask:
        raise click.UsageError("--auto-accept and --ask say the opposite of each other")
    if options["plain"] and (is_open or allowed or was_typed("code")):
        raise click.UsageError("--unencrypted goes with none of --code, --open and --allow: anybody may call then")
    if code and not was_typed("code") and was_typed("code_words"):
        raise click.UsageError("--code-words means nothing beside VOICEMUX_CODE: for codes that are made here")
    from voicemux.app.answering import Asks
    from voicemux.net.address import parse_host, parse_port

    asks_all = ask or (is_attended() and not options["as_json"] and options["input_"] != "-")
    options["asks"] = Asks.NOBODY if auto_accept else Asks.EVERYBODY if asks_all else Asks.STRANGERS
    options["security"] = {
        "code": code or "",
        "words": code_words,
        "is_open": is_open,
        "allowed": allowed,
    }

    def body(session: "Session", signals: "Signals") -> "Outcome":
        return session.listen(None if host is None else parse_host(host), parse_port(port, lowest=0), once=once)

    _hold_calls(options, body)


@click.command()
@click.argument("target", metavar="HOST[:PORT]|NAME")
@click.argument("code", required=False, nargs=-1, envvar="VOICEMUX_CODE", metavar="[CODE]")
@click.option("--code", "code_option", metavar="CODE", default="", help="The same as CODE.")
@click.option(
    "--code-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read the code from a file (- is standard input): other users can see what is typed in a command.",
)
@click.option("--open", "is_open", is_flag=True, help="Call somebody unknown without a code, and compare words.")
@call_options
def dial(
    target: str, code: tuple[str, ...], code_option: str, code_file: str | None, is_open: bool, **options: Any
) -> None:
    """Call somebody who listens: an address, or a contact by name.

    The first call needs the code that the other side was shown. Without one you are asked for it.
    """
    typed = " ".join(code) if was_typed("code") else ""
    if options["plain"] and (is_open or code_file or typed or code_option):
        raise click.UsageError("--unencrypted goes with none of CODE, --code-file, --open: nothing is checked then")
    if sum(map(bool, (typed, code_option, code_file))) > 1:
        raise click.UsageError("one code, please: CODE, --code and --code-file are the same")
    if is_open and (typed or code_option or code_file):
        raise click.UsageError("--open and a code say different things: nothing else is checked, or the code is")
    chosen = _read_code(code_file) if code_file else code_option or typed
    if not (chosen or is_open or options["plain"]):  # what the environment has is for other calls
        chosen = " ".join(code)
    options["security"] = {"code": chosen, "is_open": is_open}
    asks = not (chosen or is_open or options["plain"] or options["as_json"]) and can_ask()

    def body(session: "Session", signals: "Signals") -> "Outcome":
        from voicemux.console.question import ask_for_code

        return session.dial(target, ask_for_code if asks else lambda _: "", signals.interrupting)

    _hold_calls(options, body)


def _hold_calls(options: dict[str, Any], body: "Callable[[Session, Signals], Outcome]") -> None:
    """Check the options against each other, and run a session as they say."""
    input_, output, as_json = options["input_"], options["output"], options["as_json"]
    refuse_what_means_nothing()
    if options["no_audio"]:
        if input_ or output or options["record"]:
            raise click.UsageError("--no-audio goes with none of --input, --output and --record")
        input_ = output = "none"
    if input_ in STANDARD_INPUT:
        input_ = "-"
    if as_json and "-" in (input_, output):
        raise click.UsageError("--json and raw sound cannot share standard input and output")
    if options["record"] and not options["record"].lower().endswith(RECORDING_ENDINGS):
        raise click.UsageError(f"--record takes a file that ends in {' or '.join(RECORDING_ENDINGS)}")
    with exits(interrupts=contextlib.nullcontext()):
        settings = _settings(options, input_, output)
    run(
        settings,
        body,
        as_json=as_json,
        draws=not options["line_mode"],
        bell=options.get("bell", "never"),
    )


def _read_code(path: str) -> str:
    """The first line of a file; of standard input no byte more, because the rest is for the call."""
    line = b""
    try:
        with open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-") as file:
            while len(line) < MOST_CODE_BYTES and (byte := file.read(1)) and byte != b"\n":
                line += byte
    except OSError as error:  # standard input may be closed
        raise click.UsageError(f"cannot read the code: {(error.strerror or str(error)).lower()}") from None
    if not (code := line.decode(errors="replace").strip()):
        raise click.UsageError("--code-file has no code in its first line")
    return code


def _settings(options: dict[str, Any], input_: str, output: str) -> "Settings":
    from voicemux.app.session import Settings
    from voicemux.protocol.messages import Codec
    from voicemux.security.files import usual_folder
    from voicemux.trust import Security

    usual_bitrate = 64_000 if options["low_latency"] else Settings.bitrate
    name = options["name"] if options["name"] is not None else login_name()
    return Settings(
        name=name,
        input=input_,
        output=output,
        record=options["record"],
        codec={"auto": None, "opus": Codec.OPUS, "pcm": Codec.PCM}[options["codec"]],
        bitrate=options["bitrate"] * 1000 if options["bitrate"] else usual_bitrate,
        frame_ms=float(options["frame_ms"] or (5 if options["low_latency"] else 20)),
        max_delay=options["max_delay"] / 1000,
        status_interval=1.0 if options["status"] else 0.0,
        verbose=options["verbose"],
        silence_timeout=options["timeout"],
        **({"asks": options["asks"]} if "asks" in options else {}),
        starts_muted=options["start_muted"],
        security=None if options["plain"] else Security(usual_folder(), own_name=name, **options["security"]),
    )
