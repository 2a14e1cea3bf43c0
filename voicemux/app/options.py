"""Options that several commands share, and checks of options in general."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from voicemux.app.misuse import NO_INPUT, contradiction
from voicemux.app.standard_streams import has_no_input
from voicemux.audio.choices import has_file_ending

STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")  # other names of "-"


def stacked(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    """Return `command` decorated with these options, the first on top."""
    for option in reversed(options):
        command = option(command)
    return command


def unencrypted(words: str) -> tuple[Callable[..., Any], ...]:
    """Return the option `--unencrypted`, as the parameter `plain`, and its former name."""
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


def a_number(context: click.Context, option: click.Parameter, value: float) -> float:
    """Refuse "nan", which click's ranges let through: it is neither below the lowest nor above the highest."""
    if value != value:
        raise click.BadParameter("nan is not a number", context, option)
    return value


def a_device(context: click.Context, option: click.Parameter, value: str) -> str:
    """Return the name of a device. Raises BadParameter for "none", standard input, a file or a folder."""
    if value == "none" or value in ("-", *STANDARD_INPUT):
        kind = "no device"
    elif os.sep in value and os.path.isdir(value):
        kind = "a folder, and no device"
    elif has_file_ending(value) or (os.sep in value and os.path.exists(value)):
        kind = "a file, and no device"
    else:
        return value
    raise click.BadParameter(f"{value} is {kind}: voicemux devices lists what can be tried", context, option)


def a_file(context: click.Context, option: click.Parameter, value: str) -> str:
    """Return the name of a file. Refuses "", which a script gives whose variable is not set: the file would silently
    not be kept."""
    if not value and was_typed(str(option.name)):
        raise click.BadParameter("expected the name of a file", context, option)
    return value


def refuse_what_means_nothing() -> None:
    """Refuse options that mean nothing beside others. Only typed options count: defaults and the environment are for
    other calls, too."""
    context = click.get_current_context()
    given = {
        each.opts[-1]: context.params.get(each.name)
        for each in context.command.params
        if isinstance(each, click.Option) and each.name and was_typed(each.name)
    }
    if given.get("--input") in STANDARD_INPUT:
        given["--input"] = "-"
    if context.info_name == "listen" and not given.get("--stdio") and has_no_input():
        given[NO_INPUT] = True
    if clause := contradiction({str(context.info_name): True, **given}):
        raise click.UsageError(clause)


def was_typed(parameter: str) -> bool:
    """Whether the parameter was typed, and did not come from the environment."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE
