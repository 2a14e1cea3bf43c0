"""Asks the sound server behind ALSA's plugin "pulse" which one it is: PulseAudio, or PipeWire in its place."""

from voicemux.errors import OutOfResources
from voicemux.threads import within

PULSEAUDIO = "pulseaudio"  # as it calls itself; PipeWire says "PulseAudio (on PipeWire 1.4.2)"
PATIENCE = 1.0  # seconds; a server that works answers in 20 ms, one that is frozen never


def server_name() -> str:
    """What the server of this user calls itself; "" if there is none, or it does not answer in time."""
    try:
        return within(PATIENCE, "sound-server", _ask)
    except (TimeoutError, OutOfResources):
        return ""


def _ask() -> str:
    try:
        import pulsectl  # it loads the system's libpulse, which need not be there
    except OSError:
        return ""
    try:
        with pulsectl.Pulse("voicemux") as pulse:
            return str(pulse.server_info().server_name)
    except pulsectl.PulseError:
        return ""
