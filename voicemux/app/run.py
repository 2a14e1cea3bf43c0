"""Runs `listen` or `dial` once: sets up console, signals and session, and makes the exit code in the end."""

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.app.consoles import make_console
from voicemux.app.exit_codes import ExitCode, exit_code
from voicemux.app.exits import exits
from voicemux.audio.choices import StandardStream
from voicemux.errors import VoicemuxError

if TYPE_CHECKING:
    from voicemux.app.holding import Outcome
    from voicemux.app.interrupts import Signals
    from voicemux.app.session import Session
    from voicemux.app.settings import Settings


def run(settings: "Settings", role: str, body: "Callable[[Session, Signals], Outcome]") -> None:
    """Set up a session, run it, and turn its outcome into an exit code. `role` is "dialler" or "listener"."""
    from voicemux.app.departure import Departure, Why
    from voicemux.app.interrupts import Signals, leave, live_in_background
    from voicemux.app.session import Session
    from voicemux.app.tracing import traced

    live_in_background()
    console = make_console(settings)
    sys.setswitchinterval(0.0005)  # seconds: with the usual 0.005, one busy thread would make a 5 ms callback late
    departure = Departure()
    signals = Signals(departure, console.restore, console.resume, console.interrupt)
    reads_input = not (settings.stdio or isinstance(settings.sound.input, StandardStream))
    outcome = None
    with exits(console if settings.display.as_json else None, contextlib.nullcontext()):
        try:
            with signals.watched():
                try:
                    with traced(settings.trace, role, console) as trace:
                        session = Session(settings, console, departure, reads_input=reads_input, trace=trace)
                        outcome = body(session, signals)
                finally:
                    console.close()
        except (VoicemuxError, KeyboardInterrupt):
            if departure.why in (None, Why.QUIT):
                raise
        if departure.why is Why.TERMINATED and outcome and outcome.lost_text:
            sys.exit(ExitCode.CALL_FAILED)
        if outcome is None or departure.why in (Why.INTERRUPTED, Why.TERMINATED):
            leave(departure.why or Why.QUIT)
        if outcome.interrupted:
            sys.exit(ExitCode.INTERRUPTED)
        if outcome.error:  # it was shown already, as the end of the call
            sys.exit(exit_code(outcome.error))
        if outcome.lost_text:
            sys.exit(ExitCode.CALL_FAILED)
