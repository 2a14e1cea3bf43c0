"""Ends a command that fails with one line and an exit code."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from voicemux.app.exit_codes import ExitCode, exit_code
from voicemux.errors import VoicemuxError

if TYPE_CHECKING:
    from voicemux.console.plain import Console


@contextlib.contextmanager
def exits(
    console: "Console | None" = None, interrupts: contextlib.AbstractContextManager[None] | None = None
) -> Iterator[None]:
    """Turn errors into one line on standard error (and an event, for programs) and an exit code, and Ctrl-C into an
    exit code.

    `interrupts` handles signals meanwhile; None: they become KeyboardInterrupt.
    """
    from voicemux.app.interrupts import Terminated, raised

    try:
        with interrupts or raised():
            yield
    except VoicemuxError as error:
        code = exit_code(error)
        from voicemux.console.plain import screen_of
        from voicemux.console.remedies import hint
        from voicemux.console.wording import written
        from voicemux.events import ProgramFailed

        failed = ProgramFailed(str(error), code, said=error.said, kind=str(error.kind or ""), hint=hint(error))
        if console:
            console.show(failed)
        with contextlib.suppress(OSError):  # even if the line cannot be written, the exit code tells of the failure
            click.echo("".join(written(failed, screen_of(sys.stderr))), err=True, nl=False)
        sys.exit(code)
    except Terminated:
        sys.exit(ExitCode.TERMINATED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
