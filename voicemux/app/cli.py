"""The command line: arguments in, exit codes out, hints for people.
Everything else is imported inside the commands, so that `voicemux --help` answers at once.
"""

import contextlib
import errno
import sys
from typing import NoReturn

import click

from voicemux import __version__
from voicemux.app.cli_call import dial_command, listen_command
from voicemux.app.cli_conform import conform
from voicemux.app.cli_contacts import contacts
from voicemux.app.cli_find import find_command
from voicemux.app.cli_relay import relay_command
from voicemux.app.cli_sound import demo, devices, sound_test
from voicemux.app.exit_codes import ExitCode

EPILOG = """\b
Exit codes: 0 ended well, 1 the call failed, 2 misuse, 3 unreachable,
4 the other side broke the protocol, 5 device or sound file,
6 not who was meant, or not admitted, 130 interrupted, 143 terminated
(but for `listen`, `dial` and `relay`, which SIGTERM ends well)."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voicemux")
def cli() -> None:
    """Voice and text over one TCP connection.

    Type `voicemux listen` on one machine and `voicemux dial HOST` on the other.
    """


CALLS = (listen_command, dial_command, find_command, contacts, relay_command)
for command in (*CALLS, devices, sound_test, demo, conform):
    cli.add_command(command)


def run_command_line() -> None:
    """Run the command `voicemux`, once it has been imported."""
    _leave_no_core()
    try:
        sys.exit(cli.main(prog_name="voicemux", standalone_mode=False))
    except click.ClickException as error:
        if len(sys.argv) == 1:  # then click's error is the help text itself
            error.show()
        else:
            click.echo(f"voicemux: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except (MemoryError, ImportError, SystemError) as error:  # Python turns some MemoryErrors into a SystemError
        _give_up(f"memory is used up, or a library is missing: {_innermost(error)}")
    except OSError as error:  # click handles only a pipe whose reader has gone, not a full disk
        is_used_up = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
        what = "the system gives no more" if is_used_up else "cannot write the output"
        _give_up(f"{what}: {(error.strerror or str(error)).lower()}")


def _give_up(why: str) -> NoReturn:
    with contextlib.suppress(OSError):
        click.echo(f"voicemux: {why}", err=True)
    sys.exit(ExitCode.CALL_FAILED)


def _innermost(error: BaseException) -> str:
    """Return the first cause in one line: what libraries add to it is advice for their developers."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _leave_no_core() -> None:
    """Allow no core dump: it would hold the key and the conversation, in a file that outlives the call."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no limits; some are set for good
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _one_line(error: click.ClickException) -> str:
    """Return click's message about a misuse, in the form of our other errors."""
    from voicemux.console.printable import printable

    message = " ".join(error.format_message().split()).removesuffix(".")
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "voicemux"
    return printable(f"{message[:1].lower()}{message[1:]}; {command} --help says what there is")
