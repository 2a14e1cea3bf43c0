"""The command line: arguments in, exit codes out, hints for people. The only home of click.

Everything else is imported inside the commands, so that `voicemux --help` answers at once.
"""

import contextlib
import errno
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from voicemux import __version__
from voicemux.errors import (
    AddressError,
    CallRefused,
    ConnectionLost,
    DeviceError,
    RemoteProtocolError,
    SecurityError,
    Unreachable,
    VoicemuxError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from voicemux.console.plain import Console
    from voicemux.interrupts import Signals
    from voicemux.session import Outcome, Session, Settings

ENDED_WELL, CALL_FAILED, MISUSE, UNREACHABLE, PROTOCOL, DEVICE, SECURITY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
TERMINATED = 143

EXIT_CODES: dict[type[VoicemuxError], int] = {  # the first that fits
    AddressError: MISUSE,
    Unreachable: UNREACHABLE,
    RemoteProtocolError: PROTOCOL,
    DeviceError: DEVICE,
    SecurityError: SECURITY,
    ConnectionLost: CALL_FAILED,
    CallRefused: CALL_FAILED,
    VoicemuxError: CALL_FAILED,
}

MOST_CODE_BYTES = 1000  # of a code in a file: a device like /dev/zero has no end
STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")  # other names of "-"
PLAIN_TERMINALS = ("", "dumb", "unknown")  # values of TERM
RECORDING_ENDINGS = (".wav", ".flac", ".ogg")

EPILOG = """\b
Exit codes: 0 ended well, 1 the call failed, 2 misuse, 3 unreachable,
4 the other side broke the protocol, 5 device or sound file,
6 not who was meant, or not admitted, 130 interrupted, 143 terminated
(but for `listen` and `dial`, which SIGTERM ends well)."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voicemux")
def cli() -> None:
    """Voice and text over one TCP connection.

    Type `voicemux listen` on one machine and `voicemux dial HOST` on the other.
    """


def _stacked(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` with these decorators, the first on top."""
    for option in reversed(options):
        command = option(command)
    return command


def unencrypted(words: str) -> tuple[Callable[..., Any], ...]:
    """The option `--unencrypted`, as the parameter `plain`, and the name that it once had."""
    once = "voicemux.plain"

    def admit(context: click.Context, option: click.Parameter, is_given: bool) -> None:
        if is_given:
            click.echo("voicemux: --plain switches encryption off, and is now called --unencrypted", err=True)
            context.meta[once] = True

    def either(context: click.Context, option: click.Parameter, is_given: bool) -> bool:
        return is_given or once in context.meta

    return (
        click.option("--unencrypted", "plain", is_flag=True, callback=either, help=words),
        click.option(
            "--plain", "once_plain", is_flag=True, hidden=True, is_eager=True, expose_value=False, callback=admit
        ),
    )


def _number(context: click.Context, option: click.Parameter, value: float) -> float:
    """Click's ranges let "nan" through: it is not below the lowest, nor above the highest."""
    if value != value:
        raise click.BadParameter("nan is no number", context, option)
    return value


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
            "--timeout", type=click.FloatRange(1, 600), callback=_number, default=15, show_default=True,
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
    return _stacked(options, command)


@cli.command()
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
    if options["plain"] and (is_open or allowed or _was_typed("code")):
        raise click.UsageError("--unencrypted goes with none of --code, --open and --allow: anybody may call then")
    if code and not _was_typed("code") and _was_typed("code_words"):
        raise click.UsageError("--code-words means nothing beside VOICEMUX_CODE: for codes that are made here")
    from voicemux.answering import Asks
    from voicemux.net.address import parse_host, parse_port

    asks_all = ask or (_is_attended() and not options["as_json"] and options["input_"] != "-")
    options["asks"] = Asks.NOBODY if auto_accept else Asks.EVERYBODY if asks_all else Asks.STRANGERS
    options["security"] = {
        "code": code or "",
        "words": code_words,
        "is_open": is_open,
        "allowed": allowed,
    }

    def body(session: "Session", signals: "Signals") -> "Outcome":
        return session.listen(None if host is None else parse_host(host), parse_port(port, lowest=0), once=once)

    _run(options, body)


@cli.command()
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
    typed = " ".join(code) if _was_typed("code") else ""
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
    asks = not (chosen or is_open or options["plain"] or options["as_json"]) and _can_ask()

    def body(session: "Session", signals: "Signals") -> "Outcome":
        from voicemux.console.question import ask_for_code

        return session.dial(target, ask_for_code if asks else lambda _: "", signals.interrupting)

    _run(options, body)


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="What is shown, as JSON.")
@click.pass_context
def contacts(context: click.Context, as_json: bool) -> None:
    """List, rename and forget those whose keys you know, and say where they are."""
    if context.invoked_subcommand:
        context.obj = as_json
        return
    with _exit_codes(None):
        from dataclasses import asdict

        from voicemux.console.printable import printable
        from voicemux.security.contacts import Contacts

        known = Contacts(_folder())
        found = known.all()
        if passed_over := known.passed_over():
            click.echo(printable(f"voicemux: {passed_over}"), err=True)
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found]))
        elif not found:
            click.echo("voicemux: no contacts yet; the first call with a code makes one", err=True)
        for each in [] if as_json else found:
            where = ", ".join(each.addresses) or "-"
            click.echo(printable(f"{each.name}  {where}  (by {each.how}, {each.since})"))


@contacts.command()
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(as_json: bool, old: str, new: str) -> None:
    """Give a contact another name."""
    _refuse_json(as_json, "rename")
    with _exit_codes(None):
        from voicemux.security.contacts import Contacts

        Contacts(_folder()).rename(old, new)


@contacts.command()
@click.argument("name")
@click.argument("action", type=click.Choice(["add", "drop"]), required=False)
@click.argument("place", metavar="[HOST[:PORT]]", required=False)
@click.pass_obj
def address(as_json: bool, name: str, action: str | None, place: str | None) -> None:
    """Show where a contact is called, in this order; add an address, which is called first, or drop one."""
    if action and not place:
        raise click.UsageError(f"which address? voicemux contacts address {name} {action} HOST[:PORT]")
    if action:
        _refuse_json(as_json, f"address {name} {action}")
    with _exit_codes(None):
        from voicemux.console.printable import printable
        from voicemux.net.address import parse_address
        from voicemux.security.contacts import Contacts

        known = Contacts(_folder())
        if action == "add":
            known.add_address(name, str(parse_address(place or "")))
        elif action == "drop":
            known.drop_address(name, str(parse_address(place or "")))
        elif contact := known.named(name):
            if as_json:
                click.echo(json.dumps(list(contact.addresses)))
            for each in [] if as_json else contact.addresses:
                click.echo(printable(each))
        else:
            raise SecurityError(f"no contact is called {name!r}")


@contacts.command()
@click.argument("name")
@click.pass_obj
def forget(as_json: bool, name: str) -> None:
    """Forget a contact: the next call needs a code."""
    _refuse_json(as_json, "forget")
    with _exit_codes(None):
        from voicemux.security.contacts import Contacts

        Contacts(_folder()).forget(name)


@contacts.command()
@click.argument("name", required=False)
@click.pass_obj
def show(as_json: bool, name: str | None) -> None:
    """Show the fingerprint of a contact's key, or of your own."""
    with _exit_codes(None):
        from dataclasses import asdict

        from voicemux.security.contacts import Contacts
        from voicemux.security.identity import load_identity

        if name is None:
            fingerprint = load_identity(_folder()).fingerprint
            click.echo(json.dumps({"fingerprint": fingerprint}) if as_json else fingerprint)
        elif contact := Contacts(_folder()).named(name):
            click.echo(json.dumps(asdict(contact)) if as_json else contact.fingerprint)
        else:
            raise SecurityError(f"{name} is no contact")


def _refuse_json(as_json: bool, what: str) -> None:
    if as_json:
        raise click.UsageError(f"--json means nothing beside {what}: there is nothing to show")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def devices(as_json: bool) -> None:
    """List the microphones and loudspeakers to choose from."""
    with _exit_codes(None):
        from dataclasses import asdict

        from voicemux.audio.devices import PortAudio
        from voicemux.console.printable import printable

        portaudio = PortAudio()
        try:
            found = portaudio.devices()
        finally:
            portaudio.close()
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found]))
        elif not found:
            click.echo("voicemux: this system has no sound devices", err=True)
        for each in [] if as_json else found:
            kinds = [(each.inputs, "in", each.default_input), (each.outputs, "out", each.default_output)]
            marks = ", ".join(f"{count} {kind}{'*' if default else ''}" for count, kind, default in kinds if count)
            click.echo(f"{each.number:3}  {printable(each.name)}  ({each.system}; {marks}; {each.rate} Hz)")
        if found and not as_json:
            click.echo("     * the default", err=True)


@cli.command()
@click.option("--live", is_flag=True, help="Play on the real loudspeaker, and listen to the real microphone.")
@click.option("--keep", metavar="FOLDER", type=click.Path(file_okay=False), help="Where the two recordings go.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def demo(live: bool, keep: str | None, as_json: bool) -> None:
    """Hold a call on this machine, with speech, and report."""
    with _exit_codes(None):
        from voicemux.demo import describe, hold_demo

        report = hold_demo(keep, live=live, tell=None if as_json else lambda line: click.echo(line, err=True))
        click.echo(json.dumps(report) if as_json else describe(report))
        if not report["ok"]:
            sys.exit(CALL_FAILED)


@cli.group()
def conform() -> None:
    """Find out whether another program speaks protocol.md, by calling it or being called by it.

    The program under test takes every call by itself and asks nobody; stays in it until the BYE, also when its
    standard input has ended; and, to have everything checked, makes sound and writes more than 64 KiB of text from
    the beginning of each call. What it does not offer is skipped, and said.
    """


def conform_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both roles share."""
    options = (
        *unencrypted("Calls without encryption."),
        click.option("--code", envvar="VOICEMUX_CODE", metavar="CODE", default="", help="Of encrypted calls."),
        click.option("--open", "is_open", is_flag=True, help="Encrypted calls without a code, for who takes them."),
        click.option("--case", "names", multiple=True, metavar="NAME", help="Only this case; repeatable."),
        click.option("--section", "sections", multiple=True, type=int, metavar="N", help="Only cases of this section"
            " of protocol.md; repeatable."),
        click.option("--quick", is_flag=True, help="No case that takes over 5 seconds."),
        click.option("--list", "lists", is_flag=True, help="Show the cases and run none."),
        click.option("-v", "--verbose", is_flag=True, help="Of a case that failed, show what protocol.md says and"
            " every frame, in both directions."),
        click.option("--json", "as_json", is_flag=True, help="The results as one JSON object."),
        click.option("--junit", type=click.Path(dir_okay=False, writable=True), metavar="FILE", help="Write the"
            " results in JUnit's XML, too."),
    )  # fmt: skip
    return _stacked(options, command)


@conform.command("listener")
@click.argument("target", metavar="HOST[:PORT]", required=False)
@click.option("--pid", type=int, metavar="PID", help="Of the listener: its memory is watched, too.")
@conform_options
def conform_listener(target: str | None, pid: int | None, **options: Any) -> None:
    """Call somebody's listener, as often as there are cases."""
    if not options["lists"] and not target:
        raise click.UsageError("missing argument HOST[:PORT]")
    if not (options["lists"] or options["plain"] or options["code"] or options["is_open"]):
        raise click.UsageError("an encrypted call needs --open, or --code: one that the listener always takes")

    def examine(keys: Any, selection: Any, tell: Any) -> Any:
        from voicemux.conform.runner import examine_listener
        from voicemux.net.address import parse_address

        return examine_listener(parse_address(target or ""), keys, selection, pid, tell)

    _conform("listener", options, examine)


@conform.command("dialer")
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Wait at this address.")
@click.option("--port", metavar="PORT", default="8689", show_default=True, help="0 lets the system choose one.")
@click.option("--run", "command", metavar="COMMAND", default="", help="What dials, for a shell; started for each"
    " case with {port} and {code} filled in.  [default: wait for a program that dials again and again]")  # fmt: skip
@conform_options
def conform_dialer(host: str, port: str, command: str, **options: Any) -> None:
    """Wait for somebody's dialler, as often as there are cases."""

    def examine(keys: Any, selection: Any, tell: Any) -> Any:
        from voicemux.conform.runner import examine_dialler
        from voicemux.net.address import parse_host, parse_port
        from voicemux.net.listener import Listener

        with contextlib.closing(Listener(parse_host(host), parse_port(port, lowest=0))) as listener:
            click.echo(f"voicemux: waiting at {host} port {listener.port}", err=True)
            return examine_dialler(listener, keys, selection, command, tell)

    _conform("dialler", options, examine)


conform.add_command(conform_dialer, "dialler")


def _conform(role: str, options: dict[str, Any], examine: Callable[..., Any]) -> None:
    """Choose the cases, run them with a key of their own, and report."""
    _refuse_what_means_nothing()
    if options["is_open"] and _was_typed("code"):
        raise click.UsageError("--open and --code say different things: calls have no code, or this one")
    if options["plain"] and (options["is_open"] or _was_typed("code")):
        raise click.UsageError("--unencrypted goes with neither --code nor --open: nothing is checked then")
    with _exit_codes(None):
        import tempfile
        from pathlib import Path

        from voicemux.conform import report
        from voicemux.conform.runner import Selection
        from voicemux.conform.subject import Keys
        from voicemux.console.plain import screen_of
        from voicemux.security.code import new_code
        from voicemux.security.identity import load_identity

        selection = Selection(options["names"], options["sections"], options["quick"])
        cases = selection.cases(role, encrypted=not options["plain"])
        if unknown := set(options["names"]) - {case.name for case in cases}:
            raise click.UsageError(f"no such case for this: {', '.join(sorted(unknown))}; --list shows what there is")
        if options["lists"]:
            click.echo(report.table(cases))
            return
        with tempfile.TemporaryDirectory(prefix="voicemux-conform-") as folder:
            keys = None
            if not options["plain"]:
                code = "" if options["is_open"] else options["code"] or new_code()
                keys = Keys(load_identity(Path(folder) / "key"), code)
                if role == "dialler" and code and not options["code"]:
                    click.echo(f"voicemux: the code is {code}", err=True)

            def tell(result: Any) -> None:
                lines = [report.line(result), *(report.details(result).splitlines() if options["verbose"] else ())]
                for line in [] if options["as_json"] else lines:
                    click.echo(report.shown(line, screen_of(sys.stdout)))

            results = examine(keys, selection, tell)
        if options["junit"]:
            Path(options["junit"]).write_bytes(report.as_junit(results))
        click.echo(report.as_json(results) if options["as_json"] else report.summary(results))
        if any(result.verdict == "fail" for result in results):
            sys.exit(CALL_FAILED)


def main() -> None:
    """The entry point of the command `voicemux`."""
    _leave_no_core()
    try:
        sys.exit(cli.main(prog_name="voicemux", standalone_mode=False))
    except click.ClickException as error:
        if len(sys.argv) == 1:  # click's error is the help itself
            error.show()
        else:
            click.echo(f"voicemux: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except (MemoryError, ImportError) as error:
        _give_up(f"memory is used up, or a library is missing: {_innermost(error)}")
    except OSError as error:  # click ends quietly where a pipe's reader has gone, and knows no full disk
        is_used_up = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
        what = "the system gives no more" if is_used_up else "cannot write the output"
        _give_up(f"{what}: {(error.strerror or str(error)).lower()}")


def _give_up(why: str) -> NoReturn:
    with contextlib.suppress(OSError):
        click.echo(f"voicemux: {why}", err=True)
    sys.exit(CALL_FAILED)


def _innermost(error: BaseException) -> str:
    """The first cause, in one line: what libraries say on top of it is advice to their developers."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _leave_no_core() -> None:
    """A core dump would hold the key and what was said, in a file that outlives the call."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no limits; some are set for good
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _one_line(error: click.ClickException) -> str:
    """What click says of a misuse, in the shape of every other error of ours."""
    from voicemux.console.printable import printable

    message = " ".join(error.format_message().split()).removesuffix(".")
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "voicemux"
    return printable(f"{message[:1].lower()}{message[1:]}; {command} --help says what there is")


def _run(options: dict[str, Any], body: "Callable[[Session, Signals], Outcome]") -> None:
    """Set up a session as the options say, run it, and turn its outcome into an exit code."""
    input_, output, as_json = options["input_"], options["output"], options["as_json"]
    _refuse_what_means_nothing()
    if options["no_audio"]:
        if input_ or output or options["record"]:
            raise click.UsageError("--no-audio goes with none of --input, --output and --record")
        input_ = output = "none"
    if input_ in STANDARD_INPUT:
        input_ = "-"
    if as_json and "-" in (input_, output):
        raise click.UsageError("--json and raw sound cannot share standard input and output")
    from voicemux.departure import Departure, Why
    from voicemux.interrupts import Signals, leave, live_in_background
    from voicemux.session import Session

    if options["record"] and not options["record"].lower().endswith(RECORDING_ENDINGS):
        raise click.UsageError(f"--record takes a file that ends in {' or '.join(RECORDING_ENDINGS)}")
    with _exit_codes(None, interrupts=contextlib.nullcontext()):
        settings = _settings(options, input_, output)
    bell = options.get("bell", "never")
    live_in_background()
    console = _console(settings, as_json=as_json, draws=not options["line_mode"], bell=bell)
    sys.setswitchinterval(0.0005)  # seconds; with the usual 0.005 one busy thread makes a 5 ms callback late
    departure = Departure()
    signals = Signals(departure, console.restore, console.resume, console.interrupt)
    outcome = None
    with _exit_codes(console if as_json else None, interrupts=contextlib.nullcontext()):
        try:
            with signals.watched():
                try:
                    outcome = body(Session(settings, console, departure, reads_input=input_ != "-"), signals)
                finally:
                    console.close()
        except (VoicemuxError, KeyboardInterrupt):
            if departure.why in (None, Why.QUIT):
                raise
        if departure.why is Why.TERMINATED and outcome and outcome.lost_text:
            sys.exit(CALL_FAILED)
        if outcome is None or departure.why in (Why.INTERRUPTED, Why.TERMINATED):
            leave(departure.why or Why.QUIT)
        if outcome.interrupted:
            sys.exit(INTERRUPTED)
        if outcome.error:  # it has been shown as the end of the call
            sys.exit(_exit_code(outcome.error))
        if outcome.lost_text:
            sys.exit(CALL_FAILED)


def _refuse_what_means_nothing() -> None:
    """Of what stands in the command; what its defaults and the environment say is for other calls, too."""
    from voicemux.misuse import contradiction

    context = click.get_current_context()
    given = {
        each.opts[-1]: context.params.get(each.name)
        for each in context.command.params
        if isinstance(each, click.Option) and each.name and _was_typed(each.name)
    }
    if given.get("--input") in STANDARD_INPUT:
        given["--input"] = "-"
    if clause := contradiction({str(context.info_name): True, **given}):
        raise click.UsageError(clause)


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


def _was_typed(parameter: str) -> bool:
    """Whether it stands in the command, and not in the environment."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def _folder() -> "Path":
    """Where the key and the contacts are."""
    from voicemux.security.files import usual_folder

    return usual_folder()


def _settings(options: dict[str, Any], input_: str, output: str) -> "Settings":
    from voicemux.protocol.messages import Codec
    from voicemux.session import Settings
    from voicemux.trust import Security

    usual_bitrate = 64_000 if options["low_latency"] else Settings.bitrate
    name = options["name"] if options["name"] is not None else _login_name()
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
        security=None if options["plain"] else Security(_folder(), own_name=name, **options["security"]),
    )


def _console(settings: "Settings", *, as_json: bool, draws: bool, bell: str) -> "Console":
    from voicemux.console.plain import JsonConsole, PlainConsole

    if as_json:
        return JsonConsole()
    if settings.output == "-":
        return PlainConsole(texts=sys.stderr, bell=bell)
    if _is_terminal() and settings.input != "-":
        if draws and _can_be_drawn_on():
            from voicemux.console.printable import printable_name
            from voicemux.console.terminal import TerminalConsole

            return TerminalConsole(printable_name(settings.name), bell)
        if sys.platform != "win32":
            from voicemux.console.lines import LineConsole

            return LineConsole(bell)
    return PlainConsole(bell=bell)


def _can_be_drawn_on() -> bool:
    """Whether the terminal is known to take escape sequences. Windows names none, and all of its take them."""
    return os.environ.get("TERM", "").lower() not in PLAIN_TERMINALS or sys.platform == "win32"


def _is_attended() -> bool:
    """Whether somebody sits at a terminal, to see what is shown and to answer."""
    terminals = [each is not None and each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)]
    return terminals[0] and any(terminals[1:])


def _is_terminal() -> bool:
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stdout))


def _can_ask() -> bool:
    """Whether a question is seen, and its answer typed by somebody."""
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return ""


@contextlib.contextmanager
def _exit_codes(
    console: "Console | None", interrupts: contextlib.AbstractContextManager[None] | None = None
) -> Iterator[None]:
    """Errors become one line on standard error (and an event, for programs) and an exit code; Ctrl-C one, too.

    `interrupts` is how signals are handled meanwhile; None: they become KeyboardInterrupt.
    """
    from voicemux.interrupts import Terminated, raised

    try:
        with interrupts or raised():
            yield
    except VoicemuxError as error:
        code = _exit_code(error)
        from voicemux.console.plain import screen_of
        from voicemux.console.wording import written
        from voicemux.events import Failed
        from voicemux.remedies import hint

        failed = Failed(str(error), code, said=error.said, kind=str(error.kind or ""), hint=hint(error))
        if console:
            console.show(failed)
        with contextlib.suppress(OSError):  # the exit code is told though the line cannot be
            click.echo("".join(written(failed, screen_of(sys.stderr))), err=True, nl=False)
        sys.exit(code)
    except Terminated:
        sys.exit(TERMINATED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _exit_code(error: VoicemuxError) -> int:
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
