"""The command `voicemux find`: shows the listeners of the local network."""

import json
import sys

import click

from voicemux.app.exit_codes import ExitCode
from voicemux.app.exits import exits
from voicemux.app.options import a_number

# Seconds to wait for answers: a listener answers within 120 ms (RFC 6762, section 6), but Wi-Fi may hold multicast
# back for a second.
USUAL_SECONDS = 2.0


@click.command("find")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    callback=a_number,
    default=USUAL_SECONDS,
    show_default=True,
    help="For how long to wait for answers.",
)
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def find_command(seconds: float, as_json: bool) -> None:
    """Show who listens on the local network with --announce.

    A listener may lie about its name: only a code, or a key that you know, proves in the call who it is.
    """
    with exits():
        from voicemux.net.neighbours import find_neighbours
        from voicemux.security.names import NAMELESS, tame

        found = find_neighbours(seconds)
        if as_json:
            rows = [{"name": tame(each.name), "addresses": [str(place) for place in each.places]} for each in found]
            click.echo(json.dumps(rows))
        elif not found:
            click.echo("voicemux: no listener on this network has answered; it must run with --announce", err=True)
        for each in [] if as_json else found:
            click.echo(f"{tame(each.name) or NAMELESS}: voicemux dial {each.places[0]}")
        if not found:
            sys.exit(ExitCode.UNREACHABLE)
