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

PULSEAUDIO = "pulseaudio"  # the name of PulseAudio itself; PipeWire says "PulseAudio (on PipeWire 1.4.2)"
PATIENCE = 1.0  # seconds for the server's answer; one that works answers in 20 ms, a frozen one never


def server_name() -> str:
    """Return the name of this user's sound server; "" if there is none, or it does not answer in time."""
    return str(_asked(lambda pulse: pulse.server_info().server_name) or "")


@dataclass(frozen=True)
class ServedDevice:
    """A device of the sound server. `name` is unique, `description` is for users."""

    name: str
    description: str
    channels: int
    is_monitor: bool = False  # it records what a loudspeaker plays
    names: tuple[str, ...] = ()  # all names of the device and its active port, and the profile of a wireless one
    positions: tuple[str, ...] = ()  # of its channels, as `positions.py` explains them


def served_devices(kind: str) -> list[ServedDevice]:
    """Return all devices of the server; empty if it cannot be asked. `kind` is "input" or "output". May wait for a
    second."""
    return _asked(lambda pulse: [_served(each) for each in _all(pulse, kind)]) or []


def default_device(kind: str) -> ServedDevice | None:
    """Return the present default device; None if there is none, or it cannot be found out. May wait for a second."""
    found: ServedDevice | None = _asked(lambda pulse: _default(pulse, kind))
    return found


def positions_of(kind: str, name: str) -> tuple[str, ...]:
    """Return the positions of the channels of the device with that name, or of the present default one if it is "".
    Empty if they cannot be found out. May wait for a second."""
    if not name:
        default = default_device(kind)
        return default.positions if default else ()
    return next((each.positions for each in served_devices(kind) if each.name == name), ())


def names_of_default(kind: str) -> tuple[str, ...]:
    """Return all names of the present default device and its port; empty if they cannot be found out."""
    found = default_device(kind)
    return found.names if found else ()


def is_named(kind: str) -> bool:
    """Whether the user has named a default device for programs, by libpulse's environment variable."""
    return bool(os.environ.get(_variable(kind)))


def used_device(kind: str) -> ServedDevice | None:
    """Return the device of this process's newest stream; None if there is none, or the server cannot be asked."""
    found: ServedDevice | None = _asked(lambda pulse: _used(pulse, kind))
    return found


@contextlib.contextmanager
def aimed_at(kind: str, name: str) -> Iterator[None]:
    """Let streams that are opened inside use the device of that name; "": change nothing.

    libpulse reads the environment variable when ALSA's plugin connects, which it does for each stream. If a stream
    were moved later, the server would remember that for all programs of this kind.
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
        tuple(device.channel_list),
    )


def _asked(question: Callable[[Any], Any]) -> Any:
    """Return the answer to `question`, which gets the connection; None if there is none in time."""
    try:
        return within(PATIENCE, "sound-server", lambda: _ask(question))
    except (TimeoutError, OutOfResources):
        return None


def _ask(question: Callable[[Any], Any]) -> Any:
    try:
        import pulsectl  # it loads the system's libpulse, which may be missing
    except OSError:
        return None
    try:
        with pulsectl.Pulse("voicemux") as pulse:
            return question(pulse)
    except pulsectl.PulseError:
        return None
