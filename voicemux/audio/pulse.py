"""Asks the sound server behind ALSA's plugin "pulse" what it is (PulseAudio, or PipeWire in its place), and what its
default devices are called."""

import os
from collections.abc import Callable
from typing import Any

from voicemux.errors import OutOfResources
from voicemux.threads import within

PULSEAUDIO = "pulseaudio"  # as it calls itself; PipeWire says "PulseAudio (on PipeWire 1.4.2)"
PATIENCE = 1.0  # seconds; a server that works answers in 20 ms, one that is frozen never


def server_name() -> str:
    """What the server of this user calls itself; "" if there is none, or it does not answer in time."""
    return str(_asked(lambda pulse: pulse.server_info().server_name) or "")


def names_of_default(kind: str) -> tuple[str, ...]:
    """All that the default device and its plug are called, as of now; nothing if that cannot be found out.

    `kind` is "input" or "output".
    """
    return tuple(_asked(lambda pulse: _names(pulse, kind)) or ())


def _names(pulse: Any, kind: str) -> list[str]:
    what = "source" if kind == "input" else "sink"
    wanted = os.environ.get(f"PULSE_{what.upper()}") or getattr(pulse.server_info(), f"default_{what}_name")
    device = getattr(pulse, f"get_{what}_by_name")(wanted)
    port = device.port_active
    names = [device.name, device.description, device.proplist.get("device.form_factor")]
    return [name for name in (*names, *((port.name, port.description) if port else ())) if name]


def _asked(question: Callable[[Any], Any]) -> Any:
    """The answer to `question`, which is given the connection; None if there is none in time."""
    try:
        return within(PATIENCE, "sound-server", lambda: _ask(question))
    except (TimeoutError, OutOfResources):
        return None


def _ask(question: Callable[[Any], Any]) -> Any:
    try:
        import pulsectl  # it loads the system's libpulse, which need not be there
    except OSError:
        return None
    try:
        with pulsectl.Pulse("voicemux") as pulse:
            return question(pulse)
    except pulsectl.PulseError:
        return None
