"""The command line of the benchmark: bench/run, bench/report, bench/micro, bench/codec and
bench/resume are this."""

import json
import signal
import sys
from pathlib import Path

import click

from bench import codecs, echo, echo_calls, gate, micro, report, resume, runs
from bench.lines import ALL, GROUPS
from bench.places import Namespaces
from bench.programs import PROGRAMS
from bench.speakers import SpeakersMissing

RESULTS = Path(__file__).parent / "results"

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=RESULTS,
    show_default="bench/results",
    help="Where results, tables and pictures are.",
)


def _chosen(known: dict[str, object]) -> object:
    def check(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
        names = value.split(",") if value else list(known)
        if unknown := [name for name in names if name not in known]:
            raise click.BadParameter(f"{', '.join(unknown)}; known are {', '.join(known)}")
        return names

    return check


def _lines(context: click.Context, parameter: click.Parameter, value: str) -> object:
    groups = {name: ",".join(lines) for name, lines in GROUPS.items()}
    names = ",".join(groups.get(name, name) for name in value.split(","))
    return _chosen(dict(ALL))(context, parameter, names)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure voicemux beside its peers."""


@main.command("run")
@click.option("--quick", is_flag=True, help="One short call of voicemux and of the floor each, on the loopback.")
@click.option(
    "--lines",
    default="table",
    show_default=True,
    callback=_lines,
    help=f"Groups of {','.join(GROUPS)}, or of {','.join(ALL)}.",
)
@click.option("--programs", callback=_chosen(dict(PROGRAMS)), help=f"Of {','.join(PROGRAMS)}.  [default: all]")
@click.option("--repeats", default=2, show_default=True, help="How often each call is held.")
@folder_option
def run_command(quick: bool, lines: list[str], programs: list[str], repeats: int, folder: Path) -> None:
    """Hold the calls, measure them, and write the results."""
    if missing := runs.missing():
        sys.exit(f"bench: {missing}")
    if quick:
        print(json.dumps(runs.quick(), indent=1))
        return
    results = runs.run(lines, programs, repeats, folder)
    report.write(results, folder)


@main.command("report")
@folder_option
def report_command(folder: Path) -> None:
    """Make the tables and pictures anew from the results."""
    report.write(json.loads((folder / runs.RESULTS).read_text()), folder)


@main.command("micro")
@folder_option
def micro_command(folder: Path) -> None:
    """Measure what a frame, a start and an hour of voice cost."""
    figures = micro.measure()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "micro.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "micro.md").write_text(micro.table(figures) + "\n")
    print(micro.table(figures))


@main.command("codec")
@click.option("--others", is_flag=True, help="Also the settings that those of voicemux were chosen over.")
@folder_option
def codec_command(others: bool, folder: Path) -> None:
    """Measure what Opus makes of some thirty speakers on each rung. Takes minutes, and no sound card."""
    try:
        figures = codecs.measure_all(
            others=others, tell=lambda row: print(row["setting"], file=sys.stderr, flush=True)
        )
    except SpeakersMissing as error:
        sys.exit(f"bench: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "codec.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "codec.md").write_text(codecs.report(figures) + "\n")
    print(codecs.report(figures))


@main.command("gate")
@click.option("--keys", type=click.Path(path_type=Path), default=gate.KEYS, help="Recordings of keys.")
@folder_option
def gate_command(keys: Path, folder: Path) -> None:
    """Measure how well --mic-mode voice tells speech from typing. Takes minutes, and no sound card."""
    rows = gate.measure(keys)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gate.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "gate.md").write_text(gate.table(rows) + "\n")
    print(gate.table(rows))


@main.command("echo")
@click.option("--calls", is_flag=True, help="Real calls, of voicemux, Mumble and linphone, and not simulated rooms.")
@folder_option
def echo_command(calls: bool, folder: Path) -> None:
    """Measure how much of what the far side says comes back to it, and what is left of words while both speak."""
    try:
        rows = echo_calls.in_calls() if calls else echo.simulated()
    except SpeakersMissing as error:
        sys.exit(f"bench: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    name = "echo-calls" if calls else "echo"
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / f"{name}.md").write_text(echo.table(rows) + "\n")
    print(echo.table(rows))


@main.command("resume")
@click.option(
    "--cases", callback=_chosen(dict.fromkeys(resume.NAMES)), help=f"Of {','.join(resume.NAMES)}.  [default: all]"
)
@click.option("--repeats", type=click.IntRange(min=1), help="Cuts of each case.  [default: as many as each needs]")
@folder_option
def resume_command(cases: list[str], repeats: int | None, folder: Path) -> None:
    """Break the lines of calls, and measure after how long voice is heard again. Takes an hour; needs root."""
    if reason := Namespaces.missing():
        sys.exit(f"bench: {reason}")
    results = resume.run(cases, repeats, lambda line: print(f"bench: {line}", file=sys.stderr, flush=True))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resume.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "resume.md").write_text(resume.table(results) + "\n")
    print(resume.table(results))


def _end(*_: object) -> None:
    """Such that namespaces, sound server and programs go, too."""
    sys.exit(130)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter is ignored in a shell's background
        signal.signal(number, _end)
    main(prog_name="bench")
