"""Asks the sound server behind ALSA's plugin "pulse" what it is (PulseAudio, or PipeWire in its place), and which
devices it has.

What pulsectl (24.12) tells of a device's rate is wrong for all devices but one: libpulse has reused that memory.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from voicemux.errors import OutOfResources
from voicemux.threads import within

PULSEAUDIO = "pulseaudio"  # as it calls itself; PipeWire says "PulseAudio (on PipeWire 1.4.2)"
PATIENCE = 1.0  # seconds; a server that works answers in 20 ms, one that is frozen never


def server_name() -> str:
    """What the server of this user calls itself; "" if there is none, or it does not answer in time."""
    return str(_asked(lambda pulse: pulse.server_info().server_name) or "")


@dataclass(frozen=True)
class ServedDevice:
    """A device of the sound server. `name` is unique, `description` is for people."""

    name: str
    description: str
    channels: int
    is_monitor: bool = False  # it captures what a loudspeaker plays
    names: tuple[str, ...] = ()  # all that it and the connected plug are called, and the profile of a wireless one


def served_devices(kind: str) -> list[ServedDevice]:
    """All of the server; none if it cannot be asked. `kind` is "input" or "output". May wait for a second."""
    return _asked(lambda pulse: [_served(each) for each in _all(pulse, kind)]) or []


def default_device(kind: str) -> ServedDevice | None:
    """The default one, as of now; None if that cannot be found out, or there is none. May wait for a second."""
    found: ServedDevice | None = _asked(lambda pulse: _default(pulse, kind))
    return found


def names_of_default(kind: str) -> tuple[str, ...]:
    """All that the default device and its plug are called, as of now; nothing if that cannot be found out."""
    found = default_device(kind)
    return found.names if found else ()


def is_named(kind: str) -> bool:
    """Whether the user has named the default device of the programs that are started here."""
    return bool(os.environ.get(_variable(kind)))


def used_device(kind: str) -> ServedDevice | None:
    """That of the newest stream of this process; None if there is none, or the server cannot be asked."""
    found: ServedDevice | None = _asked(lambda pulse: _used(pulse, kind))
    return found


@contextlib.contextmanager
def aimed_at(kind: str, name: str) -> Iterator[None]:
    """Streams that are opened meanwhile use the device of that name; if it is empty, nothing changes.

    libpulse reads the variable of the environment when ALSA's plugin makes a connection, which it does for each
    stream. A stream that is moved later would have the server remember that for all programs of this kind.
    """
    variable = _variable(kind)
    before = os.environ.get(variable)
    if name:
        os.environ[variable] = name
    try:
        yield
    finally:
        if name and before is None:
            del os.environ[variable]
        elif name and before is not None:
            os.environ[variable] = before


def _variable(kind: str) -> str:
    return "PULSE_SOURCE" if kind == "input" else "PULSE_SINK"


def _all(pulse: Any, kind: str) -> list[Any]:
    return list(pulse.source_list() if kind == "input" else pulse.sink_list())


def _default(pulse: Any, kind: str) -> ServedDevice | None:
    what = "source" if kind == "input" else "sink"
    wanted = os.environ.get(_variable(kind)) or getattr(pulse.server_info(), f"default_{what}_name")
    return next((_served(each) for each in _all(pulse, kind) if each.name == wanted), None)


def _used(pulse: Any, kind: str) -> ServedDevice | None:
    streams = pulse.source_output_list() if kind == "input" else pulse.sink_input_list()
    ours = [each for each in streams if each.proplist.get("application.process.id") == str(os.getpid())]
    if not ours:
        return None
    newest = max(ours, key=lambda each: int(each.index))
    number = getattr(newest, "source" if kind == "input" else "sink")
    return next((_served(each) for each in _all(pulse, kind) if each.index == number), None)


PROFILES = ("device.form_factor", "bluetooth.protocol", "api.bluez5.profile")


def _served(device: Any) -> ServedDevice:
    port = device.port_active
    also = (device.proplist.get(each) for each in PROFILES)
    names = (device.name, device.description, *also, *((port.name, port.description) if port else ()))
    is_monitor = bool(getattr(device, "monitor_of_sink_name", None)) or device.name.endswith(".monitor")
    return ServedDevice(
        device.name,
        device.description or device.name,
        device.channel_count,
        is_monitor,
        tuple(name for name in names if name),
    )


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
