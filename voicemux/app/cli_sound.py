"""The commands `voicemux devices`, `voicemux test` and `voicemux demo`: list and try the sound of this machine."""

import json
import sys
from functools import partial

import click

from voicemux.app.exit_codes import ExitCode
from voicemux.app.exits import exits
from voicemux.app.options import a_device, a_number


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def devices(as_json: bool) -> None:
    """List the microphones and loudspeakers to choose from."""
    with exits():
        from dataclasses import asdict

        from voicemux.audio.devices import all_devices
        from voicemux.audio.portaudio import PortAudio
        from voicemux.console.printable import printable

        portaudio = PortAudio()
        try:
            found = all_devices(portaudio)
        finally:
            portaudio.close()
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found]))
        elif not found:
            click.echo("voicemux: this system has no sound devices", err=True)
        for each in [] if as_json else found:
            kinds = [(each.inputs, "in", each.default_input), (each.outputs, "out", each.default_output)]
            marks = ", ".join(f"{count} {kind}{'*' if default else ''}" for count, kind, default in kinds if count)
            system = f"{each.system}: {printable(each.target)}" if each.target else each.system
            click.echo(f"{each.number:3}  {printable(each.name)}  ({system}; {marks}; {each.rate} Hz)")
        if found and not as_json:
            click.echo("     * the default", err=True)


@click.command()
@click.option("--live", is_flag=True, help="Play on the real loudspeaker, and listen to the real microphone.")
@click.option("--keep", metavar="FOLDER", type=click.Path(file_okay=False), help="The folder for the two recordings.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def demo(live: bool, keep: str | None, as_json: bool) -> None:
    """Hold a call on this machine, with speech, and report."""
    with exits():
        from voicemux.app.demo import describe, hold_demo

        report = hold_demo(keep, live=live, tell=None if as_json else lambda line: click.echo(line, err=True))
        click.echo(json.dumps(report) if as_json else describe(report))
        if not report["ok"]:
            sys.exit(ExitCode.CALL_FAILED)


@click.command("test")
@click.option(
    "--input",
    "source",
    metavar="DEVICE",
    default="",
    callback=a_device,
    help="Microphone, as `voicemux devices` names it.",
)
@click.option(
    "--output",
    "sink",
    metavar="DEVICE",
    default="",
    callback=a_device,
    help="Loudspeaker, as `voicemux devices` names it.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 60),
    callback=a_number,
    default=5.0,
    show_default=True,
    metavar="N",
    help="How many seconds the microphone is recorded.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def sound_test(source: str, sink: str, seconds: float, as_json: bool) -> None:
    """Try the microphone, the loudspeaker and the echo, without a call.

    On a terminal, you are asked to speak, and hear yourself. Elsewhere, you are not asked.
    """
    with exits():
        from voicemux.app.sound_test import describe_report, try_sound
        from voicemux.app.standard_streams import is_attended
        from voicemux.console.printable import printable

        report = try_sound(source, sink, seconds, partial(click.echo, err=True), asks=is_attended() and not as_json)
        click.echo(json.dumps(report) if as_json else "\n".join(map(printable, describe_report(report).splitlines())))
        if any(each and each["verdict"] == "missing" for each in report.values() if each not in (True, False)):
            sys.exit(ExitCode.DEVICE)
        if not report["ok"]:
            sys.exit(ExitCode.CALL_FAILED)
