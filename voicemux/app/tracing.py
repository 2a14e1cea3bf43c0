"""The trace of a run, if the user wants one (`--trace`)."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from voicemux.console.plain import Console
from voicemux.events import Notice

if TYPE_CHECKING:
    from voicemux.trace.facts import Trace


@contextlib.contextmanager
def traced(path: str, role: str, console: Console) -> "Iterator[Trace | None]":
    """Trace all that is done inside, to a new file; yields None if `path` is "".

    `role` is "dialler" or "listener". Raises DeviceError if the file cannot be made. If the disk is full later, the
    user is told once, and the calls go on.
    """
    if not path:
        yield None
        return
    from voicemux.audio.recording import claim
    from voicemux.trace.file import TraceFile

    descriptor, made = claim(path)
    if made != path:
        console.show(Notice(f"{path} is there already: the trace goes to {made}"))
    trace = TraceFile(
        descriptor, role, lambda why: console.show(Notice(f"cannot write {made}: {why}; the trace ends here"))
    )
    try:
        yield trace
    finally:
        trace.close()
