"""Finds and opens the microphones and loudspeakers of sound cards, each in the way that measured best."""

import re
from dataclasses import replace

from voicemux.audio import alsa, pulse
from voicemux.audio.blocking import PacedLoudspeaker, PacedMicrophone
from voicemux.audio.callbacks import CalledLoudspeaker, CalledMicrophone
from voicemux.audio.card import CardLoudspeaker, CardMicrophone
from voicemux.audio.endpoints import RATE
from voicemux.audio.portaudio import Device, PortAudio, is_numbered
from voicemux.audio.positions import heard_channels, lacks_sides
from voicemux.errors import DeviceError, Kind

SERVERS = frozenset({"pulse", "pipewire"})  # ALSA plugins behind which a sound server runs
SERVED = frozenset({"default", "pulse", "pipewire"})  # names of devices that do not tell what is behind them
MONITOR = re.compile(r"\.monitor$|^monitor of |stereo mix|what u hear|blackhole|\bloopback\b", re.IGNORECASE)


def open_source(portaudio: PortAudio, wanted: str, channels: int = 1) -> CardMicrophone:
    """Open the microphone that `find_device` finds, with `channels` channels. Raises DeviceError."""
    device = find_device(portaudio, "input", wanted)
    if not _is_paced(device, "input"):
        return CalledMicrophone(portaudio, device, channels)
    positions = pulse.positions_of("input", device.target) if is_served(device, "input") else ()
    return PacedMicrophone(portaudio, device, channels, heard_channels(positions, channels))


def open_sink(portaudio: PortAudio, wanted: str, channels: int = 1) -> CardLoudspeaker:
    """Open the loudspeaker that `find_device` finds, for `channels` channels. Raises DeviceError."""
    device = find_device(portaudio, "output", wanted)
    if not _is_paced(device, "output"):
        return CalledLoudspeaker(portaudio, device, channels)
    is_two = channels == 2 and is_served(device, "output")
    is_one = is_two and lacks_sides(pulse.positions_of("output", device.target))
    return PacedLoudspeaker(portaudio, device, channels, 1 if is_one else 0)


def find_device(portaudio: PortAudio, kind: str, wanted: str) -> Device:
    """Return the device of that number, or with `wanted` in its name; the default for "". `kind` is "input" or
    "output".

    Names are PortAudio's, or, if none fits, the sound server's. A default input that only records what is played is
    passed over. Raises DeviceError if there is no such device, or more than one.
    """
    try:
        device = portaudio.find(kind, wanted)
    except DeviceError:
        if found := _find_served(portaudio, kind, wanted):
            return found
        raise
    return device if wanted or kind == "output" else _microphone(portaudio, device)


def lasting_name(portaudio: PortAudio, kind: str, wanted: str, device: Device) -> str:
    """Return a name that will find `device`, which the user chose as `wanted`, even after other devices have come or
    gone: numbers change then, names do not."""
    name = device.target or device.name
    if not wanted.isdecimal():
        return wanted
    try:
        found = find_device(portaudio, kind, name)
    except DeviceError:  # another one has its name, too
        return wanted
    return name if (found.number, found.target) == (device.number, device.target) else wanted


def all_devices(portaudio: PortAudio) -> list[Device]:
    """Return PortAudio's devices, by their numbers, and after them the sound server's. This is for a list:
    `find_device` returns the one to be opened."""
    own = portaudio.devices()
    return [*own, *(replace(each, number=number) for number, each in _numbered(own))]


def _numbered(own: list[Device]) -> list[tuple[int, Device]]:
    """Return the sound server's devices, each with the number that a list shows. Their own `number` is that of the
    PortAudio device through which they are used: PortAudio crashes if it opens a number that it does not have."""
    return list(enumerate((each for kind in ("input", "output") for each in _served(own, kind)), len(own)))


def _served(own: list[Device], kind: str) -> list[Device]:
    """Return the sound server's devices, if there is an ALSA device through which each of them can be used."""
    through = next((each for each in own if each.system == "ALSA" and _leads_to_server(each.name, kind)), None)
    if through is None:
        return []
    return [
        replace(
            through,
            name=each.description,
            system="sound server",
            inputs=each.channels if kind == "input" else 0,
            outputs=each.channels if kind == "output" else 0,
            default_input=False,
            default_output=False,
            rate=RATE,  # to which the server converts
            target=each.name,
        )
        for each in pulse.served_devices(kind)
    ]


def _leads_to_server(name: str, kind: str) -> bool:
    return name.lower() in SERVED and alsa.plugin(name, kind) == "pulse"


def is_served(device: Device, kind: str) -> bool:
    """Whether a sound server that can be asked is behind the device."""
    return bool(device.target) or _leads_to_server(device.name, kind)


def _find_served(portaudio: PortAudio, kind: str, wanted: str) -> Device | None:
    """Find the sound server's device by number, by one of its two names, or by a part of one. A monitor is found only
    by a whole name. Raises DeviceError if there are several."""
    own = portaudio.devices()
    if wanted.isdecimal():
        return next(
            (each for number, each in _numbered(own) if is_numbered(wanted, number) and _is(each, kind)), None
        )
    word, served = wanted.lower(), _served(own, kind)
    found = [each for each in served if word in (each.target.lower(), each.name.lower())]
    found = found or [each for each in served if _has(each, word) and not is_monitor(each)]
    if len(found) > 1:
        names = ", ".join(f"{each.target} ({each.name})" for each in found)
        raise DeviceError(f"{kind} device {wanted!r} could be any of: {names}", kind=Kind.NO_SUCH_DEVICE)
    return found[0] if wanted and found else None


def _is(device: Device, kind: str) -> bool:
    return bool(device.inputs if kind == "input" else device.outputs)


def _has(device: Device, word: str) -> bool:
    return word in device.target.lower() or word in device.name.lower()


def is_monitor(device: Device) -> bool:
    """Whether the device, by its names, records what a loudspeaker plays."""
    return any(MONITOR.search(name) for name in (device.name, device.target))


def _microphone(portaudio: PortAudio, device: Device) -> Device:
    """Return the default microphone, or another one if that only records what is played. Raises DeviceError if there
    is none."""
    if not _leads_to_server(device.name, "input"):
        if is_monitor(device):
            raise _no_microphone(device.name)
        return device
    default = None if pulse.is_named("input") else pulse.default_device("input")
    if default is None or not default.is_monitor:
        return device
    others = [each for each in _served(portaudio.devices(), "input") if not is_monitor(each)]
    if not others:
        raise _no_microphone(default.description)
    return others[0]


def _no_microphone(monitor: str) -> DeviceError:
    return DeviceError(
        f"no microphone: the system's default input, {monitor}, only hears what is played",
        kind=Kind.ONLY_A_MONITOR,
    )


def names_of(label: str, kind: str, target: str = "") -> tuple[str, ...]:
    """Return all names that the system has for a device. `kind` is "input" or "output". May wait for a second.

    `target` is the name of the sound server's device behind it, if that is not the default one.
    """
    if target:
        found = next((each for each in pulse.served_devices(kind) if each.name == target), None)
        return (label, *(found.names if found else (target,)))
    if label.lower() in SERVED and alsa.plugin(label, kind) in SERVERS:
        return (label, *pulse.names_of_default(kind))
    return (label,)


def _is_paced(device: Device, kind: str) -> bool:
    """Whether the device is better read and written than called back: with PulseAudio (docs/latency.md).

    PipeWire in PulseAudio's place takes sound in pieces that differ from the period. After a stall of 0.1 s, speech
    written to a loudspeaker was destroyed there (likeness 0.3; with callbacks 0.99). PipeWire's own plugin, cards
    without a sound server ("hw") and other systems were not measured. All these use callbacks.
    """
    if device.system != "ALSA" and not device.target:
        return False
    is_pulse = bool(device.target) or alsa.plugin(device.name, kind) == "pulse"
    return is_pulse and pulse.server_name() == pulse.PULSEAUDIO
