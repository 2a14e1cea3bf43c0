"""The command line: fuzz/run is this."""

import sys

import click

from fuzz import runs
from fuzz.corpus import FINDINGS
from fuzz.targets import TARGETS


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"Fuzz TARGET, or one after the other: {', '.join(TARGETS)}.",
)
@click.argument("target", type=click.Choice(list(TARGETS)), required=False, metavar="[TARGET]")
@click.option("--seconds", default=60, show_default=True, help="For each target.")
def main(target: str | None, seconds: int) -> None:
    if not runs.is_possible():
        sys.exit("fuzz: there is no atheris here; scripts/setup test installs it where it can be had")
    faults = 0
    for outcome in runs.run([target] if target else TARGETS, seconds, FINDINGS, runs.CORPUS):
        faults += bool(outcome.fault)
        print(f"{outcome.target:15}{outcome.runs:>10} inputs{outcome.coverage:>7} places", flush=True)
        print(outcome.fault, end="", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(prog_name="fuzz/run")
