"""The command `voicemux conform`: tests whether another program speaks the protocol."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from voicemux.app.exit_codes import ExitCode
from voicemux.app.exits import exits
from voicemux.app.options import refuse_what_means_nothing, stacked, unencrypted, was_typed
from voicemux.errors import VoicemuxError

if TYPE_CHECKING:
    from voicemux.conform.runner import Selection, Tell
    from voicemux.conform.subject import Keys
    from voicemux.conform.verdict import Result


@click.group()
def conform() -> None:
    """Find out whether another program speaks protocol.md, by calling it or being called by it; or a relay relay.md.

    A listener or dialler under test takes every call by itself, without asking; stays in it until the BYE, also when
    its standard input has ended; and, to have everything checked, makes sound and writes more than 64 KiB of text
    from the beginning of each call. What it does not offer is skipped, and listed as skipped.
    """


@dataclass(frozen=True)
class ConformOptions:
    """The typed options, as click passes them: the names are those of the parameters."""

    plain: bool
    code: str
    is_open: bool
    names: tuple[str, ...]  # names of cases
    sections: tuple[int, ...]
    quick: bool
    lists: bool
    verbose: bool
    as_json: bool
    junit: str | None  # path of a JUnit file, or None


def report_options(document: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the options that all roles share: which cases of `document` are run, and how they are reported."""
    options = (
        click.option("--case", "names", multiple=True, metavar="NAME", help="Only this case; repeatable."),
        click.option("--section", "sections", multiple=True, type=int, metavar="N", help="Only cases of this section"
            f" of {document}; repeatable."),
        click.option("--quick", is_flag=True, help="No case that takes over 5 seconds."),
        click.option("--list", "lists", is_flag=True, help="Show the cases and run none."),
        click.option("-v", "--verbose", is_flag=True, help=f"Of a case that failed, show what {document} says and"
            " every frame, in both directions."),
        click.option("--json", "as_json", is_flag=True, help="The results as one JSON object."),
        click.option("--junit", type=click.Path(dir_okay=False, writable=True), metavar="FILE", help="Also write the"
            " results as JUnit XML."),
    )  # fmt: skip
    return lambda command: stacked(options, command)


def conform_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that listeners and diallers share."""
    options = (
        *unencrypted("Calls without encryption."),
        click.option("--code", envvar="VOICEMUX_CODE", metavar="CODE", default="", help="Code of encrypted calls."),
        click.option("--open", "is_open", is_flag=True, help="Encrypted calls without a code, if they are taken."),
        report_options("protocol.md"),
    )
    return stacked(options, command)


@conform.command("listener")
@click.argument("target", metavar="HOST[:PORT]", required=False)
@click.option("--pid", type=int, metavar="PID", help="The listener's process, whose memory is then watched, too.")
@conform_options
def conform_listener(target: str | None, pid: int | None, **options: Any) -> None:
    """Call the listener under test, once for each case."""
    typed = ConformOptions(**options)
    if not typed.lists and not target:
        raise click.UsageError("missing argument HOST[:PORT]")
    if not (typed.lists or typed.plain or typed.code or typed.is_open):
        raise click.UsageError("an encrypted call needs --open, or --code: one that the listener always takes")

    def examine(keys: "Keys | None", selection: "Selection", tell: "Tell") -> "list[Result]":
        from voicemux.conform.runner import examine_listener
        from voicemux.net.address import parse_address

        return examine_listener(parse_address(target or ""), keys, selection, pid, tell)

    _conform("listener", typed, examine)


@conform.command("dialer")
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Wait at this address.")
@click.option("--port", metavar="PORT", default="8689", show_default=True, help="0 lets the system choose one.")
@click.option("--run", "command", metavar="COMMAND", default="", help="What dials, for a shell; started for each"
    " case with {port} and {code} filled in.  [default: wait for a program that dials again and again]")  # fmt: skip
@conform_options
def conform_dialer(host: str, port: str, command: str, **options: Any) -> None:
    """Wait for the dialler under test, once for each case."""

    def examine(keys: "Keys | None", selection: "Selection", tell: "Tell") -> "list[Result]":
        from voicemux.conform.runner import examine_dialler
        from voicemux.net.address import parse_host, parse_port
        from voicemux.net.listener import ListeningSockets

        with contextlib.closing(ListeningSockets(parse_host(host), parse_port(port, lowest=0))) as listener:
            click.echo(f"voicemux: waiting at {host} port {listener.port}", err=True)
            return examine_dialler(listener, keys, selection, command, tell)

    _conform("dialler", ConformOptions(**options), examine)


conform.add_command(conform_dialer, "dialler")


@conform.command("relay")
@click.argument("target", metavar="HOST[:PORT]", required=False)
@click.option("--token", metavar="TOKEN", envvar="VOICEMUX_RELAY_TOKEN", default="", help="Token of a private relay.")
@report_options("relay.md")
def conform_relay(target: str | None, token: str, **options: Any) -> None:
    """Play the clients of the relay under test. tls://HOST is a relay with TLS.

    That takes about 20 calls in ten seconds: a relay may allow an address less, and then the rest is skipped.
    """
    typed = ConformOptions(plain=True, code="", is_open=False, **options)
    if not typed.lists and not target:
        raise click.UsageError("missing argument HOST[:PORT]")

    def examine(keys: "Keys | None", selection: "Selection", tell: "Tell") -> "list[Result]":
        from voicemux.conform.runner import examine_relay
        from voicemux.relay.places import parse_relay

        return examine_relay(parse_relay(target or "", token), selection, tell)

    _conform("relay", typed, examine)


def _conform(
    role: str, typed: ConformOptions, examine: "Callable[[Keys | None, Selection, Tell], list[Result]]"
) -> None:
    """Choose the cases, run them with a key of their own, and report."""
    refuse_what_means_nothing()
    if typed.is_open and was_typed("code"):
        raise click.UsageError("--open and --code contradict each other: calls have either no code, or this one")
    if typed.plain and (typed.is_open or was_typed("code")):
        raise click.UsageError("--unencrypted goes with neither --code nor --open: nothing is checked then")
    with exits():
        import tempfile
        from pathlib import Path

        from voicemux.conform import report
        from voicemux.conform.runner import Selection
        from voicemux.conform.subject import Keys
        from voicemux.console.plain import screen_of
        from voicemux.security.code import new_code
        from voicemux.security.identity import load_identity

        selection = Selection(typed.names, typed.sections, typed.quick)
        cases = selection.cases(role, encrypted=not typed.plain)
        if unknown := set(typed.names) - {case.name for case in cases}:
            raise click.UsageError(f"no such case for this: {', '.join(sorted(unknown))}; --list shows what there is")
        if typed.lists:
            click.echo(report.table(cases))
            return
        with tempfile.TemporaryDirectory(prefix="voicemux-conform-") as folder:
            keys = None
            if not typed.plain:
                code = "" if typed.is_open else typed.code or new_code()
                keys = Keys(load_identity(Path(folder) / "key"), code)
                if role == "dialler" and code and not typed.code:
                    click.echo(f"voicemux: the code is {code}", err=True)

            def tell(result: "Result") -> None:
                lines = [report.line(result), *(report.details(result).splitlines() if typed.verbose else ())]
                for line in [] if typed.as_json else lines:
                    click.echo(report.shown(line, screen_of(sys.stdout)))

            results = examine(keys, selection, tell)
        if typed.as_json:
            click.echo(report.as_json(results, verbose=typed.verbose))
        else:
            click.echo(report.summary(results))
        if typed.junit:
            try:
                Path(typed.junit).write_bytes(report.as_junit(results))
            except OSError as error:
                raise VoicemuxError(f"cannot write {typed.junit}: {(error.strerror or '').lower()}") from error
        if any(result.verdict == "fail" for result in results):
            sys.exit(ExitCode.CALL_FAILED)
